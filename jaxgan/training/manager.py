"""Managers of orbax, which write and read the checkpoints of a folder."""

import functools
import hashlib
import json
import logging
import math
import pathlib
import re
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import errors
from jaxgan.training import processes

SCHEMA = 1  # format of a checkpoint
HANDLERS = {
  # Each array has a folder. For arrays in one database, orbax asks TensorStore
  # for JSON, which 0.1.86 and earlier never free: 4 blocks per array and save.
  'state': functools.partial(ocp.StandardCheckpointHandler, use_ocdbt=False),
  'integrity': ocp.JsonCheckpointHandler,
  'meta': ocp.JsonCheckpointHandler,
}
GROUPS = ('config', 'data', 'pending')  # of the item 'meta'
# In errors of the machine, after which a checkpoint may be intact.
NO_DAMAGE = (
  *('Permission denied', 'PERMISSION_DENIED', 'Input/output error'),
  *('Too many open files', 'Cannot allocate memory', 'Stale file handle'),
)
# Bytes of arrays that few or well compressed files may hold.
MOST_CLAIMED, COMPRESSION = 2**30, 1_000
# Orbax, etils and TensorStore take `[`, `*`, `?` and backslashes for patterns,
# `gs:` for a bucket, and fail for bytes that are not UTF-8.
_PLAIN = re.compile(r'(?!/(gs|s3|az|hf)(/|$))[\w /.,=+@-]+')


class _NoMerge(logging.Filter):
  """Drops the warning of orbax that arrays in folders need no merge."""

  def filter(self, record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(
      '[process=%s][thread=%s] Skipping merge of OCDBT'
    )


logging.getLogger('absl').addFilter(_NoMerge())


def _alone() -> ocp.options.MultiprocessingOptions:
  """Returns options that make orbax wait for no other process."""
  own = processes.process()
  return ocp.options.MultiprocessingOptions(own, {own}, f'process_{own}')


def make(
  folder: pathlib.Path, keep: int, keep_period: int, read_only: bool
) -> ocp.CheckpointManager:
  """Returns a manager of a folder; see `jaxgan.training.checkpoint`."""
  return ocp.CheckpointManager(
    folder,
    item_handlers={
      name: handler(multiprocessing_options=_alone())
      for name, handler in HANDLERS.items()
    },
    options=ocp.CheckpointManagerOptions(
      # For reading, the value that orbax would set with a warning.
      save_interval_steps=0 if read_only else 1,
      max_to_keep=None if read_only else keep,
      keep_period=keep_period or None,
      read_only=read_only,
      create=False,
      cleanup_tmp_directories=not read_only,
      multiprocessing_options=_alone(),
    ),
  )


def first_line(error: Exception) -> str:
  """Returns the first line of a message."""
  return (str(error).strip().splitlines() or [repr(error)])[0][:200]


def no_damage(error: Exception) -> str | None:
  """Returns the sign of an error that an intact checkpoint may raise."""
  return next((sign for sign in NO_DAMAGE if sign in str(error)), None)


def refuse_sizes(folder: pathlib.Path, metadata) -> None:
  """Raises a ValueError if arrays claim far more bytes than the files have."""
  claimed = sum(
    math.prod(leaf.shape) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(metadata.tree)
  )
  files = (path for path in folder.rglob('*') if path.is_file())
  stored = sum(path.stat().st_size for path in files)
  if claimed > max(MOST_CLAIMED, COMPRESSION * stored):
    raise ValueError(f'{claimed} bytes of arrays in {stored} bytes of files')


def targets(like):
  """Returns a tree with a NumPy array where `like` has no sharding.

  Orbax restores such leaves as NumPy arrays in any case. For a shape it would
  read a description of all arrays, and TensorStore 0.1.86 and earlier never
  free what they return as JSON: 4 kB per description of an array.

  Args:
    like: arrays, or shapes with or without shardings; None for no tree.
  """

  def target(leaf):
    if getattr(leaf, 'sharding', None) is not None:
      return leaf
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)

  return jax.tree.map(target, like)


def sealed(meta: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the item 'meta' with a digest of itself."""
  return {**meta, 'digest': _digest(meta)}


def _digest(meta: Mapping[str, Any]) -> str:
  text = json.dumps(meta, sort_keys=True)
  return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def refuse_format(folder: pathlib.Path, meta: Mapping[str, Any]) -> None:
  """Raises a UserError for a checkpoint of a version with another format."""
  if meta.get('schema') != SCHEMA:
    raise errors.UserError(
      f'{folder} has format {meta.get("schema")!r} and this version reads '
      f'{SCHEMA}. Use the version of jaxgan that wrote the checkpoint.'
    )


def check_meta(meta: Mapping[str, Any], step: int) -> None:
  """Raises a ValueError if the item 'meta' is damaged or of another step.

  Args:
    meta: a JSON object; older code wrote no digest.
    step: step in the name of the folder.
  """
  rest = {name: value for name, value in meta.items() if name != 'digest'}
  if 'digest' in meta and meta['digest'] != _digest(rest):
    raise ValueError('the digest of meta differs')
  if type(meta.get('step')) is not int or meta['step'] != step:
    raise ValueError(f'step {meta.get("step")!r} in the folder {step}')
  groups = [meta.get(name) for name in GROUPS]
  if not all(isinstance(group, dict) for group in groups):
    raise ValueError(f'one of {", ".join(GROUPS)} is missing in meta')
  pending = list(meta['pending'].values())
  if not isinstance(meta.get('rules', {}), dict) or not all(
    isinstance(values, list) and len(values) == len(pending[0])
    for values in pending
  ):
    raise ValueError('rules or pending in meta are damaged')


def set_aside(folder: pathlib.Path) -> pathlib.Path:
  """Renames the folder of a damaged checkpoint and returns its new path."""
  stamp = time.strftime('%Y%m%dT%H%M%S', time.gmtime())
  target = folder.with_name(f'corrupt-{folder.name}-{stamp}')
  while target.exists():
    target = target.with_name(f'{target.name}x')
  return folder.rename(target)


class Alias:
  """A name of a folder that libraries do not misread.

  It is the folder itself, or a temporary link to the folder.

  Args:
    folder: an absolute path, which need not exist.

  Raises:
    UserError: if the folder for temporary files has no plain name itself.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder, self._parent = folder, None
    self._is_plain = _PLAIN.fullmatch(str(folder)) is not None
    if not self._is_plain and not _PLAIN.fullmatch(tempfile.gettempdir()):
      raise errors.UserError(
        f'{str(folder)!r} has characters that orbax cannot save to, and so has '
        f'the folder for temporary files, TMPDIR={tempfile.gettempdir()!r}. '
        'Choose another --workdir, or another TMPDIR.'
      )

  def open(self) -> pathlib.Path:
    """Returns the path to give to the library."""
    if self._is_plain:
      return self._folder
    if self._parent is None:
      self._parent = tempfile.TemporaryDirectory(prefix='jaxgan-')
      link = pathlib.Path(self._parent.name, 'folder')
      link.symlink_to(self._folder, target_is_directory=True)
    return pathlib.Path(self._parent.name, 'folder')

  def close(self) -> None:
    """Removes the link; the folder stays."""
    if self._parent is not None:
      self._parent.cleanup()  # Links are not followed.
      self._parent = None
