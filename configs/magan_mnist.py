"""MAGAN on MNIST: EBGAN with an adaptive margin (Wang et al. 2017).

https://arxiv.org/abs/1704.03817

Command: python -m jaxgan.main --config=configs/magan_mnist.py
Time: not measured; a round costs that of configs/ebgan_mnist.py.
Score: Frechet distance of random features 0.13 after 300 rounds on the
  embedded digits. Without learning it is 22; below 0.5 works.
"""

from jaxgan import config as config_lib
from jaxgan import energy_gan, presets
from jaxgan.config import fields


def _default(config):
  """The margin may fall once in an epoch of the embedded digits."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  config.update(fields.build(energy_gan.FIELDS))
  presets.energy(config)
  config.energy = 'magan'
  config.margin = 0.3

  config_lib.vary(config, VARIANTS, variant)
  return config
