"""Restores a trained run from its workdir alone, without data."""

import functools
import pathlib

import jax

from jaxgan import config as config_lib
from jaxgan import errors, steps
from jaxgan.core import buckets, paths
from jaxgan.data.dataset import Spec
from jaxgan.modes import exported
from jaxgan.training import checkpoint, sweeps
from jaxgan.training import workdir as workdir_lib
from jaxgan.training.trained import Run

# Exports of trained runs, which are part of the package.
SHIPPED = pathlib.Path(__file__).parent / 'shipped'


def find(workdir) -> pathlib.Path:
  """Returns the folder of a run; names of shipped runs are folders as well."""
  folder = paths.of_user(workdir, '--workdir')
  shipped = SHIPPED / folder.name
  is_name = str(workdir) == folder.name and not folder.exists()
  return shipped if is_name and shipped.is_dir() else folder


def steps_of(workdir) -> list[int]:
  """Returns the steps of all checkpoints, newest first; an export has one."""
  buckets.refresh(workdir)
  if exported.is_export(folder := find(workdir)):
    return [exported.step_of(folder)]
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    return checkpoints.steps()


def named_steps(workdir, names: str) -> list[int]:
  """Returns the steps of checkpoints that --steps names, oldest first.

  Args:
    workdir: the folder of the run.
    names: 'newest', 'all', or steps with commas between them.

  Raises:
    UserError: for a step without a checkpoint.
  """
  known = steps_of(workdir)
  if names in ('newest', 'all'):
    return sorted(known[:1] if names == 'newest' else known)
  steps = {str(step): step for step in known}
  for part in (parts := names.replace(' ', '').split(',')):
    if part not in steps:
      raise errors.UserError(
        f'--steps={names}: there is no checkpoint {part!r}. Choose from '
        f'{sorted(known)}, all and newest.'
      )
  return sorted(steps[part] for part in parts)


def folders(workdir, output: str | None) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the workdir, and the folder that a mode writes to.

  Args:
    workdir: the folder of the run.
    output: value of --output; None for the workdir, or `runs/NAME` for a run
      that ships with the package.

  Raises:
    UserError: if `output` is a file.
  """
  workdir = find(workdir)
  if output is None:
    is_shipped = workdir.parent == SHIPPED
    return workdir, pathlib.Path(
      'runs', workdir.name
    ) if is_shipped else workdir
  folder = paths.of_user(output, '--output')
  if folder.exists() and not folder.is_dir():
    raise errors.UserError(
      f'--output={output} is not a folder. Set --output to a folder.'
    )
  return workdir, folder


def stores(mode):
  """Decorates a mode that writes: its files go to a bucket, if one is set."""

  @functools.wraps(mode)
  def call(workdir, *args, output: str | None = None, **fields):
    place = workdir if output is None else output
    with buckets.stored(place):
      return mode(workdir, *args, output=output, **fields)

  return call


def num_members(workdir) -> int:
  """Returns the number of members of a population; 0 for a single run."""
  config = config_lib.from_json(record_of(workdir)['config'])
  population = sweeps.of(config)
  return len(population) if population else 0


def record_of(workdir):
  """Returns the `config.json` of a workdir; raises a UserError without one."""
  record = workdir_lib.read(find(workdir))
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run. Set --workdir to the folder of '
      'a run.'
    )
  return record


def restore(workdir, step: int | None = None, member: int | None = None) -> Run:
  """Reads the config and a checkpoint of a workdir.

  Args:
    workdir: the folder of the run, or of an export of it, which has the
      networks that were exported; other networks are untrained. 'digits' is a
      GAN of digits that ships with the package.
    step: step of the checkpoint; by default the newest valid checkpoint.
    member: member of a population.

  Raises:
    UserError: if there is no run, no such member or no valid checkpoint, or if
      other code made the config.
  """
  workdir = find(workdir)
  record = record_of(workdir)
  config = config_lib.from_json(record['config'])
  population = sweeps.of(config)
  if population:
    config = population.config_of(member)
  elif member is not None:
    raise errors.UserError(
      f'--member={member}: workdir {str(workdir)!r} holds a single run. Remove '
      '--member.'
    )
  recorded = record['data']
  spec = Spec(
    tuple(recorded['shape']),
    recorded['num_classes'],
    tuple(recorded['classes']),
    tuple(recorded.get('source_shape', ())),
  )
  algorithm = steps.find(config.method)
  try:
    method = algorithm.from_config(config, spec)
  except (AttributeError, KeyError) as error:
    field = config_lib.missing(config, error)
    if not field:
      raise
    raise errors.UserError(
      f'workdir {str(workdir)!r} was made by other code, whose configs have no '
      f'field {field!r}. Use that code (git {record.get("git")}), or train '
      'again.'
    ) from None
  if exported.is_export(workdir):
    state = exported.load(workdir, algorithm, method, step)
    return Run(algorithm, method, state, spec, config)
  if population:
    like = sweeps.like(population, algorithm, spec)
  else:
    init = functools.partial(algorithm.init, method)
    like = jax.eval_shape(init, jax.random.key(0))
  state, _ = checkpoint.load(workdir, like, step)
  if population:
    state = jax.tree.map(lambda x: x[member], state)
  return Run(algorithm, method, state, spec, config, member)
