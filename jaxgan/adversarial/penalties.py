"""Constraints on the discriminator.

Every row of `PENALTIES` is (critic, real, fake, key, axis_name) -> [B]:

  critic: images [B, ...] -> logits [B], row by row.
  real, fake: images [B, ...] in [-1, 1].
  key: one PRNG key for the whole batch; rows of noise follow the example.
  axis_name: the mapped axis that splits the batch, if any.

A step adds weight times the mean over the batch. `clip_weights` constrains the
update instead, and `SpectralNorm` the weights themselves.
"""

import jax
import jax.numpy as jnp

from jaxgan.core import noise

# Keeps the slope of the square root finite where the gradient vanishes.
NORM_EPSILON = 1e-12


def _squared_slope(critic, x):
  """Squared norm [B] of the critic's gradient at each of x [B, ...]."""
  slope = jax.grad(lambda x: jnp.sum(critic(x)))(x)
  return jnp.sum(slope**2, axis=tuple(range(1, x.ndim)))


def _distance_to_unit_slope(critic, x):
  return (jnp.sqrt(_squared_slope(critic, x) + NORM_EPSILON) - 1.0) ** 2


def gradient_penalty(critic, real, fake, key, axis_name=None):
  """Unit slope between reals and fakes.

  Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3.
  """
  place = noise.uniform(key, len(real), (1,) * (real.ndim - 1), axis_name)
  return _distance_to_unit_slope(critic, real + place * (fake - real))


def dragan(critic, real, fake, key, axis_name=None):
  """Unit slope around reals.

  Kodali et al. 2017, https://arxiv.org/abs/1705.07215, section 2.3, with the
  noise of the authors' code: uniform, up to half the batch's deviation.
  """
  del fake
  mean, square = jnp.mean(real), jnp.mean(real**2)
  if axis_name is not None:
    mean, square = jax.lax.pmean((mean, square), axis_name)
  deviation = jnp.sqrt(jnp.maximum(square - mean**2, 0.0))
  shift = noise.uniform(key, len(real), real.shape[1:], axis_name)
  return _distance_to_unit_slope(critic, real + 0.5 * deviation * shift)


def r1(critic, real, fake, key=None, axis_name=None):
  """Zero slope at reals; weight gamma / 2.

  Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9.
  """
  del fake, key, axis_name
  return _squared_slope(critic, real)


def r2(critic, real, fake, key=None, axis_name=None):
  """Zero slope at fakes; weight gamma / 2. The same paper, equation 10."""
  del real, key, axis_name
  return _squared_slope(critic, fake)


PENALTIES = {
  'gradient_penalty': gradient_penalty,
  'dragan': dragan,
  'r1': r1,
  'r2': r2,
}
