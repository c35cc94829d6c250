"""Conditional GAN on CIFAR-10 (Mirza and Osindero 2014).

https://arxiv.org/abs/1411.1784

Command: python -m jaxgan.main --config=configs/cgan_cifar10.py
Time: 10 minutes on one CPU core.
Score: Frechet distance 2.08, recall 0.59 (docs/results.md).

Variants: `tutorial`. For a folder with one folder per class instead of TFDS:
--config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """A projection discriminator, R1, and samples from averaged weights."""
  config.num_steps = 10_000
  presets.quick(config)
  presets.decay(config)
  config.penalties.r1 = presets.r1_weight(32)
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the CIFAR-10 CGAN tutorial: two time scales.

  Fakes have the labels of the reals here, and labels of their own there.
  """
  config.num_steps = 189_002  # 121 passes of 1,562 batches
  config.batch_size = 32
  presets.as_tutorial(config)
  presets.keras_layers(config)
  config.generator.update(widths=(512, 256, 128, 64), strides=(2, 2, 2, 2))
  config.discriminator.update(
    widths=(64, 128, 256, 512), hidden=512, conditioning='concat'
  )
  config.generator.optimizer.learning_rate = 4e-4


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.name = 'cifar10'
  config.conditional = True
  config.update(presets.dcgan())
  config.generator.update(
    widths=(256, 128, 64), strides=(2, 2, 2), dense_bias=True
  )
  config.discriminator.update(
    widths=(64, 128, 256),
    hidden=0,  # units of a dense layer before the last; 0 is none
    conditioning='projection',  # or concat, or auxiliary
  )
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
