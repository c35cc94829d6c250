"""The experiments of `configs/`, for benchmarks: loaded, trained, scored."""

import dataclasses
import functools
import importlib.util
import json
import math
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors, steps
from jaxgan.adversarial import image_to_image
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches
from jaxgan.modes import evaluate
from jaxgan.steps import gan
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import run as run_lib
from jaxgan.training import summary

# Fields that say which of the data are used, not what is read.
PARTS = ('limit', 'labelled', 'labelled_seed')
CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def load(name: str):
  """The config of `configs/NAME.py`, or a variant of it, as NAME:VARIANT.

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
  config,
  seed: int = 0,
  dataset: data.Dataset | None = None,
  seconds: float = 0.0,
) -> tuple[run_lib.Run, float]:
  """Trains on one device, without files.

  Args:
    config: of the run.
    seed: of the run.
    dataset: to train on, if not what `config.data` describes.
    seconds: trained for so long instead, to the end of the call under way;
      what this process has compiled before is compiled again.

  Returns:
    The run and the seconds that it took, with compilation and without
    reading the data.
  """
  config_lib.validate(config)
  dataset = dataset or read(config.data)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, dataset.spec)
  engine = devices_lib.make_alone(config.batch_size)
  if seconds:
    jax.clear_caches()
  began = time.perf_counter()
  state = compile_lib.jit_once(
    functools.partial(algorithm.init, method), out_shardings=engine.replicated
  )(jax.random.key(seed))
  rounds = math.gcd(config.num_steps, config.steps_per_call)
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(algorithm.train_step, method),
    rounds=rounds,
    draws=algorithm.batches_per_round(method),
    batch_size=config.batch_size,
    resident=True,
    shuffle=config.data.shuffle,
    precision=config.precision,
  )
  arrays = engine.replicate(dataset.arrays())
  place = engine.replicate(np.uint32(seed))
  if seconds:
    while time.perf_counter() - began < seconds:
      state, metrics = call(state, arrays, place)
      jax.block_until_ready(metrics)  # Or calls pile up behind the clock.
  else:
    for _ in range(config.num_steps // rounds):
      state, _ = call(state, arrays, place)
  jax.block_until_ready(state)
  run = run_lib.Run(algorithm, method, state, dataset.spec, config)
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


def parameters(method) -> dict[str, int]:
  """Numbers that are trained, by player of a `steps.gan` method."""
  return {
    player: summary.parameter_counts(module, *inputs)[1]
    for player, (module, inputs) in gan.modules(method).items()
  }


def describe(module) -> dict:
  """A network as its module's name and fields."""
  family = type(module).__module__.rpartition('.')[-1]
  fields = {
    field.name: getattr(module, field.name)
    for field in dataclasses.fields(module)
    if field.name not in ('parent', 'name')
  }
  return {'kind': f'{family}.{type(module).__name__}', **fields}


def judge_of(settings, num: int) -> evaluate.Judge:
  """Of samples, by the scores that tables have."""
  scores = ('frechet', 'kernel', 'neighbours', 'classes')
  return evaluate.Judge(settings, evaluate.Request(num, scores=scores))


def score(judge: evaluate.Judge, run: run_lib.Run) -> dict[str, float]:
  """Scores of a run's samples by short name, as --mode=evaluate has them."""
  return judge.score(judge.see(evaluate.fakes(run, judge.request)))


def translated(run: run_lib.Run, name: str, images: np.ndarray) -> np.ndarray:
  """What the averaged network `name` of a run makes of images, both uint8."""
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
  """What the numbers of a table depend on."""
  return (
    f'data: {settings.source}, {judge.protocol}, held-out error of the '
    f'classifier {100 * judge.features.error:.2f}%, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}'
  )


def cell(values: Sequence[float], form: str = '.3g') -> str:
  """Mean and range of numbers."""
  text = f'{statistics.fmean(values):{form}}'
  if len(values) > 1:
    text += f' ({min(values):{form}} to {max(values):{form}})'
  return text


def row(name: str, before: str, found, columns, after: str = '') -> None:
  """Prints the scores of some runs as a row, between cells of its own."""
  cells = [cell([numbers[column] for numbers in found]) for column in columns]
  print(f'| {" | ".join([name, before, *cells, after])} |', flush=True)


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
  judge = judge_of(first.data, num)
  print(f'{seeds} seeds, {conditions(first.data, judge)}\n')
  print(f'| | rounds | {" | ".join(columns)} | seconds |')
  print('| --- ' * (len(columns) + 3) + '|')
  row('real training images', '', [judge.beside()['train']], columns)
  for name, config in configs.items():
    found, seconds = [], []
    for seed in range(seeds):
      run, took = train(config, seed)
      found.append(score(judge, run))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    row(name, rounds, found, columns, f'{statistics.fmean(seconds):.0f}')
