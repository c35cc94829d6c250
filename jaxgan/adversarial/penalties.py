"""Penalties on the discriminator's slope.

Every row of `PENALTIES` maps (critic, real, fake, key) to values [B]:

  critic: images [B, ...] -> logits [B], row by row.
  real, fake: images [B, ...] in [-1, 1], or a tuple of images at several
    scales.
  key: PRNG key for the batch; row i of the noise belongs to example i.

The loss of a step contains the weight times the mean over the batch.
"""

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import axis, noise

# Keeps the slope of the square root finite where the gradient vanishes.
NORM_EPSILON = 1e-12


def _squared_slope(critic, x):
  """Returns the squared gradient norm [B] of the critic at images [B, ...]."""
  slope = jax.grad(lambda x: jnp.sum(critic(x)))(x)
  return sum(
    jnp.sum(part**2, axis=tuple(range(1, part.ndim)))
    for part in jax.tree.leaves(slope)
  )


def _distance_to_unit_slope(critic, x):
  return (jnp.sqrt(_squared_slope(critic, x) + NORM_EPSILON) - 1.0) ** 2


def gradient_penalty(critic, real, fake, key):
  """Penalises slopes other than one between reals and fakes.

  Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3.
  """
  count = len(jax.tree.leaves(real)[0])
  share = noise.uniform(key, count)

  def between(real, fake):
    return real + share.reshape(-1, *(1,) * (real.ndim - 1)) * (fake - real)

  return _distance_to_unit_slope(critic, jax.tree.map(between, real, fake))


def dragan(critic, real, fake, key):
  """Penalises slopes other than one around reals.

  Kodali et al. 2017, https://arxiv.org/abs/1705.07215, section 2.3, with the
  noise of the authors' code: uniform, up to half the batch's deviation. Their
  code then multiplies the noise of each image by a random share, `alpha`. The
  paper has no such share, and neither has this function.
  """
  del fake

  def around(real):
    mean = axis.mean(jnp.mean(real))
    deviation = jnp.sqrt(axis.mean(jnp.mean((real - mean) ** 2)))
    return real + 0.5 * deviation * noise.uniform(
      key, len(real), real.shape[1:]
    )

  return _distance_to_unit_slope(critic, jax.tree.map(around, real))


def r1(critic, real, fake, key=None):
  """Penalises any slope at reals; the weight is gamma / 2.

  Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9.
  """
  del fake, key
  return _squared_slope(critic, real)


def r2(critic, real, fake, key=None):
  """Penalises any slope at fakes; the weight is gamma / 2.

  Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 10.
  """
  del real, key
  return _squared_slope(critic, fake)


def strided(tree, stride: int):
  """Returns every example of index 0, stride, 2 stride, and so on.

  The examples are the same for any number of devices.

  Raises:
    UserError: for a stride that does not divide the examples on a device.
  """
  count = len(jax.tree.leaves(tree)[0])
  if count % stride:
    raise errors.UserError(
      f'penalties_stride={stride} does not divide the {count} examples on a '
      'device. Change penalties_stride or batch_size.'
    )
  return jax.tree.map(lambda x: x[::stride], tree)


def difference(critic, x, key, epsilon: float = 0.01):
  """Returns ((D(x + e n) - D(x)) / e)^2 [B], for Gaussian noise n.

  As e falls, the expectation over n tends to the squared slope of `r1` and
  `r2`, without a second derivative. For a linear critic the two are equal at
  every e. The difference is float32, because logits of 16 bits near 1 move in
  steps of 0.008. Lin et al. 2025, https://arxiv.org/abs/2511.22475, section 3.

  Args:
    critic: images [B, ...] -> logits [B], with the same random numbers in each
      call.
    x: images [B, ...], or a tuple of images at several scales.
    key: PRNG key of the noise.
    epsilon: e, the deviation of the added noise in units of pixels.
  """
  leaves, structure = jax.tree.flatten(x)
  moved = [
    image
    + epsilon
    * noise.normal(jax.random.fold_in(key, index), len(image), image.shape[1:])
    for index, image in enumerate(leaves)
  ]
  change = _wide(critic(structure.unflatten(moved))) - _wide(critic(x))
  return (change / epsilon) ** 2


def _wide(x):
  """Returns floats of at least 32 bits."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


PENALTIES = {
  'gradient_penalty': gradient_penalty,
  'dragan': dragan,
  'r1': r1,
  'r2': r2,
}
