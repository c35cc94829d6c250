"""Context encoder: completes cats and dogs with a hole (Pathak et al. 2016).

https://arxiv.org/abs/1604.07379

Command: python -m jaxgan.main --config=configs/context_encoder_cifar10.py
Time: 2 minutes on one CPU core.
Score: loss of reconstruction 0.247; twice as wide, 14.5 dB after 600 rounds.

Variants: `tutorial`. For a folder with one folder per class instead of TFDS:
--config.data.source=folder --config.data.path=PATH --config.data.held_out=0.1
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Half the tutorial's channels, which take steps of their own size.

  The generator knows where the hole is, the discriminator can't win at once
  (spectral norm in place of batch norm), and its weight is felt.
  """
  config.num_steps = 4_000
  presets.quick(config)
  config.generator.decoder_widths = (64, 32)
  config.mask.channel = True
  config.reconstruction.weight = 1.0
  config.reconstruction.distance = 'l1'
  config.adversarial = 0.01
  config.discriminator.norm = 'none'
  config.discriminator.spectral_norm = True
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the context encoder tutorial.

  Every epoch shows all cats, then all dogs. Its real label of 0.9 is the
  generator's target too.
  """
  presets.as_tutorial(config)
  config.num_steps = 15_756  # 101 passes over 10,000 images
  config.label_smoothing.generator = True


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.inpainting())
  config.data.name = 'cifar10'
  config.data.classes = ('cat', 'dog')
  config.data.image_size = 32
  config.data.channels = 3

  config.generator = dict(
    name='inpaint.ContextEncoder',
    widths=(32, 64, 128),
    bottleneck=512,
    decoder_widths=(128, 64),
    slope=0.2,
    dropout=0.5,
    norm='batch',
    momentum=0.8,
    initializer='lecun',  # a key of layers.INITIALIZERS
    spectral_norm=False,
    optimizer=presets.optimizer(),
  )
  config.discriminator = dict(
    name='inpaint.Discriminator',
    widths=(64, 128, 256),
    strides=(2, 2, 1),
    slope=0.2,
    norm='batch',
    momentum=0.8,
    initializer='lecun',
    spectral_norm=False,
    optimizer=presets.optimizer(),
  )
  config.mask.size = 8
  config.output = 'patch'
  config.adversarial = 0.001
  config.reconstruction.update(weight=0.999, distance='mse')

  config_lib.vary(config, VARIANTS, variant)
  return config
