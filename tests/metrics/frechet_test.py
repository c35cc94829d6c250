"""Frechet distance: closed forms, splits, singular covariances and bias."""

import decimal
import functools
import math

import numpy as np
import pytest
import scipy.linalg

from jaxgan import errors
from jaxgan.metrics import frechet

RNG = np.random.default_rng(0)


def gaussian(mean, covariance, count=1000):
  return frechet.Moments(count, mean, np.asarray(covariance) * (count - 1))


def wishart(size, rows=None):
  x = RNG.standard_normal((rows or 2 * size, size))
  return x.T @ x / len(x)


def test_distance_of_diagonal_gaussians_is_the_closed_form():
  """Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
  mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
  s1, s2 = np.array([1.0, 2.0, 0.0]), np.array([0.5, 2.0, 3.0])
  distance = frechet.distance(
    gaussian(mean, np.diag(s1**2)), gaussian(other, np.diag(s2**2))
  )
  np.testing.assert_allclose(distance, 10.0 + 0.25 + 9.0, rtol=1e-12)


def test_distance_equals_the_formula_with_the_matrix_root():
  a, b = wishart(32), 3.0 * wishart(32)
  mean = RNG.standard_normal(32)
  root = scipy.linalg.sqrtm(a @ b).real
  expected = mean @ mean + np.trace(a + b - 2.0 * root)
  distance = frechet.distance(gaussian(mean, a), gaussian(np.zeros(32), b))
  np.testing.assert_allclose(distance, expected, rtol=1e-6)


def _two_by_two(spectrum):
  """Rotates pairs of eigenvalues: symmetric matrices [len(spectrum) / 2, 2, 2].

  All products are exact, so both triangles are equal.
  """
  angles = RNG.uniform(0, np.pi, len(spectrum) // 2)
  cos, sin = np.cos(angles), np.sin(angles)
  a, b = spectrum[::2], spectrum[1::2]
  off = (a - b) * cos * sin
  rows = [[a * cos**2 + b * sin**2, off], [off, a * sin**2 + b * cos**2]]
  return np.moveaxis(np.array(rows), -1, 0)


def _exact(first, second):
  """Distance of centred Gaussians in arithmetic of 50 digits.

  For 2 x 2, Tr (A B)^1/2 = (Tr A B + 2 (det A det B)^1/2)^1/2.
  """
  with decimal.localcontext(prec=50):
    number = np.vectorize(decimal.Decimal, otypes=[object])
    total = decimal.Decimal(0)
    for a, b in zip(number(first), number(second), strict=True):
      det = lambda m: m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
      cross = ((a * b).sum() + 2 * (det(a) * det(b)).sqrt()).sqrt()
      total += np.trace(a) + np.trace(b) - 2 * cross
    return float(total)


@pytest.mark.parametrize('spread', [0.0, 0.01, 1.0])
def test_distance_of_steep_spectra_equals_arithmetic_of_fifty_digits(spread):
  """Eigenvalues from 1 to 1e-12; all blocks are mixed by a reflection."""
  spectrum = np.logspace(0, -12, 64)
  change = np.exp(spread * RNG.standard_normal(64))
  blocks = [_two_by_two(values) for values in (spectrum, spectrum * change)]
  if spread == 0.0:
    blocks[1] = blocks[0] + 1e-13 * np.eye(2)
  mirror = np.eye(64) - 2.0 / 64
  real, fake = (mirror @ scipy.linalg.block_diag(*b) @ mirror for b in blocks)
  zero = np.zeros(64)
  distance = frechet.distance(gaussian(zero, real), gaussian(zero, fake))
  expected = _exact(*blocks)
  assert abs(distance - expected) < 1e-13


def test_null_space_of_a_singular_covariance_adds_nothing():
  """With thin factors X and Y, Tr (S1 S2)^1/2 is the nuclear norm of X Y^T."""
  x, y = RNG.standard_normal((40, 64)), RNG.standard_normal((256, 64))
  centred = [(s - s.mean(0)) / np.sqrt(len(s) - 1) for s in (x, y)]
  first, second = (s.T @ s for s in centred)
  cross = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
  expected = np.trace(first) + np.trace(second) - 2.0 * cross
  zero = np.zeros(64)
  distance = frechet.distance(gaussian(zero, first), gaussian(zero, second))
  np.testing.assert_allclose(distance, expected, rtol=1e-12)


def test_moments_do_not_depend_on_the_split():
  """The mean is far from zero, where E[x^2] - m^2 has no correct digits."""
  x = RNG.standard_normal((500, 5)) @ RNG.standard_normal((5, 5)) + 1e6
  splits = [
    [500],
    [1] * 500,
    [7, 200, 1, 292],
  ]
  for sizes in splits:
    parts = np.split(x, np.cumsum(sizes)[:-1])
    seen = functools.reduce(frechet.update, parts, frechet.empty(5))
    assert seen.count == 500
    np.testing.assert_allclose(seen.mean, x.mean(axis=0), rtol=1e-14)
    covariance = frechet.covariance(seen)
    np.testing.assert_allclose(covariance, np.cov(x.T), rtol=1e-6, atol=1e-8)


def test_merge_is_symmetric_and_keeps_moments_with_empty():
  a, b = (frechet.moments(RNG.standard_normal((n, 4)) + n) for n in (3, 30))
  np.testing.assert_allclose(
    frechet.merge(a, b).scatter, frechet.merge(b, a).scatter, rtol=1e-12
  )
  np.testing.assert_array_equal(
    frechet.merge(frechet.empty(4), a).scatter, a.scatter
  )
  assert frechet.merge(frechet.empty(4), frechet.empty(4)).count == 0


def test_distance_warns_with_fewer_rows_than_features():
  x = RNG.standard_normal((10, 40))
  a, b = frechet.moments(x), frechet.moments(x + 1.0)
  with pytest.warns(RuntimeWarning, match='10 rows for 40 features') as warned:
    distance = frechet.distance(a, b)
  assert [str(w.message)[:4] for w in warned] == ['real', 'fake']
  np.testing.assert_allclose(distance, 40.0, rtol=1e-6)
  with pytest.warns(RuntimeWarning):
    assert frechet.distance(a, a) < 1e-9


def test_bias_of_the_identity_is_the_closed_form():
  for d, n in ((10, 10_000), (64, 500)):
    expected = 2.0 / n * (d + d * (d + 1) / 4.0)
    np.testing.assert_allclose(frechet.bias(np.eye(d), n, n), expected)
  assert frechet.bias(np.eye(4), 10, math.inf) == pytest.approx(0.9)


@pytest.mark.parametrize('numbers', [(1000, 1000), (1000, 4000)])
def test_bias_equals_the_mean_distance_of_equal_gaussians(numbers):
  scale = np.linspace(0.1, 2.0, 8)
  scores = []
  for _ in range(100):
    real, fake = (
      frechet.moments(scale * RNG.standard_normal((n, 8))) for n in numbers
    )
    scores.append(frechet.distance(real, fake))
  expected = frechet.bias(np.diag(scale**2), *numbers)
  assert abs(np.mean(scores) - expected) < 4.0 * np.std(scores) / 10.0


def test_distance_and_update_refuse_wrong_sets():
  a, b = frechet.moments(np.ones((3, 2))), frechet.moments(np.ones((1, 2)))
  with pytest.raises(errors.UserError, match='count=1 must be at least 2'):
    frechet.distance(a, b)
  with pytest.raises(errors.UserError, match=r'different features.*\(2,\).*3'):
    frechet.update(a, np.ones((4, 3)))
