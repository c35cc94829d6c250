"""Wasserstein GAN on MNIST with a gradient penalty (Gulrajani et al. 2017).

https://arxiv.org/abs/1704.00028

Command: python -m jaxgan.main --config=configs/wgan_mnist.py
Time: 5 minutes on one of two busy CPU cores, on the embedded digits.
Score: Frechet distance 3.62 on held-out embedded digits (training digits 1.5).

Variants: `clip` (clipped weights, https://arxiv.org/abs/1701.07875), `gp` (five
steps of the critic, as in the paper of the penalty), `tutorial`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _small(config):
  """Small kernels and averages."""
  config.batch_size = 32
  config.generator.widths = (64, 32)
  config.discriminator.widths = (32, 64)
  config.ema_halflife = 10_000.0


def _default(config):
  """One step of a critic with three convolutions a round."""
  _gp(config)
  config.num_steps = 8_000
  config.sample_every = config.checkpoint_every = 1_000
  config.discriminator_steps = 1
  config.discriminator.widths = (32, 64, 128)
  presets.decay(config)


def _clip(config):
  """A critic with batch norm and one step a round; weights within 0.03."""
  _small(config)
  config.num_steps = 10_000
  config.sample_every = config.checkpoint_every = 1_000
  config.discriminator_steps = 1
  config.discriminator.norm = 'batch'
  config.discriminator.optimizer.clip_weights = 0.03
  config.generator.optimizer.learning_rate = 1e-3
  config.discriminator.optimizer.learning_rate = 3e-4


def _gp(config):
  """Adam and a gradient penalty of weight 10; the paper's rate is 1e-4."""
  _small(config)
  config.num_steps = 3_000
  config.penalties.gradient_penalty = 10.0
  for player in ('generator', 'discriminator'):
    config[player].optimizer = presets.optimizer(
      learning_rate=1e-3, b1=0.5, b2=0.9
    )


def _tutorial(config):
  """The recipe of the MNIST WGAN tutorial.

  All five updates of the critic see the same reals, and the generator takes the
  latents of the last one. Each update is two: on reals, then on fakes.
  """
  config.num_steps = 94_637  # 101 passes over 60,000 images
  presets.as_tutorial(config)
  presets.keras_layers(config)
  config.generator.update(widths=(256, 128, 64), strides=(1, 2, 2))
  config.label_smoothing.real = 0.0
  config.real_reuse = True
  config.latent_reuse = True


VARIANTS = {'': _default, 'clip': _clip, 'gp': _gp, 'tutorial': _tutorial}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.loss = 'wasserstein'
  config.discriminator_steps = 5
  config.update(presets.dcgan())
  # A critic that compares images has no bound on the slope at a single image.
  del config.discriminator.minibatch_stddev
  del config.discriminator.minibatch_kernels
  rmsprop = dict(name='rmsprop', learning_rate=5e-5, b1=0.0, b2=0.9)
  config.generator.optimizer = presets.optimizer(**rmsprop)
  config.discriminator.optimizer = presets.optimizer(
    clip_weights=0.01, **rmsprop
  )
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
