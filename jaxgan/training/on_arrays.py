"""Training on arrays, without files, flags or checkpoints.

advance = jaxgan.trainer(gan, method, dataset.arrays())
state, history = advance(gan.init(method, jax.random.key(0)), 1_000)
"""

import functools
from collections.abc import Callable, Mapping
from types import ModuleType

import jax
import numpy as np

from jaxgan import errors, steps
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib


def trainer(
  algorithm: steps.Algorithm | ModuleType,
  method,
  arrays: Mapping[str, np.ndarray],
  *,
  batch_size: int = 64,
  seed: int = 0,
  rounds_per_call: int = 1,
) -> Callable:
  """Compiles the rounds that `python -m jaxgan.main` trains.

  The examples of a batch and all noise are functions of the seed and of
  `state.step`, so two calls train the same rounds as one call.

  Args:
    algorithm: an algorithm of `jaxgan.steps`, or a module with `train_step`.
    method: the parts of the algorithm that never change.
    arrays: all examples, as `Dataset.arrays()` returns them: 'image' [N, ...]
      as uint8 or in [-1, 1], 'label' [N] and others.
    batch_size: images in an update.
    seed: the seed of the run.
    rounds_per_call: rounds in one compiled call; 10 suit small dense networks.

  Returns:
    (state, rounds) -> (state, history): the state after these rounds, and a
    NumPy array [rounds] for each metric. The state that is passed is donated.

  Raises:
    UserError: for arrays of unequal lengths or numbers out of range. The
      returned function raises it if `rounds` is no multiple of
      `rounds_per_call`.
  """
  sizes = {name: len(array) for name, array in arrays.items()}
  if not sizes.get('image') or len(set(sizes.values())) > 1:
    raise errors.UserError(
      f"arrays have lengths {sizes}. Pass 'image' [N, ...], and N rows in all "
      'other arrays.'
    )
  for name, value, least, below in (
    ('batch_size', batch_size, 1, 2**31),
    ('rounds_per_call', rounds_per_call, 1, 2**31),
    ('seed', seed, 0, 2**32),
  ):
    if not least <= value < below:
      raise errors.UserError(f'{name}={value} must be in [{least}, {below}).')
  algorithm = steps.with_defaults(algorithm)
  engine = devices_lib.make_alone(batch_size)
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(algorithm.train_step, method),
    rounds=rounds_per_call,
    draws=algorithm.batches_per_round(method),
    batch_size=batch_size,
    resident=True,
  )
  arrays = engine.replicate(dict(arrays))
  seed = engine.replicate(np.uint32(seed))

  def advance(state, rounds: int):
    is_whole = isinstance(rounds, int | np.integer)
    if not is_whole or rounds < 1 or rounds % rounds_per_call:
      raise errors.UserError(
        f'rounds={rounds!r} must be a positive multiple of '
        f'rounds_per_call={rounds_per_call}.'
      )
    state = engine.replicate(state)
    parts = []
    for _ in range(rounds // rounds_per_call):
      state, metrics = call(state, arrays, seed)
      parts.append(metrics)
    parts = jax.device_get(parts)
    history = {
      name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    return state, history

  return advance
