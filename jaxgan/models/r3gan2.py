"""R3GAN2: residual networks that keep the size of activations.

Unpublished successor of R3GAN (https://arxiv.org/abs/2501.05441), after its
public code: https://github.com/IFeelBloated/R3GAN2. Layers keep the variance
of their inputs, see `layers.unit_layers` and `core.unit_weights`.

Images have any size; small sides are rounded up. In bfloat16, the layers next
to latents and logits are float32.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import noise
from jaxgan.core.ranges import MOST_KERNEL, MOST_UNITS, ranged
from jaxgan.models import r3gan
from jaxgan.models.layers import layers, resnext
from jaxgan.models.layers import unit_layers as unit


def _check(player: str, module: nn.Module) -> None:
  """Raises a UserError unless groups divide the channels of a block."""
  hidden = module.width * module.expansion
  if hidden % module.group_width:
    raise errors.UserError(
      f'{player}.group_width={module.group_width} does not divide the {hidden} '
      f'channels of a block, {player}.width={module.width} times {player}.'
      f'expansion={module.expansion}. Change one of them.'
    )


def _draws(module: nn.Module, count: int, sizes):
  """Yields a map of noise [count, H, W, 1] for each block, or None."""
  maps = [
    s for s, n in zip(sizes, module.blocks, strict=True) for _ in range(n)
  ]
  if module.is_initializing() or not module.has_rng('dropout'):
    yield from (None for _ in maps)
    return
  # One draw for all blocks, because programs of draws are long.
  ends = np.cumsum([math.prod(size) for size in maps])
  draw = lambda key: noise.normal(key, count, (int(ends[-1]),))
  drawn = noise.once(draw, module.make_rng('dropout'))
  parts = jnp.split(drawn, ends[:-1], axis=1)
  for part, size in zip(parts, maps, strict=True):
    yield part.reshape(count, *size, 1)


class Generator(nn.Module):
  """Generates images [B, H, W, C] from latents [B, Z].

  Latents, with an embedding of the label, are mixed with a learned small image
  for each channel, of 4 x 4 for 32 pixels and three stages. Every stage doubles
  the sides first. Every block has a new map of noise. Pixels are not limited to
  (-1, 1). The defaults are those for CIFAR-10: 17,335,425 parameters for 32 x
  32 RGB pixels, 64 latents and ten classes.

  Attributes:
    shape: (height, width, channels) of an image.
    width: channels of all stages.
    blocks: residual blocks of every stage, the smallest images first.
    expansion: channels within a block, as a multiple of `width`.
    group_width: channels of a group in grouped convolutions and small images.
    kernel: side of the grouped kernels.
    resampling: filter of odd length that doubles the sides.
    embedding: size of the embedding of labels.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  width: int = ranged(512, 1, MOST_UNITS)
  blocks: tuple[int, ...] = ranged(
    (4,) * 3, 1, r3gan.MOST_BLOCKS, lengths=r3gan.LENGTHS
  )
  expansion: int = ranged(2, 1, 64)
  group_width: int = ranged(32, 1, MOST_UNITS)
  kernel: int = ranged(3, 1, MOST_KERNEL)
  resampling: tuple[float, ...] = ranged(
    (1.0, 2.0, 1.0), 0, rule=r3gan.is_filter, message=r3gan.FILTER
  )
  embedding: int = ranged(64, 1, MOST_UNITS)
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    _check('generator', self)
    *sides, channels = self.shape
    stages = len(self.blocks)
    sizes = [
      tuple(-(-side // 2 ** (stages - index)) for side in sides)
      for index in range(stages + 1)
    ]
    if self.num_classes:
      vector = unit.Embedding(self.num_classes, self.embedding, name='labels')(
        label
      )
      z = jnp.concatenate([z, vector], axis=-1)
    hidden = self.width * self.expansion
    x = unit.activate(unit.Product(hidden, has_bias=True, name='latents')(z))
    w = unit.kernel(self, (*sizes[0], self.group_width, hidden)) / math.sqrt(
      self.group_width
    )
    x = unit.activate(unit.grouped(x, w, 'bgi,hwigo->bhwgo', self.group_width))
    x = unit.Product(self.width, name='start')(x)
    draws, gain = _draws(self, z.shape[0], sizes[1:]), 1.0
    for index, size in enumerate(sizes[1:]):
      x = x * jnp.broadcast_to(gain, (self.width,)).reshape(1, 1, 1, -1)
      x = resnext.enlarge(
        x.astype(self.dtype or x.dtype), size, self.resampling
      )
      x, gain = unit.stage(self, x, index, draws, self.dtype)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    scale = self.param('gain', nn.initializers.ones, (), layers.PARAM)
    return unit.Product(channels, is_centred=False, name='image')(
      x, scale * gain
    )


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  Every stage is followed by a halving of the sides. Features are sums over the
  last pixels, weighted by learned images. With classes, the logit is the inner
  product of a linear function of the features with an embedding of the label.
  The defaults are those for CIFAR-10: 17,720,832 parameters for 32 x 32 RGB
  pixels and ten classes.

  Sows 'features' [B, D] into 'intermediates'.

  Attributes:
    width: channels of all stages.
    blocks: residual blocks of every stage, the largest images first.
    expansion, group_width, kernel, resampling: see `Generator`.
    embedding: size of the embedding of labels.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: 'projection', or 'class_logit', see `layers.class_logit`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  width: int = ranged(512, 1, MOST_UNITS)
  blocks: tuple[int, ...] = ranged(
    (4,) * 3, 1, r3gan.MOST_BLOCKS, lengths=r3gan.LENGTHS
  )
  expansion: int = ranged(2, 1, 64)
  group_width: int = ranged(32, 1, MOST_UNITS)
  kernel: int = ranged(3, 1, MOST_KERNEL)
  resampling: tuple[float, ...] = ranged(
    (1.0, 2.0, 1.0), 0, rule=r3gan.is_filter, message=r3gan.FILTER
  )
  embedding: int = ranged(512, 1, MOST_UNITS)
  num_classes: int = 0
  conditioning: str = ranged('projection', one_of=layers.HEADS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    _check('discriminator', self)
    product = functools.partial(
      unit.Product, is_centred=False, dtype=self.dtype
    )
    x = product(self.width, name='image')(x)
    for index in range(len(self.blocks)):
      x, gain = unit.stage(self, x, index, None, self.dtype)
      if index == len(self.blocks) - 1:
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
      x = resnext.reduce(
        x * gain.reshape(1, 1, 1, -1).astype(x.dtype), self.resampling
      )
    hidden = self.width * self.expansion
    x = unit.activate(unit.Product(hidden, has_bias=True, name='end')(x))
    w = unit.kernel(self, (*x.shape[1:3], self.group_width, hidden))
    w = w / math.sqrt(math.prod(w.shape[:-1]))
    x = unit.activate(unit.grouped(x, w, 'bhwgi,hwigo->bgo', self.group_width))
    self.sow('intermediates', 'features', x)
    dense = functools.partial(unit.Product, name='logits')
    if not self.num_classes:
      return dense(1)(x)[:, 0]
    if self.conditioning == layers.CLASS_LOGIT:
      return layers.class_logit(self, dense, x, label)
    vector = unit.Embedding(self.num_classes, self.embedding, name='labels')(
      label
    )
    x = dense(self.embedding)(x) * vector
    return jnp.sum(x, axis=-1) / math.sqrt(self.embedding)
