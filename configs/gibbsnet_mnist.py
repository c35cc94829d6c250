"""GibbsNet on MNIST (Lamb et al. 2017).

https://arxiv.org/abs/1712.04120

Command: python -m jaxgan.main --config=configs/gibbsnet_mnist.py
Time: not measured.
Score: not measured, no run has ended.

Variants: `ali` (no chain: latents come from the prior).
"""

from jaxgan import config as config_lib
from jaxgan import gibbsnet, presets
from jaxgan.config import fields


def _default(config):
  """Chains of three steps."""


def _ali(config):
  """No chain, the method that GibbsNet extends."""
  config.chain = 0


VARIANTS = {'': _default, 'ali': _ali}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(gibbsnet.FIELDS))
  config.update(presets.mlp())
  config.method = 'gibbsnet'
  presets.with_encoder(config, 5_000)
  config.generator.norm = 'layer'  # Chains leave the prior's statistics.
  config_lib.vary(config, VARIANTS, variant)
  return config
