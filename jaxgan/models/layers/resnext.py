"""Blocks of R3GAN: grouped convolutions without norms, and resampling.

Huang et al. 2024, https://arxiv.org/abs/2501.05441. Convolutions of 1 x 1 are
products over channels.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.models.layers import grouped_conv, layers, resampling

SLOPE = 0.2
# Keeps the variance of activations (He et al. 2015,
# https://arxiv.org/abs/1502.01852, equation 15).
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def scaled(gain: float = 1.0) -> Callable:
  """Returns an initializer: normal, of variance gain^2 / inputs."""
  return nn.initializers.variance_scaling(gain**2, 'fan_in', 'normal')


def _taps(weights) -> np.ndarray:
  """Returns the filter between two grids of pixels, with a sum of one."""
  return resampling.normalised(np.convolve(weights, (1.0, 1.0)))


def enlarge(x: jax.Array, size: tuple[int, int], weights) -> jax.Array:
  """Doubles the sides of images with a filter, then cuts to (height, width).

  Args:
    x: images [B, H, W, C]. A side of the result is at most twice theirs.
    size: (height, width) of the result.
    weights: filter of odd length, the same from both ends. (1, 2, 1) is
      bilinear.
  """
  return resampling.enlarge(x, size, _taps(weights))


def reduce(x: jax.Array, weights) -> jax.Array:
  """Halves the sides of images with a filter; odd sides are rounded up.

  A quarter of the adjoint of `enlarge`, with the same arguments.
  """
  return resampling.reduce(x, _taps(weights))


class GroupedConv(nn.Module):
  """A grouped convolution with a bias; as many channels as the input has.

  Attributes:
    groups: number of groups.
    kernel: side of the kernel.
    kernel_init: initializer.
    dtype: dtype of the convolution.
  """

  groups: int
  kernel: int
  kernel_init: Callable
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    shape = (self.kernel, self.kernel, width // self.groups, width)
    w = self.param('kernel', self.kernel_init, shape, layers.PARAM)
    bias = self.param('bias', nn.initializers.zeros, (width,), layers.PARAM)
    x, w, bias = nn.dtypes.promote_dtype(x, w, bias, dtype=self.dtype)
    x = grouped_conv.grouped_conv(x, w, self.groups)
    return layers.flat(lambda x: x + bias[None], x)


class Block(nn.Module):
  """Adds an inverted bottleneck: 1 x 1, grouped convolution, 1 x 1.

  Huang et al. 2024 (https://arxiv.org/abs/2501.05441), section 3.3. The last
  kernel starts at zero, so a fresh block returns its input.

  Attributes:
    cardinality: number of groups.
    expansion: channels of the bottleneck, as a multiple of those of the input.
    kernel: side of the grouped kernel.
    gain: gain of the initial kernels before activations.
    dtype: dtype of the block.
  """

  cardinality: int
  expansion: int
  kernel: int
  gain: float
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width, init = x.shape[-1], scaled(self.gain)
    hidden = width * self.expansion
    h = layers.flat(nn.Dense(hidden, kernel_init=init, dtype=self.dtype), x)
    h = nn.leaky_relu(h, SLOPE)
    h = GroupedConv(self.cardinality, self.kernel, init, self.dtype)(h)
    h = nn.leaky_relu(h, SLOPE)
    last = nn.Dense(
      width,
      use_bias=False,
      kernel_init=nn.initializers.zeros,
      dtype=self.dtype,
    )
    return x + layers.flat(last, h)
