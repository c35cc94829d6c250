"""Protocols and methods of `benchmarks/stacked_mnist.py`, and their configs.

Settings are those of Lin et al. 2018 (PacGAN, https://arxiv.org/abs/1712.04086)
and of their code. `unrolled_half` and `unrolled_quarter` come from Metz et al.
2017 (https://arxiv.org/abs/1611.02163), with a discriminator of few channels.
Networks have the published layers and sizes. `batch_size` counts what the
discriminator sees, so packing of m takes m times as many images. Both updates
of a round have the same latents.

Rows with R1 are our recipe on the same layers: a discriminator without norm,
initial kernels that keep variances, averaged weights.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan.config import presets

ROUNDS_PER_CALL = 100  # Small networks would wait for Python otherwise.


class Setting(NamedTuple):
  """One protocol.

  Attributes:
    fields: config fields by dotted name.
    rounds: rounds of a run.
    samples: number of scored samples.
    published: row -> modes, KL; with standard errors where there are any.
  """

  fields: Mapping[str, Any]
  rounds: int
  samples: int
  published: Mapping[str, tuple[str, str]]


# Layers of the networks of both codes, which follow the same DCGAN.
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
  """Returns a setting of Lin et al. 2018, table 3; errors are over 50 runs."""
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
  # Table 2; standard errors are over 10 runs. The first four rows are from
  # VEEGAN (Srivastava et al. 2017, https://arxiv.org/abs/1705.07761).
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
  """Returns the config of a row; 0 rounds is the number of the setting."""
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  protocol = SETTINGS[setting]
  config = experiment.changed(config, {**protocol.fields, **METHODS[method]})
  # A batch of the papers counts inputs of the discriminator.
  config.batch_size *= config.pack
  config.num_steps = rounds or protocol.rounds
  config.steps_per_call = math.gcd(config.num_steps, ROUNDS_PER_CALL)
  return config
