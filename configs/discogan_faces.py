r"""DiscoGAN: neutral faces to smiling ones and back (Kim et al. 2017).

https://arxiv.org/abs/1703.05192

Command: python -m jaxgan.main --config=configs/discogan_faces.py \
  --config.data.path=FOLDER
Time: 3.2 minutes for 400 rounds on a part of one busy CPU core.
Score: held-out cycle errors 0.22 and 0.21 after 400 rounds, early in training.

The losses of equations 3 to 6 of the paper, by `steps/cyclegan.py`: a squared
cycle error, no identity loss, no pool of earlier fakes. FOLDER contains the
folders `neutral` and `smiling`. Variants: `paper`.
"""

from jaxgan import config as config_lib
from jaxgan import presets
from jaxgan.config import algorithms, fields


def _default(config):
  """Small networks for 32 x 32 pixels.

  Means over pixels are small beside the adversarial loss, so the cycle error
  has a weight.
  """
  config.num_steps = 3_000
  config.batch_size = 16
  config.data.image_size = 32
  config.cycle = 10.0
  config.generator.widths = (32, 64, 128, 256)
  config.discriminator.widths = (32, 64, 128)
  for name in ('generator', 'discriminator'):
    config[name].optimizer.update(learning_rate=5e-4, b2=0.99)
  config.ema_halflife = 2_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _paper(config):
  """Networks for 64 x 64 pixels, with the rate and batches of the paper.

  Not copied: discriminators that see a whole image, and decay of weights.
  """
  config.num_steps = 100_000
  config.batch_size = 200
  config.data.image_size = 64
  config.cycle = 1.0
  config.generator.widths = (64, 128, 256, 512)


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.cyclegan())
  config.update(fields.build(algorithms.DISCOGAN))
  config.data.source = 'folder'
  config.data.classes = ('neutral', 'smiling')
  config.data.unpaired = 'classes'
  config.data.held_out = 0.1
  config.loss = 'non_saturating'
  config.adversarial = 1.0
  config.identity = 0.0
  config.replay_size = 0
  # An encoder and a decoder without skips.
  config.generator = dict(
    name='translate.UNet',
    widths=(64, 128, 256, 512),
    skips=False,
    dropout=0.0,
    norm='batch',
    momentum=0.9,
    optimizer=presets.optimizer(),
  )
  config.discriminator.norm = 'batch'
  config.eval_every = 1_000  # cycle errors on held-out images
  config_lib.vary(config, VARIANTS, variant)
  return config
