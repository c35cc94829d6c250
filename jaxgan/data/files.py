"""Lists the pictures of a folder, and counts what is left out and why."""

import collections
import dataclasses
import json
import os
import pathlib
from typing import NamedTuple

import numpy as np

from jaxgan import errors
from jaxgan.data import images

# Files with another ending are pictures if their content is.
SUFFIXES = (
  *('.avif', '.bmp', '.gif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpg'),
  *('.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp'),
)
# Runs of format 1 knew these endings and did not follow links to folders.
OLD_SUFFIXES = (
  *('.bmp', '.gif', '.jpeg', '.jpg', '.pgm', '.png', '.pnm', '.ppm'),
  *('.tif', '.tiff', '.webp'),
)
LABELS = 'dataset.json'  # labels, as the StyleGAN code writes them
LISTED = 6  # reasons in a line


class File(NamedTuple):
  """A file of a data set.

  Attributes:
    name: name in the folder, with slashes.
    digest: hash of the content.
    held_out: True in the test split.
  """

  name: str
  digest: str
  held_out: bool


@dataclasses.dataclass
class Listing:
  """The files of a folder.

  Attributes:
    root: the folder.
    files: paths of pictures, sorted; some may be unreadable.
    unreadable: (path, reason) of pictures and folders that cannot be opened.
    left_out: reason -> number of files that are no pictures, and of folders
      that are not searched.
  """

  root: pathlib.Path
  files: list[pathlib.Path] = dataclasses.field(default_factory=list)
  unreadable: list[tuple[pathlib.Path, str]] = dataclasses.field(
    default_factory=list
  )
  left_out: collections.Counter = dataclasses.field(
    default_factory=collections.Counter
  )

  def name(self, path: pathlib.Path) -> str:
    """Returns the name of a file below the folder, with slashes."""
    return path.relative_to(self.root).as_posix()

  def summary(self, read: int) -> str:
    """Returns how many files were found, read and left out, in one line.

    Args:
      read: number of pictures that are read.
    """
    skipped = len(self.files) + len(self.unreadable) - read
    reasons = self.left_out.most_common()
    found = len(self.files) + len(self.unreadable) + self.left_out.total()
    parts = [f'{count:,} {reason}' for reason, count in reasons[:LISTED]]
    if rest := sum(count for _, count in reasons[LISTED:]):
      parts.append(f'{rest:,} others')
    if skipped:
      parts.insert(0, f'{skipped:,} unreadable')
    left_out = ', '.join(parts) or 'nothing'
    return (
      f'{self.root}: found {found:,}, read {read:,} pictures, left out '
      f'{left_out}'
    )


def is_run(folder: pathlib.Path) -> bool:
  """Returns True for the workdir of a run."""
  if (folder / '.lock').is_file():
    return True
  return (folder / 'config.json').is_file() and any(
    (folder / name).exists()
    for name in ('checkpoints', 'metrics.jsonl', 'samples')
  )


def stem(name: str) -> str:
  """Removes the ending of a picture's name; other endings belong to a name."""
  start, dot, ending = name.rpartition('.')
  return start if f'{dot}{ending}'.lower() in SUFFIXES else name


def list_files(root: pathlib.Path, as_format_1: bool = False) -> Listing:
  """Searches a folder and all folders below for pictures.

  Links are followed. Hidden files and workdirs of runs are left out.

  Args:
    root: the folder.
    as_format_1: True to find the files that runs of format 1 found.

  Raises:
    DataError: if there is no such folder, or no picture in the folder.
  """
  if not root.is_dir():
    raise errors.DataError(
      f'data.path={str(root)!r} is not a folder. Set data.path to the folder '
      'with the images or the class folders.'
    )
  if is_run(root) and not as_format_1:
    raise errors.DataError(
      f'data.path={str(root)!r} is the workdir of a run, whose pictures are no '
      'data. Set data.path to another folder, or move the run away.'
    )
  listing = Listing(root)
  seen = {_identity(root): root}
  folders = [(root, (_identity(root),))]
  while folders:
    folder, above = folders.pop()
    try:
      entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
      if folder == root:
        raise errors.DataError(
          f'data.path={str(root)!r} cannot be read ({error.strerror}). Change '
          'its permissions, or set another data.path.'
        ) from None
      listing.unreadable.append((folder, error.strerror))
      continue
    for entry in entries:
      path = pathlib.Path(entry.path)
      if entry.name.startswith('.'):
        listing.left_out['hidden'] += 1
      elif not _is_folder(entry):
        _add_file(listing, path, as_format_1)
      elif as_format_1 and entry.is_symlink():
        listing.left_out['links'] += 1
      elif is_run(path) and not as_format_1:
        listing.left_out['workdirs of runs'] += 1
      elif (identity := _identity(path)) is None:
        listing.unreadable.append((path, 'gone'))
      elif identity in above:
        listing.left_out['links in a circle'] += 1
      elif identity in seen:
        same = listing.name(seen[identity])
        listing.unreadable.append((path, f'the same folder as {same!r}'))
      else:
        seen[identity] = path
        folders.append((path, (*above, identity)))
  if as_format_1:
    listing.files.sort()
  else:
    # Partners in two folders have the same place, whatever their endings are.
    listing.files.sort(key=lambda path: (stem(listing.name(path)), path))
  if not listing.files and not listing.unreadable:
    raise errors.DataError(
      f'data.path={str(root)!r} has no images: {listing.summary(0)}. Add '
      f'files of the formats {", ".join(images.FORMATS)}.'
    )
  return listing


def _identity(folder) -> tuple[int, int] | None:
  try:
    status = os.stat(folder)
  except OSError:  # Removed since, or no folder that can be read.
    return None
  return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # A link to itself.
    return False


def _add_file(listing: Listing, path: pathlib.Path, as_format_1: bool) -> None:
  """Adds a file to the pictures, or counts why it is left out."""
  suffix = path.suffix.lower()
  is_named = suffix in (OLD_SUFFIXES if as_format_1 else SUFFIXES)
  if not os.path.isfile(path):
    if is_named and path.is_symlink() and not as_format_1:
      listing.unreadable.append((path, 'a link to a file that is not there'))
    else:
      listing.left_out['links to nothing, or no files'] += 1
  elif is_named or (not as_format_1 and images.is_picture(path)):
    listing.files.append(path)
  elif path != listing.root / LABELS:
    listing.left_out[suffix or 'without ending'] += 1


def labels(
  listing: Listing, files: list[pathlib.Path], as_format_1: bool = False
) -> tuple[np.ndarray | None, tuple[str, ...]]:
  """Returns the label of each file, int32 [N] or None, and class names.

  Labels are those of `dataset.json`, if there is one. Else they are the folders
  of the root. There are no classes if pictures lie beside the folders, or if
  there is only one class.

  Args:
    listing: the folder.
    files: the pictures that are read.
    as_format_1: True to ignore `dataset.json`.
  """
  names = [listing.name(path) for path in files]
  recorded = None if as_format_1 else _recorded_labels(listing.root)
  if recorded is not None:
    of_files = [_recorded(listing.root, recorded, name) for name in names]
  elif any('/' not in name for name in names):
    of_files = []
  else:
    of_files = [name.partition('/')[0] for name in names]
  classes = sorted(set(of_files))
  if len(classes) < 2:  # A single label carries no information.
    return None, ()
  number = {label: k for k, label in enumerate(classes)}
  values = np.array([number[label] for label in of_files], np.int32)
  return values, tuple(map(str, classes))


def _recorded(root: pathlib.Path, recorded: dict, name: str) -> int:
  if name not in recorded:
    raise errors.DataError(
      f'{root / LABELS} has no label of {name!r}. Add the label, or remove the '
      'file.'
    )
  return recorded[name]


def _recorded_labels(root: pathlib.Path) -> dict[str, int] | None:
  """Returns the labels of `dataset.json` by name, or None without labels."""
  path = root / LABELS
  if not path.is_file():
    return None
  try:
    if path.stat().st_size > images.MOST_BYTES:
      raise ValueError(f'more than {images.MOST_BYTES} bytes')
    content = json.loads(path.read_text(encoding='utf-8'))
    pairs = content.get('labels') if isinstance(content, dict) else None
    if pairs is None:
      return None
    recorded = dict(pairs)
    for name, label in recorded.items():
      if type(label) is not int or label < 0 or not isinstance(name, str):
        raise ValueError(f'{name!r} has the label {label!r}')
  except (OSError, ValueError, TypeError, RecursionError) as error:
    raise errors.DataError(
      f'{path}: the labels are unreadable ({error}). Write them as '
      '{"labels": [["FOLDER/NAME.png", 0], ...]}, or remove the file.'
    ) from None
  return recorded
