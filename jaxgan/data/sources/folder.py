"""A folder of images, or a folder of class folders."""

import hashlib
import logging
import pathlib

import numpy as np

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.data import dataset, images

_logger = logging.getLogger(__name__)

SUFFIXES = (
  *('.bmp', '.gif', '.jpeg', '.jpg', '.pgm', '.png', '.pnm', '.ppm'),
  *('.tif', '.tiff', '.webp'),
)


def list_files(root: pathlib.Path) -> tuple[list[pathlib.Path], list[str]]:
  """Returns all image files below `root`, sorted, and names of class folders.

  There are no classes if images lie beside the folders, or if there is only one
  folder.

  Raises:
    DataError: if there is no such folder, or no image in the folder.
  """
  if not root.is_dir():
    raise errors.DataError(
      f'data.path={str(root)!r} is not a folder. Set data.path to the folder '
      'with the images or the class folders.'
    )

  def pictures(folder):
    return sorted(
      path
      for path in folder.rglob('*')
      if path.suffix.lower() in SUFFIXES
      and path.is_file()
      and not any(part.startswith('.') for part in path.relative_to(root).parts)
    )

  below = sorted(path for path in root.iterdir() if path.is_dir())
  classes = [f.name for f in below if not f.name.startswith('.')]
  classes = [name for name in classes if pictures(root / name)]
  files = pictures(root)
  if not files:
    raise errors.DataError(
      f'data.path={str(root)!r} has no images. Add files that end in '
      f'{" ".join(SUFFIXES)}'
    )
  loose = [path for path in files if path.parent == root]
  if loose and classes:
    _logger.warning('no labels: %s holds images beside folders of images', root)
  if loose or len(classes) == 1:
    classes = []  # A single label carries no information.
  return files, classes


def _size(settings, sizes: dict[tuple[int, int], pathlib.Path]):
  if asked := images.asked_size(settings):
    return asked
  if len(sizes) > 1:
    (a, path_a), (b, path_b) = list(sizes.items())[:2]
    raise errors.DataError(
      f'data.path={settings.path!r} holds images of different sizes '
      f'({path_a.name} is {a[0]} x {a[1]}, {path_b.name} is {b[0]} x {b[1]}). '
      'Set data.image_size.'
    )
  return next(iter(sizes))


def _unreadable(path, error: Exception) -> errors.DataError:
  reason = str(error)
  if not isinstance(error, errors.DataError):
    reason = f'{path}: unreadable ({reason})'
  return errors.DataError(f'{reason}. Remove the file or set data.on_bad=skip.')


def _is_test(size: int, labels: np.ndarray | None, share: float) -> np.ndarray:
  """Returns bool [size], true for the sorted images of the test split.

  Every class has the same share in the test split, up to rounding. Equal
  arguments give equal splits.

  Raises:
    DataError: if a split is empty.
  """
  rows = np.random.default_rng(0).permutation(size)
  if labels is not None:
    rows = rows[np.argsort(labels[rows], kind='stable')]
  # Class after class, at even distances.
  count = np.floor(np.arange(size + 1) * share + 0.5)
  is_test = np.empty(size, bool)
  is_test[rows] = np.diff(count) > 0
  if is_test.all() or not is_test.any():
    raise errors.DataError(
      f'data.held_out={share} of {size} images leaves '
      f'{size - is_test.sum()} to train on and {is_test.sum()} to test on. Set '
      'another share, or 0.0.'
    )
  return is_test


def load(settings, split: str) -> dataset.Dataset:
  """Reads the headers of all images; pixels are read on access.

  With data.on_bad='skip' every image is decoded once at the start. Unreadable
  images are left out and their number is logged. With 'error' the first
  unreadable image stops the run.

  Args:
    settings: `config.data`.
    split: 'test' for the share `data.held_out` of each class, 'train' for the
      remaining images.

  Raises:
    DataError: for unreadable files, and for a split without images.
  """
  held_out = settings.held_out
  if split != 'train' and not held_out:
    raise errors.DataError(
      f'data.held_out={held_out} leaves no images for the {split} split. Set '
      'data.held_out=0.1 or eval_every=0.'
    )
  root = paths.of_user(settings.path, 'data.path')
  if not settings.path:
    raise errors.DataError(
      "data.source='folder' needs data.path. Set data.path to a folder of "
      'images.'
    )
  files, classes = list_files(root)
  skip = settings.on_bad == 'skip'
  good, sizes, bad, grey = [], {}, [], True
  for path in files:
    try:
      with images.open_header(path, settings.max_pixels) as picture:
        size = images.upright_size(picture)
        if skip:
          picture.load()
        grey = grey and images.is_grey(picture.mode)
    except Exception as error:  # Pillow's decoders raise errors of any type.
      if not skip:
        raise _unreadable(path, error) from None
      bad.append(path)
    else:
      good.append(path)
      sizes.setdefault(size, path)
  for path in bad[:5]:
    _logger.warning('skipped, unreadable: %s', path)
  if bad:
    _logger.warning('skipped %d of %d images', len(bad), len(files))
  if not good:
    raise errors.DataError(
      f'data.path={str(root)!r} has no readable image. Replace the files or '
      'set another data.path.'
    )

  size = _size(settings, sizes)
  channels = settings.channels or (1 if grey else 3)
  labels = None
  if classes:
    number = {name: k for k, name in enumerate(classes)}
    names = [path.relative_to(root).parts[0] for path in good]
    labels = np.array([number[name] for name in names], np.int32)
  total = len(good)
  if held_out:
    is_test = _is_test(total, labels, held_out)
    rows = np.flatnonzero(is_test == (split == 'test'))
    good = [good[row] for row in rows]
    labels = None if labels is None else labels[rows]

  def read(index):
    path = good[index]
    with images.open_header(path, settings.max_pixels) as picture:
      try:
        image = images.decode(picture, size, channels, settings.resize)
      except Exception as error:
        raise _unreadable(path, error) from None
    example = {'image': image}
    if labels is not None:
      example['label'] = labels[index]
    return example

  listing = hashlib.blake2b(digest_size=16)
  for path in good:
    line = f'{path.relative_to(root).as_posix()} {path.stat().st_size}\n'
    listing.update(line.encode())
  return dataset.Dataset(
    source='folder',
    name=root.name,
    split=split,
    spec=dataset.Spec((*size, channels), len(classes), tuple(classes)),
    size=len(good),
    read_many=dataset.one_by_one(read),
    identity={'listing': listing.hexdigest()},
    labels=labels,
    detail=f'{len(good):,} images of {root}'
    + (f', {total - len(good):,} in the other split' if held_out else '')
    + (f', {len(bad)} unreadable ones skipped' if bad else ''),
  )
