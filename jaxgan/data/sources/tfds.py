"""Reads image data sets of TensorFlow Datasets without TensorFlow.

Prepared data (array_record files) are looked up in local folders first: without
a network TFDS retries for minutes. MNIST, Fashion-MNIST and KMNIST are also
prepared without TensorFlow. All other sets need the extra 'tfds'.
"""

import contextlib
import logging
import pathlib
import re

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, images
from jaxgan.data.sources import _tfds_prepare
from jaxgan.data.sources._tfds_prepare import data_dir

_logger = logging.getLogger(__name__)


def find(settings) -> pathlib.Path | None:
  """Returns the folder of the newest version of the prepared data, or None."""
  root = data_dir(settings) / settings.name
  version = (
    re.escape(settings.version) if settings.version else r'\d+\.\d+\.\d+'
  )
  folders = [
    path.parent
    for pattern in ('*/dataset_info.json', '*/*/dataset_info.json')
    for path in root.glob(pattern)
    if re.fullmatch(version, path.parent.name)
  ]
  return max(
    folders,
    key=lambda path: [int(part) for part in path.name.split('.')],
    default=None,
  )


def load(settings, split: str) -> dataset.Dataset:
  """Returns a split of a TFDS set, which is prepared first if necessary.

  Preparation needs `manual_dir` or `download`.

  Args:
    settings: `config.data` with 'name', 'version', 'data_dir', 'manual_dir',
      'download', 'image_size', 'channels' and 'resize'.
    split: 'train', 'test', or another split of the set.

  Raises:
    DataError: for a name that is no TFDS name, and for data that are missing,
      damaged, without images, or need TensorFlow.
  """
  if not re.fullmatch(r'[a-z0-9_]+(/[A-Za-z0-9_.-]+)?', settings.name):
    raise errors.DataError(
      f'data.name={settings.name!r} is no TFDS name. Write it as in '
      "'mnist' or 'cycle_gan/horse2zebra'."
    )
  folder = find(settings)
  if folder is None:
    if not (settings.manual_dir or settings.download):
      raise errors.DataError(
        f'data.name={settings.name!r} is not prepared in {data_dir(settings)}.'
        ' Set data.manual_dir to a folder with its original files, or '
        'data.download=True, or data.data_dir to the folder of prepared data.'
      )
    _tfds_prepare.prepare(settings)
    folder = find(settings)
  return _read(settings, folder, split)


def _read(settings, folder: pathlib.Path, split: str) -> dataset.Dataset:
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(str(folder))
  if split not in builder.info.splits:
    raise errors.unknown('data split', split, builder.info.splits)
  if str(builder.info.file_format.file_suffix) != 'array_record':
    raise errors.DataError(
      f'{folder} holds {builder.info.file_format.file_suffix} files, which '
      'need TensorFlow to read. Prepare the set again with '
      "file_format='array_record' or data.download=True."
    )
  features = builder.info.features
  pictures = [
    name
    for name, feature in features.items()
    if isinstance(feature, tfds.features.Image)
  ]
  if not pictures:
    raise errors.DataError(
      f'data.name={settings.name!r} holds no images. Choose a set of images.'
    )
  key = settings.get('feature')
  key = key or ('image' if 'image' in pictures else pictures[0])
  if key not in pictures:
    raise errors.unknown('data.feature', key, pictures)
  # A FeaturesDict has no `get`.
  label = dict(features.items()).get('label')
  if not isinstance(label, tfds.features.ClassLabel):
    label = None
  source = builder.as_data_source(split=split)
  shape = _shape(settings, features[key].shape)

  def open_one(index):
    try:
      return source[index]
    except Exception as error:  # Damaged shards raise errors of any type.
      reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
      raise errors.DataError(
        f'{folder}: example {index} is damaged ({reason}). Remove the folder '
        'and prepare the set again.'
      ) from None

  def read_many(indices):
    opened = None
    if len(indices) > 1:  # Faster than one call for each example.
      # After an error examples are read one by one, to name the damaged one.
      with contextlib.suppress(Exception):
        opened = source.__getitems__(indices)
    if opened is None:
      opened = [open_one(index) for index in indices]
    examples = []
    for stored in opened:
      pixels = np.asarray(stored[key])
      example = {'image': images.conform(pixels, shape, settings.resize)}
      if label:
        example['label'] = np.int32(stored['label'])
      examples.append(example)
    return examples

  return dataset.Dataset(
    source='tfds',
    name=settings.name,
    split=split,
    spec=dataset.Spec(
      shape,
      label.num_classes if label else 0,
      tuple(label.names) if label else (),
    ),
    size=len(source),
    read_many=read_many,
    identity={
      'version': str(builder.info.version),
      'num_bytes': builder.info.splits[split].num_bytes,
    },
    detail=f'prepared in {folder}',
  )


def _shape(settings, stored) -> tuple[int, int, int]:
  height, width, channels = stored
  height, width = images.asked_size(settings) or (height, width)
  if height is None or width is None:
    raise errors.DataError(
      f'data.name={settings.name!r} holds images of different sizes. Set '
      'data.image_size.'
    )
  return height, width, settings.channels or channels or 3
