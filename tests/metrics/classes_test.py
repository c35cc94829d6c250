"""Inception Score, histograms and modes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.data.sources import toy
from jaxgan.metrics import classes as classes_lib
from jaxgan.metrics import modes, scores

# Compiling many small programs takes a minute.
pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def test_inception_score_of_perfect_and_collapsed_samples():
  certain = np.eye(10)[np.arange(1000) % 10]
  for rows, expected in (
    (certain, 10.0),
    (certain[np.zeros(1000, int)], 1.0),
    (np.full((1000, 10), 0.1), 1.0),
  ):
    mean, deviation = classes_lib.inception(rows)
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
    assert deviation < 1e-5


def test_inception_score_splits_consecutive_rows():
  """Rows are sorted by class, so each of ten splits has a single class."""
  rows = np.eye(10)[np.arange(1003) * 10 // 1003]
  assert classes_lib.inception(rows)[0] < 1.1
  np.testing.assert_allclose(classes_lib.inception(rows, 1)[0], 10.0, rtol=1e-4)


def test_inception_score_equals_its_formula(key):
  rows = jax.nn.softmax(3.0 * jax.random.normal(key, (103, 7)))
  parts = np.split(np.asarray(rows, float), [34, 68])
  expected = [
    np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean()) for p in parts
  ]
  np.testing.assert_allclose(
    classes_lib.inception(rows, 3),
    (np.mean(expected), np.std(expected)),
    rtol=1e-4,
  )


def test_histogram_metrics_equal_known_values():
  counts = classes_lib.histogram([[0, 2], [2, 3]], 4)
  np.testing.assert_array_equal(counts, [1, 0, 2, 1])
  assert classes_lib.rarest(counts) == 0.0
  np.testing.assert_allclose(
    classes_lib.entropy(counts), 1.5 * math.log(2), rtol=1e-6
  )
  np.testing.assert_allclose(
    modes.divergence(counts), 0.5 * math.log(2), rtol=1e-5
  )
  assert modes.found(counts) == 3
  assert jnp.isnan(modes.divergence(np.zeros(4)))


def test_accuracy_counts_the_largest_logits():
  logits = np.array([[0.0, 1.0], [3.0, 2.0], [0.0, 5.0]])
  np.testing.assert_allclose(classes_lib.accuracy(logits, [1, 1, 1]), 2 / 3)


def test_mixture_scores_of_exact_samples():
  for centres, deviation in toy.MIXTURES.values():
    k, n = len(centres), 20_000
    points = centres[RNG.integers(k, size=n)]
    points = points + deviation * RNG.standard_normal((n, 2))
    scores = modes.mixture(points, centres, deviation)
    assert modes.found(scores.counts) == k
    spread = math.sqrt(modes.CEILING * (1 - modes.CEILING) / n)
    assert abs(scores.high_quality - modes.CEILING) < 4 * spread
    assert abs(scores.spread - 1.0) < 0.02
    np.testing.assert_allclose(scores.counts.sum() / n, scores.high_quality)
    mean, deviation = modes.floor(k, n)
    assert abs(modes.divergence(scores.counts) - mean) < 5 * deviation
  assert round(modes.CEILING, 5) == 0.98889


def test_mixture_scores_of_collapsed_and_shrunk_samples():
  centres, deviation = toy.MIXTURES['ring']
  points = centres[3] + 0.5 * deviation * RNG.standard_normal((2000, 2))
  scores = modes.mixture(points, centres, deviation)
  assert modes.found(scores.counts) == 1
  assert scores.high_quality > modes.CEILING
  assert 0.45 < scores.spread < 0.55
  np.testing.assert_allclose(
    modes.divergence(scores.counts), math.log(8), rtol=1e-5
  )
  far = modes.mixture(np.zeros((5, 2)), centres, deviation)
  assert (far.high_quality, far.counts.sum()) == (0.0, 0)


def test_floor_equals_divergence_of_perfect_samplers():
  """1000 modes and 26,000 samples: 0.0193 +- 0.0009."""
  for k, n in ((8, 2500), (1000, 26_000)):
    divergences = [
      float(modes.divergence(RNG.multinomial(n, np.full(k, 1.0 / k))))
      for _ in range(100)
    ]
    mean, deviation = modes.floor(k, n)
    # 2 N KL is chi-squared only to first order in modes per sample.
    assert abs(np.mean(divergences) - mean) < 0.4 * deviation
    assert 0.75 < np.std(divergences) / deviation < 1.3


def test_stacked_reads_digits_as_numbers():
  labels = np.array([[0, 0, 0], [1, 2, 3], [9, 9, 9]])
  np.testing.assert_array_equal(modes.stacked(labels), [0, 123, 999])
  counts = classes_lib.histogram(modes.stacked(labels), 1000)
  assert (modes.found(counts), counts[123]) == (3, 1)


def test_commonest_class_is_that_of_samples():
  def images(labels):
    logits = np.eye(3)[np.tile(labels, 10)]
    return scores.Images(np.zeros((40, 4, 4, 1), np.uint8), logits, logits)

  real, fake = images([2, 0, 0, 1]), images([2, 2, 0, 2])
  values = scores.compute(real, fake, jax.random.key(0), ('classes',))
  assert values['commonest_class'] == 0.75
  assert values['commonest_class_real'] == 0.25
  assert values['rarest_class'] == 0.0
