"""Layers that several families of networks share.

Noise follows an example's index in the global batch, and statistics belong to
the global batch. So results do not depend on the number of devices.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, switches
from jaxgan.models.layers import conv

PARAM = jnp.float32  # dtype of all parameters, as in Flax

# Initial kernels; initial biases are zero.
INITIALIZERS = {
  # LeCun et al. 1998: variance 1 / inputs. Flax' default.
  'lecun': nn.initializers.lecun_normal(),
  # Glorot and Bengio 2010: variance 2 / (inputs + outputs). Keras' default.
  'glorot': nn.initializers.glorot_uniform(),
  # Radford et al. 2015, https://arxiv.org/abs/1511.06434, section 4.
  'normal': nn.initializers.normal(0.02),
  # Glorot with a gain of sqrt(2), of residual branches in Miyato et al. 2018,
  # https://arxiv.org/abs/1802.05957.
  'glorot_relu': nn.initializers.variance_scaling(2.0, 'fan_avg', 'uniform'),
  # Saxe et al. 2013, https://arxiv.org/abs/1312.6120.
  'orthogonal': nn.initializers.orthogonal(),
}


def flat(function: Callable, x: jax.Array) -> jax.Array:
  """Returns `function` of vectors [..., C], which it sees as [N, C].

  XLA's CPU backend is slow at gradients of parameters that are sums over
  several axes: it transposes images for them.
  """
  y = function(x.reshape(-1, x.shape[-1]))
  return y.reshape(*x.shape[:-1], y.shape[-1])


# Conditioning of a discriminator by the logit of the class.
CLASS_LOGIT = 'class_logit'
HEADS = ('projection', CLASS_LOGIT)


def class_logit(module: nn.Module, dense: Callable, x, label) -> jax.Array:
  """Returns the logit [B] of each label's class: UCD.

  A discriminator without labels has a logit for each class, and D(x, c) is the
  logit of c (https://arxiv.org/abs/2510.00624). The field `auxiliary` is the
  weight of their cross-entropy.

  Args:
    module: the calling discriminator, which sows 'classes' [B, K].
    dense: number of features -> layer, a child of the module.
    x: features [B, D], or [B, N, D] for N logits.
    label: classes [B].
  """
  switches.check_labels(label, module.num_classes)
  classes = dense(module.num_classes)(x)
  mean = classes.reshape(len(classes), -1, module.num_classes).mean(1)
  module.sow('intermediates', 'classes', mean)
  label = label.reshape(-1, *(1,) * (classes.ndim - 1))
  return jnp.take_along_axis(classes, label, axis=-1)[..., 0]


def initializer(name: str) -> Callable:
  """Returns the initializer of a name."""
  if name not in INITIALIZERS:
    raise errors.unknown('initializer', name, INITIALIZERS)
  return INITIALIZERS[name]


class Conv(nn.Module):
  """A convolution, see `conv.conv`: [B, H, W, C] to [B, H', W', features].

  Attributes:
    features: channels of the output.
    kernel: side of the kernel.
    stride: stride in both directions.
    padding: 'SAME', 'SAME_LOWER' or 'VALID'.
    use_bias: True for a bias.
    initializer: a key of `INITIALIZERS`.
    dtype: dtype of the convolution; by default the widest of images and
      parameters.
    enlarged: (height, width) of the output. Pixels are repeated up to this size
      before the convolution, which has a stride of 1 and padding 'SAME'.
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
      raise ValueError('enlarged needs stride=1 and padding=SAME')
    return x + _bias(self, x.dtype) if self.use_bias else x


def _bias(module: nn.Module, dtype) -> jax.Array:
  """Returns a bias for every channel [1, 1, 1, features]."""
  bias = module.param('bias', nn.initializers.zeros, (module.features,), PARAM)
  return bias.astype(dtype).reshape(1, 1, 1, -1)


def with_kernels(name: str):
  """Returns `nn.Dense` and `Conv` with initial kernels of `INITIALIZERS`."""
  return (
    functools.partial(nn.Dense, kernel_init=initializer(name)),
    functools.partial(Conv, initializer=name),
  )


class ConvTranspose(nn.Module):
  """A transposed convolution, see `conv.conv_transpose`.

  Attributes:
    features: channels of the output.
    kernel: side of the kernel.
    stride: factor by which the image grows.
    size: (height, width) of the output; by default stride times the input.
    padding: 'SAME' or 'SAME_LOWER'.
    use_bias: True for a bias.
    initializer: a key of `INITIALIZERS`.
    dtype: dtype of the convolution; by default the widest of images and
      parameters.
  """

  features: int
  kernel: int
  stride: int = 1
  size: tuple[int, int] | None = None
  padding: str = 'SAME'
  use_bias: bool = True
  initializer: str = 'lecun'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    w = self.param('kernel', initializer(self.initializer), shape, PARAM)
    x, w = nn.dtypes.promote_dtype(x, w, dtype=self.dtype)
    x = conv.conv_transpose(x, w, self.stride, self.size, self.padding)
    return x + _bias(self, x.dtype) if self.use_bias else x


class Dropout(nn.Module):
  """Sets random activations to zero; the mask of row i follows example i.

  Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.

  Attributes:
    rate: share of activations to set to zero; all others grow to keep the
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
  """Adds noise in training; the noise of row i follows example i.

  Attributes:
    deviation: standard deviation of the noise; 0 is off.
  """

  deviation: float

  @nn.compact
  def __call__(self, x: jax.Array, *, active: bool) -> jax.Array:
    if not active or self.deviation == 0.0:
      return x
    key = self.make_rng('dropout')
    draw = noise.normal(key, x.shape[0], x.shape[1:])
    return x + self.deviation * draw
