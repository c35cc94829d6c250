r"""R3GAN for faces, from a folder or from TFDS.

Huang et al. 2024, https://arxiv.org/abs/2501.05441

Command: python -m jaxgan.main --config=configs/r3gan_faces.py \
  --config.data.source=folder --config.data.path=FOLDER
Time: not measured to the end.
Score: not measured.

Variants: `32`, `paper` (networks and recipe of the paper for 64 x 64 pixels).
CelebA from TFDS: --config.data.source=tfds --config.data.name=celeb_a
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _64(config):
  """Narrow networks of one block a stage, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  presets.r3gan_narrow(config, (64, 64, 32, 16, 16))
  presets.r3gan_schedules(
    config, images=320_000, gamma=2.0, halflife=10_000.0, learning_rate=5e-4
  )


def _32(config):
  """One stage less in each network, at 32 x 32 pixels."""
  _64(config)
  config.data.image_size = 32
  presets.r3gan_narrow(config, (64, 64, 32, 16))
  presets.r3gan_schedules(
    config, images=320_000, gamma=0.5, halflife=10_000.0, learning_rate=5e-4
  )


def _paper(config):
  """The authors' preset FFHQ-64; the smallest images stay float32."""
  config.num_steps = 390_625  # 100 million images
  config.batch_size = 256
  config.flip_reals = True
  config.precision = 'bf16'
  for player, widths, cardinality in (
    ('generator', (768,) * 4 + (384,), (96,) * 4 + (48,)),
    ('discriminator', (384,) + (768,) * 4, (48,) + (96,) * 4),
  ):
    config[player].update(
      widths=widths, cardinality=cardinality, blocks=(2,) * 5
    )
  presets.r3gan_schedules(config, gamma=2.0, halflife=500_000.0, augment=0.3)


VARIANTS = {'': _64, '32': _32, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.r3gan())
  config.data.source = 'folder'
  config.data.name = 'celeb_a'
  config.data.update(channels=3, image_size=64)
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
