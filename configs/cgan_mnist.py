r"""Conditional GAN on MNIST (Mirza and Osindero 2014, arxiv.org/abs/1411.1784).

  python -m jaxgan.main --config=configs/cgan_mnist.py --workdir=runs/cgan
  python -m jaxgan.main --mode=sample --workdir=runs/cgan --labels=3,3,7

Columns of the grid are classes. Variant: `tutorial`.

The default trained on the embedded digits in about 5 minutes on two CPU cores
that had other work too, to a column of each class: nearly all digits are the
right one and clean, some twos, fours and eights are broken. `tutorial` has not
been trained here.
"""

from jaxgan import config as config_lib


def _default(config):
  """One-hot labels, R1, and samples from averaged weights."""
  config.num_steps = 15_000
  config.generator.conditioning = 'concat'
  config.discriminator.conditioning = 'concat'
  config.penalties.r1 = 1.0
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the MNIST CGAN tutorial: products with embeddings.

  Fakes have the labels of the reals here, and labels of their own there.
  """
  config.num_steps = 94_637  # 101 passes over 60,000 images
  config_lib.as_tutorial(config)


VARIANTS = {'': _default, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(config_lib.game())
  config.conditional = True
  config.generator = dict(
    name='mlp.Generator',
    widths=(128, 256, 512),
    slope=0.2,
    norm='batch',
    conditioning='multiply',  # or concat
    virtual_batch=0,
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.discriminator = dict(
    name='mlp.Discriminator',
    widths=(128, 256, 512),
    slope=0.2,
    dropout=0.0,
    minibatch_kernels=0,
    conditioning='multiply',
    spectral_norm=False,
    optimizer=config_lib.optimizer(),
  )
  config.steps_per_call = 10
  config_lib.vary(config, VARIANTS, variant)
  return config
