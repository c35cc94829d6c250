"""An adversarial autoencoder on MNIST (Makhzani et al. 2015).

https://arxiv.org/abs/1511.05644

Command: python -m jaxgan.main --config=configs/aae_mnist.py
Time: about 3 minutes of one core; 8 on a busy one.
Score: held-out square error 0.023, distance of codes to the prior 0.083, on the
embedded digits. Without the game (adversarial=0.0) the distance exceeds 0.15.
Parzen windows, 5,000 rounds on 50,000 official digits: 298.8 nats (paper: 340).

Variants: `plane` (two latents: pictures of the manifold and of the codes),
`paper` (networks of its appendix A.1).
"""

from jaxgan import adversarial_autoencoder, presets
from jaxgan import config as config_lib
from jaxgan.config import fields


def _default(config):
  """Eight latents, as in the paper's table 1."""


def _plane(config):
  """Two latents, figure 2 of the paper."""
  config.latent_size = 2


def _paper(config):
  """Two layers of 1,000 units in every network."""
  for name in ('encoder', 'generator', 'discriminator'):
    config[name].widths = (1_000, 1_000)


def _optimizer(config):
  return presets.optimizer(
    learning_rate=1e-3,
    schedule='late_linear',
    schedule_images=config.num_steps * config.batch_size,
  )


VARIANTS = {'': _default, 'plane': _plane, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(adversarial_autoencoder.FIELDS))
  config.method = 'adversarial_autoencoder'
  config.num_steps = 10_000
  config.batch_size = 100
  config.ema_halflife = 10_000.0
  config.eval_every = 500
  config.steps_per_call = 50
  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    widths=(400, 400),
    rectified=False,
    activation='relu',  # a key of autoencoder.ACTIVATIONS
    optimizer=_optimizer(config),
  )
  config.generator = dict(
    name='mlp.Generator',
    widths=(400, 400),
    slope=0.0,
    norm='none',
    optimizer=_optimizer(config),
  )
  config.discriminator = dict(
    name='mlp.Discriminator',
    widths=(400, 400),
    slope=0.2,
    optimizer=_optimizer(config),
  )
  config_lib.vary(config, VARIANTS, variant)
  return config
