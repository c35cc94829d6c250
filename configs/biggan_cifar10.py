"""BigGAN on CIFAR-10 (Brock et al. 2018).

https://arxiv.org/abs/1809.11096

Command: python -m jaxgan.main --config=configs/biggan_cifar10.py
Time: not measured to the end.
Score: not measured.

Variants: `64`; `paper` (StudioGAN's networks and recipe for 32 x 32 pixels);
`ajbrock` (those of the author's PyTorch code). For a folder with one folder per
class instead of TFDS: --config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks, batches of 32, and one discriminator update a round."""
  config.num_steps = 10_000
  presets.resnet_narrow(config)
  config.generator.embedding = 32
  # Two time scales, in the proportion of the paper (section 3).
  config.generator.optimizer.learning_rate = 2.5e-4
  config.discriminator.optimizer.learning_rate = 1e-3


def _64(config):
  """One more block in each network, at 64 x 64 pixels."""
  _default(config)
  config.data.image_size = 64
  config.latent_size = 100
  presets.resnet_narrow(config, blocks=5)
  config.discriminator.attention = (2,)


def _paper(config):
  """StudioGAN's recipe; the paper has networks from 128 x 128 pixels on."""
  config.num_steps = 100_000
  config.batch_size = 64
  config.discriminator_steps = 5
  # A decay of 0.9999 a round.
  config.ema_halflife = 6_931.0 * config.batch_size
  config.generator.update(widths=(384,) * 4, embedding=128, epsilon=1e-4)
  config.discriminator.update(widths=(192,) * 4, rectified=True)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(b1=0.5, b2=0.999, eps=1e-6)


def _ajbrock(config):
  """The author's script for CIFAR-10: no attention, latents in one part."""
  config.num_steps = 125_000  # 500 passes over 50,000 images
  config.batch_size = 50
  config.discriminator_steps = 4
  config.latent_size = 128
  config.ema_halflife = 6_931.0 * config.batch_size
  config.generator.update(
    widths=(256,) * 4, attention=(), hierarchical=False, embedding=0
  )
  config.discriminator.update(widths=(256,) * 4, attention=())
  for player in ('generator', 'discriminator'):
    config[player].initializer = 'normal'
    config[player].optimizer.b2 = 0.999


VARIANTS = {'': _default, '64': _64, 'paper': _paper, 'ajbrock': _ajbrock}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.name = 'cifar10'
  config.conditional = True
  config.loss = 'hinge'
  config.latent_size = 80  # in parts for the small image and for each block
  config.update(presets.resnet())
  config.generator.update(
    initializer='orthogonal',
    spectral_norm=True,
    attention=(2,),
    hierarchical=True,
    embedding=128,
  )
  config.discriminator.update(initializer='orthogonal', attention=(1,))
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
