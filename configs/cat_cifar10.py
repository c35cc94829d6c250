"""CAT on CIFAR-10: transformers, judged at four scales that are aligned.

2026, https://arxiv.org/abs/2605.26449

Command: python -m jaxgan.main --config=configs/cat_cifar10.py
Time: not measured to the end; made for one GPU.
Score: not measured.

Variants: `64`; `gpu` (8 blocks of width 192, batches of 256); `paper` (CAT-M/2
with the paper's recipe) and `paper_h` (CAT-H/2, its state split over devices),
both for --config.dry_run=True. With labels: --config.conditional=True. For a
folder instead of TFDS: --config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Four blocks of width 128 in each network, and batches of 32."""
  config.num_steps = 10_000
  config.batch_size = 32
  config.ema_halflife = 10_000.0


def _gpu(config):
  """The networks for 32 pixels."""
  config.num_steps = 100_000
  config.batch_size = 256
  config.ema_halflife = 100_000.0
  config.augment = ('color', 'translation', 'cutout')
  presets.transformer_sides(config, 32)


def _64(config):
  """The networks for 64 pixels."""
  _gpu(config)
  config.data.image_size = 64
  presets.transformer_sides(config, 64)


def _paper(config):
  """The networks for latents of ImageNet; here, channels of RGB."""
  presets.transformer_paper(config, 'cat', 'M', 'B')


def _paper_h(config):
  """The largest networks of the paper, CAT-H/2."""
  presets.transformer_paper(config, 'cat', 'H', 'B')
  config.shard_parameters = True


VARIANTS = {
  '': _default,
  '64': _64,
  'gpu': _gpu,
  'paper': _paper,
  'paper_h': _paper_h,
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.cat())
  config.data.name = 'cifar10'
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
