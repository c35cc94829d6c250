r"""DualGAN: neutral faces to smiling ones and back (Yi et al. 2017).

https://arxiv.org/abs/1704.02510

Command: python -m jaxgan.main --config=configs/dualgan_faces.py \
  --config.data.path=FOLDER
Time: not measured.
Score: not measured.

The losses of equations 1 to 3 of the paper: Wasserstein losses with
clipped weights, and the absolute cycle error. The noise is dropout. FOLDER
contains the folders `neutral` and `smiling`. Variants: `paper`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small networks for 32 x 32 pixels."""
  config.num_steps = 3_000
  config.batch_size = 16
  config.data.image_size = 32
  config.cycle = 10.0
  config.generator.widths = (32, 64, 128, 256)
  config.discriminator.widths = (32, 64, 128)
  config.generator.optimizer.update(learning_rate=5e-4)
  config.discriminator.optimizer.update(learning_rate=3e-4, clip_weights=0.05)
  config.ema_halflife = 2_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _paper(config):
  """Networks for 256 x 256 pixels, with the rate and clipping of the paper.

  Not copied: several steps of the critics in a round.
  """
  config.num_steps = 100_000
  config.batch_size = 1
  config.data.image_size = 256
  config.cycle = 500.0
  for name in ('generator', 'discriminator'):
    config[name].optimizer.learning_rate = 5e-5
  config.discriminator.optimizer.clip_weights = 0.01


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.cyclegan())
  config.data.source = 'folder'
  config.data.classes = ('neutral', 'smiling')
  config.data.unpaired = 'classes'
  config.data.held_out = 0.1
  config.loss = 'wasserstein'
  config.adversarial = 1.0
  config.identity = 0.0
  config.replay_size = 0
  config.generator = dict(
    name='translate.UNet',
    widths=(64, 128, 256, 512, 512, 512, 512, 512),
    skips=True,
    dropout=0.5,
    norm='instance',
    momentum=0.9,
    optimizer=presets.optimizer(name='rmsprop', b1=0.0, b2=0.9),
  )
  config.discriminator.optimizer.update(name='rmsprop', b1=0.0, b2=0.9)
  config.eval_every = 1_000  # cycle errors on held-out images
  config_lib.vary(config, VARIANTS, variant)
  return config
