"""Layers with unit kernels, which keep the variance of their inputs.

Karras et al. 2024, https://arxiv.org/abs/2312.02696, section 2. Kernels are
divided by the root of their inputs. Biases and noise are further inputs of a
kernel: a constant, and one map of normal numbers.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core import switches, unit_weights
from jaxgan.models.layers import grouped_conv, layers

SLOPE = 0.2
# Standard deviation of leaky_relu(x) for normal x. Centred kernels ignore its
# mean.
DEVIATION = math.sqrt((1 + SLOPE**2) / 2 - (1 - SLOPE) ** 2 / (2 * math.pi))


def activate(x: jax.Array) -> jax.Array:
  """Applies a leaky ReLU that keeps the variance of normal numbers."""
  return nn.leaky_relu(x, SLOPE) / DEVIATION


def kernel(module: nn.Module, shape, is_centred: bool = True) -> jax.Array:
  """Returns the unit kernel [..., outputs] of a module."""
  name = unit_weights.CENTRED if is_centred else unit_weights.NORMALISED
  init = nn.initializers.normal(1.0)
  kernel = module.param(name, init, shape, layers.PARAM)
  return unit_weights.unit(kernel, is_centred)


class Product(nn.Module):
  """A product over channels [..., I] with further inputs.

  Attributes:
    features: channels of the output.
    is_centred: see `unit_weights.unit`.
    has_bias: True for a constant input.
    has_noise: True for an input of noise.
    dtype: dtype of the product.
  """

  features: int
  is_centred: bool = True
  has_bias: bool = False
  has_noise: bool = False
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, gain=1.0, draw=None) -> jax.Array:
    """Returns the product of gain * x, a constant 1 and noise.

    Args:
      x: activations [..., I].
      gain: a scalar, or a gain for each channel [I].
      draw: noise [..., 1]; None for no noise.
    """
    width = x.shape[-1]
    inputs = width + self.has_bias + self.has_noise
    w = kernel(self, (inputs, self.features), self.is_centred)
    w = w / math.sqrt(inputs)
    channels = w[:width] * jnp.broadcast_to(gain, (width,))[:, None]
    kind = self.dtype or jnp.promote_types(x.dtype, w.dtype)
    y = x.astype(kind) @ channels.astype(kind)
    of = lambda row: w[row].reshape((1,) * (y.ndim - 1) + (-1,)).astype(kind)
    if self.has_bias:
      y = y + of(width)
    if self.has_noise and draw is not None:
      y = y + draw.astype(kind) * of(width + 1)
    return y


class Block(nn.Module):
  """Adds an inverted bottleneck: 1 x 1, grouped convolution, 1 x 1.

  Each channel of the sum has a gain tanh(a) with a = 0 at first, so a fresh
  block returns its input.

  Attributes:
    expansion: channels of the bottleneck, as a multiple of those of the input.
    group: channels of a group.
    kernel: side of the grouped kernel.
    has_noise: see `Product`.
    dtype: dtype of the block.
  """

  expansion: int
  group: int
  kernel: int
  has_noise: bool
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, gain, draw):
    """Returns the output and the gain [C]; for inputs see `Product`."""
    width, sides = x.shape[-1], (self.kernel, self.kernel)
    hidden = width * self.expansion
    product = functools.partial(Product, dtype=self.dtype)
    h = product(hidden, has_bias=True, has_noise=self.has_noise, name='expand')(
      x, gain, draw
    )
    w = kernel(self, (*sides, self.group, hidden))
    w = w / math.sqrt(math.prod(w.shape[:-1]))
    h = activate(h)
    h = grouped_conv.grouped_conv(h, w.astype(h.dtype), hidden // self.group)
    h = product(width, name='reduce')(activate(h))
    a = self.param('gain', nn.initializers.zeros, (width,), layers.PARAM)
    a = jnp.tanh(a)
    return x + h * a.reshape(1, 1, 1, -1).astype(h.dtype), a


def stage(module: nn.Module, x, index: int, draws, dtype):
  """Applies the blocks of a stage.

  Returns:
    The output, and the gain [C] that gives the output unit variance.
  """
  variance = jnp.ones(x.shape[-1])
  x = x.astype(dtype or x.dtype)
  for _ in range(module.blocks[index]):
    block = Block(
      module.expansion,
      module.group_width,
      module.kernel,
      draws is not None,
      dtype,
    )
    draw = next(draws) if draws is not None else None
    x, gain = block(x, jax.lax.rsqrt(variance), draw)
    variance = variance + gain**2
  return x, jax.lax.rsqrt(variance)


class Embedding(nn.Module):
  """Returns unit vectors [B, features] of labels; all start equal.

  Attributes:
    num_classes: number of classes.
    features: size of a vector, whose mean square is one.
  """

  num_classes: int
  features: int

  @nn.compact
  def __call__(self, label: jax.Array) -> jax.Array:
    switches.check_labels(label, self.num_classes)

    def init(key, shape, dtype):
      first = jax.random.normal(key, (shape[0], 1), dtype)
      return jnp.broadcast_to(first, shape)

    shape = (self.features, self.num_classes)
    table = self.param(unit_weights.CENTRED, init, shape, layers.PARAM)
    vectors = jax.nn.one_hot(label, self.num_classes, dtype=table.dtype)
    return vectors @ unit_weights.unit(table).T


def grouped(x, w, equation: str, group: int):
  """Returns an einsum of channels [..., G, C] and a kernel [H, W, C, G, O]."""
  grouped = lambda a: a.reshape(*a.shape[:-1], a.shape[-1] // group, group)
  y = jnp.einsum(equation, grouped(x), grouped(w))
  return y.reshape(*y.shape[:-2], -1)
