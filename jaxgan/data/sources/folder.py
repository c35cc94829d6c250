"""A folder of images, or a folder of class folders."""

import collections
import contextlib
import hashlib
import logging
import pathlib

import numpy as np

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.data import dataset, images, splits
from jaxgan.data import files as files_lib

_logger = logging.getLogger(__name__)

# Pictures of more than 8 bits that are decoded at the start to see their range.
NUM_CHECKED = 64
# Pictures are too dark to be in the range of their format if none is brighter.
DARK = 0.25


class _Headers:
  """Sizes, modes and errors, as read from the headers of all files.

  Attributes:
    good: the files that can be read.
    bad: (path, error) of the others.
    sizes: (height, width) -> first file of that size.
    is_grey: True if no file has colour.
    deep: files of more than 8 bits by (low, high) of their format; None for
      colours, of which Pillow reads the first 8 bits.
    animated: number of files with several frames.
  """

  def __init__(self, paths, settings, keep_going: bool):
    self.good, self.bad, self.sizes = [], [], {}
    self.is_grey, self.animated = True, 0
    self.deep = collections.defaultdict(list)
    for path in paths:
      try:
        with images.open_header(path, settings.max_pixels) as picture:
          self._add(path, picture, settings, keep_going)
      except Exception as error:  # Pillow's decoders raise errors of any type.
        if not keep_going:
          raise _unreadable(path, error) from None
        self.bad.append((path, error))

  def _add(self, path, picture, settings, decode: bool) -> None:
    value_range = images.stored_range(picture)
    # Before the size, for which Pillow decodes PNGs.
    if value_range is not None or images.has_deep_colour(picture):
      self.deep[value_range].append(path)
    size = images.upright_size(picture)
    is_grey = images.is_grey(picture.mode)
    if decode:
      channels = 1 if is_grey else 3
      images.decode(picture, size, channels, settings.resize, _range(settings))
    self.is_grey = self.is_grey and is_grey
    self.good.append(path)
    self.sizes.setdefault(size, path)
    # Photographs of phones hold a second picture that nobody looks at.
    if picture.format not in ('JPEG', 'MPO'):
      with contextlib.suppress(Exception):
        self.animated += getattr(picture, 'n_frames', 1) > 1


def _range(settings) -> tuple[float, ...]:
  return tuple(settings.get('range', ()))


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
  if str(path) not in reason:
    reason = f'{path}: unreadable ({reason})'
  return errors.DataError(f'{reason}. Remove the file or set data.on_bad=skip.')


def _describe_ranges(headers: _Headers, settings) -> list[str]:
  """Returns the ranges of pictures of more than 8 bits, in words.

  Raises:
    DataError: if all values are dark or outside in the range of the format,
      which then is not the range of the pictures.
  """
  texts = []
  for value_range, pictures in headers.deep.items():
    asked = _range(settings)
    low, high = asked or value_range or (0, 255)
    step = -(-len(pictures) // NUM_CHECKED)
    least, most = np.inf, -np.inf
    for path in pictures[::step]:
      try:
        with images.open_header(path, settings.max_pixels) as picture:
          images.load_pixels(picture)
          values = np.asarray(picture.convert('RGB'))
          if value_range is not None:
            values = images.stored_values(picture)
      except Exception as error:
        raise _unreadable(path, error) from None
      least, most = min(least, values.min()), max(most, values.max())
    name = 'floats' if value_range == (0, 1) else 'values of more than 8 bits'
    found = (
      f'{len(pictures):,} pictures have {name}, from {least:g} to {most:g}'
    )
    is_dark = most <= low + DARK * (high - low)
    if value_range is None and is_dark:
      raise errors.DataError(
        f'data.path={settings.path!r}: {len(pictures):,} pictures, the first '
        f'{pictures[0].name}, have 16 bits per colour and use only the lowest '
        'of them, which Pillow does not read. Convert them to 8 bits.'
      )
    if not asked and (is_dark or least < low or most > high):
      raise errors.DataError(
        f'data.path={settings.path!r}: {found}, and their format has white at '
        f'{high:g}. Set data.range to their black and white, for example '
        f'"({min(least, low):g},{most:g})".'
      )
    if value_range is not None:
      texts.append(f'{found}; black is {low:g} and white {high:g}')
  return texts


def _report(listing, headers: _Headers, classes, texts) -> None:
  """Logs one line about all files, and warnings about lost ones."""
  names = [listing.name(path) for path in headers.good]
  if not classes and len({'/' in name for name in names}) == 2:
    _logger.warning(
      'no labels: %s holds images beside folders of images',
      errors.printable(listing.root),
    )
  bad = [*listing.unreadable, *headers.bad]
  for path, _ in bad[:5]:
    _logger.warning('skipped, unreadable: %s', errors.printable(path))
  if bad:
    total = len(listing.files) + len(listing.unreadable)
    _logger.warning('skipped %d of %d images', len(bad), total)
  lost = {
    listing.name(path).partition('/')[0]
    for path, _ in bad
    if path.parent != listing.root or path.is_dir()
  }
  lost -= {name.partition('/')[0] for name in names}
  if lost:
    _logger.warning(
      'folders without a readable picture are no class: %s',
      errors.printable(', '.join(sorted(lost))),
    )
  if headers.animated:
    texts = [*texts, f'{headers.animated:,} have frames, of which one is read']
  line = '; '.join([listing.summary(len(headers.good)), *texts])
  _logger.info('%s', errors.printable(line))


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
  seed = settings.get('held_out_seed', 0)
  as_format_1 = seed == splits.AS_FORMAT_1
  listing = files_lib.list_files(root, as_format_1)
  skip = settings.on_bad == 'skip'
  for path, reason in listing.unreadable:
    if not skip:
      raise _unreadable(path, errors.DataError(reason))
  headers = _Headers(listing.files, settings, skip)
  good = headers.good
  if not good:
    raise errors.DataError(
      f'data.path={str(root)!r} has no readable image. Replace the files or '
      'set another data.path.'
    )
  if as_format_1 and (0, 1) in headers.deep:
    raise errors.DataError(
      f'data.path={str(root)!r} has pictures of floats, which code older than '
      'this run read in another way. Use commit 07bcde9, or train again.'
    )
  texts = [] if as_format_1 else _describe_ranges(headers, settings)

  size = _size(settings, headers.sizes)
  channels = settings.channels or (1 if headers.is_grey else 3)
  labels, classes = files_lib.labels(listing, good, as_format_1)
  total = len(good)
  names = [listing.name(path) for path in good]
  is_test = np.zeros(total, bool)
  if held_out and as_format_1:
    is_test = splits.held_out_as_format_1(total, labels, held_out)
  elif held_out:
    is_test = splits.held_out(names, labels, held_out, seed)
  files = ()
  if not as_format_1:
    rows = zip(names, splits.digests(good), is_test.tolist(), strict=True)
    files = tuple(files_lib.File(*row) for row in rows)
  if split == 'train':
    if held_out:
      texts.append(
        f'{total - is_test.sum():,} to train on, {is_test.sum():,} held out'
      )
    _report(listing, headers, classes, texts)
  rows = np.flatnonzero(is_test == (split == 'test'))
  good = [good[row] for row in rows]
  labels = None if labels is None else labels[rows]

  def read(index):
    path = good[index]
    with images.open_header(path, settings.max_pixels) as picture:
      try:
        image = images.decode(
          picture, size, channels, settings.resize, _range(settings)
        )
      except Exception as error:
        raise _unreadable(path, error) from None
    example = {'image': image}
    if labels is not None:
      example['label'] = labels[index]
    return example

  return dataset.Dataset(
    source='folder',
    name=root.name,
    split=split,
    spec=dataset.Spec((*size, channels), len(classes), tuple(classes)),
    size=len(good),
    read_many=dataset.one_by_one(read),
    identity=_identity(listing, good, [files[row] for row in rows if files]),
    labels=labels,
    detail=errors.printable(
      f'{len(good):,} images of {root}'
      + (f', {total - len(good):,} in the other split' if held_out else '')
      + (f', {len(headers.bad)} unreadable ones skipped' if headers.bad else '')
    ),
    files=files,
  )


def _identity(listing, paths, files) -> dict[str, str]:
  """Returns a hash of names and contents, or of sizes in format 1."""
  hasher = hashlib.blake2b(digest_size=16)
  if files:
    for file in files:
      hasher.update(
        f'{file.name} {file.digest}\n'.encode(errors='surrogateescape')
      )
    return {'contents': hasher.hexdigest()}
  for path in paths:
    line = f'{listing.name(path)} {path.stat().st_size}\n'
    hasher.update(line.encode(errors='surrogateescape'))
  return {'listing': hasher.hexdigest()}
