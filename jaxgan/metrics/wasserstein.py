"""Sliced Wasserstein distance of two sets of images or features."""

import functools

import jax
import jax.numpy as jnp

from jaxgan.metrics import check

# Directions at a time. Each direction needs a sorted copy of both sets.
CHUNK = 32


def sliced(real, fake, key, directions: int = 512) -> jax.Array:
  """Mean over directions of the Wasserstein-1 distance of projections.

  Rabin et al. 2011 (https://doi.org/10.1007/978-3-642-24785-9_37), with the
  mean absolute difference of sorted projections of Karras et al. 2018
  (https://arxiv.org/abs/1710.10196, section 5). O(directions N (D + log N)).

  The distance is at least 0, in the units of the features; units of images are
  pixels in [0, 1]. A set moved by s has distance E|s.u| from itself, with u
  uniform on the sphere, about sqrt(2 / (pi D)) |s|. Two samples of the same
  distribution have a distance of about 1 / sqrt(N): print the distance of two
  real sets beside the score.

  Args:
    real: features [N, D], or images [N, H, W, C], uint8 or in [-1, 1].
    fake: features or images of the same shape.
    key: random key; equal keys give equal directions.
    directions: number of directions.

  Raises:
    UserError: for different shapes, wrong ranges, NaN or infinity.
  """
  real, fake = check.array(real), check.array(fake)
  read = check.pixels if real.ndim == 4 else check.features
  real, fake = read(real=real, fake=fake)
  check.paired(real=real, fake=fake)
  check.at_least('directions', directions, 1)
  flat = lambda x: jnp.asarray(x, jnp.float32).reshape(len(x), -1)
  return _sliced(flat(real), flat(fake), key, directions)


@functools.partial(jax.jit, static_argnames='directions')
def _sliced(real, fake, key, directions):
  def along_direction(key):
    direction = jax.random.normal(key, real.shape[1:])
    direction = direction / jnp.linalg.norm(direction)
    project = lambda x: jnp.sort(
      jnp.matmul(x, direction, precision=jax.lax.Precision.HIGHEST)
    )
    return jnp.mean(jnp.abs(project(real) - project(fake)))

  keys = jax.random.split(key, directions)
  return jnp.mean(jax.lax.map(along_direction, keys, batch_size=CHUNK))
