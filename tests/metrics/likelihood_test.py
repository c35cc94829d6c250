"""Parzen windows and importance sampling, compared with exact densities."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgan.core import latents as latents_lib
from jaxgan.metrics import distances, parzen
from jaxgan.metrics import likelihood as likelihood_lib

# Compiling many small programs takes a minute.
pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('block', [distances.BLOCK, 1000])
def test_parzen_density_equals_the_density_of_its_mixture(block, monkeypatch):
  """Compares with float64 and exact distances, at the sizes of MNIST."""
  monkeypatch.setattr(distances, 'BLOCK', block)
  samples, points = RNG.random((60, 784)), RNG.random((50, 784))
  points[:25] = samples[:25] + 0.1 * RNG.standard_normal((25, 784))
  squared = ((points[:, None] - samples[None]) ** 2).sum(axis=-1)
  density = parzen.log_density(points, samples, parzen.BANDWIDTHS)
  for b, row in zip(parzen.BANDWIDTHS, density, strict=True):
    exponent = scipy.special.logsumexp(-squared / (2 * b**2), axis=1)
    normaliser = math.log(60) + 784 * math.log(b * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(row, exponent - normaliser, rtol=1e-5, atol=0.02)


def test_parzen_density_approaches_the_density_of_many_samples():
  samples = RNG.standard_normal((20_000, 1))
  points = np.linspace(-2.0, 2.0, 9)[:, None]
  density = parzen.log_density(points, samples, [0.2])[0]
  blurred = scipy.stats.norm(scale=math.sqrt(1.0 + 0.2**2))
  np.testing.assert_allclose(density, blurred.logpdf(points[:, 0]), atol=0.06)


def test_parzen_bandwidth_is_selected_by_validation_images():
  """Images around one centre select the bandwidth of their deviation."""
  deviation = parzen.BANDWIDTHS[2]
  draw = lambda n: np.clip(
    2.0 * deviation * RNG.standard_normal((n, 5, 5, 1)), -1.0, 1.0
  )
  samples = np.zeros((2, 5, 5, 1))
  # Only the first 1,000 images count. The others would select another value.
  validation = np.concatenate([draw(1000), np.zeros((3000, 5, 5, 1))])
  test = draw(400)
  score = parzen.score(samples, validation, test)
  np.testing.assert_allclose(score.bandwidth, deviation, rtol=1e-6)
  exact = scipy.stats.norm(scale=deviation).logpdf(test / 2.0)
  exact = exact.sum(axis=(1, 2, 3))
  np.testing.assert_allclose(score.mean, exact.mean(), rtol=1e-4)
  np.testing.assert_allclose(
    score.standard_error, exact.std() / math.sqrt(400), rtol=1e-3
  )


def test_likelihood_bound_does_not_depend_on_the_split():
  log_weights = 5.0 * jax.random.normal(jax.random.key(1), (6, 40)) - 1000.0
  seen = likelihood_lib.empty(6)
  for part in jnp.split(log_weights, [1, 20, 33], axis=1):
    seen = likelihood_lib.update(seen, part)
  assert seen.count == 40
  np.testing.assert_allclose(
    likelihood_lib.bound(seen), latents_lib.bound(log_weights), rtol=1e-6
  )


def test_likelihood_estimate_of_many_samples_is_nearly_exact(key):
  """With z ~ N(0, 1) and x|z ~ N(z, 1), x is N(0, 2). q(z|x) is not exact."""
  x = jnp.array([-2.0, 0.0, 1.5])

  def log_weights(key):
    z = x[:, None] / 3.0 + jax.random.normal(key, (3, 100))
    density = jax.scipy.stats.norm.logpdf
    joint = density(z) + density(x[:, None] - z)
    return joint - density(z - x[:, None] / 3.0)

  exact = scipy.stats.norm(scale=math.sqrt(2.0)).logpdf(x)
  bound = likelihood_lib.estimate(log_weights, key, chunks=50)
  np.testing.assert_allclose(bound, exact, atol=0.05)
  assert (
    likelihood_lib.estimate(log_weights, key, 1).mean() < exact.mean() + 0.1
  )
