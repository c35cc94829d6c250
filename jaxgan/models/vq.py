"""Networks of discrete codes: an encoder, a codebook and a prior over codes.

Van den Oord et al. 2017 (https://arxiv.org/abs/1711.00937), section 3. The
decoder is `autoencoder.ConvDecoder`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.layers import layers, norms
from jaxgan.models.layers.transformer import embedded


class Encoder(nn.Module):
  """Encodes images [B, H, W, C] as features [B, h, w, channels].

  Batch norm gives features the mean and variance of the first codes. Without
  it, features are alike, and few codes are the nearest of any.

  Attributes:
    channels: channels of the features.
    widths: channels of the convolutions, each of which halves the image.
    blocks: residual blocks of two convolutions after these.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  channels: int
  widths: tuple[int, ...] = ranged((32, 64), 1, MOST_UNITS, lengths=NOT_EMPTY)
  blocks: int = ranged(1, 0, 100)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:

    def conv(x, width, kernel, stride=1, dtype=self.dtype):
      layer = layers.Conv(
        width, kernel, stride, initializer='glorot', dtype=dtype
      )
      return layer(x)

    for width in self.widths:
      x = nn.relu(conv(x, width, 4, 2))
    for _ in range(self.blocks):
      y = nn.relu(conv(x, self.widths[-1], 3))
      x = nn.relu(x + conv(y, self.widths[-1], 1))
    x = conv(x, self.channels, 1, dtype=None)
    return norms.norm('batch', train=train)(x)


class Codebook(nn.Module):
  """Finds the nearest code of each feature, equation 1.

  Attributes:
    codes: K, the number of codes.
    channels: D, the size of a code.
    dtype: dtype of hidden layers; a codebook has none, and stays float32.
  """

  codes: int
  channels: int
  dtype: jnp.dtype | None = None

  def setup(self):
    init = nn.initializers.normal(1.0)
    shape = (self.codes, self.channels)
    self.table = self.param('table', init, shape, layers.PARAM)

  def __call__(self, x: jax.Array, *, train: bool):
    """Returns codes [B, h, w, D] and their numbers [B, h, w] of features."""
    del train
    # Squared distances without |x|^2, which is the same for all codes.
    square = jnp.sum(self.table**2, axis=1).reshape(*(1,) * (x.ndim - 1), -1)
    far = square - 2.0 * (x @ self.table.T)
    index = jnp.argmin(far, axis=-1)
    return self.find(index), index

  def find(self, index: jax.Array, *, train: bool = False) -> jax.Array:
    """Returns codes [..., D] of numbers [...]."""
    del train
    return jax.nn.one_hot(index, self.codes) @ self.table


class Prior(nn.Module):
  """Predicts codes [B, T] from the codes before: logits [B, T, codes].

  A causal transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)
  with norms before its branches. The paper has a PixelCNN.

  Attributes:
    codes: K, the number of codes.
    width: size of a token.
    blocks: number of blocks.
    heads: heads of attention.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  codes: int
  width: int = ranged(64, 1, MOST_UNITS)
  blocks: int = ranged(2, 0, 100)
  heads: int = ranged(4, 1, 64)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, index: jax.Array, *, train: bool) -> jax.Array:
    del train
    if self.width % self.heads:
      raise errors.UserError(
        f'prior.heads={self.heads} does not divide prior.width={self.width}. '
        'Set prior.width to a multiple of it.'
      )
    count = index.shape[1]
    x = nn.Dense(self.width, use_bias=False, dtype=self.dtype)(
      jax.nn.one_hot(index, self.codes)
    )
    # Position t sees codes before t, and the first one an empty token.
    x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :count]
    x += self.param('position', embedded, (1, count, self.width), layers.PARAM)
    is_before = np.tril(np.ones((1, 1, count, count), bool))
    for _ in range(self.blocks):
      y = nn.LayerNorm(dtype=self.dtype)(x)
      y = nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype)(
        y, mask=is_before
      )
      x += y
      y = nn.LayerNorm(dtype=self.dtype)(x)
      y = nn.gelu(nn.Dense(4 * self.width, dtype=self.dtype)(y))
      x += nn.Dense(self.width, dtype=self.dtype)(y)
    return nn.Dense(self.codes)(nn.LayerNorm()(x))
