"""Checkpoints with orbax: what is saved, what is restored, in which order.

A checkpoint is a folder `<workdir>/checkpoints/<step>` of three items: `state`,
the arrays of the TrainState; `integrity`, a digest of every array; and `meta`,
JSON: config, data fingerprint, and metrics not yet logged. Orbax writes it
under a temporary name and renames it when it is whole.

Where a run starts from, in this order:

  1. the newest valid checkpoint in its own workdir. One that can't be read, or
     whose digests differ, is renamed `corrupt-<step>-<time>`, reported, and the
     one before is tried; if there are some and none is valid, the run stops;
  2. the newest valid checkpoint in the workdir `config.init_from`: weights,
     statistics and averages; the step is 0 and optimizers are fresh;
  3. from scratch.
"""

import logging
import pathlib
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import errors
from jaxgan.training import digests, processes

_logger = logging.getLogger(__name__)

SCHEMA = 1
HANDLERS = {
  'state': ocp.StandardCheckpointHandler,
  'integrity': ocp.JsonCheckpointHandler,
  'meta': ocp.JsonCheckpointHandler,
}


def _alone() -> ocp.options.MultiprocessingOptions:
  """Orbax waits for no other process: one writes, and each reads by itself."""
  own = processes.process()
  return ocp.options.MultiprocessingOptions(own, {own}, f'process_{own}')


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    workdir: the run's folder.
    keep: newest checkpoints that are kept.
    keep_period: those at multiples of it are kept too; 0 for none.
    read_only: never renames nor removes anything.
  """

  def __init__(self, workdir, keep=1, keep_period=0, read_only=False):
    self.folder = pathlib.Path(workdir).absolute() / 'checkpoints'
    self._keep = keep
    self._keep_period = keep_period
    self._read_only = read_only
    self._manager = None
    self._writing = None  # the step that is being written

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    try:
      self.close()
    except Exception as error:
      if kind is None:
        raise self._failed(self._writing, error) from error
      _logger.warning('%s', self._failed(self._writing, error))

  def close(self):
    if self._manager is not None:
      manager, self._manager = self._manager, None
      manager.close()

  def _open(self) -> ocp.CheckpointManager:
    # Opened late: a manager that has seen a broken step never saves below it.
    if self._manager is None:
      if not self._read_only:
        self.folder.mkdir(parents=True, exist_ok=True)
      self._manager = ocp.CheckpointManager(
        self.folder,
        item_handlers={
          name: make(multiprocessing_options=_alone())
          for name, make in HANDLERS.items()
        },
        options=ocp.CheckpointManagerOptions(
          # Of one that reads, what orbax would set, with a warning.
          save_interval_steps=0 if self._read_only else 1,
          max_to_keep=None if self._read_only else self._keep,
          keep_period=self._keep_period or None,
          read_only=self._read_only,
          create=False,
          cleanup_tmp_directories=not self._read_only,
          multiprocessing_options=_alone(),
        ),
      )
    return self._manager

  def steps(self) -> list[int]:
    """Steps that have a folder, newest first, valid or not."""
    if not self.folder.is_dir():
      return []
    names = [p.name for p in self.folder.iterdir() if p.is_dir()]
    return sorted((int(n) for n in names if n.isdecimal()), reverse=True)

  def save(self, step: int, state, meta: dict[str, Any]) -> None:
    """Starts to write a checkpoint; does nothing if the step has one.

    Raises:
      NotFinite: if an array of the state is not; nothing is written.
      StorageError: if this save or the one before it failed.
    """
    host = jax.tree.map(np.array, jax.device_get(state))  # not a view
    if bad := digests.not_finite(host):
      raise errors.NotFinite(f'step {step}: {", ".join(list(bad)[:5])}')
    meta = {'schema': SCHEMA, 'step': step, **meta}
    self.wait()
    try:
      manager = self._open()
      if manager.latest_step() == step:
        return
      self._writing = step
      saved = manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(host),
          integrity=ocp.args.JsonSave(digests.compute(host)),
          meta=ocp.args.JsonSave(meta),
        ),
      )
    except Exception as error:  # Orbax fails with anything.
      raise self._failed(step, error) from error
    if not saved:
      raise self._failed(step, RuntimeError('orbax skipped it'))

  def wait(self) -> None:
    """Returns when everything is on disk."""
    if self._manager is None:
      return
    try:
      self._manager.wait_until_finished()
    except Exception as error:
      raise self._failed(self._writing, error) from error

  def _failed(self, step, error) -> errors.StorageError:
    reason = str(error).strip().splitlines() or [repr(error)]
    full = 'No space left on device'
    reason = full if full in str(error) else reason[0][:200]
    kept = [s for s in self.steps() if s != step]
    intact = f'step {kept[0]} is intact' if kept else 'there is none before it'
    return errors.StorageError(
      f'the checkpoint of step {step} could not be written to {self.folder} '
      f'({reason}); {intact}; make room and start again to go on'
    )

  def read(self, step: int, like):
    """The state and the JSON item of one step, checked.

    Args:
      step: which.
      like: a state, or its ShapeDtypeStructs with shardings; None for nested
        dicts of whatever is there.

    Raises:
      UserError: if shapes or types differ from `like`.
      Exception: any, if the checkpoint is damaged.
    """
    folder = self.folder / str(step)
    if folder.is_symlink():
      raise ValueError('a link')
    missing = [name for name in HANDLERS if not (folder / name).is_dir()]
    if missing:
      raise ValueError(f'incomplete, without {", ".join(missing)}')
    manager = self._open()
    items = manager.restore(
      step,
      args=ocp.args.Composite(
        integrity=ocp.args.JsonRestore(), meta=ocp.args.JsonRestore()
      ),
    )
    meta, expected = items['meta'], items['integrity']
    if meta.get('schema') != SCHEMA:
      raise errors.UserError(
        f'{folder} has format {meta.get("schema")!r} and this version reads '
        f'{SCHEMA}; use the version of jaxgan that wrote it'
      )
    if like is not None:
      stored = manager.item_metadata(step)['state'].tree
      digests.refuse(folder, digests.mismatches(stored, like))
    args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
    state = manager.restore(step, args=args)['state']
    found = digests.compute(jax.device_get(state))
    wrong = [path for path in expected if found.get(path) != expected[path]]
    if wrong or found.keys() != expected.keys():
      raise ValueError(f'digests differ: {", ".join(wrong[:3])}')
    return state, meta

  def read_valid(self, step: int, like):
    """As `read`, but whatever is damaged is a StorageError."""
    try:
      return self.read(step, like)
    except errors.UserError:
      raise
    except Exception as error:
      raise errors.StorageError(
        f'checkpoint {step} in {self.folder} is not valid ({error}); choose '
        'another step'
      ) from error

  def restore(self, like, before: int | None = None):
    """The newest valid checkpoint, or None if there never was one.

    Args:
      like: see `read`.
      before: only steps below this one are looked at.

    Raises:
      StorageError: if there are checkpoints and none is valid.
    """
    for step in self.steps():
      if before is not None and step >= before:
        continue
      try:
        return self.read(step, like)
      except errors.UserError:
        raise
      except Exception as error:  # Damaged files fail with anything.
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        self._set_aside(step, reason[:200])
    if self.folder.is_dir() and any(self.folder.glob('corrupt-*')):
      raise errors.StorageError(
        f'no checkpoint in {self.folder} is valid; restore one from a backup, '
        'or choose another workdir to start afresh'
      )
    return None

  def _set_aside(self, step: int, reason: str) -> None:
    """Renames a bad step: orbax would count it and save nothing below it."""
    self.close()
    if self._read_only:
      _logger.warning('checkpoint %d is not valid (%s)', step, reason)
      return
    folder = self.folder / str(step)
    stamp = time.strftime('%Y%m%dT%H%M%S', time.gmtime())
    target = folder.with_name(f'corrupt-{step}-{stamp}')
    while target.exists():
      target = target.with_name(f'{target.name}x')
    folder.rename(target)
    _logger.warning(
      'checkpoint %d is not valid (%s); renamed %s', step, reason, target.name
    )

  def verify(self, step: int, state) -> None:
    """Reads a step again and compares it with the state it was saved from.

    Raises:
      StorageError: if it is not what was saved.
    """
    self.wait()
    self.close()
    like = jax.eval_shape(lambda: state)
    try:
      found, _ = self.read(step, like)
    except Exception as error:
      raise self._failed(step, error) from error
    if digests.compute(found) != digests.compute(jax.device_get(state)):
      raise self._failed(step, ValueError('it reads back differently'))


def load(workdir, like, step: int | None = None):
  """A checkpoint of any workdir, without touching it.

  Args:
    workdir: of a run.
    like: see `Checkpoints.read`.
    step: which; the newest valid one if not given.

  Raises:
    UserError: if there is none.
    StorageError: if it is damaged.
  """
  if not pathlib.Path(workdir).is_dir():
    raise errors.UserError(f'there is no workdir {str(workdir)!r}')
  with Checkpoints(workdir, read_only=True) as checkpoints:
    if step is None:
      found = checkpoints.restore(like)
    elif step not in checkpoints.steps():
      raise errors.UserError(
        f'{str(workdir)!r} has no checkpoint {step}; there are '
        f'{sorted(checkpoints.steps())}'
      )
    else:
      found = checkpoints.read_valid(step, like)
  if found is None:
    raise errors.UserError(
      f'{str(workdir)!r} holds no valid checkpoint; train there first'
    )
  return found
