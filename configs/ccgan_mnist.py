"""Context-conditional GAN: completes digits with a hole (Denton et al. 2016).

https://arxiv.org/abs/1611.06430

Command: python -m jaxgan.main --config=configs/ccgan_mnist.py
Time: 18 minutes on two busy CPU cores, on the embedded digits.
Score: 14.7 dB in the holes of 500 held-out digits.

Variants: `tutorial`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """The tutorial's networks with half the channels, for two cores.

  The discriminator sees the known pixels as they are, the generator knows where
  the hole is, and a distance in the hole tells it what was there.
  """
  config.num_steps = 3_000
  config.batch_size = 32
  config.generator.widths = (16, 32, 64, 128)
  config.discriminator.widths = (32, 64, 128)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.learning_rate = 1e-3
  config.mask.channel = True
  config.compositing = True
  config.reconstruction.weight = 1.0
  config.discriminator.slopes = (0.2, 0.2, 0.2)
  config.discriminator.spectral_norm = True
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the CCGAN tutorial.

  The known pixels are not pasted and there is no reconstruction term, so that
  nothing keeps the other strokes of a digit. Its real label of 0.9 is the
  generator's target too.
  """
  presets.as_tutorial(config)
  config.num_steps = 94_637  # 101 passes over 60,000 images
  config.label_smoothing.generator = True


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.inpainting())
  config.data.image_size = 32
  config.data.resize = 'stretch'

  config.generator = dict(
    name='inpaint.UNet',
    widths=(32, 64, 128, 256),
    kernel=4,
    slope=0.2,
    norm='batch',
    momentum=0.8,
    initializer='lecun',  # a key of layers.INITIALIZERS
    spectral_norm=False,
    optimizer=presets.optimizer(),
  )
  config.discriminator = dict(
    name='inpaint.PatchDiscriminator',
    widths=(64, 128, 256),
    kernel=4,
    slopes=(0.8, 0.2, 0.2),
    initializer='lecun',
    spectral_norm=False,
    optimizer=presets.optimizer(),
  )
  config.mask.size = 10
  config.loss = 'least_squares'
  config.class_weight = 0.5
  # The error in the holes of held-out images.
  config.eval_every = config.sample_every = config.checkpoint_every = 500

  config_lib.vary(config, VARIANTS, variant)
  return config
