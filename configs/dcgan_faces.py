r"""Faces, from TFDS or any folder of images (arxiv.org/abs/1511.06434).

  python -m jaxgan.main --config=configs/dcgan_faces.py --workdir=runs/faces \
    --config.data.source=folder --config.data.path=PATH

  python -m jaxgan.main --config=configs/dcgan_faces.py --workdir=runs/celeb \
    --config.data.source=tfds --config.data.name=celeb_a

Colour and 64 x 64 pixels; variants: `28` (the size of the tutorial that leaves
its networks to the reader), `128`, and `paper`, the networks and the recipe of
the paper. In grey: --config.data.channels=1.

1,800 of the 10,000 rounds of the default, on 13,165 photographs of 64 x 64
pixels, took 11 minutes on two CPU cores that had as much other work: most
samples are faces with eyes, nose and mouth, some smiling; a third are torn or
smeared. 2,478 rounds of `28`, in 8 minutes beside other work: faces that look
this way and that, with glasses, moustaches and smiles; one in ten is torn.
300 rounds of `128`, at one every two seconds beside other work: eyes, nose and
mouth where they belong, as if behind frosted glass. 100 rounds of `paper`, in
12 minutes beside other work: the shadows of eyes and mouths, no more.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _28(config):
  config.data.image_size = 28
  config.generator.strides = (2, 2)
  presets.quick(config)


def _64(config):
  config.data.image_size = 64
  config.generator.update(widths=(256, 128, 64, 32), strides=(2, 2, 2, 2))
  config.discriminator.widths = (32, 64, 128, 256)
  presets.quick(config)


def _128(config):
  config.data.image_size = 128
  config.generator.update(
    widths=(256, 256, 128, 64, 32), strides=(2, 2, 2, 2, 2)
  )
  config.discriminator.widths = (32, 64, 128, 256, 256)
  presets.quick(config)


def _paper(config):
  """Figure 1 and section 4: for accelerators."""
  config.data.image_size = 64
  config.batch_size = 128
  config.latent = 'uniform'
  config.penalties.r1 = config.ema_halflife = 0.0
  config.generator.update(
    widths=(1024, 512, 256, 128), strides=(2, 2, 2, 2), slope=0.0
  )
  config.discriminator.update(
    widths=(128, 256, 512, 1024), norm='batch', minibatch_stddev=False
  )
  for player in ('generator', 'discriminator'):
    config[player].update(kernel=5, initializer='normal')


VARIANTS = {'': _64, '28': _28, '128': _128, 'paper': _paper}


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
  return config
