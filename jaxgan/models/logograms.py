"""The networks of the logogram tutorial, with tanh and pooling."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import layers, norms

SMALLEST_SIDE = 24  # of images that leave a pixel after both poolings


class Generator(nn.Module):
  """Generates images [B, H, W, C] in (-1, 1) from latents [B, Z].

  8,739,457 parameters for 128 x 128 grey pixels and 100 latents (16,384 of them
  running statistics). Each of the two convolutions follows an enlargement by
  4 to the nearest pixel.

  Attributes:
    shape: (height, width, channels) of an image.
    hidden: units of the first dense layer.
    widths: channels of the small image and after the first convolution.
    norm: norm of the small image's units, one of `norms.NORMS`.
    momentum: decay of running statistics.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  hidden: int = ranged(1024, 1, MOST_UNITS)
  widths: tuple[int, int] = ranged((128, 64), 1, MOST_UNITS, lengths=(2, 2))
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.99, 0, below=1)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
    dense, conv = layers.with_kernels(self.initializer)
    height, width, channels = self.shape
    start = (-(-height // 16), -(-width // 16), self.widths[0])
    x = jnp.tanh(dense(self.hidden, dtype=self.dtype)(z))
    x = dense(math.prod(start), dtype=self.dtype)(x)
    x = norms.norm(
      self.norm,
      train=train,
      momentum=self.momentum,
      dtype=self.dtype,
    )(x)
    x = jnp.tanh(x).reshape(-1, *start)
    for features, dtype in ((self.widths[1], self.dtype), (channels, None)):
      size = tuple(4 * side for side in x.shape[1:3])
      x = jnp.tanh(conv(features, 5, enlarged=size, dtype=dtype)(x))
    return x[:, :height, :width]


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B].

  6,629,633 parameters for 128 x 128 grey pixels.

  Attributes:
    widths: channels of the convolutions.
    hidden: units of the dense layer.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, int] = ranged((64, 128), 1, MOST_UNITS, lengths=(2, 2))
  hidden: int = ranged(256, 1, MOST_UNITS)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    del train
    if min(x.shape[1:3]) < SMALLEST_SIDE:
      raise errors.UserError(
        "discriminator.name='logograms.Discriminator' needs images of at least "
        f'{SMALLEST_SIDE} x {SMALLEST_SIDE}, and they are {x.shape[1]} x '
        f'{x.shape[2]}. Set data.image_size or another network.'
      )
    dense, conv = layers.with_kernels(self.initializer)
    x = jnp.tanh(conv(self.widths[0], 5, dtype=self.dtype)(x))
    x = nn.avg_pool(x, (4, 4), (4, 4))
    x = conv(self.widths[1], 5, padding='VALID', dtype=self.dtype)(x)
    x = jnp.tanh(x)
    x = nn.avg_pool(x, (2, 2), (2, 2))
    x = dense(self.hidden, dtype=self.dtype)(x.reshape(len(x), -1))
    x = jnp.tanh(x)
    self.sow('intermediates', 'features', x)
    return dense(1)(x)[:, 0]
