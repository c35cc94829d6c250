"""A finished or stopped run, restored from its workdir alone: no data."""

import dataclasses
import functools
import pathlib
from types import ModuleType
from typing import Any

import jax
import ml_collections

from jaxgan import checkpoint, errors, population, steps
from jaxgan import config as config_lib
from jaxgan import record as record_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run left.

  Attributes:
    algorithm: its module in `jaxgan.steps`.
    method: the parts that never change.
    state: a valid TrainState, the newest if not said otherwise.
    spec: of the data.
    config: of the run; of a member of a population, as if it were alone.
    member: its number in a population, or None.
  """

  algorithm: ModuleType
  method: Any
  state: TrainState
  spec: Spec
  config: ml_collections.ConfigDict
  member: int | None = None

  @property
  def name(self) -> str:
    return self.algorithm.__name__.rpartition('.')[-1]

  @property
  def has_latents(self) -> bool:
    return hasattr(self.algorithm, 'latent_space')

  @property
  def classes(self) -> tuple[str, ...]:
    """Names of the classes that images can be asked of, if they can."""
    num = getattr(self.method, 'num_classes', 0) if self.has_latents else 0
    return (self.spec.classes or tuple(map(str, range(num))))[:num]


def steps_of(workdir) -> list[int]:
  """Steps of the checkpoints of a workdir, newest first."""
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    return checkpoints.steps()


def members_of(workdir) -> int:
  """Members of the population of a workdir; 0 of a run by itself."""
  record = _record(workdir)
  together = population.of(config_lib.from_json(record['config']))
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
  together = population.of(config)
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
    like = population.like(together, algorithm, spec)
  else:
    init = functools.partial(algorithm.init, method)
    like = jax.eval_shape(init, jax.random.key(0))
  state, _ = checkpoint.load(workdir, like, step)
  if together:
    state = jax.tree.map(lambda x: x[member], state)
  return Run(algorithm, method, state, spec, config, member)
