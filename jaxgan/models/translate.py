"""Convolutional networks that translate images, and discriminators for them.

Initial kernels are Gaussian with deviation 0.02, as in both papers. Instance
norm has no scale and no bias, as in the authors' PyTorch code. Networks take
images of any size; translated images have the same size.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core.ranges import MOST_KERNEL, MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.layers import layers, norms

EPSILON = 1e-5  # of norms, as in PyTorch
_Conv = functools.partial(layers.Conv, initializer='normal')
_Up = functools.partial(
  layers.ConvTranspose, kernel=4, stride=2, initializer='normal'
)


def _norm(module: nn.Module, train: bool):
  """Returns a function that applies a new norm, as set in a module's fields."""
  return lambda x: norms.norm(
    module.norm,
    train=train,
    momentum=module.momentum,
    epsilon=EPSILON,
    affine=module.norm != 'instance',
    dtype=module.dtype,
  )(x)


def _reflected(x: jax.Array, size: int) -> jax.Array:
  """Mirrors `size` pixels at every border."""
  return jnp.pad(x, ((0, 0), (size, size), (size, size), (0, 0)), 'reflect')


class UNet(nn.Module):
  """Translates images [B, H, W, D] to [B, *shape] in (-1, 1).

  Isola et al. 2017 (https://arxiv.org/abs/1611.07004), appendix 6.1.1: every
  layer of the encoder halves the image. Every layer of the decoder doubles the
  image and also sees the same scale of the encoder. Dropout is active when
  sampling too, because it is the only noise. The defaults are for 256 x 256
  pixels. They have 54,413,955 parameters with batch norm for three channels, as
  the authors' PyTorch code, which applies dropout one layer later. Channels of
  the decoder come before those of the encoder, as in the paper's own Torch
  code. In the PyTorch code they come after them, so swap both halves of kernels
  from there. For half the size, leave out one 512.

  Attributes:
    shape: (height, width, channels) of the output.
    widths: channels of the encoder.
    skips: False for the paper's plain encoder-decoder.
    dropout: rate in the first three layers of the decoder.
    norm: after hidden layers but the first and the innermost of the encoder,
      one of `norms.NORMS`.
    momentum: decay of running statistics.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged(
    (64, 128, 256, 512, 512, 512, 512, 512), 1, MOST_UNITS, lengths=NOT_EMPTY
  )
  skips: bool = True
  dropout: float = ranged(0.5, 0, below=1)
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.9, 0, below=1)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    norm = _norm(self, train)
    use_bias = self.norm != 'batch'
    last = len(self.widths) - 1
    scales, sizes = [], []
    for index, width in enumerate(self.widths):
      sizes.append(x.shape[1:3])
      # The innermost image is a single pixel, which a norm would make zero.
      has_norm = 0 < index < last
      x = _Conv(width, 4, 2, use_bias=use_bias, dtype=self.dtype)(x)
      x = norm(x) if has_norm else x
      scales.append(x)
      x = nn.leaky_relu(x, 0.2)
    for index in reversed(range(len(self.widths))):
      x = nn.relu(x)
      if index < last and self.skips:
        x = jnp.concatenate([x, nn.relu(scales[index])], axis=-1)
      width = self.widths[index - 1] if index else self.shape[-1]
      dtype = self.dtype if index else None
      x = _Up(width, use_bias=use_bias or not index, dtype=dtype)(x)
      height, width = sizes[index]
      x = x[:, :height, :width]
      if index:
        x = norm(x)
      if index and last - index < 3:
        x = layers.Dropout(self.dropout)(x, active=True)
    return jnp.tanh(x)


class ResNet(nn.Module):
  """Translates images [B, H, W, D] to [B, *shape] in (-1, 1).

  Zhu et al. 2017 (https://arxiv.org/abs/1703.10593), appendix 7.2, after
  Johnson et al. 2016 (https://arxiv.org/abs/1603.08155): residual blocks at a
  quarter of the size, mirrored borders. The defaults have 11,378,179 parameters
  for three channels, as the authors' PyTorch code; the paper takes 6 blocks for
  images of 128 x 128 pixels and 9 from 256 x 256 on.

  Attributes:
    shape: (height, width, channels) of the output.
    widths: channels; each layer but the first halves the image.
    blocks: number of residual blocks, with the last of the widths.
    padding: padding where layers halve or double the image. 'SAME_LOWER' is
      that of the authors' code; 'SAME' makes the network the mirror of theirs.
    norm: after hidden layers, one of `norms.NORMS`.
    momentum: decay of running statistics.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged(
    (64, 128, 256), 1, MOST_UNITS, lengths=NOT_EMPTY
  )
  blocks: int = ranged(9, 0, 100)
  padding: str = ranged('SAME_LOWER', one_of=('SAME', 'SAME_LOWER'))
  norm: str = ranged('instance', one_of=norms.CHOICES)
  momentum: float = ranged(0.9, 0, below=1)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    norm = _norm(self, train)
    use_bias = self.norm != 'batch'

    def mirrored(x, width, kernel, use_bias, dtype=self.dtype):
      x = _reflected(x, kernel // 2)
      fields = dict(padding='VALID', use_bias=use_bias, dtype=dtype)
      return _Conv(width, kernel, **fields)(x)

    hidden = dict(use_bias=use_bias, padding=self.padding, dtype=self.dtype)
    sizes = []
    x = nn.relu(norm(mirrored(x, self.widths[0], 7, use_bias)))
    for width in self.widths[1:]:
      sizes.append(x.shape[1:3])
      x = nn.relu(norm(_Conv(width, 3, 2, **hidden)(x)))
    for _ in range(self.blocks):
      y = nn.relu(norm(mirrored(x, self.widths[-1], 3, use_bias)))
      x += norm(mirrored(y, self.widths[-1], 3, use_bias))
    for width in reversed(self.widths[:-1]):
      height, columns = sizes.pop()
      x = _Up(width, kernel=3, **hidden)(x)
      x = nn.relu(norm(x[:, :height, :columns]))
    return jnp.tanh(mirrored(x, self.shape[-1], 7, True, None))


class PatchDiscriminator(nn.Module):
  """Discriminates overlapping patches of images [B, H, W, C]: logits [B, h, w].

  Isola et al. 2017, section 2.2.2 and appendix 6.1.2. A second image is
  appended as channels. The sides of patches, and parameters with batch norm for
  twice three channels:

    1     widths=(64, 128), kernel=1                    9,025
    16    widths=(64, 128)                            139,585
    34    widths=(64, 128, 256)                       666,433
    70    widths=(64, 128, 256, 512)                2,768,705
    286   widths=(64, 128, 256, 512, 512, 512)     11,159,361

  Patches of the last row cover the paper's images of 256 x 256 pixels. The
  counts agree with the authors' PyTorch code, where patches of one pixel have
  no bias in the last layer.

  Attributes:
    widths: channels; each layer but the last halves the image.
    kernel: side of the kernels; with 1, no layer halves the image.
    slope: negative slope of the leaky rectifiers.
    norm: after hidden layers but the first, one of `norms.NORMS`.
    momentum: decay of running statistics.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((64, 128, 256, 512), 1, MOST_UNITS)
  kernel: int = ranged(4, 1, MOST_KERNEL)
  slope: float = 0.2
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.9, 0, below=1)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, source: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    norm = _norm(self, train)
    if source is not None:
      x = jnp.concatenate([x, source], axis=-1)
    size = x.shape[1:3]

    def conv(x, width, stride=1, use_bias=True, dtype=None):
      # One pixel on every side, as in PyTorch. For an even kernel and a stride
      # of 1, 'SAME' would pad two pixels on one side.
      pad = (self.kernel - 1) // 2
      x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
      if min(x.shape[1:3]) < self.kernel:
        raise errors.UserError(
          f'discriminator.widths={self.widths} are too many for images of '
          f'{size[0]} x {size[1]}, which each layer but the last halves. '
          'Remove a width.'
        )
      return _Conv(width, self.kernel, stride, 'VALID', use_bias, dtype=dtype)(
        x
      )

    for index, width in enumerate(self.widths):
      halves = self.kernel > 1 and index < len(self.widths) - 1
      use_bias = index == 0 or self.norm != 'batch'
      x = conv(x, width, 2 if halves else 1, use_bias, self.dtype)
      x = nn.leaky_relu(norm(x) if index else x, self.slope)
    return conv(x, 1)[..., 0]
