"""Auxiliary classifier GAN on MNIST (Odena et al. 2017).

https://arxiv.org/abs/1610.09585

Command: python -m jaxgan.main --config=configs/acgan_mnist.py
Time: 8 minutes on two busy CPU cores, on the embedded digits.
Score: Frechet distance 1.36 after 260 s on MNIST (benchmarks.quality).

Variants: `projection` (https://arxiv.org/abs/1802.05637).
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  config.discriminator.conditioning = 'auxiliary'
  config.auxiliary = 1.0
  config.penalties.r1 = 0.3


def _projection(config):
  config.discriminator.conditioning = 'projection'
  config.discriminator.spectral_norm = True
  config.loss = 'hinge'


VARIANTS = {'': _default, 'projection': _projection}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 6_000
  config.conditional = True
  config.ema_halflife = 10_000.0
  config.update(presets.dcgan())
  presets.quick(config)
  config.discriminator.conditioning = 'auxiliary'  # or projection, or concat
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
