"""pix2pix: grey to colour on CIFAR-10 (Isola et al. 2017).

https://arxiv.org/abs/1611.07004

Command: python -m jaxgan.main --config=configs/pix2pix_cifar10.py
Time: 4 minutes for 2,457 of 10,000 rounds on two busy CPU cores.
Score: held-out L1 distance 0.107 after 2,000 rounds.

Variants: `encoder_decoder`. For a folder of images instead of TFDS:
--config.data.source=folder --config.data.path=PATH --config.data.held_out=0.02
Other sources: --config.data.pair=low:4 (resolution), masked:16 (the centre).
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small networks, patches of 16 x 16."""
  config.num_steps = 10_000
  presets.quick(config, batch_size=16, learning_rate=1e-3)
  config.ema_halflife = 5_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _encoder_decoder(config):
  """Without the skips of the U-Net, as in the paper's figure 5."""
  _default(config)
  config.generator.skips = False


VARIANTS = {'': _default, 'encoder_decoder': _encoder_decoder}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.pix2pix())
  config.batch_size = 32
  config.data.name = 'cifar10'
  config.data.image_size = 32
  config.data.channels = 3
  config.data.pair = 'grey'

  config.generator.widths = (32, 64, 128, 256)
  config.discriminator.widths = (32, 64)
  config.eval_every = 1_000  # errors on held-out pairs

  config_lib.vary(config, VARIANTS, variant)
  return config
