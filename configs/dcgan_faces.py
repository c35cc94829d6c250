r"""Faces, from TFDS or any folder of images (arxiv.org/abs/1511.06434).

  python -m jaxgan.main --config=configs/dcgan_faces.py --workdir=runs/faces \
    --config.data.source=folder --config.data.path=PATH

  python -m jaxgan.main --config=configs/dcgan_faces.py --workdir=runs/celeb \
    --config.data.source=tfds --config.data.name=celeb_a

Colour and 64 x 64 pixels; variants: `28` (the size of the tutorial that leaves
its networks to the reader), `128`. In grey: --config.data.channels=1.

1,800 of the 10,000 rounds of the default, on 13,165 photographs of 64 x 64
pixels, took 11 minutes on two CPU cores that had as much other work: most
samples are faces with eyes, nose and mouth, some smiling; a third are torn or
smeared. 2,478 rounds of `28`, in 8 minutes beside other work: faces that look
this way and that, with glasses, moustaches and smiles; one in ten is torn.
300 rounds of `128`, at one every two seconds beside other work: eyes, nose and
mouth where they belong, as if behind frosted glass.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _28(config):
  config.data.image_size = 28
  config.generator.strides = (2, 2)


def _64(config):
  config.data.image_size = 64
  config.generator.update(widths=(256, 128, 64, 32), strides=(2, 2, 2, 2))
  config.discriminator.widths = (32, 64, 128, 256)


def _128(config):
  config.data.image_size = 128
  config.generator.update(
    widths=(256, 256, 128, 64, 32), strides=(2, 2, 2, 2, 2)
  )
  config.discriminator.widths = (32, 64, 128, 256, 256)


VARIANTS = {'': _64, '28': _28, '128': _128}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 10_000
  config.data.source = 'folder'
  config.data.name = 'celeb_a'
  config.data.channels = 3
  config.penalties.r1 = 1.0
  config.ema_halflife = 10_000.0
  config.update(presets.dcgan())
  config.discriminator.minibatch_stddev = True
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  presets.quick(config)
  return config
