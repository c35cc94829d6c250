"""Paths that users give in flags and config fields; files that are replaced."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from jaxgan import errors
from jaxgan.core import buckets

_SCHEME = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*):/')


def of_user(
  text: str | os.PathLike, name: str, is_local: bool = False
) -> pathlib.Path:
  """Returns the absolute path that a flag or a field names; ~ is home.

  The path of a URL is that of a copy, see `buckets`.

  Args:
    text: the value.
    name: the flag or field, for errors.
    is_local: True to refuse URLs.

  Raises:
    UserError: for an unknown URL or user's home, and a path that no file system
      takes.
    StorageError: for a bucket that cannot be read.
  """
  text = os.fspath(text)
  if _SCHEME.match(text):
    if is_local:
      raise errors.UserError(
        f'{name}={text!r} must be a folder of this machine. Copy or mount the '
        'bucket, and set that path.'
      )
    return buckets.fetch(text, name)
  if '\0' in text:
    raise errors.UserError(
      f'{name}={text!r} is no path: it holds a zero byte. Give another path.'
    )
  try:
    return pathlib.Path(text).expanduser().absolute()
  except RuntimeError:
    raise errors.UserError(
      f'{name}={text!r}: there is no such user. Write ./{text} for a folder of '
      'that name.'
    ) from None
  except FileNotFoundError:  # of the working directory
    raise errors.UserError(
      f'{name}={text!r} is relative to a folder that was deleted. Change to '
      'another folder.'
    ) from None


def refuse_special(path: pathlib.Path) -> pathlib.Path:
  """Returns a path to open; raises an OSError for a pipe, which would wait."""
  if path.exists() and not path.is_file() and not path.is_dir():
    raise OSError(errno.EINVAL, 'it is no regular file', str(path))
  return path


def cache(*names: str) -> pathlib.Path:
  """Returns a path in the user's folder for files that can be made again."""
  home = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
  return home.expanduser().joinpath('jaxgan', *names)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a temporary path that replaces `path`; on failure, nothing stays."""
  temporary = path.with_name(f'.{path.name}.tmp')
  try:
    yield temporary
    temporary.replace(path)
  except BaseException:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
    raise


@contextlib.contextmanager
def replacing_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a temporary folder whose files become those of `folder`.

  On failure, nothing stays. Files of an older `folder` that have other names
  are kept.
  """
  temporary = folder.with_name(f'.{folder.name}.tmp')
  if temporary.is_dir():
    shutil.rmtree(temporary)  # of a process that was killed
  try:
    temporary.mkdir(parents=True)
    yield temporary
    if folder.exists():
      for path in temporary.iterdir():
        path.replace(folder / path.name)
      temporary.rmdir()
    else:
      temporary.rename(folder)
  except BaseException:
    shutil.rmtree(temporary, ignore_errors=True)
    raise
