"""Kernels with unit weights: the mean square of the weights of an output is 1.

Karras et al. 2024 (https://arxiv.org/abs/2312.02696), section 2.3. A network
normalises kernels when it uses them, so their length has no effect. The
optimizer normalises them after every update too. Otherwise kernels would grow,
and the effective learning rate would fall.

Two names of parameters, `CENTRED` and `NORMALISED`, mark such kernels
[..., inputs, outputs].
"""

import jax
import jax.numpy as jnp
import optax

CENTRED = 'centred'  # the weights of an output have the mean 0 as well
NORMALISED = 'normalised'
EPSILON = 1e-4
_LEAST = 1e-20  # keeps the slope of the root finite


def unit(kernel: jax.Array, is_centred: bool = True) -> jax.Array:
  """Returns a kernel [..., outputs] with unit weights.

  Args:
    kernel: the kernel.
    is_centred: True to subtract the mean of each output's weights first.
  """
  axes = tuple(range(kernel.ndim - 1))
  if is_centred:
    kernel = kernel - jnp.mean(kernel, axes, keepdims=True)
  square = jnp.mean(kernel**2, axes, keepdims=True)
  return kernel / (jnp.sqrt(jnp.maximum(square, _LEAST)) + EPSILON)


def keep_unit() -> optax.GradientTransformation:
  """Changes every update so that marked kernels have unit weights after it.

  This transformation is the last one of a chain.
  """

  def change(path, update, kernel):
    name = path[-1].key
    if name not in (CENTRED, NORMALISED):
      return update
    return unit(kernel + update, name == CENTRED) - kernel

  return optax.stateless(
    lambda updates, params: jax.tree_util.tree_map_with_path(
      change, updates, params
    )
  )
