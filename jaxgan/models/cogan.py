"""Coupled networks for images of two domains, side by side as channels.

Liu and Tuzel 2016 (https://arxiv.org/abs/1606.07536), section 3: the layers
that decode meaning are shared, and each domain has layers of its own for its
details. Meaning comes first in generators, and last in discriminators.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.layers import layers, norms

KERNEL, SLOPE = 4, 0.2  # of all convolutions and rectifiers


def _check_shared(player: str, module: nn.Module) -> None:
  """Raises a UserError if no layer is left for each domain alone."""
  most = len(module.widths) - 1
  if module.shared > most:
    raise errors.UserError(
      f'{player}.shared={module.shared} must be at most {most}, one less than '
      f'the number of {player}.widths.'
    )


class Generator(nn.Module):
  """Generates two images [B, H, W, C + D] in (-1, 1) from latents [B, Z].

  A dense layer makes an image of 1 / 2^n of the size, n = len(widths), and each
  layer doubles the size.

  Attributes:
    shape: (height, width, C + D) of both images together.
    source_channels: D, the last channels, which are the second image.
    widths: channels before each doubling.
    shared: first doublings that both domains share; at most all but the last.
    momentum: decay of running statistics.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  source_channels: int = 1
  widths: tuple[int, ...] = ranged((128, 64), 1, MOST_UNITS, lengths=NOT_EMPTY)
  shared: int = ranged(1, 0, 16)
  momentum: float = ranged(0.9, 0, below=1)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
    *sides, channels = self.shape
    last = len(self.widths) - 1

    def rectified(x):
      fields = dict(train=train, momentum=self.momentum, dtype=self.dtype)
      return nn.leaky_relu(norms.norm('batch', **fields)(x), SLOPE)

    def doubled(x, index, channels, dtype=None):
      size = tuple(-(-side // 2 ** (last - index)) for side in sides)
      return layers.ConvTranspose(channels, KERNEL, 2, size, dtype=dtype)(x)

    def layer(x, index):
      width = self.widths[index + 1]
      return rectified(doubled(x, index, width, self.dtype))

    rows, columns = (-(-side // 2 ** (last + 1)) for side in sides)
    x = nn.Dense(rows * columns * self.widths[0], dtype=self.dtype)(z)
    x = rectified(x.reshape(-1, rows, columns, self.widths[0]))
    _check_shared('generator', self)
    for index in range(self.shared):
      x = layer(x, index)
    images = []
    for own in (channels - self.source_channels, self.source_channels):
      y = x
      for index in range(self.shared, last):
        y = layer(y, index)
      images.append(doubled(y, last, own))
    return jnp.tanh(jnp.concatenate(images, axis=-1))


class Discriminator(nn.Module):
  """Discriminates two images [B, H, W, C + D]: logits [B, 2], one for each.

  Attributes:
    source_channels: D, the last channels, which are the second image.
    widths: channels after each convolution, which halves the image.
    shared: last convolutions that both domains share, with the dense layer; at
      most all but the first.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  source_channels: int = 1
  widths: tuple[int, ...] = ranged((64, 128), 1, MOST_UNITS, lengths=NOT_EMPTY)
  shared: int = ranged(1, 0, 16)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    del train

    def halved(x, width):
      x = layers.Conv(width, KERNEL, 2, dtype=self.dtype)(x)
      return nn.leaky_relu(x, SLOPE)

    _check_shared('discriminator', self)
    own = len(self.widths) - self.shared
    parts = jnp.split(x, [x.shape[-1] - self.source_channels], axis=-1)
    for index, _ in enumerate(parts):
      for width in self.widths[:own]:
        parts[index] = halved(parts[index], width)
    x = jnp.concatenate(parts)  # Shared layers see both as one batch.
    for width in self.widths[own:]:
      x = halved(x, width)
    logits = nn.Dense(1)(x.reshape(len(x), -1))[:, 0]
    return jnp.stack(jnp.split(logits, 2), axis=-1)
