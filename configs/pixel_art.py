r"""GAN for sprites of 16 x 16 pixels with a small palette, from a folder.

Command: python -m jaxgan.main --config=configs/pixel_art.py \
  --config.data.path=FOLDER
Time: 8 minutes on one busy CPU core.
Score: not measured.

Variants: `32` (32 x 32 pixels). Samples have the `palette` most fitting
colours of the training images; --palette of --mode=sample changes the number.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _16(config):
  config.data.image_size = 16
  config.penalties.r1 = presets.r1_weight(16)
  config.generator.update(widths=(256, 128), strides=(2, 2))
  config.discriminator.widths = (128, 256)


def _32(config):
  config.data.image_size = 32
  config.penalties.r1 = presets.r1_weight(32)
  config.generator.update(widths=(256, 128, 64), strides=(2, 2, 2))
  config.discriminator.widths = (64, 128, 256)


VARIANTS = {'': _16, '32': _32}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 5_000
  config.data.source = 'folder'
  config.data.channels = 3
  config.palette = 16  # colours of what --mode=sample draws; 0 is all
  config.augment = ('color', 'translation', 'cutout')
  config.ema_halflife = 5_000.0
  config.update(presets.dcgan())
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  presets.quick(config)
  return config
