r"""StyleGAN2 for faces, from a folder or from TFDS.

Karras et al. 2020, https://arxiv.org/abs/1912.04958 and
https://arxiv.org/abs/2006.06676

Command: python -m jaxgan.main --config=configs/stylegan2_faces.py \
  --config.data.source=folder --config.data.path=FOLDER
Time: not measured to the end.
Score: not measured.

Variants: `32`; `paper` (the authors' preset `auto` for 64 x 64 pixels, without
adaptive augmentation); `f64`, `f128`, `f256` (config F). CelebA from TFDS:
--config.data.source=tfds --config.data.name=celeb_a
"""

from jaxgan import config as config_lib
from jaxgan import presets

# Channels of config F at 256 x 256 pixels.
CONFIG_F = (512,) * 5 + (256, 128)


def _64(config):
  """Narrow networks of two layers of mapping, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  config.ema_halflife = 10_000.0
  config.generator.mapping_layers = config.discriminator.mapping_layers = 2
  presets.stylegan2_widths(config, (64, 64, 32, 16, 16), units=64)
  presets.stylegan2_recipe(config, gamma=0.05, learning_rate=0.0025)


def _32(config):
  """One stage less in each network, at 32 x 32 pixels."""
  _64(config)
  config.data.image_size = 32
  presets.stylegan2_widths(config, (64, 64, 32, 16), units=64)


def _paper(config):
  """The authors' preset `auto` on one device; gamma is 2e-4 pixels / batch."""
  config.num_steps = 781_250  # 25 million images
  config.batch_size = 32
  config.precision = 'bf16'
  config.ema_halflife = 10_000.0
  config.generator.mapping_layers = 2
  presets.stylegan2_widths(config, (512,) * 4 + (256,))
  presets.stylegan2_recipe(config, gamma=0.0256, learning_rate=0.0025)


def _config_f(stages: int):
  def variant(config):
    """The paper's config F, in float32."""
    config.num_steps = 781_250  # 25 million images
    config.batch_size = 32
    config.update(ema_halflife=10_000.0, ema_rampup=0.0)
    config.data.image_size = 2 ** (stages + 1)
    presets.stylegan2_widths(config, CONFIG_F[:stages])
    presets.stylegan2_recipe(config)

  return variant


VARIANTS = {
  '': _64,
  '32': _32,
  'paper': _paper,
  'f64': _config_f(5),
  'f128': _config_f(6),
  'f256': _config_f(7),
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.stylegan2())
  config.data.source = 'folder'
  config.data.name = 'celeb_a'
  config.data.update(channels=3, image_size=64)
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
