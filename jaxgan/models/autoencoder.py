"""Encoders and decoders: images to codes and back, dense and convolutional.

Encoders take pixels [B, H, W, C] in [0, 1]. Decoders take a code of any shape
[B, ...], and return one number per pixel. The likelihood of the method decides
the meaning of that number, for example logits. Initial kernels are those of
Glorot and Bengio 2010 (https://proceedings.mlr.press/v9/glorot10a.html), and
initial biases are zero. No network in this file has statistics of a batch.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, switches
from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.layers import layers

_Dense = functools.partial(nn.Dense, kernel_init=layers.initializer('glorot'))
_Conv = functools.partial(layers.Conv, kernel=3, initializer='glorot')

# Activations of hidden layers of the dense networks.
ACTIVATIONS = {'relu': nn.relu, 'tanh': jnp.tanh}


def _activate(name: str, x: jax.Array) -> jax.Array:
  if name not in ACTIVATIONS:
    raise errors.unknown('activation', name, ACTIVATIONS)
  return ACTIVATIONS[name](x)


def _rows(x: jax.Array, label, num_classes: int) -> jax.Array:
  """Returns x [B, ...] as rows, with one-hot labels [B] if there are classes.

  Kingma et al. 2014 (https://arxiv.org/abs/1406.5298), model M2.
  """
  x = x.reshape(x.shape[0], -1)
  if not num_classes:
    return x
  switches.check_labels(label, num_classes)
  one_hot = jax.nn.one_hot(label, num_classes, dtype=x.dtype)
  return jnp.concatenate([x, one_hot], axis=-1)


class DenseEncoder(nn.Module):
  """Encodes images [B, ...] (and labels [B]) as codes [B, code_size].

  Attributes:
    code_size: numbers in a code.
    widths: units of the hidden layers.
    rectified: True to end in a rectifier.
    activation: activation of hidden layers, a key of `ACTIVATIONS`.
    num_classes: classes to condition on; 0 ignores labels.
    noise_size: standard normal numbers that follow the pixels of an input; 0
      is off. Without `train` they come from the fixed key of inference.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  code_size: int = ranged(32, 1, MOST_UNITS)
  widths: tuple[int, ...] = ranged((), 1, MOST_UNITS, items=int)
  rectified: bool = False
  activation: str = ranged('relu', one_of=ACTIVATIONS)
  num_classes: int = 0
  noise_size: int = ranged(0, 0, MOST_UNITS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    x = _rows(x, label, self.num_classes)
    if self.noise_size:
      draw = noise.normal(self.make_rng('dropout'), len(x), (self.noise_size,))
      x = jnp.concatenate([x, draw], axis=-1)
    for width in self.widths:
      x = _activate(self.activation, _Dense(width, dtype=self.dtype)(x))
    x = _Dense(self.code_size)(x)
    return nn.relu(x) if self.rectified else x


class DenseDecoder(nn.Module):
  """Decodes codes [B, ...], labels [B] to one number per pixel [B, *shape].

  Attributes:
    shape: shape of an image.
    widths: units of the hidden layers.
    activation: activation of hidden layers, a key of `ACTIVATIONS`.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((), 1, MOST_UNITS, items=int)
  activation: str = ranged('relu', one_of=ACTIVATIONS)
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    x = _rows(z, label, self.num_classes)
    for width in self.widths:
      x = _activate(self.activation, _Dense(width, dtype=self.dtype)(x))
    return _Dense(math.prod(self.shape))(x).reshape(-1, *self.shape)


def _halve(x: jax.Array) -> jax.Array:
  """Max-pools 2 x 2 pixels: [B, h, w, C] to [B, h / 2, w / 2, C], rounded up.

  Gradients of `nn.max_pool` are slower on CPUs.
  """
  fill = ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0))
  x = jnp.pad(x, fill, constant_values=-jnp.inf)
  batch, h, w, channels = x.shape
  return x.reshape(batch, h // 2, 2, w // 2, 2, channels).max(axis=(2, 4))


class ConvEncoder(nn.Module):
  """Encodes images [B, H, W, C]; each layer halves height and width.

  Odd sizes are rounded up: 28, 14, 7, 4.

  Attributes:
    widths: channels of the 3 x 3 convolutions.
    code_size: numbers in a code [B, code_size]; with 0 the code is the output
      of the last convolution, [B, h, w, widths[-1]].
    pooled: True to halve by max-pooling; False to halve by the stride of the
      convolution, at a quarter of the cost.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((16, 8, 8), 1, MOST_UNITS)
  code_size: int = ranged(0, 0, MOST_UNITS)
  pooled: bool = True
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    del train
    for index, channels in enumerate(self.widths):
      is_code = not self.code_size and index == len(self.widths) - 1
      dtype = None if is_code else self.dtype
      stride = 1 if self.pooled else 2
      x = _Conv(channels, stride=stride, dtype=dtype)(x)
      if self.pooled:
        x = _halve(x)
      x = nn.relu(x)  # After pooling, which gives the same on fewer pixels.
    if self.code_size:
      x = _Dense(self.code_size)(x.reshape(x.shape[0], -1))
    return x


class ConvDecoder(nn.Module):
  """Decodes codes to one number per pixel, the reverse of `ConvEncoder`.

  Every layer doubles by nearest neighbours and convolves (Odena et al. 2016,
  https://distill.pub/2016/deconv-checkerboard). Flat codes [B, Z] go through a
  dense layer first.

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of the 3 x 3 convolutions, one after each doubling.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((8, 8, 16), 1, MOST_UNITS, lengths=NOT_EMPTY)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
    del train
    sizes = [self.shape[:2]]
    for _ in self.widths:
      height, width = sizes[-1]
      sizes.append((-(-height // 2), -(-width // 2)))
    first, *others = reversed(sizes)
    x = z
    if z.ndim == 2:
      first = (*first, self.widths[0])
      x = nn.relu(_Dense(math.prod(first), dtype=self.dtype)(z))
      x = x.reshape(-1, *first)
    elif z.shape[1:3] != first:
      raise errors.UserError(
        f'decoder.widths={self.widths} takes codes of {first} pixels, and the '
        f'encoder makes {z.shape[1:3]}. Give encoder.widths and decoder.widths '
        'the same length.'
      )
    for size, channels in zip(others, self.widths, strict=True):
      x = nn.relu(_Conv(channels, enlarged=size, dtype=self.dtype)(x))
    return _Conv(self.shape[-1])(x)
