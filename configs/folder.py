r"""GAN for any folder of pictures: it chooses its networks by the pictures.

Command: python -m jaxgan.main --config=configs/folder.py \
  --config.data.path=FOLDER
Time: not measured to the end.
Score: not measured.

Pictures become squares of 64, 32 or 16 pixels; small squares keep their size.
With fewer than 20,000 pictures the discriminator sees augmented ones. What was
chosen is printed, and can be set: --config.data.image_size=128. The workdir has
`data.png` with training images before training starts.
"""

from jaxgan import config as config_lib
from jaxgan import presets
from jaxgan.config import fields, pictures


def _default(config):
  """Networks by the pictures."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 10_000
  config.data.source = 'folder'
  config.ema_halflife = 10_000.0
  config.update(presets.dcgan())
  config.discriminator.minibatch_stddev = True
  config.sample_every = config.checkpoint_every = 500
  presets.quick(config)
  config.update(fields.build(fields.FOLDER))
  pictures.fit(config, 64, 0)
  config.data.image_size = 0
  config_lib.vary(config, VARIANTS, variant)
  return config
