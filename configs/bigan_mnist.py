"""A bidirectional GAN on MNIST (Donahue et al. 2017; Dumoulin et al. 2017).

https://arxiv.org/abs/1605.09782

Command: python -m jaxgan.main --config=configs/bigan_mnist.py
Time: 100 seconds on one busy core.
Score: nearest held-out codes are of another class for 12.9 % of the digits, and
nearest images for 34.6 % of the reconstructions, on MNIST; chance is 90 %.

Variants: `ali` (https://arxiv.org/abs/1606.00704: the encoder draws codes).
"""

from jaxgan import bigan, presets
from jaxgan import config as config_lib
from jaxgan.config import fields


def _default(config):
  """Fifty uniform latents, as in the paper; narrower networks."""


def _ali(config):
  """Normal latents and an encoder that draws codes."""
  config.latent = 'normal'
  config.stochastic = True


VARIANTS = {'': _default, 'ali': _ali}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(bigan.FIELDS))
  config.update(presets.mlp())
  config.method = 'bigan'
  config.latent = 'uniform'
  presets.with_encoder(config, 2_000)
  config_lib.vary(config, VARIANTS, variant)
  return config
