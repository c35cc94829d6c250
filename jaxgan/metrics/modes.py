"""Counts modes of mixtures of Gaussians, classes, and stacked digits.

The protocols of VEEGAN (Srivastava et al. 2017,
https://arxiv.org/abs/1705.07761) and PacGAN (Lin et al. 2018,
https://arxiv.org/abs/1712.04086). Counts [K] are the number of samples in each
mode. They come from `mixture`, or from `classes.histogram` of classes or of
`stacked`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.metrics import check
from jaxgan.metrics import classes as classes_lib

RADIUS = 3.0  # radius of a mode in standard deviations
_BEYOND = math.exp(-(RADIUS**2) / 2.0)
CEILING = 1.0 - _BEYOND  # `high_quality` of an exact sampler, 0.98889


class Mixture(NamedTuple):
  """Scores of points from a mixture of 2-D Gaussians.

  Attributes:
    counts: int [K], number of points within three standard deviations of each
      centre (near points).
    high_quality: share of near points among all points. An exact sampler has
      `CEILING`; a larger share means that modes have shrunk.
    spread: deviation of near points around their centres, divided by the
      deviation for an exact sampler. 1 is exact, less is shrunk; NaN without
      near points.
  """

  counts: jax.Array
  high_quality: jax.Array
  spread: jax.Array


def mixture(points, centres, deviation: float) -> Mixture:
  """Counts points [N, 2] by their nearest of the centres [K, 2]; O(N K).

  Args:
    points: [N, 2].
    centres: [K, 2].
    deviation: standard deviation of every Gaussian, positive.

  Raises:
    UserError: for points that are not finite or not in 2-D, or a deviation that
      is not positive.
  """
  points, centres = check.features(least=1, points=points, centres=centres)
  if points.shape[1] != 2:
    raise errors.UserError(
      f'points has shape {points.shape}. Pass points [N, 2].'
    )
  if deviation <= 0:
    raise errors.UserError(f'deviation={deviation} must be positive')
  return _mixture(
    jnp.asarray(points, jnp.float32),
    jnp.asarray(centres, jnp.float32),
    deviation,
  )


@jax.jit
def _mixture(points, centres, deviation):
  distances = jnp.sum((points[:, None] - centres[None]) ** 2, axis=-1)  # [N, K]
  nearest = jnp.argmin(distances, axis=1)
  squared = jnp.min(distances, axis=1) / deviation**2
  near = squared < RADIUS**2
  counts = jnp.bincount(nearest, weights=near.astype(int), length=len(centres))
  mean_squared = jnp.sum(jnp.where(near, squared, 0.0)) / jnp.sum(near)
  # Squared lengths have a truncated chi-squared distribution with 2 degrees of
  # freedom.
  expected = 2.0 - RADIUS**2 * _BEYOND / CEILING
  return Mixture(counts, jnp.mean(near), jnp.sqrt(mean_squared / expected))


def found(counts) -> jax.Array:
  """Number of modes with at least one sample, 0..K."""
  return jnp.sum(jnp.asarray(counts) > 0)


def divergence(counts) -> jax.Array:
  """KL(shares of counts || uniform) in nats, from 0 to log K.

  Srivastava et al. 2017 call this the reverse KL. `floor` is its value for a
  perfect sampler. NaN if all counts are 0.
  """
  return math.log(len(counts)) - classes_lib.entropy(counts)


def floor(num_modes: int, num_points: int) -> tuple[float, float]:
  """Mean and standard deviation of `divergence` for a perfect sampler.

  2 N KL is asymptotically chi-squared with K - 1 degrees of freedom (Wilks
  1938), so the mean is (K - 1) / (2 N). Accurate if a mode has several samples
  on average.
  """
  freedom = num_modes - 1
  return freedom / (2 * num_points), math.sqrt(2 * freedom) / (2 * num_points)


def stacked(labels, classes: int = 10) -> jax.Array:
  """Combines the classes of C channels to a mode in 0..classes^C - 1.

  Stacked MNIST, Metz et al. 2017 (https://arxiv.org/abs/1611.02163), section
  3.3.1: three channels of digits have 1000 modes.

  Args:
    labels: int [N, C].
    classes: number of classes of a channel.

  Returns:
    int [N].

  Raises:
    UserError: for labels outside of 0..classes - 1.
  """
  labels = jnp.asarray(check.labels('labels', labels, classes))
  powers = classes ** jnp.arange(labels.shape[1])[::-1]
  return jnp.sum(labels * powers[None], axis=1)
