r"""pix2pix: drawings to faces (Isola et al. 2017).

https://arxiv.org/abs/1611.07004

Command: python -m jaxgan.main --config=configs/pix2pix_faces.py \
  --config.data.path=FOLDER
Time: 3 min 20 s for the last 4,300 of 5,000 rounds on two CPU cores.
Score: held-out L1 distance 0.213, 17.7 dB.

Variants: `paper`. The drawings are the edges of the images. Other pairs:

  --config.data.pair=folder:PATH    files of PATH are the sources
  --config.data.pair=halves:left    both images are in one file, side by side
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small networks for 64 x 64 pixels, patches of 34 x 34."""
  config.num_steps = 5_000
  config.data.image_size = 64
  config.generator.widths = (32, 64, 128, 256, 256)
  config.discriminator.widths = (32, 64, 128)
  presets.quick(config, batch_size=4, learning_rate=5e-4)
  config.ema_halflife = 1_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _paper(config):
  """The paper's networks for 256 x 256 pixels, patches of 70 x 70.

  With its batches of one, batch norm as it takes it, in training and after it,
  is instance norm. Not copied: images that are shifted and mirrored at random,
  and kernels of norms that begin around one.
  """
  config.num_steps = 80_000  # 200 passes over 400 images
  config.batch_size = 1
  config.data.image_size = 256


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.pix2pix())
  config.data.source = 'folder'
  config.data.pair = 'edges'
  config.data.held_out = 0.1

  config.eval_every = 1_000  # errors on held-out pairs

  config_lib.vary(config, VARIANTS, variant)
  return config
