"""Frechet distance between Gaussians fitted to features, and its bias.

Heusel et al. 2017 (https://arxiv.org/abs/1706.08500), equation 6, after Dowson
and Landau 1982:

  d^2 = |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2).

With features of Inception the distance is called FID; name any other features
beside the number. Runs on the host in float64. In float32 the trace of a small
distance has no correct digits.

  real = frechet.moments(real_features)
  fake = frechet.empty(size)
  for features in batches:
    fake = frechet.update(fake, features)
  frechet.distance(real, fake)
"""

import warnings
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import check


class Moments(NamedTuple):
  """Statistics of the features seen so far; float64, a pytree.

  Attributes:
    count: number of rows.
    mean: [D].
    scatter: [D, D], sum of the outer products of deviations from the mean.
  """

  count: int
  mean: np.ndarray
  scatter: np.ndarray


def empty(size: int) -> Moments:
  """Returns the moments of no rows with `size` features."""
  return Moments(0, np.zeros(size), np.zeros((size, size)))


def moments(features) -> Moments:
  """Computes the moments of features [N, D], N >= 1; O(N D^2)."""
  (features,) = check.features(least=1, features=features)
  features = np.asarray(features, np.float64)
  mean = features.mean(axis=0)
  centred = features - mean[None]
  return Moments(len(features), mean, centred.T @ centred)


def merge(a: Moments, b: Moments) -> Moments:
  """Combines the moments of two sets of rows.

  The result does not depend on the order or split of rows, up to rounding.
  Chan, Golub and LeVeque 1979: unlike E[x x^T] - m m^T, nothing cancels.
  """
  count = a.count + b.count
  if count == 0:
    return a
  change = b.mean - a.mean
  outer = np.outer(change, change) * (a.count * b.count / count)
  mean = a.mean + change * (b.count / count)
  return Moments(count, mean, a.scatter + b.scatter + outer)


def update(seen: Moments, features) -> Moments:
  """Adds features [N, D] to the moments `seen`."""
  check.features(least=1, seen=seen.mean[None], features=features)
  return merge(seen, moments(features))


def covariance(seen: Moments) -> np.ndarray:
  """Unbiased estimate [D, D] of the covariance; needs two rows."""
  check.at_least('count', seen.count, 2)
  return seen.scatter / (seen.count - 1)


def distance(real: Moments, fake: Moments) -> float:
  """Frechet distance d^2 >= 0 of two sets; 0 for equal Gaussians. O(D^3).

  The trace of (S1 S2)^1/2 is the sum of the singular values of S1^1/2 S2^1/2.
  No value becomes complex, and a singular covariance needs no offset. The error
  is about 1e-15 of the traces, however steep the spectra are: eigenvalues of
  the product S1 S2 would be lost below 1e-16 of the largest one.

  A covariance is singular if there are no more rows than features. The distance
  of the fitted Gaussians is then strongly biased, see `bias`, and a
  `RuntimeWarning` is issued.

  Raises:
    UserError: for different numbers of features, or fewer than two rows.
  """
  check.features(least=1, real=real.mean[None], fake=fake.mean[None])
  size = len(real.mean)
  first, second = covariance(real), covariance(fake)
  for name, seen in (('real', real), ('fake', fake)):
    if seen.count <= size:
      warnings.warn(
        f'{name} has {seen.count} rows for {size} features: its covariance is '
        'singular and the distance strongly biased. Use more images.',
        RuntimeWarning,
        stacklevel=2,
      )
  product = _factor(first).T @ _factor(second)
  cross = np.linalg.svd(product, compute_uv=False).sum()
  change = real.mean - fake.mean
  squared = change @ change + np.trace(first) + np.trace(second) - 2.0 * cross
  return max(float(squared), 0.0)


def _spectrum(values):
  """Sets eigenvalues to 0 that are as small as the rounding error of `eigh`."""
  # Without this, the null space of a singular covariance would count: the root
  # of 1e-16 is 1e-8.
  noise = values.max() * np.sqrt(len(values)) * np.finfo(values.dtype).eps
  return np.where(values > noise, values, 0.0)


def _factor(matrix):
  """Returns F with F F^T = matrix; F is the root up to a rotation."""
  values, vectors = np.linalg.eigh(matrix)
  return vectors * np.sqrt(_spectrum(values))[None]


def bias(covariance, num_real: int, num_fake: int) -> float:
  """Expected `distance` between two samples of the same Gaussian.

  This is the score of a perfect generator to first order in 1/n. With the
  eigenvalues l_i of the covariance it is

    (1/num_real + 1/num_fake) (sum_i l_i + sum_ij w_ij),
    w_ij = l_i l_j (1 + [i = j]) / (2 (l_i + l_j)).

  The second sum follows from the second derivative of the trace (Bhatia, Jain
  and Lim 2019, https://arxiv.org/abs/1712.01504) and the variances of a Wishart
  matrix. For the identity and n = num_real = num_fake the bias is
  (2/n) (d + d (d + 1) / 4). Accurate if both numbers are many times D. O(D^3).

  Args:
    covariance: [D, D].
    num_real: rows of the real sample.
    num_fake: rows of the other sample; `math.inf` for the exact Gaussian.
  """
  values = _spectrum(np.linalg.eigvalsh(np.asarray(covariance, np.float64)))
  values = values[values > 0]
  total = values[:, None] + values[None]
  weights = values[:, None] * values[None] / (2.0 * total)
  shape = values.sum() + weights.sum() + np.trace(weights)
  return float((1.0 / num_real + 1.0 / num_fake) * shape)
