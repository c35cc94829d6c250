r"""DCGAN on MNIST (Radford et al. 2015, https://arxiv.org/abs/1511.06434).

  python -m jaxgan.main --config=configs/dcgan_mnist.py --workdir=runs/dcgan

Variants: `tutorial`; `resize`, the default with resize-convolutions; `64`, the
default at 64 x 64 pixels.

The default trained on the embedded digits in 9 minutes on two CPU cores that
had as much other work (6,000 rounds; 28 a second when alone): about three
quarters of the samples can be read, strokes are clean. With 1,700 rounds on
MNIST's 60,000 digits it had a Frechet distance of 9.8 (5,000 samples, features
of our classifier); with a rate of 2e-4, weight 1 of R1 and batches of 64, 25.4
after 888 rounds, in about the same time. `tutorial` runs at 9.6 rounds/s alone;
its losses beside the printed ones are in the README. `resize` after 2,386
rounds, in 8 minutes beside other work: smooth strokes, a good half of the
samples can be read (12 rounds a second when alone; a round takes half the time
since). `64` after 1,661 rounds, of which the last 1,301 took 5 minutes (4 a
second): clean strokes at twice the size, two thirds are digits.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small kernels, R1, and samples from averaged weights."""
  config.num_steps = 6_000
  presets.quick(config)
  config.penalties.r1 = 0.3
  config.ema_halflife = 10_000.0


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
