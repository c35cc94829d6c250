"""Modulated convolutions of StyleGAN2, in two forms.

Karras et al. 2020 (https://arxiv.org/abs/1912.04958), equations 1 to 3. A style
s of each example scales the input channels i of a kernel w. Demodulation then
divides each output channel j by the norm of its entries:

  w'_ijk = s_i w_ijk,    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps).

`of_kernels` convolves each example by a kernel of its own, as one grouped
convolution. `of_activations` scales the activations before and after one
convolution that all examples share. Both are equal up to rounding.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.core import noise
from jaxgan.models.layers import conv, conv_forms, equalized, layers, resampling

EPSILON = 1e-8
NOISE = 'noise'  # collection of the noise of a network that does not train


def demodulation(w: jax.Array, styles: jax.Array) -> jax.Array:
  """Returns the factors [B, O] of equation 3.

  Args:
    w: kernel [h, w, I, O].
    styles: [B, I].
  """
  squares = styles**2 @ jnp.sum(w**2, axis=(0, 1))
  return lax.rsqrt(squares + EPSILON)


def of_activations(x, w, styles, factors, doubles: bool):
  """Scales activations before and after a convolution; see `modulated_conv`."""
  x = x * styles[:, None, None].astype(x.dtype)
  x = _doubled(x, w.astype(x.dtype)) if doubles else _same(x, w.astype(x.dtype))
  if factors is None:
    return x
  return x * factors[:, None, None].astype(x.dtype)


def of_kernels(x, w, styles, factors, doubles: bool):
  """Convolves by a kernel for each example; see `modulated_conv`."""
  batch, height, width, channels = x.shape
  w = w[None] * styles[:, None, None, :, None]  # [B, h, w, I, O]
  if factors is not None:
    w = w * factors[:, None, None, None]
  # One image whose groups of channels are the examples.
  w = jnp.moveaxis(w.astype(x.dtype), 0, 3)  # [h, w, I, B, O]
  w = w.reshape(*w.shape[:3], -1)
  x = jnp.moveaxis(x, 0, 2).reshape(1, height, width, batch * channels)
  pads = [((k - 1) // 2, k // 2) for k in w.shape[:2]]
  dilation, kernel = (1, 1), w
  if doubles:
    pads, dilation, kernel = [(2, 2)] * 2, (2, 2), w[::-1, ::-1]
  y = lax.conv_general_dilated(
    x,
    kernel,
    (1, 1),
    pads,
    lhs_dilation=dilation,
    dimension_numbers=conv_forms.DIMENSIONS,
    feature_group_count=batch,
  )
  y = y.reshape(*y.shape[1:3], batch, -1)
  return jnp.moveaxis(y, 2, 0)


def _same(x, w):
  return x @ w[0, 0] if w.shape[:2] == (1, 1) else conv.conv(x, w)


def _doubled(x, w):
  """Adds w times each pixel of x [B, H, W, I] to every second place.

  Returns:
    [B, 2 H + 1, 2 W + 1, O] for a kernel of 3.
  """
  size = tuple(2 * side + 1 for side in x.shape[1:3])
  return conv.conv_transpose(x, w[::-1, ::-1], 2, size, 'VALID')


def modulated_conv(
  x: jax.Array,
  w: jax.Array,
  styles: jax.Array,
  *,
  demodulate: bool = True,
  size: tuple[int, int] | None = None,
  form: Callable = of_activations,
) -> jax.Array:
  """Convolves x [B, H, W, I] by a kernel that depends on styles [B, I].

  Args:
    x: activations.
    w: kernel [h, w, I, O]; of side 3 if `size` is given.
    styles: scales of the input channels, of 32 bits or more.
    demodulate: True for equation 3.
    size: (height, width) of the result if it is twice as large as x, or one
      pixel less. A transposed convolution and a filter double the sides.
    form: `of_activations` or `of_kernels`.

  Returns:
    Activations [B, *size, O], in the dtype of x.
  """
  factors = demodulation(w, styles) if demodulate else None
  y = form(x, w, styles, factors, size is not None)
  if size is None:
    return y
  y = 4.0 * resampling.smooth(y, ((1, 1), (1, 1)), equalized.FILTER)
  return y[:, : size[0], : size[1]]


class ModulatedConv(nn.Module):
  """A modulated convolution of 3 x 3 with noise, a bias and an activation.

  Attributes:
    features: channels of the result.
    train: True for new noise; False for the noise of the collection 'noise'.
    size: (height, width) of the result if the sides are doubled.
    gain: factor of the result.
    clamp: see `equalized.activate`.
    form: see `modulated_conv`.
    dtype: dtype of the convolution.
  """

  features: int
  train: bool
  size: tuple[int, int] | None
  gain: float
  clamp: float
  form: Callable
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
    w = equalized.kernel_of(self, x, self.features, 3)
    x = x.astype(self.dtype or x.dtype)
    styles = equalized.Linear(x.shape[-1], bias=1.0, name='style')(style)
    x = modulated_conv(x, w, styles, size=self.size, form=self.form)
    strength = self.param('strength', nn.initializers.zeros, (), layers.PARAM)
    x = x + (strength * self._noise(x)).astype(x.dtype)
    bias = equalized.bias_of(self, self.features)
    return equalized.activate(x + bias.astype(x.dtype), self.gain, self.clamp)

  def _noise(self, x: jax.Array) -> jax.Array:
    """Returns noise for each pixel: [B, H, W, 1], or [1, H, W, 1]."""
    shape = (*x.shape[1:3], 1)

    def start():
      return jax.random.normal(self.make_rng('params'), shape, jnp.float32)

    fixed = self.variable(NOISE, 'value', start)
    if not self.train or self.is_initializing():
      return fixed.value[None]
    draw = lambda key: noise.normal(key, len(x), shape)
    return noise.once(draw, self.make_rng('dropout'))


class ToImage(nn.Module):
  """A modulated convolution of 1 x 1 without demodulation, to pixels.

  Attributes:
    channels: channels of the image.
    clamp: limit of the size of pixels; 0 is off.
    form: see `modulated_conv`.
  """

  channels: int
  clamp: float
  form: Callable

  @nn.compact
  def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
    w = equalized.kernel_of(self, x, self.channels, 1)
    styles = equalized.Linear(x.shape[-1], bias=1.0, name='style')(style)
    styles = styles * x.shape[-1] ** -0.5
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    x = modulated_conv(x, w, styles, demodulate=False, form=self.form)
    x = x + equalized.bias_of(self, self.channels)
    return equalized.limit(x, self.clamp)
