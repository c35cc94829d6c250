"""Layers that several families of networks share.

Noise in a layer follows an example's index in the global batch, and statistics
belong to the global batch, so that devices do not matter.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise
from jaxgan.models.layers import conv

PARAM = jnp.float32  # of all parameters, as of those of Flax

# Of kernels; biases begin at zero.
INITIALIZERS = {
  # LeCun et al. 1998: variance 1 / inputs. Flax' default.
  'lecun': nn.initializers.lecun_normal(),
  # Glorot and Bengio 2010: variance 2 / (inputs + outputs). Keras' default.
  'glorot': nn.initializers.glorot_uniform(),
  # Radford et al. 2015, https://arxiv.org/abs/1511.06434, section 4.
  'normal': nn.initializers.normal(0.02),
}


def initializer(name: str) -> Callable:
  """The row of `INITIALIZERS` named."""
  if name not in INITIALIZERS:
    raise errors.unknown('initializer', name, INITIALIZERS)
  return INITIALIZERS[name]


class Conv(nn.Module):
  """A convolution, see `conv.conv`: [B, H, W, C] to [B, H', W', features].

  Attributes:
    features: channels of the output.
    kernel: side of the kernel.
    stride: in both directions.
    padding: 'SAME' or 'VALID'.
    use_bias: whether there is a bias.
    initializer: a key of `INITIALIZERS`.
    dtype: computed in; by default the widest of images and parameters.
    enlarged: (height, width) that pixels are repeated to before, and that the
      output has; not with a stride or without padding.
  """

  features: int
  kernel: int
  stride: int = 1
  padding: str = 'SAME'
  use_bias: bool = True
  initializer: str = 'lecun'
  dtype: jnp.dtype | None = None
  enlarged: tuple[int, int] | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    w = self.param('kernel', initializer(self.initializer), shape, PARAM)
    x, w = nn.dtypes.promote_dtype(x, w, dtype=self.dtype)
    if self.enlarged is None:
      x = conv.conv(x, w, self.stride, self.padding)
    elif (self.stride, self.padding) == (1, 'SAME'):
      x = conv.conv_of_enlarged(x, w, self.enlarged)
    else:
      raise ValueError('what is enlarged takes a stride of 1 and padding SAME')
    return x + _bias(self, x.dtype) if self.use_bias else x


def _bias(module: nn.Module, dtype) -> jax.Array:
  """A bias for every channel [1, 1, 1, features]."""
  bias = module.param('bias', nn.initializers.zeros, (module.features,), PARAM)
  return bias.astype(dtype).reshape(1, 1, 1, -1)


def with_kernels(name: str):
  """`nn.Dense` and `Conv` whose kernels begin as that row of `INITIALIZERS`."""
  return (
    functools.partial(nn.Dense, kernel_init=initializer(name)),
    functools.partial(Conv, initializer=name),
  )


class ConvTranspose(nn.Module):
  """A transposed convolution, see `conv.conv_transpose`; as `Conv`.

  Attributes:
    features: channels of the output.
    kernel: side of the kernel.
    stride: factor by which the image grows.
    size: (height, width) of the output, if not stride times the input's.
    use_bias: whether there is a bias.
    initializer: a key of `INITIALIZERS`.
    dtype: computed in; by default the widest of images and parameters.
  """

  features: int
  kernel: int
  stride: int = 1
  size: tuple[int, int] | None = None
  use_bias: bool = True
  initializer: str = 'lecun'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    w = self.param('kernel', initializer(self.initializer), shape, PARAM)
    x, w = nn.dtypes.promote_dtype(x, w, dtype=self.dtype)
    x = conv.conv_transpose(x, w, self.stride, self.size)
    return x + _bias(self, x.dtype) if self.use_bias else x


class Dropout(nn.Module):
  """Zeroes activations at random; row i's mask follows example i.

  Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.

  Attributes:
    rate: share of activations that become zero; the others grow to keep the
      mean.
  """

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array, *, active: bool) -> jax.Array:
    if not active or self.rate == 0.0:
      return x

    def keep(key):
      draw = noise.uniform(key, x.shape[0], x.shape[1:])
      return draw >= self.rate

    kept = noise.once(keep, self.make_rng('dropout'))
    return jnp.where(kept, x / (1.0 - self.rate), 0.0)


class GaussianNoise(nn.Module):
  """Adds noise in training; row i's follows example i.

  Attributes:
    deviation: of the noise; 0 is off.
  """

  deviation: float

  @nn.compact
  def __call__(self, x: jax.Array, *, active: bool) -> jax.Array:
    if not active or self.deviation == 0.0:
      return x
    key = self.make_rng('dropout')
    draw = noise.normal(key, x.shape[0], x.shape[1:])
    return x + self.deviation * draw
