"""R3GAN on CIFAR-10: a relativistic loss, R1 and R2, no norms.

Huang et al. 2024, https://arxiv.org/abs/2501.05441

Command: python -m jaxgan.main --config=configs/r3gan_cifar10.py
Time: not measured to the end.
Score: not measured.

Variants: `64`; `paper` (networks and recipe of the paper). With labels:
--config.conditional=True. For a folder instead of TFDS:
--config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks of one block a stage, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  presets.r3gan_narrow(config, (64, 64, 32, 16))
  presets.r3gan_schedules(
    config, images=320_000, halflife=10_000.0, learning_rate=5e-4
  )


def _64(config):
  """One more stage in each network, at 64 x 64 pixels."""
  _default(config)
  config.data.image_size = 64
  presets.r3gan_narrow(config, (64, 64, 32, 16, 16))


def _paper(config):
  """The authors' preset CIFAR10; the smallest images stay float32."""
  config.num_steps = 488_282  # 250 million images
  config.batch_size = 512
  config.flip_reals = True
  config.precision = 'bf16'
  presets.r3gan_schedules(config, augment=0.55)


VARIANTS = {'': _default, '64': _64, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.r3gan())
  config.data.name = 'cifar10'
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
