"""Super-resolution by residual blocks and shuffled pixels.

Ledig et al. 2016 (https://arxiv.org/abs/1609.04802), figure 4.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import layers, norms

EPSILON = 1e-5  # of norms, as in PyTorch
SLOPE = 0.25  # first slope of rectifiers, as in PyTorch
FACTORS = (2, 4, 8)


def shuffled(x: jax.Array, factor: int) -> jax.Array:
  """Turns channels into pixels: [B, h, w, C f^2] to [B, h f, w f, C].

  Shi et al. 2016 (https://arxiv.org/abs/1609.05158), equation 4: channel
  (row, column, c) in this order.
  """
  batch, rows, columns, channels = x.shape
  x = x.reshape(batch, rows, columns, factor, factor, channels // factor**2)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(batch, rows * factor, columns * factor, -1)


class Generator(nn.Module):
  """Enlarges images: [B, H, W, D] of large pixels to [B, H, W, C] in (-1, 1).

  The source has squares of equal pixels, as `data.pair='low:4'` makes them. The
  network sees one pixel of each square. The defaults have 1,549,462 parameters
  for three channels, as the authors' network for a factor of 4; 4,224 running
  statistics are not counted.

  Attributes:
    shape: (height, width, channels) of the output.
    factor: side of the squares, a power of two.
    width: channels of hidden layers.
    blocks: number of residual blocks.
    norm: in residual blocks, one of `norms.NORMS`.
    momentum: decay of running statistics.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  factor: int = ranged(4, one_of=FACTORS)
  width: int = ranged(64, 1, MOST_UNITS)
  blocks: int = ranged(16, 0, 100)
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.9, 0, below=1)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    def conv(x, width, kernel=3, dtype=self.dtype):
      return layers.Conv(width, kernel, dtype=dtype)(x)

    def normed(x):
      fields = dict(train=train, momentum=self.momentum, epsilon=EPSILON)
      return norms.norm(self.norm, dtype=self.dtype, **fields)(x)

    rectified = lambda x: nn.PReLU(negative_slope_init=SLOPE)(x)
    x = x[:, :: self.factor, :: self.factor]
    x = first = rectified(conv(x, self.width, 9))
    for _ in range(self.blocks):
      y = rectified(normed(conv(x, self.width)))
      x += normed(conv(y, self.width))
    x = first + normed(conv(x, self.width))
    for _ in range(self.factor.bit_length() - 1):
      x = rectified(shuffled(conv(x, 4 * self.width), 2))
    height, width = self.shape[:2]
    x = conv(x[:, :height, :width], self.shape[-1], 9, None)
    return jnp.tanh(x)
