"""Fully connected GAN on MNIST (Goodfellow et al. 2014).

https://arxiv.org/abs/1406.2661

Command: python -m jaxgan.main --config=configs/gan_mnist.py
Time: 2 min 40 s on two CPU cores, on the embedded digits.
Score: Frechet distance 1.36 after 260 s on MNIST (benchmarks.quality).

Variants: `tutorial`, `one_layer`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """The tutorial's networks, as an expert would train them at the same cost.

  R1 keeps the discriminator from learning 4,500 digits by heart, and samples
  come from averaged weights.
  """
  config.num_steps = 15_000
  config.penalties.r1 = 1.0  # gamma / 2
  config.ema_halflife = 10_000.0


def _tutorial(config):
  """The recipe of the MNIST GAN tutorial."""
  config.num_steps = 94_637  # 101 passes over 60,000 images
  presets.as_tutorial(config)


def _one_layer(config):
  """The recipe of the tutorial with one hidden layer and uniform latents."""
  config.num_steps = 55_000  # 100 passes over 55,000 images
  config.batch_size = 100
  config.data.limit = 55_000
  config.latent = 'uniform'
  config.latent_reuse = True
  config.label_smoothing.real = 0.1
  config.generator.norm = 'none'
  for player in ('generator', 'discriminator'):
    config[player].widths = (128,)
    config[player].slope = 0.01
    config[player].initializer = 'glorot'
    config[player].optimizer.update(learning_rate=2e-3, b1=0.9)


VARIANTS = {'': _default, 'tutorial': _tutorial, 'one_layer': _one_layer}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.mlp())  # 128-256-512 units in each

  # In one scan. Medians of five turns on two cores: 97 rounds/s so, 81 one by
  # one, 85 in calls of 50.
  config.steps_per_call = 10

  config_lib.vary(config, VARIANTS, variant)
  return config
