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
  config.energy = 'magan'
  config.margin = 0.3

  config_lib.vary(config, VARIANTS, variant)
  return config
