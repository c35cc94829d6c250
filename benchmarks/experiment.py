"""The experiments of `configs/`, for benchmarks: loaded, and trained."""

import functools
import importlib.util
import json
import pathlib
import time

import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, parallel, steps, trained

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def load(name: str, variant: str = ''):
  """The config of `configs/NAME.py`."""
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


@functools.cache
def _arrays(settings: str, split: str):
  return data.load(config_lib.from_json(json.loads(settings)), split).arrays()


def read(settings, split: str = 'train') -> dict[str, np.ndarray]:
  """All examples of `config.data`, which are read from disk once."""
  limit = settings.limit
  whole = settings.copy_and_resolve_references()
  whole.limit = 0
  columns = _arrays(whole.to_json(), split)
  if not limit or split != 'train':
    return columns
  return {name: column[:limit] for name, column in columns.items()}


def train(config, seed: int = 0) -> tuple[trained.Run, float]:
  """Trains on one device, without files.

  Args:
    config: of the run; `num_steps` is rounded up to whole calls.
    seed: of the run.

  Returns:
    The run and the seconds that it took, with compilation and without
    reading the data.
  """
  config_lib.validate(config)
  spec, columns = data.load(config.data).spec, read(config.data)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, spec)
  engine = parallel.make('jit', config.batch_size, jax.devices()[:1])
  began = time.perf_counter()
  state = jax.jit(
    functools.partial(algorithm.init, method), out_shardings=engine.replicated
  )(jax.random.key(seed))
  call = parallel.compile_rounds(
    engine,
    functools.partial(algorithm.train_step, method),
    rounds=config.steps_per_call,
    draws=algorithm.draws(method),
    batch_size=config.batch_size,
    resident=True,
    shuffle=config.data.shuffle,
  )
  arrays = engine.replicate(columns)
  place = engine.replicate(np.uint32(seed))
  for _ in range(-(-config.num_steps // config.steps_per_call)):
    state, _ = call(state, arrays, place)
  jax.block_until_ready(state)
  run = trained.Run(algorithm, method, state, spec, config)
  return run, time.perf_counter() - began
