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
  config.num_steps = 2_000
  config.batch_size = 128
  config.ema_halflife = 10_000.0
  config.penalties.r1 = 0.05
  config.eval_every = 500
  config.steps_per_call = 50
  config.generator.widths = (256, 512)
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
