"""Configs of algorithms and networks, which experiments have in common.

A file in `configs/` combines these with `config.update(...)` and changes what
differs.
"""

import ml_collections

from jaxgan.config import algorithms
from jaxgan.config.fields import build
from jaxgan.config.networks_of_games import dcgan as dcgan
from jaxgan.config.networks_of_games import decay as decay
from jaxgan.config.networks_of_games import energy as energy
from jaxgan.config.networks_of_games import lazy as lazy
from jaxgan.config.networks_of_games import mlp as mlp
from jaxgan.config.networks_of_games import optimizer as optimizer
from jaxgan.config.networks_of_games import stylegan2 as stylegan2
from jaxgan.config.networks_of_games import stylegan2_recipe as stylegan2_recipe
from jaxgan.config.networks_of_games import stylegan2_widths as stylegan2_widths
from jaxgan.config.networks_of_games import with_encoder as with_encoder
from jaxgan.config.residual_networks import r3gan as r3gan
from jaxgan.config.residual_networks import r3gan2 as r3gan2
from jaxgan.config.residual_networks import r3gan2_schedules as r3gan2_schedules
from jaxgan.config.residual_networks import r3gan_narrow as r3gan_narrow
from jaxgan.config.residual_networks import r3gan_schedules as r3gan_schedules
from jaxgan.config.residual_networks import resnet as resnet
from jaxgan.config.residual_networks import resnet_narrow as resnet_narrow
from jaxgan.config.transformers import cat as cat
from jaxgan.config.transformers import gat as gat
from jaxgan.config.transformers import transformer_paper as transformer_paper
from jaxgan.config.transformers import transformer_sides as transformer_sides


def game() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/gan.py`, with every trick off.

  Networks ('generator', 'discriminator') come from `mlp`, `dcgan`, `resnet`,
  `r3gan`, `r3gan2`, `stylegan2`, `gat`, `cat` or the experiment.
  """
  return build(algorithms.GAME)


def inpainting() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/inpaint.py`, with an adversarial loss only.

  Networks ('generator', 'discriminator') come from the experiment.
  """
  return build(algorithms.INPAINTING)


def few_labels() -> ml_collections.ConfigDict:
  """Returns the fields of data with labels for a part of the examples."""
  return build(algorithms.FEW_LABELS)


# Weight of R1 for each pixel of a photograph, see `r1_weight`.
R1_PER_PIXEL = 5e-6


def r1_weight(side: int) -> float:
  """Returns the weight of R1 for square photographs of a side in pixels.

  Two images of n pixels lie about sqrt(n) apart. So a discriminator whose
  logits differ by a given number has a squared slope of order 1 / n. A weight
  in proportion to n leaves the same freedom at every size. Karras et al. 2020
  (https://arxiv.org/abs/2006.06676, appendix C) choose 1e-4 n / batch in the
  units of this weight, 3e-6 n for batches of 32. Much larger weights end in a
  discriminator that gives all images the same logit (docs/results.md).
  """
  return R1_PER_PIXEL * side**2


def _translation(table) -> ml_collections.ConfigDict:
  """Returns the fields that `pix2pix` and `cyclegan` share."""
  config = build(table)
  config.generator = dict(norm='instance', momentum=0.9, optimizer=optimizer())
  config.discriminator = dict(
    name='translate.PatchDiscriminator',
    widths=(64, 128, 256, 512),
    kernel=4,
    slope=0.2,
    norm='instance',
    momentum=0.9,
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def pix2pix() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/pix2pix.py`.

  The weights and networks are those of the paper, for 256 x 256 pixels and
  patches of 70 x 70.
  """
  config = _translation(algorithms.PIX2PIX)
  config.generator.update(
    name='translate.UNet',
    widths=(64, 128, 256, 512, 512, 512, 512, 512),
    skips=True,
    dropout=0.5,
  )
  return config


def cyclegan() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/cyclegan.py`.

  The weights and networks are those of the paper, for 256 x 256 pixels and
  patches of 70 x 70. Both generators have the same fields, and so do both
  discriminators.
  """
  config = _translation(algorithms.CYCLEGAN)
  config.generator.update(
    name='translate.ResNet', widths=(64, 128, 256), blocks=9
  )
  return config


def autoencoder() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/autoencoder.py`.

  Networks ('encoder', 'decoder') come from the experiment.
  """
  return build(algorithms.AUTOENCODER)


def vae() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/vae.py`.

  Networks ('encoder', 'decoder') come from the experiment.
  """
  return build(algorithms.VAE)


def quick(config, batch_size: int = 32, learning_rate: float = 2e-3) -> None:
  """Halves the channels of convolutional networks, and takes large steps.

  Half the channels need a quarter of the arithmetic. A decay of 0.99 lets Adam
  take large steps (Karras et al. 2018, https://arxiv.org/abs/1710.10196,
  appendix A.1).

  Args:
    config: a config with a generator and a discriminator.
    batch_size: batch size of the run.
    learning_rate: learning rate of both optimizers.
  """
  config.batch_size = batch_size
  for name in ('generator', 'discriminator'):
    network = config[name]
    network.widths = tuple(width // 2 for width in network.widths)
    network.optimizer.update(learning_rate=learning_rate, b2=0.99)


def classifier() -> ml_collections.ConfigDict:
  """Returns the fields of `steps/classifier.py`, for small images."""
  config = build(algorithms.CLASSIFIER)
  config.ema_counts_round = True  # Trained classifiers keep their numbers.
  config.num_steps = 2_400
  config.batch_size = 64
  config.network = dict(
    name='classifier.ConvNet',
    widths=(16, 32),
    kernel=5,
    features=128,
    dropout=0.3,
    momentum=0.9,
    optimizer=optimizer(
      learning_rate=2e-3,
      b1=0.9,
      schedule='cosine',
      schedule_images=config.num_steps * config.batch_size,
    ),
  )
  return config


def keras_layers(config) -> None:
  """Gives the networks of `dcgan` the layers of the Keras tutorials."""
  config.generator.update(kernel=5, slope=0.3, flat_norm=True, momentum=0.99)
  config.discriminator.update(kernel=5, slope=0.3, dropout=0.3)


def as_tutorial(config) -> None:
  """Applies the recipe that the Keras tutorials have in common.

  Labels of reals are 0.9. The discriminator takes one optimizer step on reals
  and one on fakes, and fakes come from running statistics. All epochs have the
  same order. Initial kernels have the values of Keras, and eps of Adam has the
  value and the place (`optim.adam`). The first kernel of a fully connected
  network has the values of the notebooks. Two details differ: in the tutorials,
  both networks share one counter of Adam steps, and both draw labels of their
  own.
  """
  config.label_smoothing.real = 0.1
  config.discriminator_batches = 'apart'
  config.fakes = 'running'
  config.data.shuffle = False
  for network in ('generator', 'discriminator'):
    config[network].optimizer.update(eps=1e-7, keras_eps=True)
    config[network].initializer = 'glorot'
    if 'first_initializer' in config[network]:
      config[network].first_initializer = 'normal'
