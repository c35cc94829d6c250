"""Methods whose numeric fields are traced, by a sweep or by schedules.

The traced function builds the method from the config, with a traced scalar for
each of these fields. A field that changes shapes or the program is refused.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, errors, steps
from jaxgan.config import schedules
from jaxgan.core import pixels as pixels_lib

# Config field -> what shares a program, and what to do instead.
SHARERS = {'sweep': 'members', 'schedules': 'rounds'}
REMEDIES = {
  'sweep': 'Start a run for each value with launch/sweep.py.',
  'schedules': 'Remove its schedule.',
}


def bind(algorithm: steps.Algorithm, name: str, config, spec) -> Callable:
  """Returns a function of swept values instead of a method.

  Args:
    algorithm: an algorithm of `jaxgan.steps`.
    name: 'init', 'train_step', 'preview' or 'evaluate'.
    config: the config of the population, or of a run.
    spec: shape and classes of the data.

  Returns:
    ({field: value}, *arguments) -> the result of the algorithm's function. In
    'train_step', fields of `config.schedules` have the values of the round.
  """
  timed = schedules.read(config)

  def bound(values, *arguments):
    values = {field: s.last for field, s in timed.items()} | values
    if name == 'train_step':
      state, *_ = arguments
      images = state.step.astype(jnp.float32) * config.batch_size
      values |= {field: s.at(images) for field, s in timed.items()}
    method = algorithm.from_config(schedules.replaced(config, values), spec)
    return getattr(algorithm, name)(method, *arguments)

  return bound


def train_step(algorithm, method, config, spec) -> Callable:
  """Returns a train step without its method, with the schedules of the config.

  Args:
    algorithm: an algorithm of `jaxgan.steps`.
    method: built from the config, with its last values.
    config: the config of a run.
    spec: shape and classes of the data.

  Returns:
    (state, batch, key) -> (state, metrics).
  """
  if not schedules.read(config):
    return functools.partial(algorithm.train_step, method)
  return functools.partial(bind(algorithm, 'train_step', config, spec), {})


def refuse(source: str, config, shapes, algorithm, dataset) -> None:
  """Raises a UserError for fields that change the program, or nothing.

  Args:
    source: the config field that names the fields, for errors.
    config: a config.
    shapes: shapes of the values by field.
    algorithm: an algorithm of `jaxgan.steps`.
    dataset: the training images.
  """
  spec = dataset.spec
  draws = algorithm.batches_per_round(algorithm.from_config(config, spec))
  example = jax.eval_shape(
    lambda batch: {k: pixels_lib.to_float(x) for k, x in batch.items()},
    {
      name: jax.ShapeDtypeStruct(
        (draws * config.batch_size, *x.shape[1:]), x.dtype
      )
      for name, x in dataset.arrays().items()
    },
  )
  init, train_step = (
    bind(algorithm, name, config, spec) for name in ('init', 'train_step')
  )

  def run(values, batch, key):
    state = init(values, key)
    return state, train_step(values, state, batch, key)[0]

  def unread_fields(names) -> list[str] | None:
    """Returns fields that the program does not read; None without a program."""
    values = {k: shapes[k] for k in names}
    try:
      program, (before, after) = jax.make_jaxpr(run, return_shape=True)(
        values, example, jax.random.key(0)
      )
    except (TypeError, ValueError):
      return None
    if jax.tree.map(lambda x: x.dtype, before) != jax.tree.map(
      lambda x: x.dtype, after
    ):
      return None
    read = {id(x) for step in program.jaxpr.eqns for x in step.invars}
    inputs = zip(sorted(names), program.jaxpr.invars, strict=False)
    return [name for name, x in inputs if id(x) not in read]

  names = list(shapes)
  unread = unread_fields(names) if names else []
  if unread is None:
    bad = [name for name in names if unread_fields([name]) is None]
    which = f'field {bad[0]} changes' if bad else f'fields {names} change'
    raise errors.UserError(
      f'{source}: the {which} shapes or the program, and all {SHARERS[source]} '
      f'share one program. {REMEDIES[source]}'
    )
  if unread:
    raise errors.UserError(
      f'{source}: the field {unread[0]} has no effect because its feature is '
      'disabled. Enable the feature or remove the field.'
    )


def refuse_schedules(config, algorithm, dataset: data.Dataset) -> None:
  """Raises a UserError that names the fields that cannot have a schedule."""
  shape = jax.ShapeDtypeStruct((), np.float32)
  shapes = dict.fromkeys(schedules.read(config), shape)
  alone = schedules.replaced(config, {'schedules': ''})
  refuse('schedules', alone, shapes, algorithm, dataset)
