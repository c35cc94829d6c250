r"""SRGAN: faces of 16 x 16 pixels enlarged to 64 x 64 (Ledig et al. 2016).

https://arxiv.org/abs/1609.04802

Command: python -m jaxgan.main --config=configs/srgan_faces.py \
  --config.data.path=FOLDER
Time: about 14 minutes on one busy core.
Score: 28.7 dB on held-out faces; bicubic enlargement has 27.3 dB. The test
  trains without the adversarial loss and asks for more than bicubic.

Variants: `srresnet` without the adversarial loss; `paper`. The content loss is
that of pixels, because this package does not contain weights of VGG.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """A narrow generator, and patches of 34 x 34."""
  config.num_steps = 3_000
  config.generator.update(width=16, blocks=4)
  config.discriminator.widths = (32, 64, 128)
  config.batch_size = 8
  config.generator.optimizer.update(learning_rate=3e-3, b1=0.9, b2=0.99)
  config.discriminator.optimizer.update(learning_rate=5e-4, b1=0.9, b2=0.99)
  config.ema_halflife = 2_000.0
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def _srresnet(config):
  """The generator of the mean absolute error alone."""
  _default(config)
  config.adversarial = 0.0


def _paper(config):
  """The generator, batches and rates of the paper, for 96 x 96 pixels.

  Not copied: features of VGG, the discriminator with dense layers, and the
  start from SRResNet, for which there is `init_from`.
  """
  config.num_steps = 200_000
  config.batch_size = 16
  config.data.image_size = 96
  for name in ('generator', 'discriminator'):
    config[name].optimizer.update(learning_rate=1e-4, b1=0.9)


VARIANTS = {'': _default, 'srresnet': _srresnet, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.pix2pix())
  config.method = 'srgan'
  config.data.source = 'folder'
  config.data.pair = 'low:4'
  config.data.held_out = 0.1
  config.data.image_size = 64
  config.conditional = False
  config.reconstruction = 20.0
  config.generator = dict(
    name='srgan.Generator',
    factor=4,
    width=64,
    blocks=16,
    norm='batch',
    momentum=0.9,
    optimizer=presets.optimizer(),
  )
  config.eval_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
