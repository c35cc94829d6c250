"""Folders and files in buckets, through copies on this machine.

All other code works with local files. `fetch` copies a folder or a file here,
and `store` writes back what changed since. Nothing is locked in a bucket: a
change by somebody else is found when the folder is stored, and refused.
"""

import atexit
import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from jaxgan import errors

# Scheme -> package that knows it, through fsspec.
SCHEMES = {'gs': 'gcsfs', 's3': 's3fs', 'az': 'adlfs', 'memory': 'fsspec'}
# In the description of a file, what changes with the content.
_VERSIONS = (
  *('generation', 'ETag', 'etag', 'md5Hash', 'mtime', 'LastModified'),
  *('last_modified', 'updated', 'created', 'size'),
)
_PARTIAL = '.orbax-checkpoint-tmp'  # in the name of a checkpoint
_copies: dict[str, '_Copy'] = {}  # by URL


class _Copy:
  """The copy of one folder or file.

  Attributes:
    url: the URL.
    local: its path on this machine, which exists if the URL does.
    parent: a temporary folder that holds the copy.
    is_kept: True if the copy has what the bucket could not take.
  """

  def __init__(self, url: str, system):
    self.url, self._system = url, system
    self._root = system._strip_protocol(url)
    self.parent = pathlib.Path(tempfile.mkdtemp(prefix='jaxgan-'))
    self.local = self.parent / url.replace('://', '/')
    self.is_kept = False
    self._remote, self._files = {}, {}  # name -> version, when last equal

  def _list(self) -> dict[str, tuple]:
    """Returns the version of each file in the bucket, by name in the folder.

    Raises:
      StorageError: for a name that would leave the folder.
    """
    self._system.invalidate_cache()
    versions = {}
    for path, about in self._system.find(self._root, detail=True).items():
      name = path.removeprefix(self._root).removeprefix('/')
      if name and not set(name.split('/')).isdisjoint({'', '.', '..'}):
        raise errors.StorageError(
          f'{self.url} has a file {name!r}, which is no name here. Rename it.'
        )
      versions[name] = tuple(str(about.get(key, '')) for key in _VERSIONS)
    return versions

  def _changes(self) -> dict[str, tuple]:
    """Returns size and time of each file here that belongs in the bucket."""
    found = {}
    for path in self.local.rglob('*'):
      name = path.relative_to(self.local).as_posix()
      is_hidden = any(part.startswith('.') for part in name.split('/'))
      # Arrays of checkpoints have descriptions with hidden names.
      belongs = _is_checkpoint(name) or not is_hidden
      if belongs and _PARTIAL not in name and path.is_file():
        status = path.stat()
        found[name] = status.st_size, status.st_mtime_ns
    return found

  def pull(self) -> None:
    """Brings what changed in the bucket."""
    remote = self._list()
    for name in self._remote.keys() - remote.keys():
      (self.local / name).unlink(missing_ok=True)
    for name, version in remote.items():
      if self._remote.get(name) == version:
        continue
      path = self.local / name
      path.parent.mkdir(parents=True, exist_ok=True)
      self._system.get_file(
        f'{self._root}/{name}' if name else self._root, path
      )
    self._remote, self._files = remote, self._changes()

  def push(self) -> None:
    """Writes back what changed here, checkpoints first."""
    files = self._changes()
    names = [name for name in files if files[name] != self._files.get(name)]
    gone = self._files.keys() - files.keys()
    if not names and not gone:
      return
    remote = self._list()
    if other := sorted(
      name
      for name in self._remote.keys() | remote.keys()
      if self._remote.get(name) != remote.get(name)
    ):
      raise errors.StorageError(
        f'{self.url}: somebody else changed {other[0]!r}. Let one run write '
        f'to a folder. The files of this run are in {self.local}.'
      )
    for name in sorted(names, key=lambda n: (not _is_checkpoint(n), n)):
      self._system.put_file(str(self.local / name), f'{self._root}/{name}')
    for name in gone:
      self._system.rm_file(f'{self._root}/{name}')
    self._remote, self._files = self._list(), files


def _is_checkpoint(name: str) -> bool:
  return name.startswith('checkpoints/')


def fetch(url: str, name: str) -> pathlib.Path:
  """Returns a copy of a folder or a file, as it is in the bucket now.

  Args:
    url: the URL; nothing need be there.
    name: the flag or field, for errors.

  Raises:
    UserError: for another scheme, or without the package that knows it.
    StorageError: if the bucket cannot be read.
  """
  url = url.rstrip('/')
  if url not in _copies:
    _copies[url] = _Copy(url, _file_system(url, name))
  with _reported(_copies[url], 'read'):
    _copies[url].pull()
  return _copies[url].local


def _file_system(url: str, name: str) -> Any:
  scheme, _, path = url.partition('://')
  if scheme not in SCHEMES or not path:
    known = ', '.join(f'{known}://BUCKET/NAME' for known in SCHEMES)
    raise errors.UserError(
      f'{name}={url!r} is no folder and no bucket. Set a folder, or one of '
      f'{known}.'
    )
  try:
    import fsspec

    return fsspec.filesystem(scheme)
  except ImportError:
    raise errors.UserError(
      f'{name}={url!r} needs the package {SCHEMES[scheme]}. Run pip install '
      f'{SCHEMES[scheme]}, or mount the bucket as a folder and set its path.'
    ) from None


@contextlib.contextmanager
def _reported(copy: _Copy, verb: str) -> Iterator[None]:
  """Turns errors of a bucket, which have many types, into one line."""
  try:
    yield
  except errors.UserError:
    copy.is_kept |= verb == 'written'
    raise
  except Exception as error:
    copy.is_kept |= verb == 'written'
    reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
    kept = f' Its files are in {copy.local}.' if copy.is_kept else ''
    raise errors.StorageError(
      f'{copy.url} cannot be {verb} ({type(error).__name__}: {reason}).{kept}'
    ) from error


def _copy_of(path) -> _Copy | None:
  path = os.fspath(path)
  for copy in _copies.values():
    if path.rstrip('/') == copy.url or pathlib.Path(path).is_relative_to(
      copy.local
    ):
      return copy
  return None


def refresh(path) -> None:
  """Brings what changed in the bucket of which `path` is a copy, if any."""
  if copy := _copy_of(path):
    with _reported(copy, 'read'):
      copy.pull()


def is_copy(path) -> bool:
  """Returns True for a path in the copy of a bucket, and for its URL."""
  return _copy_of(path) is not None


def store(path) -> None:
  """Writes what changed in a copy to its bucket; other paths are stored.

  Args:
    path: the URL, or a path in the copy.

  Raises:
    StorageError: if the bucket cannot be written, or somebody else has changed
      it. The copy then stays on this machine.
  """
  if copy := _copy_of(path):
    with _reported(copy, 'written'):
      copy.push()
    copy.is_kept = False


@contextlib.contextmanager
def stored(path) -> Iterator[None]:
  """Writes to the bucket at the end, also after an error; see `store`."""
  try:
    yield
  finally:
    store(path)


def named(text) -> str:
  """Returns a text or path with URLs in place of the paths of copies."""
  text = os.fspath(text) if isinstance(text, os.PathLike) else str(text)
  for copy in _copies.values():
    if not copy.is_kept:
      text = text.replace(str(copy.local), copy.url)
  return text


@atexit.register
def clear() -> None:
  """Removes all copies but those whose bucket could not be written."""
  while _copies:
    _, copy = _copies.popitem()
    if not copy.is_kept:
      shutil.rmtree(copy.parent, ignore_errors=True)
