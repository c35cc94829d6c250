r"""Quality of samples after a budget of seconds, beside PyTorch.

  python -m benchmarks.quality --source=tfds --data_dir=PATH \
      --torch_python=PYTHON

Every config trains for the budget, which includes compilation and excludes
reading data. `benchmarks/peers/torch_quality.py` trains the same networks with
a plain recipe, in the given Python, which needs torch. Samples of both are
scored as --mode=evaluate does. Sides take turns, seed by seed. The ratio
compares mean Frechet distances.
"""

import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import jax
import numpy as np
from absl import app, flags

from benchmarks import experiment
from jaxgan import data, errors, gan

CONFIGS = [
  *('gan_mnist', 'lsgan_mnist', 'cgan_mnist'),
  *('dcgan_mnist', 'acgan_mnist', 'wgan_mnist'),
]

_CONFIGS = flags.DEFINE_list('configs', [], 'NAME or NAME:VARIANT (all).')
_SECONDS = flags.DEFINE_float(
  'seconds', 260.0, 'Seconds of training per run.', lower_bound=1.0
)
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, and the most real images.'
)
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs per row.', lower_bound=1)
_PEERS = flags.DEFINE_bool('peers', True, 'Adds rows for PyTorch.')
_TORCH_PYTHON = flags.DEFINE_string(
  'torch_python', '', 'Path of a Python with torch.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

SCORES = ('frechet', 'precision', 'recall', 'rarest_class')
HEAD = ('', 'rounds', 'reals seen', *SCORES, "Frechet over jaxgan's")
PEER = pathlib.Path(__file__).parent / 'peers' / 'torch_quality.py'


def load(name: str):
  """Returns the config NAME or NAME:VARIANT with the data of the flags."""
  if name.partition(':')[0] not in CONFIGS:
    raise errors.unknown('--configs', name, CONFIGS)
  config = experiment.load(name)
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  config.data.source = data.resolve(config.data)
  return config


def train_peer(config, seed: int, seconds: float, num: int):
  """Trains the peer, and returns its report and its samples."""
  dataset = experiment.read(config.data)
  method = gan.from_config(config, dataset.spec)
  task = {
    'loss': config.loss,
    'latent_size': config.latent_size,
    'generator': experiment.describe(method.generator),
    'discriminator': experiment.describe(method.discriminator),
    'seconds': seconds,
    'num': num,
    'seed': seed,
  }
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    # A wrapper's field is a module, hence `str`. The peer refuses wrappers.
    (folder / 'task.json').write_text(json.dumps(task, default=str))
    for name in ('image', 'label'):
      np.save(folder / f'{name}s.npy', dataset.arrays()[name])
    done = subprocess.run(
      [_TORCH_PYTHON.value, PEER, folder], capture_output=True, text=True
    )
    if done.returncode:
      lines = done.stderr.strip().splitlines() or [f'exit {done.returncode}']
      raise errors.UserError(lines[-1].removeprefix('error: '))
    report = json.loads(done.stdout)
    samples = np.load(folder / 'samples.npy')
  ours = experiment.parameters(method)
  if report['parameters'] != ours:
    raise errors.UserError(f'{report["parameters"]} are not {ours}')
  return report, samples


def check(configs) -> str:
  """Returns the version of PyTorch; raises UserError for a missing peer."""
  if not shutil.which(_TORCH_PYTHON.value):
    raise errors.UserError(
      f'--torch_python={_TORCH_PYTHON.value!r} must be a Python that has '
      'torch. Set --peers=false to leave PyTorch out.'
    )
  for name, config in configs.items():
    try:
      report, _ = train_peer(config, 0, 0.0, 1)
    except errors.UserError as error:
      raise errors.UserError(f'--configs={name}: {error}') from None
  return report['version']


def compare(configs) -> None:
  """Trains both sides and prints the table."""
  first = next(iter(configs.values())).data
  for name, config in configs.items():
    if config.data.image_size != first.image_size:
      raise errors.UserError(
        f'--configs={name}: images differ in size. Make a table for each size.'
      )
  torch = f', torch {check(configs)}' if _PEERS.value else ''
  judge = experiment.judge_of(first, _NUM.value)

  def ours(config, seed):
    run, _ = experiment.train(config, seed, seconds=_SECONDS.value)
    rounds = int(run.state.step)
    reals = rounds * gan.batches_per_round(run.method) * config.batch_size
    return rounds, reals, experiment.score(judge, run)

  def theirs(config, seed):
    report, samples = train_peer(config, seed, _SECONDS.value, _NUM.value)
    return report['rounds'], report['reals'], judge.score(judge.see(samples))

  sides = {'jaxgan': ours} | ({'PyTorch': theirs} if _PEERS.value else {})
  print(
    f'{_SECONDS.value:g} s of training a run, with compilation, '
    f'{_SEEDS.value} seeds, {experiment.conditions(first, judge)}{torch}, '
    f'{os.cpu_count()} cores ({platform.machine()})\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  experiment.row(
    'real training images', ' | ', [judge.beside()['train']], SCORES
  )
  for name, config in configs.items():
    runs = {side: [] for side in sides}
    for seed in range(_SEEDS.value):
      for side, train in sides.items():
        runs[side].append(train(config, seed))
    means = {
      side: statistics.fmean(scores['frechet'] for *_, scores in results)
      for side, results in runs.items()
    }
    for side, results in runs.items():
      rounds, reals, scores = zip(*results, strict=True)
      before = ' | '.join(experiment.cell(x, ',.0f') for x in (rounds, reals))
      ratio = f'{means[side] / means["jaxgan"]:.2f}'
      experiment.row(f'{name}, {side}', before, scores, SCORES, ratio)


def main(argv) -> None:
  del argv
  # The first run of a user finds no compiled programs.
  jax.config.update('jax_enable_compilation_cache', False)
  try:
    compare({name: load(name) for name in _CONFIGS.value or CONFIGS})
  except errors.UserError as error:
    sys.exit(f'error: {error}')


if __name__ == '__main__':
  app.run(main)
