"""A finished or stopped run, restored from its workdir alone: no data."""

import functools
import pathlib

import jax

from jaxgan import config as config_lib
from jaxgan import errors, steps
from jaxgan.data.dataset import Spec
from jaxgan.training import checkpoint, sweeps
from jaxgan.training import workdir as record_lib
from jaxgan.training.run import Run


def steps_of(workdir) -> list[int]:
  """Steps of the checkpoints of a workdir, newest first."""
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    return checkpoints.steps()


def members_of(workdir) -> int:
  """Members of the population of a workdir; 0 of a run by itself."""
  record = _record(workdir)
  together = sweeps.of(config_lib.from_json(record['config']))
  return len(together.members) if together else 0


def _record(workdir):
  record = record_lib.read(pathlib.Path(workdir))
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run; give the --workdir of one'
    )
  return record


def restore(workdir, step: int | None = None, member: int | None = None) -> Run:
  """Reads the config and a checkpoint of a workdir.

  Args:
    workdir: of the run.
    step: of the checkpoint; the newest valid one if not given.
    member: of a population.

  Raises:
    UserError: if there is no run, no such member, no valid checkpoint, or a
      config that other code made.
  """
  workdir = pathlib.Path(workdir)
  record = _record(workdir)
  config = config_lib.from_json(record['config'])
  together = sweeps.of(config)
  if together:
    config = together.config_of(member)
  elif member is not None:
    raise errors.UserError(
      f'--member={member}: workdir {str(workdir)!r} holds one run and no '
      'population; leave it out'
    )
  found = record['data']
  spec = Spec(
    tuple(found['shape']),
    found['num_classes'],
    tuple(found['classes']),
    tuple(found.get('source_shape', ())),
  )
  algorithm = steps.find(config.method)
  try:
    method = algorithm.from_config(config, spec)
  except (AttributeError, KeyError) as error:
    field = config_lib.missing(config, error)
    if not field:
      raise
    raise errors.UserError(
      f'workdir {str(workdir)!r} was begun by other code, whose configs have '
      f'no field {field!r}; sample it with that (git {record.get("git")}), or '
      'train again'
    ) from None
  if together:
    like = sweeps.like(together, algorithm, spec)
  else:
    init = functools.partial(algorithm.init, method)
    like = jax.eval_shape(init, jax.random.key(0))
  state, _ = checkpoint.load(workdir, like, step)
  if together:
    state = jax.tree.map(lambda x: x[member], state)
  return Run(algorithm, method, state, spec, config, member)
