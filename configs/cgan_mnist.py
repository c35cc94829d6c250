"""Conditional GAN on MNIST (Mirza and Osindero 2014).

https://arxiv.org/abs/1411.1784

Command: python -m jaxgan.main --config=configs/cgan_mnist.py
Time: 5 minutes on two busy CPU cores, on the embedded digits.
Score: Frechet distance 0.486 after 260 s on MNIST (benchmarks.quality).

Variants: `tutorial`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """One-hot labels, R1, and samples from averaged weights."""
  config.num_steps = 15_000
  for player in ('generator', 'discriminator'):
    config[player].conditioning = 'concat'
  config.penalties.r1 = 1.0
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the MNIST CGAN tutorial: products with embeddings.

  Fakes have the labels of the reals here, and labels of their own there.
  """
  config.num_steps = 94_637  # 101 passes over 60,000 images
  presets.as_tutorial(config)


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.mlp())  # 128-256-512 units in each
  config.conditional = True
  for player in ('generator', 'discriminator'):
    config[player].conditioning = 'multiply'  # or concat
  config.steps_per_call = 10
  config_lib.vary(config, VARIANTS, variant)
  return config
