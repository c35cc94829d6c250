"""Beginnings and ends of transformers: w, patches, logits and features."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import equalized, layers
from jaxgan.models.layers import transformer as parts

MOST_BLOCKS = 256
UNITS = 2048  # of the layers of `Representation`


def wide(x: jax.Array) -> jax.Array:
  """Returns floats of at least 32 bits."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def check(player: str, module: nn.Module) -> None:
  """Raises a UserError for heads that do not fit the width."""
  if module.width % (4 * module.heads):
    raise errors.UserError(
      f'{player}.width={module.width} must be a multiple of 4 times '
      f'{player}.heads={module.heads}. Change one of them.'
    )


def blocks(module: nn.Module, kind: type[nn.Module], *fields) -> list:
  """Returns the blocks of a network, whose activations may be recomputed."""
  if module.recompute:
    kind = nn.remat(kind)
  return [
    kind(module.heads, *fields, module.dtype, name=f'block_{index}')
    for index in range(module.depth)
  ]


class SlowDense(nn.Module):
  """A product with a bias whose learning rate is multiplied by a factor.

  Attributes:
    features: size of the result.
    multiplier: the factor: the kernel starts larger by its inverse, and each
      call multiplies kernel and bias by it.
  """

  features: int
  multiplier: float

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    init = lambda *args: parts.xavier(*args) / self.multiplier
    shape = (x.shape[-1], self.features)
    kernel = self.param('kernel', init, shape, layers.PARAM)
    zeros = nn.initializers.zeros
    bias = self.param('bias', zeros, shape[1:], layers.PARAM)
    return x @ (kernel * self.multiplier) + (bias * self.multiplier)[None]


class Mapping(nn.Module):
  """Maps latents [B, Z] and labels [B] to vectors w [B, features].

  Latents and the embedding of the label have a mean square of one each.

  Attributes:
    features: size of w.
    embedding: size of the embedding of labels.
    multiplier: factor of the learning rate, see `SlowDense`.
    num_classes: classes to condition on; 0 ignores labels.
  """

  features: int
  embedding: int
  multiplier: float
  num_classes: int = 0

  @nn.compact
  def __call__(self, z: jax.Array, label=None) -> jax.Array:
    x = equalized.unit(z)
    if self.num_classes:
      vector = embed(self.num_classes, self.embedding)(label)
      x = jnp.concatenate([equalized.unit(vector), x], axis=-1)
    x = nn.silu(SlowDense(self.features, self.multiplier)(x))
    return SlowDense(self.features, self.multiplier)(x)


def embed(num_classes: int, features: int) -> nn.Module:
  """Returns the embedding of labels, a child of the calling module."""
  return nn.Embed(
    num_classes, features, embedding_init=parts.embedded, name='labels'
  )


class Head(nn.Module):
  """Maps tokens [B, T, C] and w [B, W] to patches [B, T, features].

  Attributes:
    features: numbers of a patch.
    shift: True for a shift of the tokens.
    dtype: dtype of the modulation.
  """

  features: int
  shift: bool = False
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
    width = x.shape[-1]
    vectors = parts.modulation(w, 1 + self.shift, width, self.dtype)
    x = wide(parts.modulated(parts.norm(self.dtype, False)(x), *vectors))
    return parts.dense(self.features, name='patches')(x)


class Judge(nn.Module):
  """The end of a discriminator: tokens [B, ..., C] to logits [B, ...].

  With classes, a logit is the inner product of a token and a label, each after
  layers of its own. The product is not scaled.

  Attributes:
    embedding: size of both factors.
    multiplier: factor of the learning rate of the layers of the label.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: 'projection', or 'class_logit', see `layers.class_logit`.
  """

  embedding: int
  multiplier: float
  num_classes: int = 0
  conditioning: str = 'projection'

  @nn.compact
  def __call__(self, x: jax.Array, label=None) -> jax.Array:
    if self.num_classes and self.conditioning == layers.CLASS_LOGIT:
      make = lambda n: nn.Dense(n, kernel_init=parts.xavier, name='logits')
      return layers.class_logit(self, make, x, label)
    if not self.num_classes:
      return nn.Dense(1, kernel_init=parts.xavier, name='logits')(x)[..., 0]
    x = nn.Dense(self.embedding, kernel_init=parts.xavier, name='logits')(x)
    switches.check_labels(label, self.num_classes)
    y = embed(self.num_classes, self.embedding)(label)
    y = nn.silu(SlowDense(self.embedding, self.multiplier)(y))
    y = SlowDense(self.embedding, self.multiplier)(y)
    y = y.reshape(len(y), *(1,) * (x.ndim - 2), -1)
    return jnp.sum(x * y, axis=-1)


class Representation(nn.Module):
  """Maps tokens [B, T, C] to features [B, T, R] of another network.

  Yu et al. 2024 (https://arxiv.org/abs/2410.06940), section 3.2: three layers,
  2048 units.

  Attributes:
    features: R.
    dtype: dtype of products.
  """

  features: int
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.silu(parts.dense(UNITS, self.dtype)(x))
    x = nn.silu(parts.dense(UNITS, self.dtype)(x))
    return parts.dense(self.features, self.dtype)(x)


class Discriminator(nn.Module):
  """Parts that discriminators have in common.

  Sows 'features' [B, width] into 'intermediates', and 'representation' [B, 1 +
  T, R] if it has a size.

  Attributes:
    depth: number of blocks.
    width: channels of a token.
    heads: heads of attention.
    patch: pixels of a side of a patch.
    embedding: size of the inner product with the label.
    multiplier: factor of the learning rate of the layers of labels.
    representation: R, size of the features of a frozen network that tokens are
      mapped to; 0 is off.
    conditioning: 'projection', or 'class_logit', see `layers.class_logit`.
    recompute: see `transformer.Generator`.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  depth: int = ranged(12, 1, MOST_BLOCKS)
  width: int = ranged(384, 4, MOST_UNITS)
  heads: int = ranged(6, 1, MOST_UNITS)
  patch: int = ranged(2, 1, 256)
  embedding: int = ranged(2048, 1, MOST_UNITS)
  multiplier: float = ranged(0.01, above=0)
  representation: int = ranged(0, 0, MOST_UNITS)
  conditioning: str = ranged('projection', one_of=layers.HEADS)
  recompute: bool = False
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  def tokens(self) -> Callable:
    """Returns the map of patches to tokens."""
    return parts.dense(self.width, self.dtype, name='patches')

  def judged(self, x: jax.Array, tokens: jax.Array, label) -> jax.Array:
    """Returns logits [B, ...] of class tokens [B, ..., C].

    Args:
      x: class tokens after all blocks.
      tokens: all tokens [B, 1 + T, C] of the largest image.
      label: classes [B], or None.
    """
    if self.representation:
      represent = Representation(self.representation, self.dtype)
      self.sow('intermediates', 'representation', represent(tokens))
    x = wide(parts.norm(self.dtype)(x))
    features = x.reshape(len(x), -1, self.width)[:, -1]
    self.sow('intermediates', 'features', features)
    return Judge(
      self.embedding, self.multiplier, self.num_classes, self.conditioning
    )(x, label)
