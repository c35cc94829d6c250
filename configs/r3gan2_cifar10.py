"""R3GAN2 on CIFAR-10: unit weights, R1 alone, averages of several widths.

Unpublished, public code: https://github.com/IFeelBloated/R3GAN2

Command: python -m jaxgan.main --config=configs/r3gan2_cifar10.py
Time: not measured to the end; made for one GPU.
Score: not measured.

Variants: `paper` (the authors' networks, for --config.dry_run=True). With
labels: --config.conditional=True. For a folder instead of TFDS:
--config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks of one block a stage, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  for player in ('generator', 'discriminator'):
    config[player].update(
      width=32, blocks=(1,) * 3, group_width=16, embedding=64
    )
  presets.r3gan2_schedules(config, images=320_000, gamma=0.1, warmup=3_200)


def _paper(config):
  """The authors' networks and recipe for CIFAR-10, with labels."""
  config.num_steps = 390_625  # 200 million images
  config.batch_size = 512
  config.conditional = True
  config.flip_reals = True
  config.precision = 'bf16'
  presets.r3gan2_schedules(config, augment=0.55)


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.r3gan2())
  config.data.name = 'cifar10'
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
