"""Normalisation layers and layers that look across the batch.

E[x^2] - m^2 loses half the digits where the mean is 100 deviations. Norms of
single examples take two passes over the activations. Norms over the batch first
subtract a constant near the mean, see `near`, because the gradient of two
passes has one more sum.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import axis
from jaxgan.core.latents import Latents
from jaxgan.models.layers import layers

# Norms of a network; 'virtual' needs a network within `VirtualBatch`.
CHOICES = ('none', 'batch', 'layer', 'instance')
NORMS = (*CHOICES, 'virtual')


def norm(
  kind: str,
  *,
  train: bool,
  momentum: float = 0.9,
  epsilon: float = 1e-3,
  affine: bool = True,
  reference_size: int = 0,
  dtype: jnp.dtype | None = None,
) -> Callable:
  """Returns a normalisation of activations by name.

  Args:
    kind: 'none'; 'batch' (Ioffe and Szegedy 2015,
      https://arxiv.org/abs/1502.03167); 'layer' (Ba et al. 2016,
      https://arxiv.org/abs/1607.06450); 'instance' (Ulyanov et al. 2016,
      https://arxiv.org/abs/1607.08022); 'virtual', see `VirtualBatchNorm`.
    train: True to take statistics of 'batch' from the batch.
    momentum: decay of the running statistics of 'batch'.
    epsilon: added to variances.
    affine: True for 'instance' with a learned scale and bias.
    reference_size: rows of the reference batch of 'virtual'.
    dtype: dtype of the result; statistics are always float32.
  """
  if kind == 'batch':
    return BatchNorm(not train, momentum, epsilon, dtype)
  if kind == 'layer':
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, dtype=dtype)
  if kind == 'instance':
    return nn.InstanceNorm(
      epsilon=epsilon,
      use_bias=affine,
      use_scale=affine,
      use_fast_variance=False,
      dtype=dtype,
    )
  if kind == 'virtual':
    return VirtualBatchNorm(reference_size, epsilon, dtype)
  if kind == 'none':
    return lambda x: x
  raise errors.unknown('norm', kind, NORMS)


def near(x: jax.Array, *axes: int) -> jax.Array:
  """Returns the first values along `axes`, as constants of length 1 there.

  They are near the mean, in units of the deviation. Norms don't depend on a
  constant that is subtracted, but their rounding does.
  """
  index = [slice(None)] * x.ndim
  for name in axes:
    index[name] = slice(1)
  return jax.lax.stop_gradient(x[tuple(index)])


class BatchNorm(nn.Module):
  """Normalises channels with statistics of the global batch.

  Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, with parameters and
  collections of `flax.linen.BatchNorm`.

  Attributes:
    use_running_average: True for running statistics in place of the batch's.
    momentum: decay of the running statistics.
    epsilon: added to variances.
    dtype: dtype of the result; statistics are always float32.
  """

  use_running_average: bool
  momentum: float
  epsilon: float
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, scale=None, bias=None) -> jax.Array:
    """Returns the normalised activations, times scale, plus bias.

    Args:
      x: activations [B, ..., C].
      scale: scale of each example [B, C]; by default a parameter [C].
      bias: bias of each example [B, C]; given if and only if `scale` is.
    """
    shape, axes = x.shape[-1:], tuple(range(x.ndim - 1))
    if scale is None:
      zeros, ones = nn.initializers.zeros, nn.initializers.ones
      scale = self.param('scale', ones, shape, layers.PARAM)
      bias = self.param('bias', zeros, shape, layers.PARAM)
    running = [
      self.variable('batch_stats', name, value, shape, jnp.float32)
      for name, value in (('mean', jnp.zeros), ('var', jnp.ones))
    ]
    dtype = nn.dtypes.canonicalize_dtype(x, scale, bias, dtype=self.dtype)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    wide = (1,) * len(axes) + shape
    if self.use_running_average:
      shift, variance = (statistic.value.reshape(wide) for statistic in running)
      x, mean = x - shift, 0.0
    else:
      shift = axis.mean(near(x, *axes))
      x = x - shift
      mean, square = axis.mean(
        tuple(jnp.mean(x**power, axes, keepdims=True) for power in (1, 2))
      )
      variance = jnp.maximum(square - mean**2, 0.0)
      if not self.is_initializing():
        both = (mean + shift, variance)
        for statistic, new in zip(running, both, strict=True):
          old = statistic.value
          new = new.reshape(shape)
          statistic.value = self.momentum * old + (1 - self.momentum) * new
    scale, bias = (a.reshape(-1, *wide[1:]) for a in (scale, bias))
    factor = jax.lax.rsqrt(variance + self.epsilon) * scale
    # One product and one sum: the gradient then has two sums over the batch.
    return (x * factor + (bias - mean * factor)).astype(dtype)


class VirtualBatchNorm(nn.Module):
  """Normalises each example with statistics of a reference batch and its own.

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.5: examples
  do not depend on each other. This norm works inside of `VirtualBatch`. Input
  and output have the shape [R + B, ..., C].

  Attributes:
    reference_size: R, the number of first rows, which are the reference.
    epsilon: added to variances.
    dtype: dtype of the result, float32 by default.
  """

  reference_size: int
  epsilon: float = 1e-3
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    size, axes = self.reference_size, tuple(range(1, x.ndim - 1))
    scale = self.param(
      'scale', nn.initializers.ones, x.shape[-1:], layers.PARAM
    )
    bias = self.param('bias', nn.initializers.zeros, x.shape[-1:], layers.PARAM)
    x = x.astype(jnp.float32)
    # The result does not depend on this shift, and its rounding does.
    shift = jnp.mean(x[:size], axis=(0, *axes), keepdims=True)
    x = x - jax.lax.stop_gradient(shift)
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
    latents: distribution of the latents.
    num_classes: classes, which the reference has in turn; 0 for none.
  """

  module: nn.Module
  size: int
  latents: Latents
  num_classes: int = 0

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    reference = self.variable(
      'reference',
      'latent',
      lambda: self.latents.sample(self.make_rng('params'), self.size),
    )
    z = jnp.concatenate([reference.value, z])
    inputs = (z,)
    if self.num_classes:
      classes = jnp.arange(self.size) % self.num_classes
      inputs = (z, jnp.concatenate([classes, label]))
    return self.module(*inputs, train=train)[self.size :]


def group_size(batch: int, most: int) -> int:
  """Returns the largest size of equal groups of a batch, from 2 to `most`.

  A batch that has no such groups is one group.
  """
  sizes = (n for n in range(2, most + 1) if batch % n == 0)
  return max(sizes, default=batch)


class MinibatchStddev(nn.Module):
  """Appends the deviation between examples as one more channel.

  Karras et al. 2018 (https://arxiv.org/abs/1710.10196), section 3, over the
  global batch: [B, ..., C] to [B, ..., C + 1]. In groups, the channel of an
  example is the deviation in its group. Members of a group are as far apart in
  the batch as possible: example i is in group i modulo the number of groups.

  Attributes:
    group: most examples in a group, see `group_size`; 0 is the whole batch.
  """

  group: int = 0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if self.group:
      value = self._of_groups(x).reshape(-1, *(1,) * (x.ndim - 1))
    else:
      shifted = x - axis.mean(near(x, 0))
      mean, square = axis.mean(
        (jnp.mean(shifted, axis=0), jnp.mean(shifted**2, axis=0))
      )
      deviation = jnp.sqrt(jnp.maximum(square - mean**2, 0.0) + 1e-8)
      value = jnp.mean(deviation)
    channel = jnp.broadcast_to(value, (*x.shape[:-1], 1))
    return jnp.concatenate([x, channel], axis=-1)

  def _of_groups(self, x: jax.Array) -> jax.Array:
    """Returns the mean deviation in the group of each example, [B]."""
    everything = axis.gather(x)
    size = group_size(len(everything), self.group)
    count = len(everything) // size
    members = everything.reshape(size, count, -1)
    variance = jnp.mean((members - jnp.mean(members, 0)[None]) ** 2, axis=0)
    deviation = jnp.mean(jnp.sqrt(variance + 1e-8), axis=-1)  # [groups]
    return deviation[(jnp.arange(len(x)) + axis.index() * len(x)) % count]


class MinibatchDiscrimination(nn.Module):
  """Appends the closeness of each example to the other examples of the batch.

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.2. Features
  [B, A] times a tensor T [A, kernels, size] are M_i. For every kernel b this
  layer appends

    o_i = mean over j != i of exp(-|M_ib - M_jb|_1),

  where the paper has the sum, whose scale depends on the batch size. The result
  is [B, A + kernels].

  Attributes:
    kernels: number of kernels.
    size: dimension of a kernel.
  """

  kernels: int = 50
  size: int = 5

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    m = nn.Dense(self.kernels * self.size, use_bias=False)(x)
    m = m.reshape(-1, self.kernels, self.size)
    others = axis.gather(m)
    distance = jnp.abs(m[:, None] - others[None]).sum(
      axis=-1
    )  # [B, N, kernels]
    closeness = jnp.exp(-distance).sum(axis=1) - 1.0  # without itself
    return jnp.concatenate([x, closeness / max(len(others) - 1, 1)], axis=-1)
