"""Rounds of an algorithm on chosen devices, for tests of several devices."""

import functools

import jax
import numpy as np

from jaxgan.training import compile as compile_lib


def after_three(engine, config, algorithm, dataset):
  """Returns the state after three rounds, and metrics of the last one."""
  method = algorithm.from_config(config, dataset.spec)
  init = jax.jit(functools.partial(algorithm.init, method))
  state = engine.replicate(init(jax.random.key(0)))
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(algorithm.train_step, method),
    rounds=1,
    draws=1,
    batch_size=config.batch_size,
    resident=True,
  )
  arrays = engine.replicate(dataset.arrays())
  for _ in range(3):
    seed = engine.replicate(np.uint32(0))
    state, metrics = call(state, arrays, seed)
  return jax.device_get((state, metrics))
