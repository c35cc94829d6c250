"""Loads, trains and scores experiments of `configs/` for benchmarks."""

import dataclasses
import functools
import importlib.util
import json
import math
import pathlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors, gan, steps
from jaxgan.adversarial import image_to_image
from jaxgan.config import schedules
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches
from jaxgan.models.layers import spectral_norm
from jaxgan.modes import evaluate
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import summary, traced
from jaxgan.training.trained import Run

# Fields that select data after they are read.
PARTS = ('limit', 'labelled', 'labelled_seed')
CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def load(name: str):
  """Returns the config of `configs/NAME.py`, or of NAME:VARIANT.

  Raises:
    UserError: if there is no such file or variant.
  """
  name, _, variant = name.partition(':')
  if not (CONFIGS / f'{name}.py').is_file():
    known = sorted(path.stem for path in CONFIGS.glob('*.py'))
    raise errors.unknown('config', name, known)
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


def changed(config, fields):
  """Returns a copy of a config with other values of fields, by dotted name."""
  config = config.copy_and_resolve_references()
  config.update_from_flattened_dict(fields)
  return config


@functools.cache
def _read_all(settings: str, split: str):
  fields = config_lib.from_json(json.loads(settings))
  dataset = data.load(fields, split)
  columns = dataset.arrays()
  return dataclasses.replace(
    dataset, columns=columns, labels=columns.get('label')
  )


def read(settings, split: str = 'train') -> data.Dataset:
  """Returns the data of `config.data`; reads the disk once for all seeds."""
  parts = {name: settings[name] for name in PARTS if name in settings}
  plain = changed(settings, dict.fromkeys(parts, 0))
  return data.part(_read_all(plain.to_json(), split), settings)


def watch(
  config,
  seed: int,
  seconds: Sequence[float],
  dataset: data.Dataset | None = None,
) -> Iterator[tuple[Run, float]]:
  """Trains on one device, without files, and yields the run at given times.

  The clock stands still while the caller works. Programs that this process has
  compiled are compiled again.

  Args:
    config: the config of the run; `num_steps` does not count.
    seed: the seed of the run.
    seconds: increasing times of training, with compilation and without reading
      the data. The call that passes a time is completed.
    dataset: data to train on; by default, the data of `config.data`.

  Yields:
    The run and its seconds.
  """
  jax.clear_caches()
  dataset = dataset or read(config.data)
  start = time.perf_counter()
  advance, run = _start(config, seed, dataset)
  for limit in seconds:
    while time.perf_counter() - start < limit:
      run = advance(run)
      jax.block_until_ready(run.state)  # Otherwise calls would queue up.
    paused = time.perf_counter()
    # The next call takes the buffers of the state.
    kept = jax.tree.map(jnp.copy, run.state)
    yield dataclasses.replace(run, state=kept), paused - start
    start += time.perf_counter() - paused


def train(
  config, seed: int = 0, dataset: data.Dataset | None = None
) -> tuple[Run, float]:
  """Trains `config.num_steps` rounds on one device, without files.

  Args:
    config: the config of the run.
    seed: the seed of the run.
    dataset: data to train on; by default, the data of `config.data`.

  Returns:
    The run and its seconds, with compilation and without reading the data.
  """
  dataset = dataset or read(config.data)
  start = time.perf_counter()
  advance, run = _start(config, seed, dataset)
  for _ in range(config.num_steps // _rounds_per_call(config)):
    run = advance(run)
  jax.block_until_ready(run.state)
  return run, time.perf_counter() - start


def _rounds_per_call(config) -> int:
  return math.gcd(config.num_steps, config.steps_per_call)


def _start(config, seed: int, dataset: data.Dataset):
  """Returns a function that trains a run for a call, and the run at step 0."""
  config_lib.validate(config)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(schedules.at_ends(config), dataset.spec)
  engine = devices_lib.make_alone(config.batch_size)
  state = compile_lib.jit_once(
    functools.partial(algorithm.init, method), out_shardings=engine.replicated
  )(jax.random.key(seed))
  call = compile_lib.compile_rounds(
    engine,
    traced.train_step(algorithm, method, config, dataset.spec),
    rounds=_rounds_per_call(config),
    draws=algorithm.batches_per_round(method),
    batch_size=config.batch_size,
    resident=True,
    shuffle=config.data.shuffle,
    drop_remainder=config.data.drop_remainder,
    precision=config.precision,
  )
  arrays = engine.replicate(dataset.arrays())
  seed_array = engine.replicate(np.uint32(seed))

  def advance(run: Run) -> Run:
    state, _ = call(run.state, arrays, seed_array)
    return dataclasses.replace(run, state=state)

  return advance, Run(algorithm, method, state, dataset.spec, config)


def mean_and_error(values, digits: int, unit: str = '') -> str:
  """Returns a cell 'mean ± standard error'; leaves out NaN."""
  values = np.asarray(values)
  if np.isnan(values).all():
    return ''
  values = values[~np.isnan(values)]
  text = f'{values.mean():.{digits}f}'
  if len(values) > 1:
    error = values.std(ddof=1) / len(values) ** 0.5
    text += f' ± {error:.{digits}f}'
  return text + unit


def parameters(method) -> dict[str, int]:
  """Counts trained parameters, by network of a `steps.gan` method."""
  return {
    name: summary.parameter_counts(module, *inputs)[1]
    for name, (module, inputs) in gan.modules(method).items()
  }


def describe(module) -> dict:
  """Returns the name and the fields of a network's module.

  A module in spectral norm has the field 'spectral_norm'.
  """
  if isinstance(module, spectral_norm.SpectralNorm) and not module.always:
    return describe(module.module) | {'spectral_norm': True}
  family = type(module).__module__.rpartition('.')[-1]
  fields = {
    field.name: getattr(module, field.name)
    for field in dataclasses.fields(module)
    if field.name not in ('parent', 'name')
  }
  return {'kind': f'{family}.{type(module).__name__}', **fields}


def judge_of(settings, num: int) -> evaluate.Judge:
  """Returns a judge of samples, with the scores of the tables."""
  scores = ('frechet', 'kernel', 'neighbours', 'classes')
  return evaluate.Judge(settings, evaluate.Request(num, scores=scores))


def score(judge: evaluate.Judge, run: Run) -> dict[str, float]:
  """Scores a run's samples as --mode=evaluate does, by short name."""
  return judge.score(judge.see(evaluate.fakes(run, judge.request)))


def translated(run: Run, name: str, images: np.ndarray) -> np.ndarray:
  """Translates uint8 images with the averaged network `name` of a run."""
  call = batches.in_batches(
    jax.jit(
      lambda image: {
        'made': image_to_image.translate(
          run.method,
          run.state,
          name,
          pixels_lib.to_float(image),
          jax.random.key(0),
        )
      }
    ),
    image_to_image.CHUNK,
  )
  return pixels_lib.to_uint8(call(images)['made'])


def conditions(settings, judge: evaluate.Judge) -> str:
  """Describes the data, the classifier and the device of a table."""
  return (
    f'data: {settings.source}, {judge.protocol}, held-out error of the '
    f'classifier {100 * judge.features.error:.2f}%, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}'
  )


def cell(values: Sequence[float], form: str = '.3g') -> str:
  """Returns a cell with mean and range of numbers."""
  text = f'{statistics.fmean(values):{form}}'
  if len(values) > 1:
    text += f' ({min(values):{form}} to {max(values):{form}})'
  return text


def row(name: str, before: str, runs, columns, after: str = '') -> None:
  """Prints the scores of runs as a row, between two other cells."""
  cells = [cell([numbers[column] for numbers in runs]) for column in columns]
  print(f'| {" | ".join([name, before, *cells, after])} |', flush=True)


def compare(
  configs: Mapping[str, object], seeds: int, num: int, columns: Sequence[str]
) -> None:
  """Trains configs and prints the scores of their samples as a table.

  Scores are those of --mode=evaluate: means and ranges over seeds, beside the
  scores of real training images.

  Args:
    configs: name of a row -> config, all with the same data.
    seeds: runs per config.
    num: number of samples, and the most real images.
    columns: names of scores.
  """
  first = next(iter(configs.values()))
  judge = judge_of(first.data, num)
  print(f'{seeds} seeds, {conditions(first.data, judge)}\n')
  print(f'| | rounds | {" | ".join(columns)} | seconds |')
  print('| --- ' * (len(columns) + 3) + '|')
  row('real training images', '', [judge.beside()['train']], columns)
  for name, config in configs.items():
    runs, seconds = [], []
    for seed in range(seeds):
      run, took = train(config, seed)
      runs.append(score(judge, run))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    row(name, rounds, runs, columns, f'{statistics.fmean(seconds):.0f}')
