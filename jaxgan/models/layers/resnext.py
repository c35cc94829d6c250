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
from jax import lax

from jaxgan.models.layers import grouped_conv, layers

SLOPE = 0.2
# Keeps the variance of activations (He et al. 2015,
# https://arxiv.org/abs/1502.01852, equation 15).
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def scaled(gain: float = 1.0) -> Callable:
  """Returns an initializer: normal, of variance gain^2 / inputs."""
  return nn.initializers.variance_scaling(gain**2, 'fan_in', 'normal')


def _taps(weights) -> np.ndarray:
  """Returns the filter between two grids of pixels, with a sum of one."""
  taps = np.convolve(weights, (1.0, 1.0))
  return taps / taps.sum()


def _add_up(x, terms, length: int, stride: int, axis: int):
  """Returns sums of weighted slices: weight times x[start::stride]."""
  total = 0.0
  for start, weight in terms:
    stop = start + stride * (length - 1) + 1
    part = lax.slice_in_dim(x, start, stop, stride, axis)
    total += jnp.asarray(weight, x.dtype) * part
  return total


def _pad(x, before: int, after: int, axis: int):
  pads = [(0, 0)] * x.ndim
  pads[axis] = (before, after)
  return jnp.pad(x, pads)


def enlarge(x: jax.Array, size: tuple[int, int], weights) -> jax.Array:
  """Doubles the sides of images with a filter, then cuts to (height, width).

  Pixels beyond the border are zero.

  Args:
    x: images [B, H, W, C]. A side of the result is at most twice theirs.
    size: (height, width) of the result.
    weights: filter of odd length, the same from both ends. (1, 2, 1) is
      bilinear.
  """
  taps, radius = 2.0 * _taps(weights), len(weights) // 2
  for axis in (1, 2):
    length = x.shape[axis]
    padded = _pad(x, radius, radius, axis)
    # Pixel 2 q + phase has tap 2 j + phase + radius of pixel q - j.
    phases = [
      _add_up(
        padded,
        [
          (radius - (k - phase - radius) // 2, taps[k])
          for k in range((phase + radius) % 2, len(taps), 2)
        ],
        length,
        1,
        axis,
      )
      for phase in (0, 1)
    ]
    shape = (*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])
    x = jnp.stack(phases, axis + 1).reshape(shape)
  return x[:, : size[0], : size[1]]


def reduce(x: jax.Array, weights) -> jax.Array:
  """Halves the sides of images with a filter; odd sides are rounded up.

  A quarter of the adjoint of `enlarge`, with the same arguments.
  """
  taps, radius = _taps(weights), len(weights) // 2
  for axis in (1, 2):
    length = -(-x.shape[axis] // 2)
    padded = _pad(x, radius, radius + x.shape[axis] % 2, axis)
    x = _add_up(padded, enumerate(taps), length, 2, axis)
  return x


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
    return x + bias.reshape(1, 1, 1, -1)


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
    h = nn.Dense(hidden, kernel_init=init, dtype=self.dtype)(x)
    h = nn.leaky_relu(h, SLOPE)
    h = GroupedConv(self.cardinality, self.kernel, init, self.dtype)(h)
    h = nn.leaky_relu(h, SLOPE)
    return x + nn.Dense(
      width,
      use_bias=False,
      kernel_init=nn.initializers.zeros,
      dtype=self.dtype,
    )(h)
