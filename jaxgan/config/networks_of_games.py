"""Networks of games, see `config.presets`."""

import ml_collections

from jaxgan.config.fields import is_group
from jaxgan.core import optim


def optimizer(**changed) -> ml_collections.ConfigDict:
  """Returns the fields of an optimizer.

  The defaults are Adam with the momentum of DCGAN.

  Args:
    **changed: values that differ from the defaults of `optim.Optimizer`.
  """
  return ml_collections.ConfigDict(optim.FIELDS | changed)


def mlp() -> ml_collections.ConfigDict:
  """Returns fully connected networks for `game`, of 128-256-512 units."""
  config = ml_collections.ConfigDict()
  config.generator = dict(
    name='mlp.Generator',
    widths=(128, 256, 512),
    slope=0.2,
    norm='batch',
    initializer='lecun',  # a key of layers.INITIALIZERS
    first_initializer='',  # of the first layer; '' is the same
    virtual_batch=0,  # size of a reference batch; 0 is off
    spectral_norm=False,
    optimizer=optimizer(),
  )
  config.discriminator = dict(
    name='mlp.Discriminator',
    widths=(128, 256, 512),
    slope=0.2,
    dropout=0.0,
    minibatch_kernels=0,
    initializer='lecun',
    first_initializer='',
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def dcgan() -> ml_collections.ConfigDict:
  """Returns convolutional networks for `game`, with two strides.

  Two strides fit 28 x 28 pixels. Kernels of 4 fit strides of 2. The
  discriminator has no norm, because R1 and the gradient penalty need logits
  that depend on one image alone.
  """
  config = ml_collections.ConfigDict()
  config.generator = dict(
    name='dcgan.Generator',
    widths=(128, 64),
    strides=(2, 2),
    kernel=4,
    slope=0.2,
    upsampling='transposed',  # or resize
    norm='batch',
    flat_norm=False,
    momentum=0.9,
    initializer='lecun',  # a key of layers.INITIALIZERS
    virtual_batch=0,
    spectral_norm=False,
    optimizer=optimizer(),
  )
  config.discriminator = dict(
    name='dcgan.Discriminator',
    widths=(64, 128),
    kernel=4,
    slope=0.2,
    norm='none',
    dropout=0.0,
    minibatch_stddev=False,
    minibatch_kernels=0,
    initializer='lecun',
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def stylegan2() -> ml_collections.ConfigDict:
  """Returns the networks of StyleGAN2 for `game`.

  The networks are those of config F (Karras et al. 2020,
  https://arxiv.org/abs/1912.04958) for 64 x 64 pixels; `stylegan2_recipe` sets
  mixing and weights.
  """
  config = ml_collections.ConfigDict()
  config.latent_size = 512
  stages = dict(widths=(512,) * 5, clamp=0.0, spectral_norm=False)
  config.generator = dict(
    name='stylegan2.Generator',
    architecture='skip',  # or residual
    mapping_layers=8,
    style_size=512,
    multiplier=0.01,  # of the mapping's learning rate
    mixing=0.0,  # probability of two styles in an image
    decay=0.995,  # of the average of w
    truncation=1.0,
    fused=False,
    optimizer=optimizer(learning_rate=0.002, b1=0.0, b2=0.99),
    **stages,
  )
  config.discriminator = dict(
    name='stylegan2.Discriminator',
    architecture='residual',  # or orig
    group=4,  # images whose deviation is a channel
    mapping_layers=8,  # of labels
    multiplier=0.01,
    optimizer=optimizer(learning_rate=0.002, b1=0.0, b2=0.99),
    **stages,
  )
  return config


def stylegan2_widths(config, widths, units: int = 512) -> None:
  """Sets the channels of StyleGAN2.

  Args:
    config: config with the networks of `stylegan2`.
    widths: the generator's channels of every stage; the discriminator has them
      in reverse.
    units: sizes of latents and of w.
  """
  config.latent_size = config.generator.style_size = units
  config.generator.widths, config.discriminator.widths = widths, widths[::-1]


def stylegan2_recipe(
  config,
  gamma: float = 10.0,
  learning_rate: float = 0.002,
  path_length: float = 2.0,
  mixing: float = 0.9,
) -> None:
  """Sets weights and optimizers of StyleGAN2, with lazy regularisation.

  The defaults are those of config F.

  Args:
    config: config with the networks of `stylegan2`.
    gamma: twice the weight of R1.
    learning_rate: learning rate before the correction of `lazy`.
    path_length: weight of the path length penalty.
    mixing: probability of two styles in an image.
  """
  config.penalties.r1 = gamma / 2
  config.path_length = path_length
  config.generator.mixing = mixing
  for player in ('generator', 'discriminator'):
    config[player].optimizer = optimizer(
      learning_rate=learning_rate, b1=0.0, b2=0.99
    )
  lazy(config)


def lazy(config, generator: int = 4, discriminator: int = 16) -> None:
  """Gives regularisation terms gradient steps of their own.

  Karras et al. 2020 (https://arxiv.org/abs/1912.04958), appendix B. An
  optimizer takes k + 1 steps in k rounds. So c = k / (k + 1) multiplies its
  learning rate, and is the power of its decays b1 and b2.

  Args:
    config: config of a game.
    generator: rounds between two steps of path lengths.
    discriminator: rounds between two steps of the penalties.
  """
  config.path_length_every, config.penalties_every = generator, discriminator
  for player, every in (
    ('generator', generator),
    ('discriminator', discriminator),
  ):
    if every == 1:  # The terms are part of the loss.
      continue
    settings, share = config[player].optimizer, every / (every + 1)
    settings.learning_rate *= share
    settings.b1, settings.b2 = settings.b1**share, settings.b2**share


def decay(config) -> None:
  """Lowers all learning rates to zero in the second half of `num_steps`."""
  for network in filter(is_group, config.values()):
    if 'optimizer' in network:
      network.optimizer.update(
        schedule='late_linear',
        schedule_images=config.num_steps * config.batch_size,
      )


def energy(config) -> None:
  """Sets a small DCGAN whose discriminator is an autoencoder, for digits.

  Args:
    config: config with the networks of `dcgan` and the fields of
      `steps/energy_gan.py`.
  """
  config.method = 'energy_gan'
  config.loss = 'wasserstein'
  config.discriminator = dict(
    name='energy.Discriminator',
    widths=(16, 32),
    code_size=32,
    distance='l2',
    optimizer=config.discriminator.optimizer,
  )
  config.num_steps = 3_000
  config.batch_size = 32
  config.latent_size = 50
  config.generator.widths = (64, 32)
  config.ema_halflife = 10_000.0
  for network in (config.generator, config.discriminator):
    network.optimizer.update(learning_rate=1e-3, b2=0.99)
  config.sample_every = config.eval_every = config.checkpoint_every = 500


def with_encoder(config, rounds: int) -> None:
  """Sets dense networks with an encoder, for digits.

  Learning rates fall to zero in the second half of the rounds.

  Args:
    config: config with the networks of `mlp`.
    rounds: rounds of the run.
  """
  config.num_steps = rounds
  config.batch_size = 128
  config.ema_halflife = 10_000.0
  config.penalties.r1 = 0.05
  config.eval_every = 500
  config.steps_per_call = 50
  config.generator.widths = (256, 512)
  config.discriminator.widths = (512, 512)
  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    widths=(512, 256),
    rectified=False,
    activation='relu',  # a key of autoencoder.ACTIVATIONS
    optimizer=optimizer(),
  )
  for network in (config.generator, config.encoder, config.discriminator):
    network.optimizer.update(learning_rate=5e-4, b2=0.99)
  decay(config)
