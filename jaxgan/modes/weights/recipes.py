"""Configs for networks of other codebases.

Files of weights do not say how they were trained. So losses and optimizers are
those of the codebase's settings for CIFAR-10.
"""

import math

from jaxgan import config as config_lib
from jaxgan.config import presets
from jaxgan.modes.weights import r3gan, residual, stylegan2
from jaxgan.modes.weights.network import Network, refusal

# Codebase -> rounds of one half-life of averages (a decay of 0.9999; 0 is off),
# fields of the config, and fields of both optimizers.
_RESIDUAL = {
  residual.BIGGAN: (
    6_931,
    dict(batch_size=50, discriminator_steps=4),
    dict(b1=0.0, b2=0.999),
  ),
  residual.STUDIOGAN: (
    6_931,
    dict(batch_size=64, discriminator_steps=5),
    dict(b1=0.5, b2=0.999, eps=1e-6),
  ),
  residual.MIMICRY: (
    0,
    dict(batch_size=64, discriminator_steps=5),
    dict(b1=0.0, b2=0.9),
  ),
}
# Side of images of R3GAN -> last weights of R1 and R2, and last half-life of
# averages, in images.
_R3GAN = {32: (0.0025, 5e6), 64: (0.1, 5e5), 256: (7.5, 5e5)}
_SIDE_OF_CIFAR = 32
# Side of images at which mimicry's last discriminator block keeps its size.
_SIDE_48 = 48


def config_of(generator: Network, discriminator: Network | None):
  """Returns the config of a run with these networks.

  Args:
    generator: the generator.
    discriminator: the discriminator; None for a fresh one.

  Raises:
    UserError: if the two do not belong together.
  """
  for name in ('source', 'classes'):
    ours, theirs = (getattr(n, name, None) for n in (generator, discriminator))
    if discriminator is not None and ours != theirs:
      raise refusal(
        discriminator.path,
        'the discriminator does not belong to the generator',
        f'{name} {theirs}, and {generator.path} has {ours}',
      )
  config = config_lib.defaults()
  config.update(presets.game())
  recipes = {r3gan.SOURCE: _r3gan, stylegan2.SOURCE: _stylegan2}
  recipes.get(generator.source, _residual)(config, generator, discriminator)
  config.latent_size = generator.latents
  config.conditional = generator.classes > 0
  # The averages of the file are kept from the first round on.
  config.ema_rampup = 0.0
  config.data.update(
    source='folder',
    channels=generator.shape[-1],
    image_size=generator.shape[0],
  )
  config_lib.validate(config)
  return config


def _residual(config, generator: Network, discriminator) -> None:
  config.loss = 'hinge'
  config.update(presets.resnet())
  rounds, fields, optimizer = _RESIDUAL[generator.source]
  config.update(fields, ema_halflife=float(rounds * fields['batch_size']))
  config.running_statistics = True
  config.generator.update(generator.fields)
  if discriminator is None:
    widths = generator.fields['widths'][::-1]
    strides = (2,) * (len(widths) - 1) + (1,)
    is_rectified = generator.source != residual.BIGGAN
    theirs = dict(widths=widths, strides=strides, rectified=is_rectified)
  else:
    theirs = dict(discriminator.fields)
    if generator.shape[0] == _SIDE_48:
      theirs['strides'] = (*theirs['strides'][:-1], 1)
  config.discriminator.update(theirs)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(optimizer)


def _r3gan(config, generator: Network, discriminator) -> None:
  config.update(presets.r3gan())
  config.batch_size = 256
  weight, halflife = _R3GAN.get(generator.shape[0], _R3GAN[32])
  config.penalties.update(r1=weight, r2=weight)
  config.ema_halflife = halflife
  config.generator.update(generator.fields)
  if discriminator is None:
    names = ('widths', 'blocks', 'cardinality')
    theirs = {name: generator.fields[name][::-1] for name in names}
    for name in ('expansion', 'kernel', 'resampling'):
      theirs[name] = generator.fields[name]
  else:
    theirs = discriminator.fields
  config.discriminator.update(theirs)
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(learning_rate=5e-5, b2=0.99)


def _stylegan2(config, generator: Network, discriminator) -> None:
  """Sets the authors' recipe `auto`, or `cifar` for 32 x 32 pixels."""
  config.update(presets.stylegan2())
  is_cifar = generator.shape[0] == _SIDE_OF_CIFAR
  config.batch_size = 64 if is_cifar else 32
  config.ema_halflife = 500_000.0 if is_cifar else 10_000.0
  config.generator.update(generator.fields)
  if discriminator is None:
    theirs = dict(widths=generator.fields['widths'][::-1])
    if is_cifar:
      theirs.update(architecture='orig', group=32)
  else:
    theirs = discriminator.fields
  config.discriminator.update(theirs)
  presets.stylegan2_recipe(
    config,
    gamma=2e-4 * math.prod(generator.shape[:2]) / config.batch_size,
    learning_rate=0.0025,
    path_length=0.0 if is_cifar else 2.0,
    mixing=0.0 if is_cifar else 0.9,
  )
