"""InfoGAN on MNIST (Chen et al. 2016).

https://arxiv.org/abs/1606.03657

Command: python -m jaxgan.main --config=configs/infogan_mnist.py
Time: 25 minutes at the 13.5 rounds/s of two CPU cores; 36 on one busy core.
Score: 4.4 % errors as an unsupervised classifier, 60,000 official digits.

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
  config.num_steps = 20_000
  config.update(fields.build(infogan.FIELDS))
  config.latent_size = 62
  config.penalties.r1 = 0.05
  config.ema_halflife = 10_000.0
  config.discriminator.update(conditioning='auxiliary', hidden=256)
  # A dense layer lets z mean something else in each category.
  config.generator.hidden = 512
  # Slant, size and position say nothing about the code, digits do.
  config.augment = ('affine',)
  presets.quick(config)
  # The discriminator learns slowly, so that codes become classes of digits.
  config.generator.optimizer.learning_rate = 1e-3
  config.discriminator.optimizer.learning_rate = 2e-4
  for network in (config.generator, config.discriminator):
    network.optimizer.schedule = 'late_linear'
    network.optimizer.schedule_images = config.num_steps * config.batch_size
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
