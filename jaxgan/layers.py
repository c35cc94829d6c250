"""Layers that several families of networks share.

Noise in a layer follows an example's index in the global batch, and statistics
belong to the global batch, so that devices do not matter.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import conv, errors, noise

PARAM = jnp.float32  # of all parameters, as of those of Flax
NORMS = ('none', 'batch', 'layer', 'instance', 'virtual')

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


def norm(
  kind: str,
  *,
  train: bool,
  momentum: float = 0.9,
  epsilon: float = 1e-3,
  affine: bool = True,
  axis_name: str | None = None,
  reference_size: int = 0,
  dtype: jnp.dtype | None = None,
) -> Callable:
  """A normalisation of activations by name.

  Args:
    kind: 'none'; 'batch' (Ioffe and Szegedy 2015,
      https://arxiv.org/abs/1502.03167); 'layer' (Ba et al. 2016,
      https://arxiv.org/abs/1607.06450); 'instance' (Ulyanov et al. 2016,
      https://arxiv.org/abs/1607.08022); 'virtual', see `VirtualBatchNorm`.
    train: whether 'batch' takes its statistics from the batch.
    momentum: of the running statistics of 'batch'.
    epsilon: added to variances.
    affine: whether 'instance' learns a scale and a bias.
    axis_name: mapped axis over which 'batch' takes statistics.
    reference_size: rows of the reference batch of 'virtual'.
    dtype: of the result; statistics are float32 whatever it is.
  """
  if kind == 'batch':
    return nn.BatchNorm(
      use_running_average=not train,
      momentum=momentum,
      epsilon=epsilon,
      axis_name=axis_name,
      dtype=dtype,
    )
  if kind == 'layer':
    return nn.LayerNorm(epsilon=epsilon, dtype=dtype)
  if kind == 'instance':
    return nn.InstanceNorm(
      epsilon=epsilon, use_bias=affine, use_scale=affine, dtype=dtype
    )
  if kind == 'virtual':
    return VirtualBatchNorm(reference_size, epsilon, dtype)
  if kind == 'none':
    return lambda x: x
  raise errors.unknown('norm', kind, NORMS)


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
    axis_name: mapped axis that splits the batch.
  """

  rate: float
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, active: bool) -> jax.Array:
    if not active or self.rate == 0.0:
      return x

    def keep(key):
      draw = noise.uniform(key, x.shape[0], x.shape[1:], self.axis_name)
      return draw >= self.rate

    kept = noise.once(keep, self.make_rng('dropout'))
    return jnp.where(kept, x / (1.0 - self.rate), 0.0)


class GaussianNoise(nn.Module):
  """Adds noise in training; row i's follows example i.

  Attributes:
    deviation: of the noise; 0 is off.
    axis_name: mapped axis that splits the batch.
  """

  deviation: float
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, active: bool) -> jax.Array:
    if not active or self.deviation == 0.0:
      return x
    key = self.make_rng('dropout')
    draw = noise.normal(key, x.shape[0], x.shape[1:], self.axis_name)
    return x + self.deviation * draw


class VirtualBatchNorm(nn.Module):
  """Normalises each example by a reference batch and by itself.

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.5: examples
  do not depend on each other. Works inside of `VirtualBatch`. [R + B, ..., C]
  to the same.

  Attributes:
    reference_size: R, the rows in front that are the reference.
    epsilon: added to variances.
    dtype: of the result, float32 by default.
  """

  reference_size: int
  epsilon: float = 1e-3
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    size, axes = self.reference_size, tuple(range(1, x.ndim - 1))
    scale = self.param('scale', nn.initializers.ones, x.shape[-1:], PARAM)
    bias = self.param('bias', nn.initializers.zeros, x.shape[-1:], PARAM)
    x = x.astype(jnp.float32)
    mean = jnp.mean(x, axis=axes, keepdims=True)  # [R + B, 1, ..., C]
    square = jnp.mean(x**2, axis=axes, keepdims=True)

    def with_reference(own):
      reference = jnp.mean(own[:size], axis=0, keepdims=True)
      mixed = (size * reference + own[size:]) / (size + 1)
      return jnp.concatenate([jnp.repeat(reference, size, axis=0), mixed])

    mean, square = with_reference(mean), with_reference(square)
    variance = jnp.maximum(square - mean**2, 0.0)
    shape = (1,) * (x.ndim - 1) + (-1,)
    x = (x - mean) * jax.lax.rsqrt(variance + self.epsilon)
    x = x * scale.reshape(shape) + bias.reshape(shape)
    return x.astype(self.dtype or x.dtype)


class VirtualBatch(nn.Module):
  """Runs a generator together with a reference batch that never changes.

  Attributes:
    module: a generator whose norm is 'virtual', with the same reference size.
    size: latents in the reference batch.
    latent: what they are drawn from, a row of `noise.LATENTS`.
    num_classes: classes that the reference goes through in turn; 0 for none.
  """

  module: nn.Module
  size: int
  latent: Callable = noise.normal
  num_classes: int = 0

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    reference = self.variable(
      'reference',
      'latent',
      lambda: self.latent(self.make_rng('params'), self.size, z.shape[1:]),
    )
    z = jnp.concatenate([reference.value, z])
    inputs = (z,)
    if self.num_classes:
      classes = jnp.arange(self.size) % self.num_classes
      inputs = (z, jnp.concatenate([classes, label]))
    return self.module(*inputs, train=train)[self.size :]


class MinibatchStddev(nn.Module):
  """Appends the deviation between examples as one more channel.

  Karras et al. 2018 (https://arxiv.org/abs/1710.10196), section 3, over the
  whole global batch: [B, ..., C] to [B, ..., C + 1].

  Attributes:
    axis_name: mapped axis that splits the batch.
  """

  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = x.astype(jnp.float32)
    mean, square = jnp.mean(x, axis=0), jnp.mean(x**2, axis=0)
    if self.axis_name is not None:
      mean, square = jax.lax.pmean((mean, square), self.axis_name)
    deviation = jnp.sqrt(jnp.maximum(square - mean**2, 0.0) + 1e-8)
    channel = jnp.broadcast_to(jnp.mean(deviation), (*x.shape[:-1], 1))
    return jnp.concatenate([x, channel], axis=-1)


class MinibatchDiscrimination(nn.Module):
  """Appends how close each example is to the others of the batch.

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.2: features
  [B, A] times a tensor T [A, kernels, size] give M_i; appended are, for every
  kernel b, o_i = sum over j != i of exp(-|M_ib - M_jb|_1). The sum over the
  other examples is divided by their number here, so that the batch size does
  not change the scale. [B, A] to [B, A + kernels].

  Attributes:
    kernels: number of kernels.
    size: dimension of each.
    axis_name: mapped axis that splits the batch.
  """

  kernels: int = 50
  size: int = 5
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    m = nn.Dense(self.kernels * self.size, use_bias=False)(x)
    m = m.reshape(-1, self.kernels, self.size)
    others = m
    if self.axis_name is not None:
      others = jax.lax.all_gather(m, self.axis_name, tiled=True)
    distance = jnp.abs(m[:, None] - others[None]).sum(
      axis=-1
    )  # [B, N, kernels]
    closeness = jnp.exp(-distance).sum(axis=1) - 1.0  # without itself
    return jnp.concatenate([x, closeness / max(len(others) - 1, 1)], axis=-1)
