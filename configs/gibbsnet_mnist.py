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
  config.num_steps = 5_000
  config.batch_size = 128
  config.ema_halflife = 10_000.0
  config.penalties.r1 = 0.05
  config.eval_every = 500
  config.steps_per_call = 50
  config.generator.widths = (256, 512)
  config.generator.norm = 'layer'  # Chains leave the prior's statistics.
  config.discriminator.widths = (512, 512)
  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    widths=(512, 256),
    rectified=False,
    activation='relu',  # a key of autoencoder.ACTIVATIONS
    optimizer=presets.optimizer(),
  )
  for network in (config.generator, config.encoder, config.discriminator):
    network.optimizer.update(
      learning_rate=5e-4,
      b2=0.99,
      schedule='late_linear',
      schedule_images=config.num_steps * config.batch_size,
    )
  config_lib.vary(config, VARIANTS, variant)
  return config
