"""Chooses the held-out files of a folder, and recognises files by content."""

import contextlib
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence

import numpy as np

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.data import files as files_lib

AS_FORMAT_1 = -1  # value of `data.held_out_seed` in runs of format 1
# A file that changed so recently may change again within the same clock tick.
SETTLED_SECONDS = 2
_digests: dict[tuple, str] = {}


def held_out(
  names: Sequence[str], labels: np.ndarray | None, share: float, seed: int
) -> np.ndarray:
  """Returns bool [N], true for held-out files.

  A file is held out if the hash of its name and the seed, a number in [0, 1),
  is below the share. So its side does not depend on other files. There is one
  exception: a class of two or more files has a file on each side, if need be
  the file of the smallest or largest number.

  Args:
    names: names of the files in the folder. Endings do not count.
    labels: classes of the files, or None.
    share: mean share of held-out files.
    seed: another seed gives another split.

  Raises:
    DataError: if a split is empty.
  """
  numbers = np.array([_number(files_lib.stem(name), seed) for name in names])
  is_test = numbers < share
  labels = np.zeros(len(names), int) if labels is None else labels
  for label in np.unique(labels):
    rows = np.flatnonzero(labels == label)
    if len(rows) < 2:
      continue
    if not is_test[rows].any():
      is_test[rows[np.argmin(numbers[rows])]] = True
    elif is_test[rows].all():
      is_test[rows[np.argmax(numbers[rows])]] = False
  _refuse_empty(is_test, share)
  return is_test


def _number(name: str, seed: int) -> float:
  key = os.fsencode(f'{seed}/{name}')
  digest = hashlib.blake2b(key, digest_size=8).digest()
  return (int.from_bytes(digest, 'big') >> 11) / 2**53


def _refuse_empty(is_test: np.ndarray, share: float) -> None:
  size = len(is_test)
  if is_test.all() or not is_test.any():
    raise errors.DataError(
      f'data.held_out={share} of {size} images leaves '
      f'{size - is_test.sum()} to train on and {is_test.sum()} to test on. Set '
      'another share, or 0.0.'
    )


def held_out_as_format_1(
  size: int, labels: np.ndarray | None, share: float
) -> np.ndarray:
  """Returns bool [N], true for held-out files of runs of format 1.

  Every class has the same share, up to rounding. The split changes if a file
  comes or goes.

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
  _refuse_empty(is_test, share)
  return is_test


def digests(paths: Sequence[pathlib.Path]) -> list[str]:
  """Returns a hash of the content of each file.

  A file whose size and times did not change is not read again, in this process
  and in later ones.
  """
  if not paths:
    return []
  folder = os.path.commonpath([os.path.abspath(p.parent) for p in paths])
  cache = _cache_file(folder)
  if not any(key[0].startswith(folder) for key in _digests):
    _digests.update(_read_cache(cache))
  before = len(_digests)
  hashes = [_digest(path) for path in paths]
  if len(_digests) > before:
    _write_cache(cache, folder)
  return hashes


def _digest(path: pathlib.Path) -> str:
  try:
    with path.open('rb') as file:
      status = os.stat(file.fileno())
      key = (
        os.path.abspath(path),
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
      )
      if key in _digests:
        return _digests[key]
      is_settled = status.st_ctime_ns < time.time_ns() - SETTLED_SECONDS * 10**9
      digest = hashlib.file_digest(
        file, lambda: hashlib.blake2b(digest_size=16)
      ).hexdigest()
  except OSError as error:
    raise errors.DataError(
      f'{path}: unreadable ({error.strerror}). Restore the file.'
    ) from None
  if is_settled:
    _digests[key] = digest
  return digest


def _cache_file(folder: str) -> pathlib.Path:
  name = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
  return paths.cache('digests', f'{name}.json')


def _read_cache(path: pathlib.Path) -> dict[tuple, str]:
  """Returns what an earlier process has hashed; {} for a damaged file."""
  try:
    rows = json.loads(path.read_text(encoding='utf-8'))
    return {tuple(key): str(digest) for key, digest in rows}
  except (OSError, ValueError, TypeError, RuntimeError):
    return {}


def _write_cache(path: pathlib.Path, folder: str) -> None:
  rows = [row for row in _digests.items() if row[0][0].startswith(folder)]
  partial = path.with_suffix(f'.{os.getpid()}.tmp')
  try:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial.write_text(json.dumps(rows), encoding='utf-8')
    partial.replace(path)
  except (OSError, RuntimeError):  # Without a cache files are read again.
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)
