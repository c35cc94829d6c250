"""Transformers of games, see `config.presets`."""

import ml_collections

from jaxgan import errors
from jaxgan.config.networks_of_games import optimizer

# Family -> its own name of a size -> (blocks, width, heads).
SIZES = {
  'gat': {
    'S': (12, 384, 6),
    'B': (12, 768, 12),
    'L': (24, 1024, 16),
    'XL': (28, 1152, 16),
  },
  'cat': {'B': (12, 768, 12), 'M': (24, 768, 12), 'H': (32, 1280, 16)},
}
# Pixels of a side -> (blocks, width, heads, patch), for small machines.
SIDES = {28: (4, 128, 4, 4), 32: (8, 192, 6, 4), 64: (8, 256, 8, 8)}


def gat() -> ml_collections.ConfigDict:
  """Returns the networks of GAT for `game`, with its loss and penalties.

  The networks are those of `SIDES` for 28 pixels, see `transformer_size`.
  """
  return _transformers('NoiseDiscriminator', 'scale')


def cat() -> ml_collections.ConfigDict:
  """Returns the networks of CAT for `game`, with its loss and penalties.

  R1 and R2 of third-party code are slopes of the sum of the logits of all four
  scales. Those of this package are slopes of their mean, so weights are
  multiplied by 16.
  """
  config = _transformers('ScaleDiscriminator', 'shift')
  config.scale_alignment = 0.1
  config.penalties = dict(r1=8.0, r2=8.0)
  config.penalties_stride = 4
  return config


def _transformers(discriminator: str, modulation: str):
  config = ml_collections.ConfigDict()
  config.loss = 'relativistic_pairing'
  config.latent_size = 64
  config.penalties = dict(r1=0.05, r2=0.05)
  config.penalties_difference = 0.01
  common = dict(
    depth=4,
    width=128,
    heads=4,
    patch=4,
    multiplier=0.01,  # of the learning rate of layers of latents and labels
    recompute=False,
    spectral_norm=False,
  )
  config.generator = dict(
    name='transformer.Generator',
    outputs=4,
    modulation=modulation,
    embedding=64,  # of labels
    optimizer=_adamw(),
    **common,
  )
  config.discriminator = dict(
    name=f'transformer.{discriminator}',
    embedding=512,  # of the product with labels
    conditioning='projection',  # or class_logit
    optimizer=_adamw(),
    **common,
  )
  return config


def _adamw() -> ml_collections.ConfigDict:
  return optimizer(
    learning_rate=2e-4, b1=0.0, b2=0.99, clip_gradient=1.0, base_width=768
  )


def transformer_sides(config, side: int) -> None:
  """Sets the size of both transformers for square images of a side.

  Raises:
    UserError: for a side that `SIDES` lacks.
  """
  if side not in SIDES:
    raise errors.unknown('side', side, SIDES)
  depth, width, heads, patch = SIDES[side]
  for player in ('generator', 'discriminator'):
    config[player].update(depth=depth, width=width, heads=heads, patch=patch)


def transformer_paper(
  config, family: str, generator: str, discriminator: str, patch: int = 2
) -> None:
  """Sets the sizes and the recipe of the papers: 60 epochs of ImageNet.

  Args:
    config: config with the networks of `gat` or `cat`.
    family: a key of `SIZES`.
    generator: a name of a size of the family.
    discriminator: the same.
    patch: pixels of a side of a patch.
  """
  for player, name in (
    ('generator', generator),
    ('discriminator', discriminator),
  ):
    if name not in SIZES[family]:
      raise errors.unknown('size', name, SIZES[family])
    depth, width, heads = SIZES[family][name]
    config[player].update(
      depth=depth, width=width, heads=heads, patch=patch, recompute=True
    )
  config.discriminator.embedding = 2048
  config.num_steps = 150_000
  config.batch_size = 512
  config.precision = 'bf16'
  # 0.999 per round of 512 images.
  config.update(ema_halflife=354_700.0, ema_rampup=0.0, conditional=True)
  config.augment = ('color', 'translation', 'cutout')
