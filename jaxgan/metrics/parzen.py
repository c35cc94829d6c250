"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. 2014.

https://arxiv.org/abs/1406.2661, section 5, and its authors' parzen_ll.py, with
the estimator of Breuleux et al. 2011. The score is a weak measure: Theis et al.
2016 (https://arxiv.org/abs/1511.01844) show that centroids of k-means score
better than real data. Print the score of real training images beside it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics import check, distances

BANDWIDTHS = np.logspace(-1.0, 0.0, 10)
SELECTION = 1000  # validation images that choose the bandwidth


class Parzen(NamedTuple):
  """A Parzen-window score in nats.

  Attributes:
    mean: mean over test images.
    standard_error: standard error over test images, not over trainings.
    bandwidth: bandwidth that was selected by the validation images.
  """

  mean: jax.Array
  standard_error: jax.Array
  bandwidth: jax.Array


def log_density(points, samples, bandwidths) -> jax.Array:
  """Log-density of points under Gaussians around all samples.

    log 1/M sum_j exp(-|x - s_j|^2 / (2 b^2)) - D log(b sqrt(2 pi))

  O(N M (D + S)). Points and samples are centred first, which leaves distances
  unchanged and reduces rounding in float32.

  Args:
    points: [N, D]; images are pixels in [0, 1].
    samples: [M, D].
    bandwidths: [S], positive.

  Returns:
    [S, N] in nats.

  Raises:
    UserError: for different D, NaN or infinity.
  """
  points, samples = check.features(least=1, points=points, samples=samples)
  samples, points = distances.centred(samples, points)
  bandwidths = jnp.asarray(bandwidths, jnp.float32)
  blocks = distances.blocks(points, len(samples))
  densities = [_log_density(rows, samples, bandwidths) for rows in blocks]
  return jnp.concatenate(densities, axis=1)


@jax.jit
def _log_density(points, samples, bandwidths):
  squared = distances.squared(points, samples)
  num, size = samples.shape

  def with_bandwidth(bandwidth):
    exponent = jax.nn.logsumexp(-squared / (2.0 * bandwidth**2), axis=1)
    normaliser = jnp.log(bandwidth) + 0.5 * math.log(2.0 * math.pi)
    return exponent - math.log(num) - size * normaliser

  return jax.lax.map(with_bandwidth, bandwidths)


def score(samples, validation, test, bandwidths=BANDWIDTHS) -> Parzen:
  """Mean log-likelihood of test images under samples.

  The selected bandwidth has the largest mean over the first 1,000 validation
  images. The original protocol uses 10,000 samples.

  Args:
    samples: images [M, H, W, C], uint8 or in [-1, 1]; scored as [0, 1].
    validation: held-out images of the same shape, which select the bandwidth.
    test: further held-out images of the same shape, which are scored.
    bandwidths: candidates, in units of [0, 1].

  Raises:
    UserError: for images of wrong type, range or shape, NaN or infinity.
  """
  sets = check.pixels(samples=samples, validation=validation, test=test)
  samples, validation, test = (x.reshape(len(x), -1) for x in sets)
  bandwidths = jnp.asarray(bandwidths, jnp.float32)
  candidates = log_density(validation[:SELECTION], samples, bandwidths)
  best = bandwidths[jnp.argmax(jnp.mean(candidates, axis=1))]
  density = log_density(test, samples, best[None])[0]
  standard_error = jnp.std(density) / math.sqrt(len(density))
  return Parzen(jnp.mean(density), standard_error, best)
