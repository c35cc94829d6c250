"""DCGAN on CIFAR-10 (Radford et al. 2015).

https://arxiv.org/abs/1511.06434

Command: python -m jaxgan.main --config=configs/dcgan_cifar10.py
Time: 10 minutes on one CPU core.
Score: Frechet distance 3.43, recall 0.55 (docs/results.md).

Variants: `tutorial`. For a folder with one folder per class instead of TFDS:
--config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small 4 x 4 kernels, R1, and samples from averaged weights."""
  config.num_steps = 10_000
  presets.quick(config)
  presets.decay(config)
  config.penalties.r1 = presets.r1_weight(32)
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the CIFAR-10 DCGAN tutorial."""
  config.num_steps = 235_862  # 151 passes of 1,562 batches
  config.batch_size = 32
  presets.as_tutorial(config)
  presets.keras_layers(config)
  config.generator.update(widths=(512, 256, 128, 64), strides=(2, 2, 2, 2))
  config.discriminator.widths = (64, 128, 256, 512)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.learning_rate = 3e-4


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.name = 'cifar10'
  config.update(presets.dcgan())
  config.generator.update(
    widths=(256, 128, 64), strides=(2, 2, 2), dense_bias=False
  )
  config.discriminator.update(widths=(64, 128, 256), hidden=0)
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
