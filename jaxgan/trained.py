"""A finished or stopped run, restored from its workdir alone: no data."""

import dataclasses
import functools
import pathlib
import re
from types import ModuleType
from typing import Any

import jax
import ml_collections

from jaxgan import checkpoint, errors, steps
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
    config: of the run.
  """

  algorithm: ModuleType
  method: Any
  state: TrainState
  spec: Spec
  config: ml_collections.ConfigDict

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


def restore(workdir, step: int | None = None) -> Run:
  """Reads the config and a checkpoint of a workdir.

  Args:
    workdir: of the run.
    step: of the checkpoint; the newest valid one if not given.

  Raises:
    UserError: if there is no run, no valid checkpoint, or a config that other
      code made.
  """
  workdir = pathlib.Path(workdir)
  record = record_lib.read(workdir)
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run; give the --workdir of one'
    )
  config = config_lib.from_json(record['config'])
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
    _refuse_old(workdir, record, error)
    raise
  like = jax.eval_shape(
    functools.partial(algorithm.init, method), jax.random.key(0)
  )
  state, _ = checkpoint.load(workdir, like, step)
  return Run(algorithm, method, state, spec, config)


def _refuse_old(workdir, record, error: Exception) -> None:
  """Raises a UserError if the error is of a field that the config lacks."""
  # All that ml_collections says is the field, in quotes that are escaped.
  found = re.fullmatch(r'[\'"\\]*(\w+)[\'"\\]*(nDid you mean.*)?', str(error))
  known = '.'.join(config_lib.flatten(record['config'])).split('.')
  if found and found[1] not in known:
    raise errors.UserError(
      f'workdir {str(workdir)!r} was begun by other code, whose configs have '
      f'no field {found[1]!r}; sample it with that (git {record.get("git")}), '
      'or train again'
    ) from None
