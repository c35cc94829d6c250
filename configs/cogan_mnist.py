"""CoGAN: digits and their outlines from one latent (Liu and Tuzel 2016).

https://arxiv.org/abs/1606.07536

Command: python -m jaxgan.main --config=configs/cogan_mnist.py
Time: 9.9 minutes for 1,200 rounds on a part of one busy CPU core.
Score: 72 % of 500 outlines are nearest to that of their digit, after 1,200
  rounds; by chance 0.2 %. More than 50 % after 500 rounds works.

Half of the digits are outlined, and the networks see no pair. Variants: `apart`
shares only dense layers, so fewer images of a latent belong together.
"""

from jaxgan import cogan, presets
from jaxgan import config as config_lib
from jaxgan.config import fields


def _default(config):
  """Shares all but the last doubling and the first halving."""


def _apart(config):
  """No shared layer but the dense ones."""
  config.generator.shared = config.discriminator.shared = 0


VARIANTS = {'': _default, 'apart': _apart}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(fields.build(cogan.FIELDS))
  config.method = 'cogan'
  config.num_steps = 3_000
  config.batch_size = 32
  config.latent_size = 64
  config.generator = dict(
    name='cogan.Generator',
    widths=(128, 64),
    shared=1,
    optimizer=presets.optimizer(learning_rate=1e-3, b2=0.99),
  )
  config.discriminator = dict(
    name='cogan.Discriminator',
    widths=(32, 64),
    shared=1,
    optimizer=presets.optimizer(learning_rate=1e-3, b2=0.99),
  )
  config.penalties.r1 = 0.05
  config.ema_halflife = 10_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
