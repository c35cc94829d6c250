"""Convolutional networks that fill holes in images of any size.

Generators take an image with a hole, and any further channels. They return the
full image or the missing patch. Discriminators return logits, or maps of them.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core.ranges import MOST_KERNEL, MOST_STRIDE, MOST_UNITS, ranged
from jaxgan.models.layers import layers, norms


def _refuse_unequal(name: str, values, widths) -> None:
  if len(values) != len(widths):
    raise errors.UserError(
      f'discriminator.{name}={values} must have one entry for each of '
      f'discriminator.widths={widths}.'
    )


class UNet(nn.Module):
  """Completes images [B, H, W, D] with holes: [B, *shape] in (-1, 1).

  Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597): every scale of the
  encoder is appended to the same scale of the decoder. The defaults are the
  network of the CCGAN tutorial (1,545,025 parameters for 32 x 32 grey pixels,
  1,344 of them running statistics).

  Attributes:
    shape: (height, width, channels) of the output.
    widths: channels of the scales; each scale halves the image.
    kernel: side of the kernels.
    slope: negative slope of the leaky rectifiers in the encoder.
    norm: after each hidden layer but the first, one of `norms.NORMS`.
    momentum: decay of running statistics.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((32, 64, 128, 256), 1, MOST_UNITS)
  kernel: int = ranged(4, 1, MOST_KERNEL)
  slope: float = 0.2
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.8, 0, below=1)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    _, conv = layers.with_kernels(self.initializer)
    hidden = functools.partial(conv, dtype=self.dtype)

    def norm(x):
      return norms.norm(
        self.norm,
        train=train,
        momentum=self.momentum,
        dtype=self.dtype,
      )(x)

    scales = []
    for index, width in enumerate(self.widths):
      x = nn.leaky_relu(hidden(width, self.kernel, 2)(x), self.slope)
      x = norm(x) if index else x
      scales.append(x)
    for like in reversed(scales[:-1]):
      *size, width = like.shape[1:]
      layer = hidden(width, self.kernel, enlarged=tuple(size))
      x = norm(nn.relu(layer(x)))
      x = jnp.concatenate([x, like], axis=-1)
    *size, channels = self.shape
    return jnp.tanh(conv(channels, self.kernel, enlarged=tuple(size))(x))


class ContextEncoder(nn.Module):
  """Predicts patches [B, S, S, C] in (-1, 1) that images [B, H, W, D] lack.

  Pathak et al. 2016 (https://arxiv.org/abs/1604.07379), section 3.1, in the
  size of the tutorial: an encoder, a bottleneck with dropout, and a decoder of
  the missing patch. As in the tutorial, norms come before the rectifiers of the
  encoder and after those of the decoder; in the paper's code, all norms come
  before rectifiers. The defaults have 826,435 parameters for 32 x 32 colour
  pixels and patches of 8 x 8, 832 of them running statistics.

  Attributes:
    shape: (height, width, channels) of an image.
    patch_size: side S of the patch.
    widths: channels of the encoder; each layer halves the image.
    bottleneck: channels of the code, after one more halving.
    decoder_widths: channels of the decoder; each layer doubles the image, up to
      the size of the patch.
    slope: negative slope of the encoder's leaky rectifiers.
    dropout: rate at the bottleneck.
    norm: after hidden layers, one of `norms.NORMS`.
    momentum: decay of running statistics.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  patch_size: int = 8
  widths: tuple[int, ...] = ranged((32, 64, 128), 1, MOST_UNITS)
  bottleneck: int = ranged(512, 1, MOST_UNITS)
  decoder_widths: tuple[int, ...] = ranged((128, 64), 1, MOST_UNITS)
  slope: float = 0.2
  dropout: float = ranged(0.5, 0, below=1)
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.8, 0, below=1)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    _, conv = layers.with_kernels(self.initializer)
    hidden = functools.partial(conv, dtype=self.dtype)

    def norm(x):
      return norms.norm(
        self.norm,
        train=train,
        momentum=self.momentum,
        dtype=self.dtype,
      )(x)

    for width in self.widths:
      x = nn.leaky_relu(norm(hidden(width, 3, 2)(x)), self.slope)
    x = nn.leaky_relu(hidden(self.bottleneck, 1, 2)(x), self.slope)
    x = layers.Dropout(self.dropout)(x, active=train)
    for index, width in enumerate(self.decoder_widths):
      halvings = len(self.decoder_widths) - 1 - index
      size = -(-self.patch_size // 2**halvings)
      x = norm(nn.relu(hidden(width, 3, enlarged=(size, size))(x)))
    return jnp.tanh(conv(self.shape[-1], 3)(x))


class PatchDiscriminator(nn.Module):
  """Discriminates overlapping patches of images [B, H, W, C]: logits [B, h, w].

  Isola et al. 2017 (https://arxiv.org/abs/1611.07004), section 2.2.2. With
  classes, logits [B, num_classes + 1] of all classes and of 'fake' are sown as
  'classes' (Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 5).
  The defaults are the network of the CCGAN tutorial (705,996 parameters for
  32 x 32 grey pixels and 10 classes).

  Attributes:
    widths: channels; each layer halves the image.
    kernel: side of the kernels.
    slopes: negative slope of the leaky rectifier of each layer.
    num_classes: classes of the head; 0 for no head.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((64, 128, 256), 1, MOST_UNITS)
  kernel: int = ranged(4, 1, MOST_KERNEL)
  slopes: tuple[float, ...] = (0.8, 0.2, 0.2)
  num_classes: int = 0
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    del train
    dense, conv = layers.with_kernels(self.initializer)
    _refuse_unequal('slopes', self.slopes, self.widths)
    for width, slope in zip(self.widths, self.slopes, strict=True):
      x = conv(width, self.kernel, 2, dtype=self.dtype)(x)
      x = nn.leaky_relu(x, slope)
    logits = conv(1, self.kernel)(x)[..., 0]
    if self.num_classes:
      head = dense(self.num_classes + 1, name='classes_head')
      self.sow('intermediates', 'classes', head(x.reshape(len(x), -1)))
    return logits


class Discriminator(nn.Module):
  """Discriminates images or patches [B, H, W, C]: logits [B].

  The defaults are the discriminator of the context encoder tutorial (373,377
  parameters for 8 x 8 colour pixels, 768 of them running statistics). With
  classes, logits are sown as in `PatchDiscriminator`.

  Attributes:
    widths: channels.
    strides: factor by which each layer shrinks the image.
    slope: negative slope of the leaky rectifiers.
    norm: after each convolution but the first, one of `norms.NORMS`.
    momentum: decay of running statistics.
    num_classes: classes of the head; 0 for no head.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((64, 128, 256), 1, MOST_UNITS)
  strides: tuple[int, ...] = ranged((2, 2, 1), 1, MOST_STRIDE)
  slope: float = 0.2
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.8, 0, below=1)
  num_classes: int = 0
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    dense, conv = layers.with_kernels(self.initializer)
    _refuse_unequal('strides', self.strides, self.widths)
    for index, width in enumerate(self.widths):
      x = conv(width, 3, self.strides[index], dtype=self.dtype)(x)
      if index:
        x = norms.norm(
          self.norm,
          train=train,
          momentum=self.momentum,
          dtype=self.dtype,
        )(x)
      x = nn.leaky_relu(x, self.slope)
    x = x.reshape(len(x), -1)
    if self.num_classes:
      head = dense(self.num_classes + 1, name='classes_head')
      self.sow('intermediates', 'classes', head(x))
    return dense(1)(x)[:, 0]
