"""Image data sets of TensorFlow Datasets, read without TensorFlow.

Prepared data (array_record files) are found by looking at local folders first,
as TFDS itself would retry a dead network for minutes. MNIST, Fashion-MNIST and
KMNIST are also prepared without TensorFlow; any other set needs the extra
'tfds'.
"""

import contextlib
import logging
import pathlib
import re

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, images, tfds_prepare
from jaxgan.data.tfds_prepare import data_dir

_logger = logging.getLogger(__name__)


def find(settings) -> pathlib.Path | None:
  """The folder of the prepared data, newest version first, if there is one."""
  root = data_dir(settings) / settings.name
  version = (
    re.escape(settings.version) if settings.version else r'\d+\.\d+\.\d+'
  )
  found = [
    path.parent
    for pattern in ('*/dataset_info.json', '*/*/dataset_info.json')
    for path in root.glob(pattern)
    if re.fullmatch(version, path.parent.name)
  ]
  return max(
    found,
    key=lambda path: [int(part) for part in path.name.split('.')],
    default=None,
  )


def load(settings, split: str) -> dataset.Dataset:
  """Prepared data, prepared here first if the config says from what.

  Args:
    settings: `config.data` with 'name', 'version', 'data_dir', 'manual_dir',
      'download', 'image_size', 'channels' and 'resize'.
    split: 'train' or 'test', or what else the set has.
  """
  if not re.fullmatch(r'[a-z0-9_]+(/[A-Za-z0-9_.-]+)?', settings.name):
    raise errors.DataError(
      f'data.name={settings.name!r} is no TFDS name; they look like '
      "'mnist' or 'cycle_gan/horse2zebra'"
    )
  folder = find(settings)
  if folder is None:
    if not (settings.manual_dir or settings.download):
      raise errors.DataError(
        f'data.name={settings.name!r} is not prepared in {data_dir(settings)};'
        ' set data.manual_dir to a folder with its original files, or '
        'data.download=True, or data.data_dir to where it is prepared'
      )
    tfds_prepare.prepare(settings)
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
      'need TensorFlow to read; prepare the set again with '
      "file_format='array_record' (data.download=True does)"
    )
  features = builder.info.features
  pictures = [
    name
    for name, feature in features.items()
    if isinstance(feature, tfds.features.Image)
  ]
  if not pictures:
    raise errors.DataError(f'data.name={settings.name!r} holds no images')
  key = settings.get('feature')
  key = key or ('image' if 'image' in pictures else pictures[0])
  if key not in pictures:
    raise errors.unknown('picture in a TFDS example', key, pictures)
  # A FeaturesDict has no `get`.
  label = dict(features.items()).get('label')
  if not isinstance(label, tfds.features.ClassLabel):
    label = None
  source = builder.as_data_source(split=split)
  shape = _shape(settings, features[key].shape)

  def open_one(place):
    try:
      return source[place]
    except Exception as error:  # Damaged shards fail with anything.
      reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
      raise errors.DataError(
        f'{folder}: example {place} is damaged ({reason}); remove the folder '
        'and prepare the set again'
      ) from None

  def read_many(places):
    opened = None
    if len(places) > 1:  # Of 64, one takes half the time.
      with contextlib.suppress(Exception):  # One by one, to say which.
        opened = source.__getitems__(places)
    if opened is None:
      opened = [open_one(place) for place in places]
    found = []
    for example in opened:
      pixels = np.asarray(example[key])
      image = {'image': images.conform(pixels, shape, settings.resize)}
      found.append(image)
      if label:
        image['label'] = np.int32(example['label'])
    return found

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
      f'data.name={settings.name!r} holds images of different sizes; set '
      'data.image_size'
    )
  return height, width, settings.channels or channels or 3
