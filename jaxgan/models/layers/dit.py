"""Parts of diffusion transformers: times, conditions, blocks, both networks.

DiT: Peebles and Xie 2022, https://arxiv.org/abs/2212.09748, section 3.2, with
adaLN-zero.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core import switches
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import layers
from jaxgan.models.layers import transformer as parts
from jaxgan.models.layers import transformer_heads as ends

WAVES = 256  # sines and cosines of a time
TIME_SCALE = 1000.0  # The times of DiT are 0 to 1000.

zeros = nn.initializers.zeros


def waves(time: jax.Array) -> jax.Array:
  """Returns cosines and sines [B, 256] of times [B] in [0, 1]."""
  half = WAVES // 2
  frequencies = parts.BASE ** -(jnp.arange(half) / half)
  angles = TIME_SCALE * time[:, None] * frequencies[None]
  return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class Time(nn.Module):
  """Embeds times [B] in [0, 1] as vectors [B, features]."""

  features: int

  @nn.compact
  def __call__(self, time: jax.Array) -> jax.Array:
    dense = lambda: nn.Dense(self.features, kernel_init=parts.embedded)
    x = nn.silu(dense()(waves(time)))
    return dense()(x)


class Condition(nn.Module):
  """Adds embeddings of a label and of times to vectors [B, features].

  Without labels there is one vector for all examples.

  Attributes:
    features: size of a vector.
    num_classes: classes to condition on; 0 ignores labels.
  """

  features: int
  num_classes: int = 0

  @nn.compact
  def __call__(self, count: int, label, times: tuple) -> jax.Array:
    """Returns vectors of labels [count] and of several times [count]."""
    # A product, which all formats of export have.
    table = nn.Dense(
      self.features, use_bias=False, kernel_init=parts.embedded, name='labels'
    )
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
      c = table(jax.nn.one_hot(label, self.num_classes))
    else:
      c = jnp.broadcast_to(table(jnp.ones((1, 1))), (count, self.features))
    for index, time in enumerate(times):
      c = c + Time(self.features, name=f'time_{index}')(time)
    return nn.silu(c)


def modulation(c: jax.Array, count: int, width: int, dtype):
  """Returns `count` vectors [B, 1, width], zero at first."""
  dense = nn.Dense(
    count * width, kernel_init=zeros, dtype=dtype, name='modulation'
  )
  return jnp.split(dense(c)[:, None], count, axis=-1)


def norm(dtype=None):
  """Returns a layer norm without weights (Ba et al. 2016), for tokens."""
  layer = nn.LayerNorm(
    parts.EPSILON, dtype=dtype, use_bias=False, use_scale=False
  )
  return lambda x: layers.flat(layer, x)


class MLP(nn.Module):
  """A layer of 4 C units: tokens [B, T, C] to tokens [B, T, C]."""

  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    x = nn.gelu(parts.dense(4 * width, self.dtype)(x), approximate=True)
    return parts.dense(width, self.dtype)(x)


class Block(nn.Module):
  """A block with adaLN-zero: tokens [B, T, C] and c [B, C] to tokens.

  Each branch f adds gate(c) f(LayerNorm(x) (1 + scale(c)) + shift(c)). All
  three are zero at first, so that the block is the identity.

  Attributes:
    heads: number of heads.
    normed: True for norms of queries and keys.
    dtype: dtype of products.
  """

  heads: int
  normed: bool = False
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, c: jax.Array) -> jax.Array:
    vectors = modulation(c, 6, x.shape[-1], self.dtype)
    branches = (
      lambda x: parts.Attention(self.heads, self.dtype, self.normed)(x, None),
      lambda x: MLP(self.dtype)(x),
    )
    for index, branch in enumerate(branches):
      shift, scale, gate = vectors[3 * index : 3 * index + 3]
      change = branch(parts.modulated(norm(self.dtype)(x), shift, scale))
      x = x + gate * change
    return x


class Transformer(nn.Module):
  """Parts that both networks have in common.

  Attributes:
    depth: number of blocks.
    width: channels of a token.
    heads: heads of attention.
    patch: pixels of a side of a patch.
    times: True for networks of any-step models, which are given times.
    normed: True for norms of queries and keys, which bfloat16 needs.
    recompute: True to compute activations of blocks twice and keep none, which
      saves memory.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  depth: int = ranged(12, 1, ends.MOST_BLOCKS)
  width: int = ranged(768, 4, MOST_UNITS)
  heads: int = ranged(12, 1, MOST_UNITS)
  patch: int = ranged(2, 1, 256)
  times: bool = False
  normed: bool = False
  recompute: bool = False
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  def tokens(self, x: jax.Array) -> jax.Array:
    """Returns tokens [B, T, C] of images [B, H, W, channels]."""
    grid = parts.grid_of(x.shape[1:3], self.patch)
    first = parts.dense(self.width, self.dtype, name='patches')
    x = first(parts.patches(x, self.patch))
    return x + jnp.asarray(parts.positions(grid, self.width), x.dtype)[None]

  def blocks(self, x: jax.Array, c: jax.Array) -> jax.Array:
    """Returns tokens after all blocks."""
    for block in ends.blocks(self, Block, self.normed):
      x = block(x, c)
    return x
