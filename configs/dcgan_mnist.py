"""DCGAN on MNIST (Radford et al. 2015).

https://arxiv.org/abs/1511.06434

Command: python -m jaxgan.main --config=configs/dcgan_mnist.py
Time: 3 min 30 s on two CPU cores, beside tests, on the embedded digits.
Score: Frechet distance 3.26 on held-out embedded digits (training digits 1.5).

Variants: `tutorial`, `resize` (resize-convolutions), `64` (64 x 64 pixels).
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Few channels, a third convolution, R1, and averaged weights.

  With two convolutions of stride 2, the logit is a sum over 7 x 7 places, each
  of which sees a part of the digit, and more samples are no digits.
  """
  config.num_steps = 8_000
  presets.quick(config)
  config.discriminator.widths = (32, 64, 128)
  config.penalties.r1 = 1.0
  config.ema_halflife = 10_000.0
  presets.decay(config)


def _resize(config):
  """Nearest pixels, then a convolution (https://doi.org/10.23915/distill.00003).

  Kernels of 3, as enlarged images have no finer detail.
  """
  _default(config)
  config.generator.update(upsampling='resize', kernel=3)


def _64(config):
  _default(config)
  config.data.image_size = 64
  config.generator.update(widths=(128, 64, 32, 16), strides=(2, 2, 2, 2))
  config.discriminator.widths = (16, 32, 64, 128)


def _tutorial(config):
  """The recipe of the MNIST DCGAN tutorial."""
  config.num_steps = 94_637  # 101 passes over 60,000 images
  presets.as_tutorial(config)
  presets.keras_layers(config)
  config.generator.update(widths=(256, 128, 64), strides=(1, 2, 2))


VARIANTS = {
  '': _default,
  'tutorial': _tutorial,
  'resize': _resize,
  '64': _64,
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  config.generator.update(dropout=0.0, dropout_at_test=False)
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
