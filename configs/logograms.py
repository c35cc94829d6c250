r"""GAN for logograms of 128 x 128 pixels, from 38 images.

Command: python -m jaxgan.main --config=configs/logograms.py \
  --config.data.path=FOLDER
Time: 8 minutes on two CPU cores.
Score: not measured.

Variants: `tutorial`. The default uses differentiable augmentation
(https://arxiv.org/abs/2006.10738); without it, the discriminator overfits.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Strided convolutions, augmentation, R1, and averaged weights."""
  config.num_steps = 2_000
  config.batch_size = 16
  config.augment = ('color', 'translation', 'cutout')
  config.penalties.r1 = 1.0
  config.ema_halflife = 2_000.0
  config.update(presets.dcgan())
  config.generator.update(
    widths=(128, 128, 64, 32, 16), strides=(2, 2, 2, 2, 2)
  )
  config.discriminator.widths = (16, 32, 64, 128, 128)


def _tutorial(config):
  """The recipe of the logogram tutorial: 400 passes of 3 batches of 10."""
  config.num_steps = 1_200
  config.batch_size = 10
  config.latent = 'uniform'
  config.discriminator_batches = 'joint'
  config.data.shuffle = False
  descent = dict(name='nesterov', learning_rate=5e-4, b1=0.9)
  config.generator = dict(
    name='logograms.Generator',
    widths=(128, 64),
    hidden=1024,
    norm='batch',
    momentum=0.99,
    initializer='glorot',
    spectral_norm=False,
    optimizer=presets.optimizer(**descent),
  )
  config.discriminator = dict(
    name='logograms.Discriminator',
    widths=(64, 128),
    hidden=256,
    initializer='glorot',
    spectral_norm=False,
    optimizer=presets.optimizer(**descent),
  )


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.source = 'folder'
  config.data.image_size = 128
  config.data.channels = 1
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
