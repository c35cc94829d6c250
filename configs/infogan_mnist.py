"""InfoGAN on MNIST (Chen et al. 2016).

https://arxiv.org/abs/1606.03657

Command: python -m jaxgan.main --config=configs/infogan_mnist.py
Time: not measured.
Score: not measured.

Rows of categories: --mode=sample --workdir=PATH --walk=0; the uniform codes are
dimensions 10 and 11.
"""

from jaxgan import config as config_lib
from jaxgan import infogan, presets
from jaxgan.config import fields


def _default(config):
  """A categorical code, two uniform codes and noise."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  config.method = 'infogan'
  config.num_steps = 10_000
  config.update(fields.build(infogan.FIELDS))
  config.latent_size = 62
  config.penalties.r1 = 0.05
  config.ema_halflife = 10_000.0
  config.discriminator.update(conditioning='auxiliary', hidden=0)
  presets.quick(config)
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
