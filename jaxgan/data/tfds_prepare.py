"""Prepares TFDS data sets, those of the MNIST family without TensorFlow."""

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
