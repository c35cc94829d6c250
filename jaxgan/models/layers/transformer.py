"""Parts of transformers: positions, patches, attention and blocks.

Tokens are vectors [B, T, C] of the patches of an image, row by row. A network
may put a token of its own before these.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.models.layers import layers

EPSILON = 1e-6  # of norms of tokens
HEAD_EPSILON = 2.0**-23  # of norms of queries and keys, as in PyTorch
BASE = 10_000.0  # of wavelengths
SCALE = 0.1  # first weights of branches

xavier = nn.initializers.xavier_uniform()
# Xavier with a gain of 0.1.
small = nn.initializers.variance_scaling(SCALE**2, 'fan_avg', 'uniform')
embedded = nn.initializers.normal(0.02)  # first embeddings


def grid_of(sides: tuple[int, ...], patch: int) -> tuple[int, int]:
  """Returns the rows and columns of patches of an image, rounded up."""
  height, width = sides
  return -(-height // patch), -(-width // patch)


def positions(grid: tuple[int, int], width: int) -> np.ndarray:
  """Returns fixed positions [T, width] of the patches of a grid.

  A quarter each are sines and cosines of the column, and sines and cosines of
  the row (Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929, in the
  form of DiT).
  """
  rows, columns = np.indices(grid).reshape(2, -1)
  frequencies = BASE ** -(np.arange(width // 4) / (width // 4))
  waves = [x[:, None] * frequencies[None] for x in (columns, rows)]
  parts = [wave(x) for x in waves for wave in (np.sin, np.cos)]
  return np.concatenate(parts, axis=-1).astype(np.float32)


def angles(grid: tuple[int, int], width: int, before: int = 0) -> np.ndarray:
  """Returns rotary angles [T, width / 2] of the patches of a grid.

  Su et al. 2021 (https://arxiv.org/abs/2104.09864), equation 15, in two
  dimensions: the first half belongs to the row, the second to the column.

  Args:
    grid: rows and columns.
    width: width of a head.
    before: tokens before those of patches, whose angles are zero.
  """
  rows, columns = np.indices(grid).reshape(2, -1)
  frequencies = BASE ** -(np.arange(width // 4) / (width // 4))
  parts = [x[:, None] * frequencies[None] for x in (rows, columns)]
  whole = np.concatenate(parts, axis=-1).astype(np.float32)
  return np.pad(whole, ((before, 0), (0, 0)))


def rotate(x: jax.Array, turn: np.ndarray) -> jax.Array:
  """Turns pairs of channels of heads [B, T, N, H] by angles [T, H / 2]."""
  pairs = x.reshape(*x.shape[:-1], -1, 2)
  first, second = pairs[..., 0], pairs[..., 1]
  cosine, sine = (
    wave(turn).astype(x.dtype)[None, :, None] for wave in (jnp.cos, jnp.sin)
  )
  turned = (first * cosine - second * sine, second * cosine + first * sine)
  return jnp.stack(turned, axis=-1).reshape(x.shape)


def patches(x: jax.Array, patch: int) -> jax.Array:
  """Cuts images [B, H, W, C] into patches [B, T, patch * patch * C].

  Sides that the patch does not divide are filled up with the last pixels.
  """
  batch, *sides, channels = x.shape
  rows, columns = grid_of(tuple(sides), patch)
  pads = [
    (0, n * patch - s) for n, s in zip((rows, columns), sides, strict=True)
  ]
  if any(high for _, high in pads):
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), 'edge')
  x = x.reshape(batch, rows, patch, columns, patch, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, -1)


def image_of(x: jax.Array, shape: tuple[int, ...], patch: int) -> jax.Array:
  """Joins patches to images [B, *shape], the inverse of `patches`."""
  *sides, channels = shape
  rows, columns = grid_of(tuple(sides), patch)
  x = x.reshape(-1, rows, columns, patch, patch, channels)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  x = x.reshape(-1, rows * patch, columns * patch, channels)
  return x[:, : sides[0], : sides[1]]


def dense(features: int, dtype: jnp.dtype | None = None, **fields):
  """Returns a product with a bias for tokens, a child of the calling module."""
  layer = nn.Dense(features, kernel_init=xavier, dtype=dtype, **fields)
  return lambda x: layers.flat(layer, x)


def norm(dtype, affine: bool = True, epsilon: float = EPSILON, **fields):
  """Returns a norm for tokens, a child of the calling module.

  Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467, equation 4.

  Args:
    dtype: dtype of the result.
    affine: True for learned weights of the channels.
    epsilon: added to the mean square.
    **fields: further fields of the module.
  """
  layer = nn.RMSNorm(epsilon, dtype=dtype, use_scale=affine, **fields)
  return lambda x: layers.flat(layer, x)


class Attention(nn.Module):
  """Self-attention of tokens [B, T, C], with norms of queries and keys.

  Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), section 3.2.2; norms
  as in Dehghani et al. 2023 (https://arxiv.org/abs/2302.05442), section 2.

  Attributes:
    heads: number of heads.
    dtype: dtype of products.
    normed: False for queries and keys without norms.
  """

  heads: int
  dtype: jnp.dtype | None = None
  normed: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, turn: np.ndarray | None) -> jax.Array:
    """Returns tokens; `turn` are angles for `rotate`, or None."""
    width = x.shape[-1]
    heads = dense(3 * width, self.dtype)(x).reshape(
      *x.shape[:2], 3, self.heads, -1
    )
    query, key, value = (heads[:, :, index] for index in range(3))
    if self.normed:
      query, key = (
        norm(self.dtype, epsilon=HEAD_EPSILON, name=name)(part)
        for name, part in (('query', query), ('key', key))
      )
    if turn is not None:
      query, key = rotate(query, turn), rotate(key, turn)
    x = jax.nn.dot_product_attention(query, key, value)
    return dense(width, self.dtype)(x.reshape(*x.shape[:2], width))


class SwiGLU(nn.Module):
  """A layer of 8/3 C gated units: tokens [B, T, C] to tokens [B, T, C].

  Shazeer 2020, https://arxiv.org/abs/2002.05202, equation 6, with biases.
  """

  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    both = dense(2 * (8 * width // 3), self.dtype)(x)
    gate, units = jnp.split(both, 2, axis=-1)
    return dense(width, self.dtype)(nn.silu(gate) * units)


def modulation(w: jax.Array, count: int, width: int, dtype):
  """Returns `count` vectors [B, 1, width], a child of the calling module."""
  dense = nn.Dense(
    count * width, kernel_init=small, dtype=dtype, name='modulation'
  )
  return jnp.split(dense(nn.silu(w))[:, None], count, axis=-1)


def modulated(x: jax.Array, *vectors) -> jax.Array:
  """Returns tokens times 1 + the last vector, plus the first of two vectors."""
  *shift, scale = vectors
  return sum(shift, start=x * (1.0 + scale))


class GatedBlock(nn.Module):
  """A block of a generator: tokens [B, T, C] and w [B, W] to tokens.

  Each branch f adds gate(w) f(RMSNorm(x) (1 + scale(w)) + shift(w)). Gates are
  near zero at first.

  Attributes:
    heads: number of heads.
    shift: True for shifts.
    dtype: dtype of products.
  """

  heads: int
  shift: bool = False
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, w: jax.Array, turn) -> jax.Array:
    count = 3 if self.shift else 2  # vectors of a branch
    vectors = modulation(w, 2 * count, x.shape[-1], self.dtype)
    branches = (
      lambda x: Attention(self.heads, self.dtype)(x, turn),
      lambda x: SwiGLU(self.dtype)(x),
    )
    for index, branch in enumerate(branches):
      *change, gate = vectors[index * count : (index + 1) * count]
      x = x + gate * branch(modulated(norm(self.dtype, False)(x), *change))
    return x


class Block(nn.Module):
  """A block of a discriminator: tokens [B, T, C] to tokens.

  Each branch is multiplied by learned weights of its channels, 0.1 at first
  (Touvron et al. 2021, https://arxiv.org/abs/2103.17239, equation 4).

  Attributes:
    heads: number of heads.
    dtype: dtype of products.
  """

  heads: int
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, turn) -> jax.Array:
    branches = (
      lambda x: Attention(self.heads, self.dtype)(x, turn),
      lambda x: SwiGLU(self.dtype)(x),
    )
    for index, branch in enumerate(branches):
      init = nn.initializers.constant(SCALE)
      shape = x.shape[-1:]
      scale = self.param(f'scale_{index}', init, shape, layers.PARAM)
      change = branch(norm(self.dtype)(x))
      scaled = lambda x, scale=scale: x * scale.astype(x.dtype)[None]
      x = x + layers.flat(scaled, change)
    return x
