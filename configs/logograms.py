r"""The 128 x 128 logogram GAN, from 38 images.

  python -m jaxgan.main --config=configs/logograms.py --workdir=runs/logograms \
    --config.data.path=PATH
  python -m jaxgan.main --mode=sample --workdir=runs/logograms --format=mp4

The default shows reals and fakes through differentiable augmentation (Zhao et
al. 2020, https://arxiv.org/abs/2006.10738), without which a discriminator knows
38 images by heart. Variant: `tutorial`. The second command makes the video of
an interpolation, which the tutorial leaves to the reader.

The default trained on the 38 logograms for all of its 2,000 rounds, 4.2 a
second on two CPU cores when alone, 8 minutes: rings with blots, spurs and
tails, each at another place, none alike; the fine strokes inside are missing. A
video of four paths for 6 seconds took 24 s.
300 of the 1,200 rounds of `tutorial`, 7 minutes on one core: separate blots
that lie on a ring, all different.
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
