"""Modes found: of mixtures of Gaussians, of classes, of stacked digits.

The protocols of VEEGAN (Srivastava et al. 2017,
https://arxiv.org/abs/1705.07761) and PacGAN (Lin et al. 2018,
https://arxiv.org/abs/1712.04086). Counts [K] say how often each mode was met:
from `mixture`, or `score.histogram` of classes or of `stacked`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.metrics import check
from jaxgan.metrics import classes as classes_lib

RADIUS = 3.0  # standard deviations; beyond, a point is of no mode
_BEYOND = math.exp(-(RADIUS**2) / 2.0)
CEILING = 1.0 - _BEYOND  # `high_quality` of an exact sampler, 0.98889


class Mixture(NamedTuple):
  """Of points from a mixture of 2-D Gaussians.

  Attributes:
    counts: int [K], points within three deviations of their nearest centre.
    high_quality: share of all points that these are; an exact sampler has
      `CEILING`. More means that modes have shrunk.
    spread: deviation of these points around their centres, over that of an
      exact sampler's: 1 is right, less is shrunk; NaN without such points.
  """

  counts: jax.Array
  high_quality: jax.Array
  spread: jax.Array


def mixture(points, centres, deviation: float) -> Mixture:
  """Counts points [N, 2] by centres [K, 2] of one deviation; O(N K).

  Raises:
    UserError: for points that are not finite or not in 2-D, or no deviation.
  """
  points, centres = check.features(least=1, points=points, centres=centres)
  if points.shape[1] != 2:
    raise errors.UserError(f'points has shape {points.shape}; give [N, 2]')
  if deviation <= 0:
    raise errors.UserError(f'deviation={deviation} must be positive')
  return _mixture(
    jnp.asarray(points, jnp.float32),
    jnp.asarray(centres, jnp.float32),
    deviation,
  )


@jax.jit
def _mixture(points, centres, deviation):
  apart = jnp.sum((points[:, None] - centres[None]) ** 2, axis=-1)  # [N, K]
  nearest = jnp.argmin(apart, axis=1)
  squared = jnp.min(apart, axis=1) / deviation**2
  near = squared < RADIUS**2
  counts = jnp.bincount(nearest, weights=near.astype(int), length=len(centres))
  mean_squared = jnp.sum(jnp.where(near, squared, 0.0)) / jnp.sum(near)
  # Squared lengths are chi-squared with 2 degrees of freedom, cut off.
  expected = 2.0 - RADIUS**2 * _BEYOND / CEILING
  return Mixture(counts, jnp.mean(near), jnp.sqrt(mean_squared / expected))


def found(counts) -> jax.Array:
  """Modes that were met at least once, 0..K."""
  return jnp.sum(jnp.asarray(counts) > 0)


def divergence(counts) -> jax.Array:
  """KL(shares of counts || uniform) in nats.

  Srivastava et al. 2017 call it the reverse KL. From 0 to log K; of counts of a
  perfect sampler see `floor`. NaN if nothing was counted.
  """
  return math.log(len(counts)) - classes_lib.entropy(counts)


def floor(num_modes: int, num_points: int) -> tuple[float, float]:
  """Mean and deviation of `divergence` for a perfect sampler.

  2 N KL is asymptotically chi-squared with K - 1 degrees of freedom (Wilks
  1938): the mean is (K - 1) / (2 N). Good where a mode is met a few times and
  more.
  """
  freedom = num_modes - 1
  return freedom / (2 * num_points), math.sqrt(2 * freedom) / (2 * num_points)


def stacked(labels, classes: int = 10) -> jax.Array:
  """Classes int [N, C] of the channels as one mode in 0..classes^C - 1, [N].

  Stacked MNIST, Metz et al. 2017 (https://arxiv.org/abs/1611.02163), section
  3.3.1: with three channels there are 1000 modes.

  Raises:
    UserError: for labels outside of 0..classes - 1.
  """
  labels = jnp.asarray(check.labels('labels', labels, classes))
  place = classes ** jnp.arange(labels.shape[1])[::-1]
  return jnp.sum(labels * place[None], axis=1)
