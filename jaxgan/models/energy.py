"""Discriminators that are autoencoders: the energy is the error of an image.

Zhao et al. 2016 (https://arxiv.org/abs/1609.03126), section 2.1.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.autoencoder import ConvDecoder, ConvEncoder

# name -> error of each pixel, from the difference of two images.
DISTANCES = {'l1': jnp.abs, 'l2': jnp.square}


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], minus the energy.

  The energy is the mean error of the reconstructed pixels. Sows the code into
  'intermediates', as 'features' [B, code_size].

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of the encoder; the decoder has them in reverse.
    code_size: numbers in a code.
    distance: error of a pixel, a key of `DISTANCES`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((32, 64), 1, MOST_UNITS, lengths=NOT_EMPTY)
  code_size: int = ranged(64, 1, MOST_UNITS)
  distance: str = ranged('l2', one_of=DISTANCES)
  dtype: jnp.dtype | None = None

  @nn.compact
  def reconstruct(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Returns reconstructed images [B, H, W, C]."""
    encoder = ConvEncoder(self.widths, self.code_size, False, self.dtype)
    decoder = ConvDecoder(self.shape, self.widths[::-1], self.dtype)
    code = encoder(x, train=train)
    self.sow('intermediates', 'features', code)
    return decoder(code, train=train)

  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    error = DISTANCES[self.distance](x - self.reconstruct(x, train=train))
    return -jnp.mean(error.reshape(len(x), -1), axis=1)
