r"""DCGAN on CIFAR-10 in colour (Radford et al. 2015, arxiv.org/abs/1511.06434).

  python -m jaxgan.main --config=configs/dcgan_cifar10.py --workdir=runs/cifar

From a folder of class folders instead of TFDS: --config.data.source=folder
--config.data.path=PATH. Variant: `tutorial`.

Not trained here yet: only its first rounds were run, on two CPU cores.
"""

from jaxgan import config as config_lib


def _default(config):
  """Small 4 x 4 kernels, R1, and samples from averaged weights."""
  config.num_steps = 20_000
  config.generator.update(kernel=4, slope=0.2, flat_norm=False, momentum=0.9)
  config.generator.update(widths=(256, 128, 64), strides=(2, 2, 2))
  config.discriminator.update(kernel=4, slope=0.2, dropout=0.0)
  config.discriminator.widths = (64, 128, 256)
  config.penalties.r1 = 0.5
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the CIFAR-10 DCGAN tutorial."""
  config.num_steps = 235_862  # 151 passes of 1,562 batches
  config.batch_size = 32
  config_lib.as_tutorial(config)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.learning_rate = 3e-4


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(config_lib.game())
  config.data.name = 'cifar10'
  config.generator = dict(
    name='dcgan.Generator',
    widths=(512, 256, 128, 64),
    strides=(2, 2, 2, 2),
    kernel=5,
    slope=0.3,
    upsampling='transposed',
    norm='batch',
    flat_norm=True,
    momentum=0.99,
    dense_bias=False,
    virtual_batch=0,
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.discriminator = dict(
    name='dcgan.Discriminator',
    widths=(64, 128, 256, 512),
    kernel=5,
    slope=0.3,
    norm='none',
    dropout=0.3,
    hidden=0,
    minibatch_stddev=False,
    minibatch_kernels=0,
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
