r"""Modes of stacked MNIST: which of 1000 triples of digits a GAN makes.

  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH \
      --rounds=5000 --seeds=1
  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH --seeds=10
  python -m benchmarks.stacked_mnist --source=tfds --data_dir=PATH \
      --setting=pacgan --methods=DCGAN,"packing of 2" --seeds=10

The first is reduced, for two cores; the others, for an accelerator, have the
rounds of the papers. Three random digits are the channels of one image (Metz et
al. 2017, https://arxiv.org/abs/1611.02163, section 3.3.1). A classifier of
digits names each channel by its largest logit, without a threshold.

  modes: triples of digits that were met, of 1000.
  KL: of the shares of triples from uniform, in nats. An exact sampler's is not
    0 but (1000 - 1) / (2 samples), the floor, which has a row of its own.

Settings are those of Lin et al. 2018 (PacGAN, https://arxiv.org/abs/1712.04086)
and of their code; `unrolled_half` and `unrolled_quarter` were Metz et al.'s
first, with a discriminator of few channels. Networks have the published layers
and sizes, `batch_size` counts what the discriminator sees, so that packing of m
takes m times as many images, and both updates of a round have the same latents.
What differs here:

  * Stacks are 128,000 random triples of training digits in [-1, 1], drawn for
    each seed and shuffled in every epoch. Metz et al. draw afresh in each
    round. PacGAN's code has 128,000 triples in one order, of training and test
    digits in [0, 1], though its generator ends in tanh.
  * In `pacgan` the discriminator and the generator take turns; the code makes
    two generator updates for one of the discriminator.
  * Samples take batch norm's statistics from 2,048 other latents, not from
    their batch or running means. Its epsilon is 1e-3 for 1e-5.
  * The classifier is our own; its error is printed.

Rows with R1 are our recipe on the same layers: a discriminator without norm,
initial kernels that keep variances, averaged weights. R3GAN (Huang et al. 2024,
https://arxiv.org/abs/2501.05441) has 1000 modes and KL 0.029, and with a small
ResNet 0.078 by `relativistic, R1 + R2`, 0.927 without the relativistic loss, at
32 x 32 pixels with rates that change: not the protocol of either setting.
"""

import math
import statistics
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import app, flags

import jaxgan
from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan import data
from jaxgan.config import presets
from jaxgan.data import dataset
from jaxgan.metrics import classes as classes_lib
from jaxgan.metrics import modes
from jaxgan.modes import evaluate
from jaxgan.modes import features as features_lib

_SETTING = flags.DEFINE_string('setting', 'unrolled_half', 'Key of SETTINGS.')
_METHODS = flags.DEFINE_list('methods', [], 'Keys of METHODS; none is all.')
_ROUNDS = flags.DEFINE_integer('rounds', 0, "Of each run; 0: the setting's.")
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each row.')
_SAMPLES = flags.DEFINE_integer('samples', 0, "Scored; 0: the setting's.")
_SOURCE = flags.DEFINE_string('source', 'auto', 'As config.data.source.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'As config.data.data_dir.')

DIGITS, CHANNELS = 10, 3
MODES = DIGITS**CHANNELS
TRIPLES = 128_000  # of a training set
ROUNDS_PER_CALL = 100  # small networks wait for Python otherwise


class Setting(NamedTuple):
  """One protocol.

  Attributes:
    fields: of the config, by dotted name.
    rounds: of a run.
    samples: that are scored.
    published: row -> modes, KL; with standard errors where there are any.
  """

  fields: Mapping[str, Any]
  rounds: int
  samples: int
  published: Mapping[str, tuple[str, str]]


# Layers of the networks of both codes, which go back to one DCGAN.
_LAYERS = {
  'latent_reuse': True,
  'generator.slope': 0.0,
  'generator.bias': True,
  'generator.dense_bias': True,
  'generator.initializer': 'normal',
  'discriminator.norm': 'batch',
  'discriminator.momentum': 0.9,
  'discriminator.initializer': 'normal',
}


def _unrolled(widths: tuple[int, ...], published) -> Setting:
  """Lin et al. 2018, table 3: standard errors of 50 runs."""
  fields = _LAYERS | {
    'batch_size': 128,
    'latent_size': 256,
    'generator.widths': (64, 32, 16, 8),  # 4, 7, 14, 28 pixels
    'generator.strides': (2, 2, 2, 1),
    'generator.kernel': 3,
    'generator.optimizer.learning_rate': 1e-4,
    'generator.optimizer.b2': 0.99,
    'discriminator.widths': widths,
    'discriminator.kernel': 3,
    'discriminator.slope': 0.3,
    'discriminator.first_norm': True,
    'discriminator.optimizer.b2': 0.99,
  }
  return Setting(fields, 500_000, 25_600, published)


SETTINGS = {
  'unrolled_half': _unrolled(
    (4, 8, 16),
    {
      'DCGAN, Metz et al.': ('628.0 ± 140.9', '2.58 ± 0.75'),
      'Unrolled 1': ('523.6 ± 55.77', '2.44 ± 0.26'),
      'Unrolled 5': ('732.0 ± 44.98', '1.66 ± 0.09'),
      'Unrolled 10': ('817.4 ± 37.91', '1.43 ± 0.12'),
      'DCGAN, Lin et al.': ('487.7 ± 34.59', '2.24 ± 0.15'),
      'PacDCGAN2': ('840.7 ± 15.92', '1.00 ± 0.05'),
      'PacDCGAN3': ('866.6 ± 12.10', '0.90 ± 0.04'),
      'PacDCGAN4': ('820.2 ± 25.50', '1.15 ± 0.14'),
    },
  ),
  'unrolled_quarter': _unrolled(
    (2, 4, 8),
    {
      'DCGAN, Metz et al.': ('30.6 ± 20.73', '5.99 ± 0.42'),
      'Unrolled 1': ('65.4 ± 34.75', '5.91 ± 0.14'),
      'Unrolled 5': ('236.4 ± 63.30', '4.67 ± 0.43'),
      'Unrolled 10': ('327.2 ± 74.67', '4.66 ± 0.46'),
      'DCGAN, Lin et al.': ('78.5 ± 17.56', '5.21 ± 0.19'),
      'PacDCGAN2': ('484.5 ± 32.99', '2.61 ± 0.22'),
      'PacDCGAN3': ('601.3 ± 32.18', '2.00 ± 0.17'),
      'PacDCGAN4': ('667.4 ± 29.00', '1.81 ± 0.15'),
    },
  ),
  # Table 2: standard errors of 10 runs; the first four are VEEGAN's (Srivastava
  # et al. 2017, https://arxiv.org/abs/1705.07761).
  'pacgan': Setting(
    _LAYERS
    | {
      'batch_size': 64,
      'latent_size': 100,
      'latent': 'uniform',
      'generator.widths': (512, 256, 128, 64),  # 2, 4, 7, 14, 28 pixels
      'generator.strides': (2, 2, 2, 2),
      'generator.kernel': 5,
      'discriminator.widths': (64, 128, 256, 512),
      'discriminator.kernel': 5,
      'discriminator.slope': 0.2,
    },
    100_000,
    26_000,
    {
      'DCGAN, Srivastava et al.': ('99', '3.40'),
      'ALI': ('16', '5.40'),
      'Unrolled GAN': ('48.7', '4.32'),
      'VEEGAN': ('150', '2.95'),
      'DCGAN, Lin et al.': ('78.9 ± 6.46', '4.50 ± 0.127'),
      'PacDCGAN2': ('1000.0 ± 0.00', '0.06 ± 0.003'),
      'PacDCGAN3': ('1000.0 ± 0.00', '0.06 ± 0.003'),
      'PacDCGAN4': ('1000.0 ± 0.00', '0.07 ± 0.005'),
    },
  ),
}

_RECIPE = {
  'penalties.r1': 0.5,  # gamma is 1
  'ema_halflife': 10_000.0,
  'generator.initializer': 'lecun',
  'discriminator.norm': 'none',
  'discriminator.initializer': 'lecun',
}
# name -> fields that differ from the setting's.
METHODS = {
  'DCGAN': {},
  'packing of 2': {'pack': 2},
  'packing of 3': {'pack': 3},
  'packing of 4': {'pack': 4},
  'R1': _RECIPE,
  'relativistic, R1 + R2': _RECIPE
  | {'loss': 'relativistic_pairing', 'penalties.r2': 0.5},
}


def configure(setting: str, method: str, rounds: int = 0):
  """The config of a row; 0 rounds are those of the setting."""
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  found = SETTINGS[setting]
  config = experiment.changed(config, {**found.fields, **METHODS[method]})
  # What the papers call a batch are examples of the discriminator.
  config.batch_size *= config.pack
  config.num_steps = rounds or found.rounds
  config.steps_per_call = math.gcd(config.num_steps, ROUNDS_PER_CALL)
  return config


def stacks(digits: np.ndarray, num: int, seed: int) -> data.Dataset:
  """Random triples of digits [N, H, W, 1] as images [num, H, W, 3]."""
  rng = np.random.default_rng(seed)
  rows = rng.integers(0, len(digits), (num, CHANNELS))
  images = np.concatenate([digits[row] for row in rows.T], axis=-1)
  return dataset.from_arrays('stacks', 'mnist', 'train', images)


def scores(images: np.ndarray, features: features_lib.Features) -> list[float]:
  """Modes and KL of images [N, H, W, 3]."""
  digits = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3], 1)
  labels = features.call(digits)['logits'].argmax(-1).reshape(-1, CHANNELS)
  counts = classes_lib.histogram(modes.stacked(labels, DIGITS), MODES)
  return [float(modes.found(counts)), float(modes.divergence(counts))]


def exact(samples: int) -> list[float]:
  """Modes and KL that are expected of a uniform sampler."""
  return [
    MODES * (1.0 - (1.0 - 1.0 / MODES) ** samples),
    modes.floor(MODES, samples)[0],
  ]


def _row(name: str, rounds: str, samples: int, found, seconds: str = '') -> str:
  """A row of the table; found: modes and KL of every seed."""
  number, divergence = zip(*found, strict=True)
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
    for name in given:
      if name not in known:
        sys.exit(f'error: --{flag}: {name!r} is unknown; known: {[*known]}')
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
    found, seconds = [], []
    for seed in range(_SEEDS.value):
      made = stacks(digits, TRIPLES, seed)
      run, took = experiment.train(config, seed, made)
      found.append(scores(evaluate.fakes(run, request), features))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    if config.num_steps < setting.rounds:
      rounds += ', reduced'
    mean = f'{statistics.fmean(seconds):.0f}'
    print(_row(name, rounds, samples, found, mean), flush=True)


if __name__ == '__main__':
  app.run(main)
