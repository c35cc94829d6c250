"""Prepares TFDS data sets, without TensorFlow for the MNIST family."""

import gzip
import importlib.util
import logging
import os
import pathlib
import struct
from urllib import parse

import numpy as np
from PIL import Image

from jaxgan import errors
from jaxgan.core import paths

_logger = logging.getLogger(__name__)

TENSORFLOW_FREE = {
  'mnist': 'MNIST',
  'fashion_mnist': 'FashionMNIST',
  'kmnist': 'KMNIST',
}
CONNECT_SECONDS = 10
# Header of IDX files: zero, zero, type, number of dimensions. See
# http://yann.lecun.com/exdb/mnist/.
UNSIGNED_BYTE = 0x08


def data_dir(settings) -> pathlib.Path:
  """Returns the folder of prepared data."""
  given = settings.data_dir or os.environ.get('TFDS_DATA_DIR')
  return paths.of_user(given or '~/tensorflow_datasets', 'data.data_dir', True)


def prepare(settings) -> None:
  """Writes array_record files from `manual_dir` or from a download.

  Raises:
    DataError: if files are missing or damaged, or cannot be downloaded.
  """
  import tensorflow_datasets as tfds

  if settings.name in TENSORFLOW_FREE:
    builder = _mnist_like(settings)
    needed = builder.files()
  else:
    builder, needed = _stock(settings), []
  manual = None
  if settings.manual_dir:
    manual = paths.of_user(settings.manual_dir, 'data.manual_dir', True)
    missing = [url for url in needed if not (manual / _file(url)).is_file()]
    if missing:
      raise errors.DataError(
        f'data.manual_dir={str(manual)!r} lacks '
        f'{", ".join(map(_file, missing))}. Add the files.'
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
    # TFDS raises errors of any type, with the cause in the first line.
    reason = str(error).strip().splitlines()[0] if str(error) else repr(error)
    raise errors.DataError(
      f'data.name={settings.name!r} could not be prepared: '
      f'{type(error).__name__}: {reason}'
    ) from error


def _file(url: str) -> str:
  return url.rsplit('/', 1)[-1]


def _reach(urls) -> None:
  """Raises a DataError at once without a network; TFDS would retry silently."""
  import requests  # TFDS depends on this package too.

  for url in urls[:1]:
    host = parse.urlparse(url).netloc
    _logger.info('downloading from %s', host)
    try:
      requests.head(url, timeout=CONNECT_SECONDS).raise_for_status()
    except requests.RequestException as error:
      raise errors.DataError(
        f'data.download=True failed because {host} cannot be reached '
        f'({type(error).__name__}). Put the files '
        f'{", ".join(map(_file, urls))} into a folder and set data.manual_dir.'
      ) from None


def _stock(settings):
  """Returns the stock builder of a set, which prepares with TensorFlow."""
  if importlib.util.find_spec('tensorflow') is None:
    raise errors.DataError(
      f'data.name={settings.name!r} needs TensorFlow: only '
      f'{", ".join(TENSORFLOW_FREE)} are prepared without. Run pip install '
      '"jaxgan[tfds]", or prepare the set elsewhere with '
      "file_format='array_record' and set data.data_dir."
    )
  import tensorflow_datasets as tfds

  name = settings.name + (f':{settings.version}' if settings.version else '')
  try:
    return tfds.builder(name, data_dir=data_dir(settings))
  except tfds.core.registered.DatasetNotFoundError:
    raise errors.DataError(
      f'data.name={settings.name!r} is no data set of TFDS. See the list at '
      'https://www.tensorflow.org/datasets/catalog/overview'
    ) from None


def _read_idx(path, dimensions: int, count: int) -> np.ndarray:
  """Reads the array in a gzipped IDX file and checks its header.

  Args:
    path: the file.
    dimensions: 3 for images [count, 28, 28], 1 for labels [count].
    count: number of examples.

  Raises:
    DataError: if the file is damaged or of another shape.
  """
  try:
    with gzip.open(path, 'rb') as file:
      header = struct.unpack('>HBB', file.read(4))
      shape = struct.unpack(f'>{dimensions}I', file.read(4 * dimensions))
      expected = (count,) + (28,) * (dimensions - 1)
      if header != (0, UNSIGNED_BYTE, dimensions) or shape != expected:
        raise errors.DataError(
          f'{path} has type {header[1]:#x} and shape {shape}, expected an IDX '
          f'file of bytes of shape {expected}. Download the file again.'
        )
      num_bytes = int(np.prod(shape))
      values = file.read(num_bytes + 1)
  except (OSError, EOFError, struct.error) as error:
    raise errors.DataError(
      f'{path}: damaged ({error}). Download the file again.'
    ) from None
  if len(values) != num_bytes:
    raise errors.DataError(
      f'{path}: not {num_bytes} bytes after the header. Download the file '
      'again.'
    )
  return np.frombuffer(values, np.uint8).reshape(shape)


def _mnist_like(settings):
  """Returns a builder of the MNIST family that never imports TensorFlow.

  The stock builder unpacks files, reads files and encodes pixels with
  TensorFlow. Its addresses, checksums, splits and features are kept.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.image_classification import mnist

  stock = getattr(mnist, TENSORFLOW_FREE[settings.name])

  class Unextracted:
    """Download manager that does not unpack archives."""

    def __init__(self, manager):
      self._manager = manager

    def download_and_extract(self, urls):
      return self._manager.download(urls)

  with tfds.core.registered.skip_registration():

    class Builder(stock):
      name = settings.name
      url_infos = stock.url_infos

      def files(self):
        return [url for url in self.url_infos if url.startswith(self.URL)]

      def _split_generators(self, dl_manager):
        return super()._split_generators(Unextracted(dl_manager))

      def _generate_examples(self, num_examples, data_path, label_path):
        pixels = _read_idx(data_path, 3, num_examples)
        labels = _read_idx(label_path, 1, num_examples)
        for index, (image, label) in enumerate(
          zip(pixels, labels, strict=True)
        ):
          # TFDS encodes arrays with TensorFlow, but Pillow images without.
          yield index, {'image': Image.fromarray(image), 'label': int(label)}

  return Builder(data_dir=data_dir(settings), version=settings.version or None)
