r"""Neutral faces to smiling ones and back: CycleGAN (Zhu et al. 2017).

https://arxiv.org/abs/1703.10593

  python -m jaxgan.main --config=configs/cyclegan_faces.py \
    --workdir=runs/cyclegan_faces --config.data.path=faces

The folder holds the folders `neutral` and `smiling`. Other domains:

  --config.data.classes="('cat','dog')"     two folders, or TFDS classes
  --config.data.unpaired=folder:PATH        a is PATH, b is data.path
  --config.data.unpaired=splits --config.data.source=tfds \
    --config.data.name=cycle_gan/horse2zebra --config.data.held_out=0

A variant:    --config=configs/cyclegan_faces.py:paper

All 10,000 rounds of the default took 70 minutes on one of two CPU cores, at
about 3 a second: of ten held-out neutral faces most part their lips, and half
show teeth; of ten smiling ones most close their mouths, or their teeth go
dark. What comes back has the first mouth again, softer. Translations are
grainy, and some are too pale or too hard. By `python -m benchmarks.cyclegan
--workdir=runs/cyclegan_faces` a classifier with an error of 7.6 % takes 5.0 %
of 500 neutral faces for smiling, 64.6 % of their translations and 8.8 % of what
comes back; of smiling ones 87.2 %, 17.0 % and 88.4 %. With the paper's weights,
10 and 5, it took 16.2 and 71.0 % of translations for smiling after 2,000
rounds. `paper` has not been trained.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Small networks for 64 x 64 pixels, patches of 34 x 34.

  Held to return an image that is where it leads to, and to bring back each
  pixel at the paper's weight, generators of this size left faces as they were.
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

  # Both are what they are at the end, whatever flags say.
  images = config.get_ref('num_steps') * config.get_ref('batch_size')
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(
      schedule='late_linear', schedule_images=images
    )
  config.eval_every = 1_000  # how well held-out images come back

  config_lib.vary(config, VARIANTS, variant)
  return config
