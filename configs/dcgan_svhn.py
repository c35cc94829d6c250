r"""DCGAN on street view house numbers (Radford et al. 2015).

https://arxiv.org/abs/1511.06434

Command: python -m jaxgan.main --config=configs/dcgan_svhn.py
Time: 4 minutes for 1,036 of 10,000 rounds on two busy CPU cores, on CIFAR-10.
Score: not measured.

Variants: `tutorial`. The default data are procedural street numbers, see
docs/data.md. Real ones: --config.data.source=tfds \
  --config.data.name=svhn_cropped --config.data.download=True
TFDS prepares them with TensorFlow, which pip install ".[tfds]" installs.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small 4 x 4 kernels, R1 and no batch norm in D, and averaged weights."""
  config.num_steps = 10_000
  config.latent = 'normal'
  config.generator.update(kernel=4, widths=(256, 128, 64))
  config.discriminator.update(kernel=4, norm='none')
  presets.quick(config)
  presets.decay(config)
  config.penalties.r1 = presets.r1_weight(32)
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the tutorial: batch norm in both, of the batch at hand.

  Differences: there the last batch of a pass is smaller, and pixels are scaled
  by the smallest value of each batch.
  """
  config.num_steps = 14_325  # 25 passes of 573 batches
  config.batch_size = 128
  config.latent_reuse = True
  config.data.shuffle = False
  config.generator.initializer = config.discriminator.initializer = 'glorot'


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.source = 'procedural'
  config.data.name = 'street_numbers'
  config.latent = 'uniform'
  config.update(presets.dcgan())
  config.generator.update(
    widths=(512, 256, 128),
    strides=(2, 2, 2),
    kernel=5,
    momentum=0.99,
    dense_bias=True,
    bias=True,
  )
  config.discriminator.update(widths=(64, 128, 256), kernel=5, norm='batch')
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
