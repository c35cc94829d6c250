"""EBGAN on MNIST: energy-based GANs (Zhao et al. 2016).

https://arxiv.org/abs/1609.03126

Command: python -m jaxgan.main --config=configs/ebgan_mnist.py
Time: 6.5 minutes with a third of one CPU core.
Score: Frechet distance of random features 0.020 after 600 rounds on the
  embedded digits, 0.19 after 300. Without learning it is 22; below 0.5 works.

The pulling-away term has the weight of the paper. Variants: `plain` without it.
"""

from jaxgan import config as config_lib
from jaxgan import energy_gan, presets
from jaxgan.config import fields


def _default(config):
  """With the pulling-away term."""
  config.pulling_away = 0.1


def _plain(config):
  """Without the pulling-away term."""


VARIANTS = {'': _default, 'plain': _plain}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  config.update(fields.build(energy_gan.FIELDS))
  presets.energy(config)
  config.energy = 'ebgan'
  config.margin = 0.3

  config_lib.vary(config, VARIANTS, variant)
  return config
