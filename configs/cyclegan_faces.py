r"""CycleGAN: neutral faces to smiling ones and back (Zhu et al. 2017).

https://arxiv.org/abs/1703.10593

Command: python -m jaxgan.main --config=configs/cyclegan_faces.py \
  --config.data.path=FOLDER
Time: 70 minutes on one of two CPU cores.
Score: 64.6 % of neutral faces become smiling, 17.0 % of smiling ones remain
  smiling (benchmarks.cyclegan).

FOLDER contains the folders `neutral` and `smiling`. Variants: `paper`.
Other domains:

  --config.data.classes="('cat','dog')"     two folders, or TFDS classes
  --config.data.unpaired=folder:PATH        a is PATH, b is data.path
  --config.data.unpaired=splits --config.data.source=tfds \
    --config.data.name=cycle_gan/horse2zebra --config.data.held_out=0
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small networks for 64 x 64 pixels, patches of 34 x 34.

  Generators of this size left faces unchanged with the identity loss and with
  the cycle loss at the weight of the paper.
  """
  config.num_steps = 10_000
  config.data.image_size = 64
  config.generator.update(widths=(32, 64, 128), blocks=6)
  config.discriminator.widths = (32, 64, 128)
  presets.quick(config, batch_size=2, learning_rate=1e-3)
  config.cycle, config.identity = 5.0, 0.0
  config.ema_halflife = 500.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _paper(config):
  """The paper's networks for 256 x 256 pixels, patches of 70 x 70.

  Not copied: images that are cut out and mirrored at random.
  """
  config.num_steps = 266_800  # 200 passes over the 1,334 zebras
  config.batch_size = 1
  config.data.image_size = 256


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.cyclegan())
  config.data.source = 'folder'
  config.data.classes = ('neutral', 'smiling')
  config.data.unpaired = 'classes'
  config.data.held_out = 0.1

  # References, so that the schedule follows flags that change either field.
  images = config.get_ref('num_steps') * config.get_ref('batch_size')
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(
      schedule='late_linear', schedule_images=images
    )
  config.eval_every = 1_000  # cycle errors on held-out images

  config_lib.vary(config, VARIANTS, variant)
  return config
