"""Least-squares GAN on MNIST (Mao et al. 2017).

https://arxiv.org/abs/1611.04076

Command: python -m jaxgan.main --config=configs/lsgan_mnist.py
Time: 4 min 15 s on two busy CPU cores, on the embedded digits.
Score: Frechet distance 0.863 after 260 s on MNIST (benchmarks.quality).

Variants: `tutorial`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """R1, and samples from averaged weights."""
  config.num_steps = 15_000
  config.penalties.r1 = 0.5
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the MNIST LSGAN tutorial.

  Half a batch for the discriminator there: 16 reals and 16 fakes, and 32 fakes
  for the generator; 16 of each here. Reals come from the first 30,000 digits.
  """
  config.num_steps = 189_375  # 101 passes of 1,875 rounds
  config.batch_size = 16
  presets.as_tutorial(config)
  config.label_smoothing.real = 0.0
  config.discriminator_batches = 'joint'
  config.data.limit = 30_000


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.mlp())  # 128-256-512 units in each
  config.loss = 'least_squares'
  config.steps_per_call = 10
  config_lib.vary(config, VARIANTS, variant)
  return config
