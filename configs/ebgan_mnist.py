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
  config.method = 'energy_gan'
  config.loss = 'wasserstein'
  config.discriminator = dict(
    name='energy.Discriminator',
    widths=(16, 32),
    code_size=32,
    distance='l2',
    optimizer=config.discriminator.optimizer,
  )
  config.num_steps = 3_000
  config.batch_size = 32
  config.latent_size = 50
  config.generator.widths = (64, 32)
  config.ema_halflife = 10_000.0
  for network in (config.generator, config.discriminator):
    network.optimizer.update(learning_rate=1e-3, b2=0.99)
  config.sample_every = config.eval_every = config.checkpoint_every = 500
  config.energy = 'ebgan'
  config.margin = 0.3

  config_lib.vary(config, VARIANTS, variant)
  return config
