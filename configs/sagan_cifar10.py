"""SAGAN on CIFAR-10: self-attention (Zhang et al. 2018).

https://arxiv.org/abs/1805.08318

Command: python -m jaxgan.main --config=configs/sagan_cifar10.py
Time: not measured to the end.
Score: not measured.

Variants: `64`, `paper` (networks and recipe of StudioGAN for 32 x 32 pixels).
For a folder with one folder per class instead of TFDS:
--config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks, batches of 32, and one discriminator update a round."""
  config.num_steps = 10_000
  presets.resnet_narrow(config)
  # Two time scales, in the proportion of the paper (section 4).
  config.generator.optimizer.learning_rate = 2.5e-4
  config.discriminator.optimizer.learning_rate = 1e-3


def _64(config):
  """One more block in each network, at 64 x 64 pixels."""
  _default(config)
  config.data.image_size = 64
  presets.resnet_narrow(config, blocks=5)
  config.discriminator.attention = (2,)


def _paper(config):
  """StudioGAN's recipe; the paper has networks for 128 x 128 pixels alone."""
  config.num_steps = 100_000
  config.batch_size = 64
  config.discriminator_steps = 5
  config.generator.update(spectral_labels=True, epsilon=1e-4)
  config.discriminator.rectified = True
  for player in ('generator', 'discriminator'):
    config[player].initializer = 'orthogonal'
    config[player].optimizer.update(b1=0.5, b2=0.999, eps=1e-6)


VARIANTS = {'': _default, '64': _64, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.name = 'cifar10'
  config.conditional = True
  config.loss = 'hinge'
  config.latent_size = 128
  config.update(presets.resnet())
  config.generator.update(spectral_norm=True, attention=(2,))
  config.discriminator.attention = (1,)
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
