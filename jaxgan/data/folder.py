"""A folder of images, or a folder of class folders."""

import hashlib
import logging
import pathlib

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, images

_logger = logging.getLogger(__name__)

SUFFIXES = (
  *('.bmp', '.gif', '.jpeg', '.jpg', '.pgm', '.png', '.pnm', '.ppm'),
  *('.tif', '.tiff', '.webp'),
)


def list_files(root: pathlib.Path) -> tuple[list[pathlib.Path], list[str]]:
  """All pictures below `root`, sorted, and the names of class folders."""
  if not root.is_dir():
    raise errors.DataError(
      f'data.path={str(root)!r} is not a folder; give the folder that holds '
      'the images or the class folders'
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
      f'data.path={str(root)!r} has no images; known endings are '
      f'{" ".join(SUFFIXES)}'
    )
  loose = [path for path in files if path.parent == root]
  if loose and classes:
    _logger.warning('no labels: %s holds images beside folders of images', root)
  if loose or len(classes) == 1:
    classes = []  # One label says nothing.
  return files, classes


def _size(settings, sizes: dict[tuple[int, int], pathlib.Path]):
  if asked := images.asked_size(settings):
    return asked
  if len(sizes) > 1:
    (a, path_a), (b, path_b) = list(sizes.items())[:2]
    raise errors.DataError(
      f'data.path holds images of different sizes ({path_a.name} is '
      f'{a[0]} x {a[1]}, {path_b.name} is {b[0]} x {b[1]}); set '
      'data.image_size'
    )
  return next(iter(sizes))


def _unreadable(path, error: Exception) -> errors.DataError:
  reason = str(error)
  if not isinstance(error, errors.DataError):
    reason = f'{path}: unreadable ({reason})'
  return errors.DataError(f'{reason}; remove it or set data.on_bad=skip')


def _is_test(size: int, labels: np.ndarray | None, share: float) -> np.ndarray:
  """Which of the sorted images are the test split, bool [size].

  They depend on nothing but the arguments. Of each class it is the share, up to
  rounding.
  """
  rows = np.random.default_rng(0).permutation(size)
  if labels is not None:
    rows = rows[np.argsort(labels[rows], kind='stable')]
  # Class after class, at even distances.
  count = np.floor(np.arange(size + 1) * share + 0.5)
  found = np.empty(size, bool)
  found[rows] = np.diff(count) > 0
  if found.all() or not found.any():
    raise errors.DataError(
      f'data.held_out={share} of {size} images leaves {size - found.sum()} to '
      f'train on and {found.sum()} to test on; set another share, or 0.0'
    )
  return found


def load(settings, split: str) -> dataset.Dataset:
  """Reads headers now, pixels when asked for.

  With data.on_bad='skip' every picture is decoded once at the start, and those
  that can't be are left out with a count; with 'error' the first one stops the
  run.

  Args:
    settings: `config.data`.
    split: 'test' is the share `data.held_out` of the images, of every class the
      same share; 'train' is the rest.

  Raises:
    DataError: for files that can't be read, and for a split without images.
  """
  held_out = settings.held_out
  if split != 'train' and not held_out:
    raise errors.DataError(
      "data.source='folder' holds no images back; set eval_every=0, or a "
      'share of them, data.held_out=0.1'
    )
  root = pathlib.Path(settings.path).expanduser()
  if not settings.path:
    raise errors.DataError("data.source='folder' needs data.path")
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
    except Exception as error:  # Pillow's decoders raise whatever they like.
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
    raise errors.DataError(f'data.path={str(root)!r}: no image is readable')

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

  def read(place):
    path = good[place]
    with images.open_header(path, settings.max_pixels) as picture:
      try:
        image = images.decode(picture, size, channels, settings.resize)
      except Exception as error:
        raise _unreadable(path, error) from None
    example = {'image': image}
    if labels is not None:
      example['label'] = labels[place]
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
