"""R3GAN on MNIST: a relativistic loss, R1 and R2, no norms.

Huang et al. 2024, https://arxiv.org/abs/2501.05441

Command: python -m jaxgan.main --config=configs/r3gan_mnist.py
Time: not measured to the end.
Score: not measured.

Variants: `paper` (the paper's networks and recipe for CIFAR-10). With labels:
--config.conditional=True
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks of one block a stage, and batches of 32."""
  config.num_steps = 6_000
  config.batch_size = 32
  presets.r3gan_narrow(config, (64, 64, 32, 16))
  presets.r3gan_schedules(
    config, images=192_000, gamma=1.0, halflife=10_000.0, learning_rate=5e-4
  )


def _paper(config):
  """The authors' preset CIFAR10, in which small images have 4 x 4 pixels."""
  config.num_steps = 39_063  # 20 million images
  config.batch_size = 512
  config.precision = 'bf16'
  presets.r3gan_schedules(config, augment=0.55)


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.r3gan())
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
