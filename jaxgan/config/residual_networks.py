"""Residual networks of games, see `config.presets`."""

import ml_collections

from jaxgan.config.networks_of_games import optimizer


def resnet() -> ml_collections.ConfigDict:
  """Returns residual networks for `game`: SNGAN, which does not need R1."""
  config = ml_collections.ConfigDict()
  config.generator = dict(
    name='resnet.Generator',
    widths=(256,) * 4,
    upsampling='nearest',  # or bilinear
    attention=(),  # numbers of blocks, from 1
    hierarchical=False,
    embedding=0,
    spectral_labels=False,
    epsilon=1e-5,
    initializer='glorot',  # a key of layers.INITIALIZERS
    spectral_norm=False,
    optimizer=optimizer(b1=0.0, b2=0.9),
  )
  config.discriminator = dict(
    name='resnet.Discriminator',
    widths=(128,) * 4,
    strides=(2, 2, 1, 1),
    wide=True,
    rectified=False,
    attention=(),
    initializer='glorot',
    spectral_norm=True,
    optimizer=optimizer(b1=0.0, b2=0.9),
  )
  return config


def resnet_narrow(config, blocks: int = 4) -> None:
  """Narrows residual networks, for batches of 32.

  Args:
    config: config with the networks of `resnet`.
    blocks: blocks of the discriminator, which halve the sides of the images,
      except for the last one; the generator has as many stages.
  """
  more = blocks - 4
  config.batch_size = 32
  config.ema_halflife = 10_000.0
  config.generator.widths = (128, 64, 32, 16) + (16,) * more
  config.discriminator.update(
    widths=(16, 32, 64, 128) + (128,) * more, strides=(2,) * (blocks - 1) + (1,)
  )


def r3gan() -> ml_collections.ConfigDict:
  """Returns the networks of R3GAN for `game`, with its losses and penalties.

  Networks and weights are those for CIFAR-10, see `r3gan_schedules`.
  """
  config = ml_collections.ConfigDict()
  config.loss = 'relativistic_pairing'
  config.latent_size = 64
  config.penalties = dict(r1=0.025, r2=0.025)
  stages = dict(
    widths=(768,) * 4,
    blocks=(2,) * 4,
    cardinality=(96,) * 4,  # groups of channels
    expansion=2,
    kernel=3,
    resampling=(1.0, 2.0, 1.0),
    spectral_norm=False,
  )
  for player, embedding in (('generator', 64), ('discriminator', 768)):
    config[player] = dict(
      name=f'r3gan.{player.title()}',
      embedding=embedding,  # of labels
      optimizer=optimizer(b1=0.0, b2=0.9),
      **stages,
    )
  return config


def r3gan_narrow(config, widths) -> None:
  """Narrows R3GAN: one block a stage, groups of 16 channels in the blocks.

  Args:
    config: config with the networks of `r3gan`.
    widths: the generator's channels of every stage; the discriminator has them
      in reverse.
  """
  for player, own in (('generator', widths), ('discriminator', widths[::-1])):
    config[player].update(
      widths=own,
      cardinality=tuple(width // 8 for width in own),
      blocks=(1,) * len(own),
      embedding=64,
    )


def r3gan_schedules(
  config,
  images: float = 2e7,
  gamma: float = 0.05,
  halflife: float = 5e6,
  learning_rate: float = 2e-4,
  augment: float = 0.0,
) -> None:
  """Sets the cosine schedules of R3GAN.

  Huang et al. 2024 (https://arxiv.org/abs/2501.05441), with the numbers of the
  authors' code. Learning rates fall to a quarter, and weights of R1 and R2 to a
  tenth. b2 rises from 0.9 to 0.99, and the half-life of the averages from 0.

  Args:
    config: config of a game.
    images: images after which all schedules end.
    gamma: twice the first weight of both penalties.
    halflife: last half-life of the averages, in images.
    learning_rate: first learning rate of both networks.
    augment: last probability of augmentation, which rises from 0; 0 is off.
  """
  config.update(ema_halflife=halflife, ema_rampup=0.0)
  ends = {'ema_halflife': (0.0, halflife)}
  for penalty in ('r1', 'r2'):
    ends[f'penalties.{penalty}'] = (gamma / 2, gamma / 20)
  for player in ('generator', 'discriminator'):
    prefix = f'{player}.optimizer'
    ends[f'{prefix}.learning_rate'] = (learning_rate, learning_rate / 4)
    ends[f'{prefix}.b2'] = (0.9, 0.99)
  if augment:
    config.ada.update(pipe='r3gan', target=0.0)
    ends['ada.p'] = (0.0, augment)
  config.schedules = '; '.join(
    f'{name}=cosine:{first:g}->{last:g}:{images:g}'
    for name, (first, last) in ends.items()
  )


def r3gan2() -> ml_collections.ConfigDict:
  """Returns the networks of R3GAN2 for `game`, with its loss and averages.

  Networks are those for CIFAR-10, see `r3gan2_schedules`.
  """
  config = ml_collections.ConfigDict()
  config.loss = 'relativistic_pairing'
  config.latent_size = 64
  config.ema_widths = (0.05, 0.01, 0.1)
  stages = dict(
    width=512,
    blocks=(4,) * 3,
    expansion=2,
    group_width=32,  # channels of a group
    kernel=3,
    resampling=(1.0, 2.0, 1.0),
    spectral_norm=False,
  )
  for player, embedding in (('generator', 64), ('discriminator', 512)):
    config[player] = dict(
      name=f'r3gan2.{player.title()}',
      embedding=embedding,  # of labels
      optimizer=optimizer(b1=0.0, b2=0.9, unit_weights=True),
      **stages,
    )
  config.discriminator.conditioning = 'projection'  # or class_logit
  return config


def r3gan2_schedules(
  config,
  images: float = 2e7,
  gamma: float = 0.01,
  learning_rate: float = 0.01,
  warmup: int = 1_000_000,
  augment: float = 0.0,
) -> None:
  """Sets the schedules of R3GAN2: R1 alone, whose weight rises.

  The weight of R1 rises from a quarter, b2 from 0.9 to 0.99, and learning rates
  fall to a fifth, after a linear rise. The curves are cosines. The authors'
  code has the same ends, and other curves for weight and learning rates.

  Args:
    config: config of a game.
    images: images after which all schedules end.
    gamma: twice the last weight of R1.
    learning_rate: highest learning rate of both networks.
    warmup: images of the linear rise of the learning rates.
    augment: last probability of augmentation, which rises from 0; 0 is off.
  """
  config.penalties.r1 = gamma / 2
  ends = {'penalties.r1': (gamma / 8, gamma / 2)}
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(
      learning_rate=learning_rate, warmup_images=warmup
    )
    prefix = f'{player}.optimizer'
    ends[f'{prefix}.learning_rate'] = (learning_rate, learning_rate / 5)
    ends[f'{prefix}.b2'] = (0.9, 0.99)
  if augment:
    config.ada.update(pipe='r3gan', target=0.0)
    ends['ada.p'] = (0.0, augment)
  config.schedules = '; '.join(
    f'{name}=cosine:{first:g}->{last:g}:{images:g}'
    for name, (first, last) in ends.items()
  )
