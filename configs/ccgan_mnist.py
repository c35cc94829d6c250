r"""Digits with a hole, completed by a CCGAN (Denton et al. 2016).

https://arxiv.org/abs/1611.06430

  python -m jaxgan.main --config=configs/ccgan_mnist.py --workdir=runs/ccgan

One field:    --config.mask.size=14 --config.reconstruction.weight=0
A variant:    --config=configs/ccgan_mnist.py:tutorial

The first 200 rounds of the default (--config.num_steps=200), 2.8 passes over
the 4,500 embedded digits, took 4 min 57 s on two CPU cores that other jobs
shared. In the holes of the 500 embedded test digits, the mean absolute error
was 0.238 on the scale of [-1, 1], 12.2 dB; black has 0.433, 7.5 dB, and the
mean training digit 0.472, 10.0 dB. Strokes are joined where it is clear how
they go on, partly in grey; ambiguous ones are blurred. Neither variant has been
run to its end here.
"""

from jaxgan import config as config_lib


def _default(config):
  """The tutorial's networks, as an expert would train them at the same cost.

  The discriminator sees the known pixels as they are, the generator knows where
  the hole is, and a distance in the hole tells it what was there.
  """
  config.num_steps = 10_000
  config.mask.channel = True
  config.compositing = True
  config.reconstruction.weight = 1.0
  config.discriminator.slopes = (0.2, 0.2, 0.2)
  config.discriminator.spectral_norm = True
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the CCGAN tutorial.

  The known pixels are not pasted and there is no reconstruction term, so that
  nothing keeps the other strokes of a digit. Its real label of 0.9 is the
  generator's target too.
  """
  config_lib.as_tutorial(config)
  config.num_steps = 94_637  # 101 passes over 60,000 images
  config.label_smoothing.generator = True


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.method = 'inpaint'
  config.data.image_size = 32
  config.data.resize = 'stretch'

  config.mask = dict(
    size=10,  # side of the hole
    value=0.0,  # what the generator sees in it; 0 is mid-grey
    channel=False,  # the generator sees where it is
  )
  config.noise_channels = 0  # Gaussian channels beside the image; 0 is off
  config.output = 'image'  # what the generator makes: image or patch
  config.compositing = False  # known pixels are pasted around what it made
  config.generator = dict(
    name='inpaint.UNet',
    widths=(32, 64, 128, 256),
    kernel=4,
    slope=0.2,
    norm='batch',
    momentum=0.8,
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.discriminator = dict(
    name='inpaint.PatchDiscriminator',
    widths=(64, 128, 256),
    kernel=4,
    slopes=(0.8, 0.2, 0.2),
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.discriminator_batches = 'separate'  # or apart: an update on each kind
  config.fakes = 'batch'  # statistics of the discriminator's fakes, or running
  config.loss = 'least_squares'  # a key of losses.PAIRS
  config.adversarial = 1.0  # weight in the generator's loss
  config.reconstruction = dict(
    weight=0.0,  # in the generator's loss
    distance='l1',  # or mse
    region='hole',  # what counts: hole or all
  )
  config.class_weight = 0.5  # of the head of classes and 'fake'; 0 is no head
  config.label_smoothing = dict(real=0.0, fake=0.0, generator=False)
  config.penalties = config_lib.penalty_weights()
  config.ema_halflife = 0.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  config.eval_every = 1_000  # error in the holes of held-out images

  config_lib.vary(config, VARIANTS, variant)
  return config
