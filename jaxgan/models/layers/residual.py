"""Blocks of residual GANs: conditional batch norm and self-attention as well.

Shortcuts change the number of channels where the image is smaller. This equals
the order of the sources, because a 1 x 1 convolution commutes with means and
with interpolation.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.layers import layers, norms, spectral_norm

UPSAMPLINGS = ('nearest', 'bilinear')


def _split(x: jax.Array) -> jax.Array:
  """Cuts [B, H, W, C] into squares of 2 x 2 pixels: [B, H', 2, W', 2, C].

  A last row or column without a partner is repeated.
  """
  _, height, width, channels = x.shape
  pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
  x = jnp.pad(x, pads, 'edge') if height % 2 or width % 2 else x
  return x.reshape(x.shape[0], -(-height // 2), 2, -(-width // 2), 2, channels)


def mean_pool(x: jax.Array) -> jax.Array:
  """Returns the means of squares of 2 x 2 pixels: half the size, rounded up."""
  return _split(x).mean((2, 4))


def max_pool(x: jax.Array) -> jax.Array:
  """Returns the maxima of squares of 2 x 2 pixels, see `mean_pool`."""
  return _split(x).max((2, 4))


def enlarge(x: jax.Array, size: tuple[int, int], kind: str) -> jax.Array:
  """Doubles the sides of images [B, H, W, C], then cuts to (height, width).

  Args:
    x: images. A side of the result is at most twice theirs.
    size: (height, width) of the result.
    kind: 'nearest' repeats pixels. 'bilinear' interpolates, with pixel centres
      at halves, as PyTorch with align_corners=False.
  """
  if kind == 'nearest':
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
  else:
    batch, height, width, channels = x.shape
    shape = (batch, 2 * height, 2 * width, channels)
    x = jax.image.resize(x, shape, 'bilinear')
  return x[:, : size[0], : size[1]]


class Linear(nn.Module):
  """A product without bias: [B, D] to [B, features].

  Attributes:
    features: D of the result.
    is_table: True to exclude the kernel from spectral norm. Products of one-hot
      vectors are then a table of embeddings.
    kernel_init: initializer.
    dtype: dtype of the result.
  """

  features: int
  is_table: bool
  kernel_init: Callable
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    name = spectral_norm.TABLE if self.is_table else 'kernel'
    shape = (x.shape[-1], self.features)
    kernel = self.param(name, self.kernel_init, shape, layers.PARAM)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    return x @ kernel


class ConditionalBatchNorm(nn.Module):
  """Batch norm whose scale and bias depend on a vector of each example.

  De Vries et al. 2017, https://arxiv.org/abs/1707.00683: the scale is 1 + W y
  and the bias V y, where y is a one-hot label or an embedding. Without y, scale
  and bias are parameters.

  Attributes:
    train: True to take statistics from the batch.
    momentum: decay of the running statistics.
    epsilon: added to variances.
    is_table: True to exclude W and V from spectral norm.
    scale_init: initializer of W.
    bias_init: initializer of V.
    dtype: dtype of the result.
  """

  train: bool
  momentum: float
  epsilon: float
  is_table: bool
  scale_init: Callable
  bias_init: Callable
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None) -> jax.Array:
    norm = norms.BatchNorm(
      not self.train, self.momentum, self.epsilon, self.dtype
    )
    if y is None:
      return norm(x)
    width = x.shape[-1]
    scale = Linear(width, self.is_table, self.scale_init, name='scale')(y)
    bias = Linear(width, self.is_table, self.bias_init, name='bias')(y)
    return norm(x, 1.0 + scale, bias)


class GeneratorBlock(nn.Module):
  """Doubles an image: norm, ReLU, up, 3 x 3, norm, ReLU, 3 x 3, and a shortcut.

  Miyato et al. 2018 (https://arxiv.org/abs/1802.05957), figure 8.

  Attributes:
    features: channels of the output.
    size: (height, width) of the output.
    upsampling: one of `UPSAMPLINGS`.
    norm: makes a norm, `ConditionalBatchNorm` with its fields.
    initializer: initial kernels of the shortcut, a key of `INITIALIZERS`.
    residual_initializer: initial kernels of the other convolutions.
    dtype: dtype of the convolutions.
  """

  features: int
  size: tuple[int, int]
  upsampling: str
  norm: Callable
  initializer: str
  residual_initializer: str
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None) -> jax.Array:
    size, kind = self.size, self.upsampling
    fields = dict(initializer=self.residual_initializer, dtype=self.dtype)
    h = nn.relu(self.norm()(x, y))
    if kind == 'nearest':
      h = layers.Conv(self.features, 3, enlarged=size, **fields)(h)
    else:
      h = layers.Conv(self.features, 3, **fields)(enlarge(h, size, kind))
    h = nn.relu(self.norm()(h, y))
    h = layers.Conv(self.features, 3, **fields)(h)
    fields |= dict(initializer=self.initializer)
    return h + enlarge(layers.Conv(self.features, 1, **fields)(x), size, kind)


class DiscriminatorBlock(nn.Module):
  """Two convolutions after ReLUs, a mean over 2 x 2 pixels, and a shortcut.

  Miyato et al. 2018 (https://arxiv.org/abs/1802.05957), figure 8.

  Attributes:
    features: channels of the output.
    hidden: channels between the convolutions.
    stride: 2 to halve the image, or 1.
    is_first: True for images as inputs, without the first ReLU.
    rectified: True if the shortcut sees the input after the first ReLU.
    initializer: initial kernels of the shortcut, a key of `INITIALIZERS`.
    residual_initializer: initial kernels of the other convolutions.
    dtype: dtype of the convolutions.
  """

  features: int
  hidden: int
  stride: int
  is_first: bool
  rectified: bool
  initializer: str
  residual_initializer: str
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    fields = dict(initializer=self.residual_initializer, dtype=self.dtype)
    h = x if self.is_first else nn.relu(x)
    x = h if self.rectified else x
    h = layers.Conv(self.hidden, 3, **fields)(h)
    h = layers.Conv(self.features, 3, **fields)(nn.relu(h))
    if self.stride == 2:
      h, x = mean_pool(h), mean_pool(x)
    if self.stride == 2 or x.shape[-1] != self.features:
      fields |= dict(initializer=self.initializer)
      x = layers.Conv(self.features, 1, **fields)(x)
    return h + x


class SelfAttention(nn.Module):
  """Adds a mean over all positions, weighted by similarity: same shape.

  Zhang et al. 2018 (https://arxiv.org/abs/1805.08318), with the details of the
  authors' code. Queries and keys have an eighth of the channels, and values
  have half of them. Keys and values are maxima of 2 x 2 pixels. A learned gain
  starts at zero.

  Attributes:
    initializer: initial kernels, a key of `INITIALIZERS`.
    dtype: dtype of the products; weights are float32 at least.
  """

  initializer: str
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    batch, height, width, channels = x.shape

    def conv(x, share):
      return layers.Conv(
        max(channels // share, 1),
        1,
        use_bias=False,
        initializer=self.initializer,
        dtype=self.dtype,
      )(x)

    queries = conv(x, 8).reshape(batch, height * width, -1)
    keys = max_pool(conv(x, 8)).reshape(batch, -1, queries.shape[-1])
    values = max_pool(conv(x, 2))
    values = values.reshape(batch, -1, values.shape[-1])
    logits = jnp.einsum('bqc,bkc->bqk', queries, keys)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    weights = nn.softmax(logits).astype(values.dtype)
    mean = jnp.einsum('bqk,bkc->bqc', weights, values)
    mean = conv(mean.reshape(batch, height, width, -1), 1)
    gain = self.param('gain', nn.initializers.zeros, (), layers.PARAM)
    return x + gain.astype(mean.dtype) * mean
