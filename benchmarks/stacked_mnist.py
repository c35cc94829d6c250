r"""Modes of stacked MNIST: how many of 1000 triples of digits a GAN makes.

  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH \
      --rounds=5000 --seeds=1
  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH --seeds=10
  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH \
      --setting=pacgan --methods=DCGAN,"packing of 2" --seeds=10

The first command is reduced, for two cores. The others have the rounds of the
papers and need an accelerator. Three random digits are the channels of one
image (Metz et al. 2017, https://arxiv.org/abs/1611.02163, section 3.3.1). A
classifier of digits names each channel by its largest logit, without a
threshold.

  modes: triples of digits that occur, of 1000.
  KL: divergence of the shares of triples from uniform, in nats. An exact
    sampler has (1000 - 1) / (2 samples), the floor, in a row of its own.

Settings and methods are in `stacked_mnist_settings.py`. Differences from the
papers:

  * Stacks are 128,000 random triples of training digits in [-1, 1], drawn for
    each seed and shuffled in every epoch. Metz et al. draw new triples in each
    round. PacGAN's code has 128,000 triples in one order, of training and test
    digits in [0, 1], though its generator ends in tanh.
  * In `pacgan` the discriminator and the generator take turns. PacGAN's code
    makes two generator updates for one of the discriminator.
  * Samples take batch norm's statistics from 2,048 other latents, not from
    their batch or running means. The epsilon is 1e-3 instead of 1e-5.
  * The classifier is our own; the table has its error.

R3GAN (Huang et al. 2024, https://arxiv.org/abs/2501.05441) has 1000 modes and
KL 0.029. With a small ResNet it has 0.078 by `relativistic, R1 + R2`, and 0.927
without the relativistic loss. Its images have 32 x 32 pixels and its rates
change, so the protocol is not that of either setting.
"""

import statistics

import jax
import numpy as np
from absl import flags

import jaxgan
from benchmarks import cli, experiment
from benchmarks.stacked_mnist_settings import METHODS, SETTINGS, configure
from jaxgan import config as config_lib
from jaxgan import data
from jaxgan.data import dataset
from jaxgan.metrics import classes as classes_lib
from jaxgan.metrics import modes
from jaxgan.modes import evaluate
from jaxgan.modes import features as features_lib

_SETTING = flags.DEFINE_string('setting', 'unrolled_half', 'Key of SETTINGS.')
_METHODS = flags.DEFINE_list('methods', [], 'Keys of METHODS (all).')
_ROUNDS = flags.DEFINE_integer(
  'rounds', 0, "Rounds of a run; 0: the setting's."
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs per row.')
_SAMPLES = flags.DEFINE_integer(
  'samples', 0, "Scored samples; 0: the setting's."
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

DIGITS, CHANNELS = 10, 3
MODES = DIGITS**CHANNELS
TRIPLES = 128_000  # in a training set


def stacks(digits: np.ndarray, num: int, seed: int) -> data.Dataset:
  """Returns random triples of digits [N, H, W, 1] as images [num, H, W, 3]."""
  rng = np.random.default_rng(seed)
  rows = rng.integers(0, len(digits), (num, CHANNELS))
  images = np.concatenate([digits[row] for row in rows.T], axis=-1)
  return dataset.from_arrays('stacks', 'mnist', 'train', images)


def scores(images: np.ndarray, features: features_lib.Features) -> list[float]:
  """Returns modes and KL of images [N, H, W, 3]."""
  digits = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3], 1)
  labels = features.call(digits)['logits'].argmax(-1).reshape(-1, CHANNELS)
  counts = classes_lib.histogram(modes.stacked(labels, DIGITS), MODES)
  return [float(modes.found(counts)), float(modes.divergence(counts))]


def exact(samples: int) -> list[float]:
  """Returns the expected modes and KL of a uniform sampler."""
  return [
    MODES * (1.0 - (1.0 - 1.0 / MODES) ** samples),
    modes.floor(MODES, samples)[0],
  ]


def _row(name: str, rounds: str, samples: int, pairs, seconds: str = '') -> str:
  """Returns a row of the table from modes and KL of every seed."""
  number, divergence = zip(*pairs, strict=True)
  cells = [
    experiment.mean_and_error(number, 1),
    experiment.mean_and_error(divergence, 4),
  ]
  return (
    f'| {name} | {rounds} | {samples:,} | {" | ".join(cells)} | {seconds} |'
  )


def main(argv) -> None:
  del argv
  names = _METHODS.value or list(METHODS)
  for flag, given, known in (
    ('setting', [_SETTING.value], SETTINGS),
    ('methods', names, METHODS),
  ):
    cli.check_names(flag, given, known)
  setting = SETTINGS[_SETTING.value]
  samples = _SAMPLES.value or setting.samples
  settings = experiment.changed(
    config_lib.defaults().data,
    {'source': _SOURCE.value, 'data_dir': _DATA_DIR.value},
  )
  settings.source = data.resolve(settings)
  digits, test = (
    experiment.read(settings, split).columns['image']
    for split in ('train', 'test')
  )
  features = features_lib.find('classifier', settings)
  configs = {
    name: configure(_SETTING.value, name, _ROUNDS.value) for name in names
  }
  print(
    f'{_SETTING.value}, in full {setting.rounds:,} rounds, {_SEEDS.value} '
    f'seeds, data: {TRIPLES:,} stacks of {len(digits):,} digits '
    f'({settings.source}), error of the classifier '
    f'{100 * features.error:.2f}%, {jax.devices()[0].device_kind}, jax '
    f'{jax.__version__}, jaxgan {jaxgan.__version__}\n'
  )
  print('| | rounds | samples | modes | KL | seconds |')
  print('| --- ' * 6 + '|')
  for name, cells in setting.published.items():
    print(
      f'| {name}, published | | {setting.samples:,} | {" | ".join(cells)} | |'
    )
  print(_row('exact uniform sampler', '', samples, [exact(samples)]))
  real = [
    scores(stacks(test, samples, seed).columns['image'], features)
    for seed in range(_SEEDS.value)
  ]
  print(_row('stacks of test digits', '', samples, real), flush=True)
  request = evaluate.Request(samples)
  for name, config in configs.items():
    pairs, seconds = [], []
    for seed in range(_SEEDS.value):
      stacked = stacks(digits, TRIPLES, seed)
      run, took = experiment.train(config, seed, stacked)
      pairs.append(scores(evaluate.fakes(run, request), features))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    if config.num_steps < setting.rounds:
      rounds += ', reduced'
    mean = f'{statistics.fmean(seconds):.0f}'
    print(_row(name, rounds, samples, pairs, mean), flush=True)


if __name__ == '__main__':
  cli.run(main)
