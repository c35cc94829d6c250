r"""Quality for a budget of seconds, beside PyTorch: what a person feels.

  python -m benchmarks.quality --source=tfds --data_dir=PATH \
      --torch_python=PYTHON

Every config trains for the budget, with all of its compilation and without
reading data, and so do the same networks by the plain recipe of
`benchmarks/peers/torch_quality.py`, in a process of the Python given, which
needs torch. Samples of both are scored as --mode=evaluate does. Sides take
turns, seed by seed; the ratio is that of the mean Frechet distances.
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
from jaxgan import data, errors
from jaxgan.steps import gan

CONFIGS = [
  *('gan_mnist', 'lsgan_mnist', 'cgan_mnist'),
  *('dcgan_mnist', 'acgan_mnist', 'wgan_mnist'),
]

_CONFIGS = flags.DEFINE_list(
  'configs', [], 'NAME or NAME:VARIANT; none is all.'
)
_SECONDS = flags.DEFINE_float(
  'seconds', 260.0, 'Of training, of each run.', lower_bound=1.0
)
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Samples, and at most so many reals.'
)
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs of each row.', lower_bound=1)
_PEERS = flags.DEFINE_bool('peers', True, 'Whether PyTorch has rows too.')
_TORCH_PYTHON = flags.DEFINE_string('torch_python', '', 'A Python with torch.')
_SOURCE = flags.DEFINE_string('source', 'auto', 'As config.data.source.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'As config.data.data_dir.')

SCORES = ('frechet', 'precision', 'recall', 'rarest_class')
HEAD = ('', 'rounds', 'reals seen', *SCORES, "Frechet over jaxgan's")
PEER = pathlib.Path(__file__).parent / 'peers' / 'torch_quality.py'


def load(name: str):
  """The config NAME or NAME:VARIANT, on the data of the flags."""
  if name.partition(':')[0] not in CONFIGS:
    raise errors.unknown('--configs', name, CONFIGS)
  config = experiment.load(name)
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  config.data.source = data.resolve(config.data)
  return config


def train_peer(config, seed: int, seconds: float, num: int):
  """What the peer says of its training, and its samples."""
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
    # A wrapper's field is a module, and the peer refuses the wrapper.
    (folder / 'task.json').write_text(json.dumps(task, default=str))
    for name in ('image', 'label'):
      np.save(folder / f'{name}s.npy', dataset.arrays()[name])
    done = subprocess.run(
      [_TORCH_PYTHON.value, PEER, folder], capture_output=True, text=True
    )
    if done.returncode:
      said = done.stderr.strip().splitlines() or [f'exit {done.returncode}']
      raise errors.UserError(said[-1].removeprefix('error: '))
    said = json.loads(done.stdout)
    samples = np.load(folder / 'samples.npy')
  ours = experiment.parameters(method)
  if said['parameters'] != ours:
    raise errors.UserError(f'{said["parameters"]} are not {ours}')
  return said, samples


def check(configs) -> str:
  """The version of PyTorch; an error where a peer can't be built."""
  if not shutil.which(_TORCH_PYTHON.value):
    raise errors.UserError(
      f'--torch_python={_TORCH_PYTHON.value!r} must be a Python that has '
      'torch; --peers=false leaves PyTorch out'
    )
  for name, config in configs.items():
    try:
      said, _ = train_peer(config, 0, 0.0, 1)
    except errors.UserError as error:
      raise errors.UserError(f'--configs={name}: {error}') from None
  return said['version']


def compare(configs) -> None:
  """Trains and prints."""
  first = next(iter(configs.values())).data
  for name, config in configs.items():
    if config.data.image_size != first.image_size:
      raise errors.UserError(
        f'--configs={name}: images of another size need a table of their own'
      )
  torch = f', torch {check(configs)}' if _PEERS.value else ''
  judge = experiment.judge_of(first, _NUM.value)

  def ours(config, seed):
    run, _ = experiment.train(config, seed, seconds=_SECONDS.value)
    rounds = int(run.state.step)
    reals = rounds * gan.batches_per_round(run.method) * config.batch_size
    return rounds, reals, experiment.score(judge, run)

  def theirs(config, seed):
    said, samples = train_peer(config, seed, _SECONDS.value, _NUM.value)
    return said['rounds'], said['reals'], judge.score(judge.see(samples))

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
      side: statistics.fmean(scores['frechet'] for *_, scores in found)
      for side, found in runs.items()
    }
    for side, found in runs.items():
      rounds, reals, scores = zip(*found, strict=True)
      before = ' | '.join(experiment.cell(x, ',.0f') for x in (rounds, reals))
      ratio = f'{means[side] / means["jaxgan"]:.2f}'
      experiment.row(f'{name}, {side}', before, scores, SCORES, ratio)


def main(argv) -> None:
  del argv
  # A person's first run finds nothing compiled.
  jax.config.update('jax_enable_compilation_cache', False)
  try:
    compare({name: load(name) for name in _CONFIGS.value or CONFIGS})
  except errors.UserError as error:
    sys.exit(f'error: {error}')


if __name__ == '__main__':
  app.run(main)
