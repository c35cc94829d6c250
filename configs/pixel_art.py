r"""Pixel art: sprites of 16 x 16 pixels from any folder of small pictures.

  python -m jaxgan.main --config=configs/pixel_art.py --workdir=runs/sprites \
    --config.data.path=PATH
  python -m jaxgan.main --mode=sample --workdir=runs/sprites --num=64
  python -m jaxgan.main --mode=sample --workdir=runs/sprites --palette=4

Pictures of other sizes are reduced to 16 x 16; variant: `32`. Both networks see
them through differentiable augmentation (Zhao et al. 2020,
https://arxiv.org/abs/2006.10738), as sets of sprites are small. Samples have
the `palette` most fitting colours of the training images, which --palette
changes (0 is all); those that training shows have all colours. Grids and
animations are enlarged pixel by pixel.

1,500 of the 5,000 rounds of the default, on 5,000 photographs of aeroplanes
(CIFAR-10) in the place of sprites, took two and a half minutes of processor
time on two cores that had much other work: skies, grounds and dark shapes
between them in 16 colours, hardly an aeroplane yet. `32` has not been trained
here, nor has the default on drawn sprites.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _16(config):
  config.data.image_size = 16
  config.generator.update(widths=(256, 128), strides=(2, 2))
  config.discriminator.widths = (128, 256)


def _32(config):
  config.data.image_size = 32
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
  config.penalties.r1 = 1.0
  config.ema_halflife = 5_000.0
  config.update(presets.dcgan())
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  presets.quick(config)
  return config
