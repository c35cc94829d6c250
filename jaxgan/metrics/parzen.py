"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. 2014.

https://arxiv.org/abs/1406.2661, section 5, and its authors' parzen_ll.py; the
estimator is that of Breuleux et al. 2011. Theis et al. 2016
(https://arxiv.org/abs/1511.01844) show how little it says: samples that are
centroids of k-means beat the data themselves. Score real training images
through the same function and print both.
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
  """A score in nats.

  Attributes:
    mean: over test images.
    standard_error: over test images too; it says nothing of training again.
    bandwidth: that of the validation images.
  """

  mean: jax.Array
  standard_error: jax.Array
  bandwidth: jax.Array


def log_density(points, samples, bandwidths) -> jax.Array:
  """Log-density of points, with Gaussians of a bandwidth around all samples.

    log 1/M sum_j exp(-|x - s_j|^2 / (2 b^2)) - D log(b sqrt(2 pi))

  O(N M (D + S)). Everything is centred first, which distances do not notice and
  float32 does.

  Args:
    points: [N, D], for images pixels in [0, 1].
    samples: [M, D].
    bandwidths: [S], positive.

  Returns:
    [S, N] in nats.

  Raises:
    UserError: for different D, or what is not finite.
  """
  points, samples = check.features(least=1, points=points, samples=samples)
  samples, points = distances.centred(samples, points)
  bandwidths = jnp.asarray(bandwidths, jnp.float32)
  blocks = distances.blocks(points, len(samples))
  found = [_log_density(rows, samples, bandwidths) for rows in blocks]
  return jnp.concatenate(found, axis=1)


@jax.jit
def _log_density(points, samples, bandwidths):
  apart = distances.squared(points, samples)
  num, size = samples.shape

  def one(bandwidth):
    exponent = jax.nn.logsumexp(-apart / (2.0 * bandwidth**2), axis=1)
    normaliser = jnp.log(bandwidth) + 0.5 * math.log(2.0 * math.pi)
    return exponent - math.log(num) - size * normaliser

  return jax.lax.map(one, bandwidths)


def score(samples, validation, test, bandwidths=BANDWIDTHS) -> Parzen:
  """Mean log-likelihood of test images under samples.

  The bandwidth is the one with the largest mean over the first 1,000 validation
  images. The original takes 10,000 samples.

  Args:
    samples: images [M, H, W, C], uint8 or in [-1, 1]; scored as [0, 1].
    validation: images of the same kind that were not trained on.
    test: images of the same kind, others.
    bandwidths: to choose from, in units of [0, 1].

  Raises:
    UserError: for other or different images, or what is not finite.
  """
  sets = check.pixels(samples=samples, validation=validation, test=test)
  samples, validation, test = (x.reshape(len(x), -1) for x in sets)
  bandwidths = jnp.asarray(bandwidths, jnp.float32)
  tried = log_density(validation[:SELECTION], samples, bandwidths)
  best = bandwidths[jnp.argmax(jnp.mean(tried, axis=1))]
  found = log_density(test, samples, best[None])[0]
  return Parzen(jnp.mean(found), jnp.std(found) / math.sqrt(len(found)), best)
