"""The experiments of `configs/`, for benchmarks: loaded, trained, scored."""

import dataclasses
import functools
import importlib.util
import json
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, evaluate, parallel, steps, trained

# Fields that say which of the data are used, not what is read.
PARTS = ('limit', 'labelled', 'labelled_seed')
CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def load(name: str, variant: str = ''):
  """The config of `configs/NAME.py`."""
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


def changed(config, fields):
  """A copy of a config with other values of some fields, by dotted name."""
  config = config.copy_and_resolve_references()
  config.update_from_flattened_dict(fields)
  return config


@functools.cache
def _whole(settings: str, split: str):
  fields = config_lib.from_json(json.loads(settings))
  found = data.load(fields, split)
  columns = found.arrays()
  return dataclasses.replace(
    found, columns=columns, labels=columns.get('label')
  )


def read(settings, split: str = 'train') -> data.Dataset:
  """The data of `config.data` in memory; read from disk once for all seeds."""
  parts = {name: settings[name] for name in PARTS if name in settings}
  plain = changed(settings, dict.fromkeys(parts, 0))
  return data.part(_whole(plain.to_json(), split), settings)


def train(
  config, seed: int = 0, dataset: data.Dataset | None = None
) -> tuple[trained.Run, float]:
  """Trains on one device, without files.

  Args:
    config: of the run; `num_steps` is rounded up to whole calls.
    seed: of the run.
    dataset: to train on, if not what `config.data` describes.

  Returns:
    The run and the seconds that it took, with compilation and without
    reading the data.
  """
  config_lib.validate(config)
  dataset = dataset or read(config.data)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, dataset.spec)
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
  arrays = engine.replicate(dataset.arrays())
  place = engine.replicate(np.uint32(seed))
  for _ in range(-(-config.num_steps // config.steps_per_call)):
    state, _ = call(state, arrays, place)
  jax.block_until_ready(state)
  run = trained.Run(algorithm, method, state, dataset.spec, config)
  return run, time.perf_counter() - began


def mean_and_error(values, digits: int, unit: str = '') -> str:
  """A cell, 'mean ± standard error'; values that are NaN do not count."""
  values = np.asarray(values)
  if np.isnan(values).all():
    return ''
  values = values[~np.isnan(values)]
  text = f'{values.mean():.{digits}f}'
  if len(values) > 1:
    error = values.std(ddof=1) / len(values) ** 0.5
    text += f' ± {error:.{digits}f}'
  return text + unit


def compare(
  configs: Mapping[str, object], seeds: int, num: int, columns: Sequence[str]
) -> None:
  """Trains configs and prints the scores of their samples as a table.

  As --mode=evaluate does it: means and ranges over seeds, beside the scores of
  real training images.

  Args:
    configs: name of a row -> config; data are the same for all.
    seeds: runs of each.
    num: samples, and at most so many real images.
    columns: names of scores.
  """
  first = next(iter(configs.values()))
  scores = ('frechet', 'kernel', 'neighbours', 'classes')
  request = evaluate.Request(num, scores=scores)
  judge = evaluate.Judge(first.data, request)
  print(
    f'{seeds} seeds, data: {first.data.source}, {judge.protocol}, held-out '
    f'error of the classifier {100 * judge.features.error:.2f}%, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}\n'
  )
  print(f'| | rounds | {" | ".join(columns)} | seconds |')
  print('| --- ' * (len(columns) + 3) + '|')
  real = [judge.beside()['train']]
  print(f'| real training images | | {_cells(real, columns)} | |', flush=True)
  for name, config in configs.items():
    found, seconds = [], []
    for seed in range(seeds):
      run, took = train(config, seed)
      found.append(judge.score(judge.see(evaluate.fakes(run, request))))
      seconds.append(took)
    cells = f'{config.num_steps:,} of {config.batch_size} | '
    cells += f'{_cells(found, columns)} | {statistics.fmean(seconds):.0f}'
    print(f'| {name} | {cells} |', flush=True)


def _cells(found: list[dict], columns: Sequence[str]) -> str:
  cells = []
  for name in columns:
    values = [numbers[name] for numbers in found]
    cell = f'{statistics.fmean(values):.3g}'
    if len(values) > 1:
      cell += f' ({min(values):.3g} to {max(values):.3g})'
    cells.append(cell)
  return ' | '.join(cells)
