"""Layers with equalised learning rates, of StyleGAN and StyleGAN2.

Karras et al. 2018 (https://arxiv.org/abs/1710.10196), section 4.1: kernels
start with deviation 1, and each call multiplies them by 1 / sqrt(inputs). So
updates of all kernels have the same size relative to their range.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.layers import conv, layers, resampling

SLOPE = 0.2
GAIN = math.sqrt(2.0)
HALF = math.sqrt(0.5)  # A sum of two branches keeps its variance.
FILTER = resampling.normalised((1, 3, 3, 1))
DIVISOR_EPSILON = 1e-8


def activate(x: jax.Array, gain: float = 1.0, clamp: float = 0.0) -> jax.Array:
  """Returns sqrt(2) times the leaky ReLU of x, times `gain`.

  Args:
    x: activations.
    gain: a further factor.
    clamp: limit of the size of results before `gain`; 0 is off.
  """
  x = GAIN * gain * nn.leaky_relu(x, SLOPE)
  return limit(x, gain * clamp)


def limit(x: jax.Array, clamp: float) -> jax.Array:
  """Returns x cut to [-clamp, clamp]; a clamp of 0 is off."""
  return jnp.clip(x, -clamp, clamp) if clamp else x


def unit(x: jax.Array) -> jax.Array:
  """Returns vectors [B, D] with a mean square of one."""
  square = jnp.mean(x**2, axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + DIVISOR_EPSILON)


class Linear(nn.Module):
  """A product with a bias: [B, D] to [B, features].

  Attributes:
    features: D of the result.
    multiplier: factor of the learning rate: the kernel starts with deviation
      1 / multiplier, and each call multiplies kernel and bias by it.
    bias: initial bias.
    is_activated: True for `activate` after the product.
  """

  features: int
  multiplier: float = 1.0
  bias: float = 0.0
  is_activated: bool = False

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    init = nn.initializers.normal(1.0 / self.multiplier)
    shape = (x.shape[-1], self.features)
    kernel = self.param('kernel', init, shape, layers.PARAM)
    init = nn.initializers.constant(self.bias)
    bias = self.param('bias', init, shape[1:], layers.PARAM)
    scale = self.multiplier / math.sqrt(x.shape[-1])
    x = x @ (kernel * scale) + (bias * self.multiplier)[None]
    return activate(x) if self.is_activated else x


class Mapping(nn.Module):
  """Maps latents [B, Z] and labels [B] to vectors [B, features].

  Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 2. Latents and
  the embedding of the label have a mean square of one each, and are joined.

  Attributes:
    features: D of all layers.
    depth: number of layers.
    multiplier: factor of the learning rate of the layers, see `Linear`.
    num_classes: classes to condition on; 0 ignores labels.
  """

  features: int
  depth: int
  multiplier: float
  num_classes: int = 0

  @nn.compact
  def __call__(self, z: jax.Array | None, label=None) -> jax.Array:
    parts = [] if z is None else [unit(z)]
    if self.num_classes:
      vector = jax.nn.one_hot(label, self.num_classes, dtype=layers.PARAM)
      parts.append(unit(Linear(self.features, name='labels')(vector)))
    x = jnp.concatenate(parts, axis=-1)
    for _ in range(self.depth):
      x = Linear(self.features, self.multiplier, is_activated=True)(x)
    return x


def kernel_of(module: nn.Module, x: jax.Array, features: int, side: int):
  """Returns the parameter 'kernel' [side, side, C, features] of a module."""
  shape = (side, side, x.shape[-1], features)
  return module.param(
    'kernel', nn.initializers.normal(1.0), shape, layers.PARAM
  )


def bias_of(module: nn.Module, features: int) -> jax.Array:
  """Returns the parameter 'bias' of a module, [1, 1, 1, features]."""
  bias = module.param('bias', nn.initializers.zeros, (features,), layers.PARAM)
  return bias.reshape(1, 1, 1, -1)


class Conv(nn.Module):
  """A convolution [B, H, W, C] to [B, H', W', features].

  Attributes:
    features: channels of the result.
    kernel: side of the kernel, 1 or 3.
    halves: True to halve the sides, rounded up, after `FILTER`.
    doubled: (height, width) of the result after `FILTER` doubled the sides;
      for a kernel of 1.
    is_activated: True for a bias and `activate`.
    gain: factor of the result.
    clamp: see `activate`.
    dtype: dtype of the convolution.
  """

  features: int
  kernel: int
  halves: bool = False
  doubled: tuple[int, int] | None = None
  is_activated: bool = True
  gain: float = 1.0
  clamp: float = 0.0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    w = kernel_of(self, x, self.features, self.kernel)
    scale = 1.0 / math.sqrt(x.shape[-1] * self.kernel**2)
    # The gain of an activated convolution follows its activation.
    w = w * (scale if self.is_activated else self.gain * scale)
    x, w = nn.dtypes.promote_dtype(x, w, dtype=self.dtype)
    if self.kernel == 1:
      x = resampling.reduce(x, FILTER) if self.halves else x
      x = x @ w[0, 0]
      if self.doubled is not None:
        x = resampling.enlarge(x, self.doubled, FILTER)
    elif self.halves:
      # An odd side is filled up with a pixel of zero.
      pads = [(2, 2 + side % 2) for side in x.shape[1:3]]
      x = conv.conv(resampling.smooth(x, pads, FILTER), w, 2, 'VALID')
    else:
      x = conv.conv(x, w)
    if not self.is_activated:
      return x
    bias = bias_of(self, self.features).astype(x.dtype)
    return activate(x + bias, self.gain, self.clamp)
