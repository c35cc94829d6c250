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

2,000 of the 10,000 rounds of the default, 3.5 a second on two CPU cores, two
images each: a -> b -> a gives the face back, softer, and so does b -> a -> b.
What lies between is hardly another face: teeth of some who smile fade, and
nobody smiles who did not. `paper` has not been trained.
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
