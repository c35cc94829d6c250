"""StyleGAN2 on CIFAR-10: styles, noise for every pixel, lazy R1.

Karras et al. 2020, https://arxiv.org/abs/1912.04958 and
https://arxiv.org/abs/2006.06676

Command: python -m jaxgan.main --config=configs/stylegan2_cifar10.py
Time: not measured to the end.
Score: not measured.

Variants: `64`; `paper` (the authors' preset for CIFAR-10, without adaptive
augmentation). With labels: --config.conditional=True. The embedded digits:
--config.data.name=mnist. A folder: --config.data.source=folder
--config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks of two layers of mapping, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  config.ema_halflife = 10_000.0
  config.generator.mapping_layers = config.discriminator.mapping_layers = 2
  presets.stylegan2_widths(config, (64, 64, 32, 16), units=64)


def _64(config):
  """One more stage in each network, at 64 x 64 pixels."""
  _default(config)
  config.data.image_size = 64
  presets.stylegan2_widths(config, (64, 64, 32, 16, 16), units=64)


def _paper(config):
  """The authors' preset `cifar`; the smallest images stay float32."""
  config.num_steps = 1_562_500  # 100 million images
  config.batch_size = 64
  config.precision = 'bf16'
  config.ema_halflife = 500_000.0
  config.generator.mapping_layers = 2
  config.discriminator.group = 32
  presets.stylegan2_widths(config, (512,) * 4)


VARIANTS = {'': _default, '64': _64, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.stylegan2())
  config.data.name = 'cifar10'
  config.sample_every = config.checkpoint_every = 1_000
  config.discriminator.architecture = 'orig'
  # No path lengths and no mixing, as the authors' preset.
  presets.stylegan2_recipe(
    config, gamma=0.01, learning_rate=0.0025, path_length=0.0, mixing=0.0
  )
  config_lib.vary(config, VARIANTS, variant)
  return config
