"""Image data sets of TensorFlow Datasets, read without TensorFlow.

Prepared data (array_record files) are found by looking at local folders first,
as TFDS itself would retry a dead network for minutes. MNIST, Fashion-MNIST and
KMNIST are also prepared without TensorFlow; any other set needs the extra
'tfds'.
"""

import contextlib
import gzip
import importlib.util
import logging
import os
import pathlib
import re
import struct
from urllib import parse

import numpy as np
from PIL import Image

from jaxgan import errors
from jaxgan.data import dataset, images

_logger = logging.getLogger(__name__)

TENSORFLOW_FREE = {
  'mnist': 'MNIST',
  'fashion_mnist': 'FashionMNIST',
  'kmnist': 'KMNIST',
}
CONNECT_SECONDS = 10
# IDX files, http://yann.lecun.com/exdb/mnist/: zero, zero, type, dimensions.
UNSIGNED_BYTE = 0x08


def data_dir(settings) -> pathlib.Path:
  """Where prepared data are."""
  given = settings.data_dir or os.environ.get('TFDS_DATA_DIR')
  return pathlib.Path(given or '~/tensorflow_datasets').expanduser()


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
    prepare(settings)
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


def prepare(settings) -> None:
  """Writes array_record files, from `manual_dir` or by download."""
  import tensorflow_datasets as tfds

  if settings.name in TENSORFLOW_FREE:
    builder = _mnist_like(settings)
    needed = builder.files()
  else:
    builder, needed = _stock(settings), []
  manual = None
  if settings.manual_dir:
    manual = pathlib.Path(settings.manual_dir).expanduser()
    missing = [url for url in needed if not (manual / _file(url)).is_file()]
    if missing:
      raise errors.DataError(
        f'data.manual_dir={str(manual)!r} lacks '
        + ', '.join(_file(url) for url in missing)
      )
  else:
    _reach(needed)
  _logger.info('preparing %s in %s', settings.name, data_dir(settings))
  config = tfds.download.DownloadConfig(
    manual_dir=manual, try_download_gcs=False
  )
  try:
    builder.download_and_prepare(
      download_config=config, file_format='array_record'
    )
  except errors.DataError:
    raise
  except Exception as error:
    # TFDS fails with anything; the first line of it says what.
    reason = str(error).strip().splitlines()[0] if str(error) else repr(error)
    raise errors.DataError(
      f'data.name={settings.name!r} could not be prepared: '
      f'{type(error).__name__}: {reason}'
    ) from error


def _file(url: str) -> str:
  return url.rsplit('/', 1)[-1]


def _reach(urls) -> None:
  """Fails soon where there is no network, instead of many silent retries."""
  import requests  # TFDS downloads with it too.

  for url in urls[:1]:
    host = parse.urlparse(url).netloc
    _logger.info('downloading from %s', host)
    try:
      requests.head(url, timeout=CONNECT_SECONDS).raise_for_status()
    except requests.RequestException as error:
      raise errors.DataError(
        f'data.download=True: {host} can not be reached '
        f'({type(error).__name__}); put the files '
        f'{", ".join(map(_file, urls))} into a folder and set data.manual_dir'
      ) from None


def _stock(settings):
  """Any other builder; its preparation imports TensorFlow."""
  if importlib.util.find_spec('tensorflow') is None:
    raise errors.DataError(
      f'data.name={settings.name!r}: only {", ".join(TENSORFLOW_FREE)} are '
      'prepared without TensorFlow; pip install "jaxgan[tfds]" for the '
      'others, or prepare it elsewhere with '
      "file_format='array_record' and set data.data_dir"
    )
  import tensorflow_datasets as tfds

  name = settings.name + (f':{settings.version}' if settings.version else '')
  try:
    return tfds.builder(name, data_dir=data_dir(settings))
  except tfds.core.registered.DatasetNotFoundError:
    raise errors.DataError(
      f'data.name={settings.name!r} is no data set of TFDS'
    ) from None


def _read_idx(path, dimensions: int, count: int) -> np.ndarray:
  """The array in a gzipped IDX file; its header is not trusted."""
  try:
    with gzip.open(path, 'rb') as file:
      header = struct.unpack('>HBB', file.read(4))
      shape = struct.unpack(f'>{dimensions}I', file.read(4 * dimensions))
      expected = (count,) + (28,) * (dimensions - 1)
      if header != (0, UNSIGNED_BYTE, dimensions) or shape != expected:
        raise errors.DataError(
          f'{path}: an IDX file of shape {expected} was expected, this one '
          f'says type {header[1]:#x} and shape {shape}'
        )
      num_bytes = int(np.prod(shape))
      values = file.read(num_bytes + 1)
  except (OSError, EOFError, struct.error) as error:
    raise errors.DataError(f'{path}: damaged ({error})') from None
  if len(values) != num_bytes:
    raise errors.DataError(f'{path}: not {num_bytes} bytes after the header')
  return np.frombuffer(values, np.uint8).reshape(shape)


def _mnist_like(settings):
  """A stock builder of the MNIST family that never imports TensorFlow.

  The stock one unpacks and reads the files, and encodes pixels, with
  TensorFlow; its addresses, checksums, splits and features are kept.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.image_classification import mnist

  stock = getattr(mnist, TENSORFLOW_FREE[settings.name])

  class Unextracted:
    """A download manager that leaves archives packed."""

    def __init__(self, manager):
      self._manager = manager

    def download_and_extract(self, urls):
      return self._manager.download(urls)

  with tfds.core.registered.skip_registration():

    class Builder(stock):
      name = settings.name
      url_infos = stock.url_infos

      def files(self):
        urls = []
        for url in self.url_infos:
          if url.startswith(self.URL):
            urls.append(url)
        return urls

      def _split_generators(self, dl_manager):
        return super()._split_generators(Unextracted(dl_manager))

      def _generate_examples(self, num_examples, data_path, label_path):
        pixels = _read_idx(data_path, 3, num_examples)
        labels = _read_idx(label_path, 1, num_examples)
        for place, (image, label) in enumerate(
          zip(pixels, labels, strict=True)
        ):
          # As a picture: arrays would be encoded with TensorFlow.
          yield place, {'image': Image.fromarray(image), 'label': int(label)}

  return Builder(data_dir=data_dir(settings), version=settings.version or None)
