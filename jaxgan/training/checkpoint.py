"""Checkpoints with orbax.

The folder `<workdir>/checkpoints/<step>` has three items: `state` with all
arrays, `integrity` with a digest of every array, and `meta`, JSON with config,
data fingerprint and metrics that are not logged yet. Orbax writes the folder
under a temporary name and renames it at the end.

A run starts from the first of these that exists:

  1. the newest valid checkpoint of its own workdir. A damaged checkpoint is
     renamed `corrupt-<step>-<time>` and reported, and the checkpoint before is
     tried. If none is valid, the run stops;
  2. weights of another run, see `first_weights`;
  3. random weights.
"""

import logging
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.training import digests, manager

_logger = logging.getLogger(__name__)


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    workdir: the folder of the run.
    keep: number of newest checkpoints to keep.
    keep_period: checkpoints at its multiples are kept as well; 0 for none.
    read_only: True to rename and remove nothing.
  """

  def __init__(self, workdir, keep=1, keep_period=0, read_only=False):
    self.folder = paths.of_user(workdir, 'workdir') / 'checkpoints'
    self._alias = manager.Alias(self.folder)
    self._keep = keep
    self._keep_period = keep_period
    self._read_only = read_only
    self._manager = None
    self._writing = None  # step of the save in progress

  def __enter__(self):
    return self

  def __exit__(self, kind, value, traceback):
    try:
      self.close()
    except Exception as error:
      failed = self._failed(self._writing, error)
      if kind is None:
        raise failed from error
      if str(failed) != str(value):
        _logger.warning(str(failed))

  def close(self):
    if self._manager is not None:
      closing, self._manager = self._manager, None
      try:
        closing.close()
      finally:
        self._alias.close()

  def _open(self) -> ocp.CheckpointManager:
    # Opened late: a manager that has seen a broken step saves nothing below.
    if self._manager is None:
      if not self._read_only:
        self.folder.mkdir(parents=True, exist_ok=True)
      self._manager = manager.make(
        self._alias.open(), self._keep, self._keep_period, self._read_only
      )
    return self._manager

  def steps(self) -> list[int]:
    """Returns the steps that have a folder, newest first, valid or not."""
    if not self.folder.is_dir():
      return []
    names = [p.name for p in self.folder.iterdir() if p.is_dir()]
    return sorted((int(n) for n in names if n.isdecimal()), reverse=True)

  def exist(self) -> bool:
    """Returns True if there is a checkpoint, valid or not, or a renamed one."""
    return bool(self.steps() or self._renamed())

  def _renamed(self) -> list[pathlib.Path]:
    return list(self.folder.glob('corrupt-*'))

  def save(self, step: int, state, meta: dict[str, Any]) -> None:
    """Starts to write a checkpoint; does nothing if the step has a checkpoint.

    Raises:
      NotFinite: if an array of the state is not finite; nothing is written.
      StorageError: if this save or the one before it failed.
    """
    host = jax.tree.map(np.array, jax.device_get(state))  # a copy
    if bad := digests.not_finite(host):
      raise errors.NotFinite(f'step {step}: {", ".join(list(bad)[:5])}')
    meta = {'schema': manager.SCHEMA, 'step': step, **meta}
    self.wait()
    try:
      open_manager = self._open()
      if open_manager.latest_step() == step:
        return
      self._writing = step
      saved = open_manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(host),
          integrity=ocp.args.JsonSave(digests.compute(host)),
          meta=ocp.args.JsonSave(manager.sealed(meta)),
        ),
      )
    except Exception as error:  # Orbax raises errors of many types.
      raise self._failed(step, error) from error
    if not saved:
      raise self._failed(step, RuntimeError('orbax skipped the save'))

  def wait(self) -> None:
    """Waits until all saves are on disk."""
    try:
      if self._manager is not None:
        self._manager.wait_until_finished()
    except Exception as error:
      raise self._failed(self._writing, error) from error

  def _failed(self, step, error) -> errors.StorageError:
    reason, full = manager.first_line(error), 'No space left on device'
    reason = full if full in str(error) else reason
    kept = [f'step {k} is intact' for k in self.steps() if k != step]
    intact, *_ = [*kept, 'no step is before it']
    return errors.StorageError(
      f'the checkpoint of step {step} could not be written to {self.folder} '
      f'({reason}); {intact}. Make room, then rerun the command to resume.'
    )

  def read(self, step: int, like):
    """Returns the state and the JSON item of one step after checking both.

    Args:
      step: step of the checkpoint.
      like: state, or shapes with shardings; None for nested dicts of arrays.

    Raises:
      UserError: if shapes or types differ from `like`.
      Exception: any type of error, if the checkpoint is damaged.
    """
    folder = self.folder / str(step)
    meta, expected = self._read_json(step)
    stored = self._open().item_metadata(step)['state']
    if like is None:
      manager.refuse_sizes(folder, stored)
    else:
      digests.refuse(folder, digests.mismatches(stored.tree, like))
    return self._read_arrays(step, like, expected), meta

  def _read_json(self, step: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the item 'meta' and the digests of a step after checking both."""
    folder = self.folder / str(step)
    if folder.is_symlink():
      raise ValueError('a link')
    if missing := [n for n in manager.HANDLERS if not (folder / n).is_dir()]:
      raise ValueError(f'incomplete, without {", ".join(missing)}')
    items = self._open().restore(
      step,
      args=ocp.args.Composite(
        integrity=ocp.args.JsonRestore(), meta=ocp.args.JsonRestore()
      ),
    )
    meta, expected = items['meta'], items['integrity']
    manager.refuse_format(folder, meta)
    manager.check_meta(meta, step)
    return meta, expected

  def _read_arrays(self, step: int, like, expected: dict[str, str]):
    """Returns the state of a step after comparing it with its digests."""
    args = ocp.args.StandardRestore(manager.targets(like))
    args = ocp.args.Composite(state=args)
    state = self._open().restore(step, args=args)['state']
    digests.check(jax.device_get(state), expected)
    return state

  def restore(self, like, before: int | None = None):
    """Returns the newest valid checkpoint, or None if there is none.

    Args:
      like: see `read`.
      before: if given, later steps and this step are skipped.

    Raises:
      StorageError: if there are checkpoints and none is valid.
    """
    damaged = {}
    for step in self.steps():
      if before is not None and step >= before:
        continue
      try:
        restored = self.read(step, like)
      except (errors.UserError, MemoryError):
        raise
      except Exception as error:  # Damaged files raise errors of many types.
        if reason := manager.no_damage(error):
          raise errors.StorageError(
            f'{self.folder / str(step)} cannot be read ({reason}). Nothing was '
            'changed. Fix this, then rerun the command.'
          ) from error
        damaged[step] = manager.first_line(error)
        self.close()  # A manager caches what it has read.
      else:
        self._set_aside(damaged)
        return restored
    if damaged or self._renamed():
      listed = ''.join(f' {step}: {why}.' for step, why in damaged.items())
      raise errors.StorageError(
        f'no checkpoint in {self.folder} is valid.{listed} Restore one from a '
        'backup, or choose another workdir to start again.'
      )
    return None

  def _set_aside(self, damaged: dict[int, str]) -> None:
    """Renames damaged steps, because orbax saves nothing below a bad step.

    Nothing is renamed without a valid checkpoint to resume from.

    Args:
      damaged: the reasons by step.
    """
    if damaged and not self._read_only:
      self.close()
    for step, reason in damaged.items():
      message = f'checkpoint {step} is not valid ({reason})'
      if self._read_only:
        _logger.warning('%s', message)
        continue
      target = manager.set_aside(self.folder / str(step))
      _logger.warning('%s; renamed %s', message, target.name)

  def verify(self, step: int, state) -> None:
    """Reads a step again and compares it with the saved state.

    Raises:
      StorageError: if the two differ.
    """
    self.wait()
    self.close()
    try:
      # Digests cover shapes and types, so no description of arrays is read.
      _, expected = self._read_json(step)
      self._read_arrays(step, jax.eval_shape(lambda: state), expected)
    except Exception as error:
      raise self._failed(step, error) from error
    if digests.compute(jax.device_get(state)) != expected:
      raise self._failed(step, ValueError('it reads back differently'))


def load(workdir, like, step: int | None = None):
  """Reads a checkpoint of any workdir and changes no file.

  Args:
    workdir: the folder of a run.
    like: see `Checkpoints.read`.
    step: step of the checkpoint; by default the newest valid checkpoint.

  Raises:
    UserError: if there is no valid checkpoint.
  """
  if not paths.of_user(workdir, 'workdir').is_dir():
    raise errors.UserError(
      f'there is no workdir {str(workdir)!r}. Train first.'
    )
  with Checkpoints(workdir, read_only=True) as checkpoints:
    if step is None:
      restored = checkpoints.restore(like)
    elif step not in checkpoints.steps():
      steps = sorted(checkpoints.steps())
      raise errors.UserError(
        f'{str(workdir)!r} has no checkpoint {step}. Choose one of {steps}.'
      )
    else:
      try:
        restored = checkpoints.read(step, like)
      except errors.UserError:
        raise
      except Exception as error:
        message = (
          f'checkpoint {step} of {str(workdir)!r} is not valid ({error}).'
        )
        raise errors.StorageError(f'{message} Choose another step.') from error
  if restored is None:
    raise errors.UserError(
      f'{str(workdir)!r} holds no valid checkpoint. Train there first.'
    )
  return restored
