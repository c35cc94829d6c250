"""Adversarial variational Bayes on MNIST (Mescheder et al. 2017).

https://arxiv.org/abs/1701.04722

Command: python -m jaxgan.main --config=configs/avb_mnist.py
Time: not measured.
Score: not measured, no run has ended.

The paper's adaptive contrast is missing.

Variants: `plane` (two latents).
"""

from jaxgan import avb, presets
from jaxgan import config as config_lib
from jaxgan.config import fields


def _default(config):
  """Eight latents."""


def _plane(config):
  """Two latents."""
  config.latent_size = 2


def _optimizer(config, learning_rate):
  return presets.optimizer(
    learning_rate=learning_rate,
    schedule='late_linear',
    schedule_images=config.num_steps * config.batch_size,
  )


VARIANTS = {'': _default, 'plane': _plane}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(avb.FIELDS))
  config.method = 'avb'
  config.latent_size = 8
  config.num_steps = 5_000
  config.batch_size = 128
  config.ema_halflife = 10_000.0
  config.eval_every = 500
  config.steps_per_call = 50
  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    widths=(300, 300),
    rectified=False,
    activation='relu',  # a key of autoencoder.ACTIVATIONS
    noise_size=32,
    optimizer=_optimizer(config, 3e-4),
  )
  config.generator = dict(
    name='autoencoder.DenseDecoder',
    widths=(300, 300),
    activation='relu',
    optimizer=_optimizer(config, 3e-4),
  )
  # T is faster, because the bound holds at its optimum.
  config.discriminator = dict(
    name='mlp.Discriminator',
    widths=(512, 512),
    slope=0.2,
    optimizer=_optimizer(config, 1e-3),
  )
  config_lib.vary(config, VARIANTS, variant)
  return config
