r"""DCGAN for faces, from a folder or from TFDS (Radford et al. 2015).

https://arxiv.org/abs/1511.06434

Command: python -m jaxgan.main --config=configs/dcgan_faces.py \
  --config.data.source=folder --config.data.path=FOLDER
Time: 30 minutes on one busy CPU core.
Score: Frechet distance 2.26, recall 0.73 (docs/results.md).

Variants: `28`, `128` (sizes), `paper` (networks and recipe of the paper).
CelebA from TFDS: --config.data.source=tfds --config.data.name=celeb_a
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _28(config):
  config.data.image_size = 28
  config.penalties.r1 = presets.r1_weight(28)
  config.generator.strides = (2, 2)
  presets.quick(config)
  presets.decay(config)


def _64(config):
  config.data.image_size = 64
  config.penalties.r1 = presets.r1_weight(64)
  config.generator.update(widths=(256, 128, 64, 32), strides=(2, 2, 2, 2))
  config.discriminator.widths = (32, 64, 128, 256)
  presets.quick(config)
  presets.decay(config)


def _128(config):
  config.data.image_size = 128
  config.penalties.r1 = presets.r1_weight(128)
  config.generator.update(
    widths=(256, 256, 128, 64, 32), strides=(2, 2, 2, 2, 2)
  )
  config.discriminator.widths = (32, 64, 128, 256, 256)
  presets.quick(config)
  presets.decay(config)


def _paper(config):
  """Figure 1 and section 4: for accelerators."""
  config.data.image_size = 64
  config.batch_size = 128
  config.latent = 'uniform'
  config.ema_halflife = 0.0
  config.generator.update(
    widths=(1024, 512, 256, 128), strides=(2, 2, 2, 2), slope=0.0
  )
  config.discriminator.update(
    widths=(128, 256, 512, 1024), norm='batch', minibatch_stddev=False
  )
  for player in ('generator', 'discriminator'):
    config[player].update(kernel=5, initializer='normal', epsilon=1e-5)


VARIANTS = {'': _64, '28': _28, '128': _128, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 10_000
  config.data.source = 'folder'
  config.data.name = 'celeb_a'
  config.data.channels = 3
  config.ema_halflife = 10_000.0
  config.update(presets.dcgan())
  config.discriminator.minibatch_stddev = True
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
