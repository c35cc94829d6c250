"""Kernel and Wasserstein distances, neighbours, and bootstrap intervals."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.metrics import bootstrap, distances, kernel, neighbours, wasserstein

# Compiling many small programs takes a minute.
pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def normal(*shape):
  return RNG.standard_normal(shape)


def loops(real, fake):
  """Computes the unbiased MMD^2 by its definition, one pair at a time."""
  n = len(real)
  k = lambda x, y: (np.dot(x, y) / len(x) + 1.0) ** 3
  total = 0.0
  for i in range(n):
    for j in range(n):
      if i != j:
        same = k(real[i], real[j]) + k(fake[i], fake[j])
        total += same / (n * (n - 1))
      total -= 2.0 * k(real[i], fake[j]) / n**2
  return total


def test_kernel_distance_equals_its_definition():
  real, fake = normal(40, 6), normal(40, 6) + 0.3
  expected = loops(real, fake)
  np.testing.assert_allclose(
    kernel.discrepancy(real, fake), expected, rtol=1e-4
  )
  # A subset of all rows is a permutation, so terms with i = j must be included.
  mean, deviation = kernel.distance(
    real, fake, jax.random.key(0), subsets=3, size=40
  )
  np.testing.assert_allclose(mean, expected, rtol=1e-4)
  assert deviation < 1e-5


def test_kernel_distance_of_equal_distributions_is_zero_on_average(key):
  draw = jax.random.normal(key, (400, 2, 50, 4)) + 1.0
  values = jax.lax.map(lambda sets: kernel.discrepancy(*sets), draw)
  assert abs(values.mean()) < 4.0 * values.std() / 20.0
  assert values.min() < 0.0 < values.max()


def test_kernel_distance_depends_on_the_key(key):
  sets = normal(60, 3), normal(80, 3)
  call = lambda key: kernel.distance(*sets, key, subsets=4, size=20)
  assert call(key) == call(key)
  assert call(key) != call(jax.random.key(1))


@pytest.mark.slow
@pytest.mark.parametrize('block', [distances.BLOCK, 1000])
def test_neighbour_scores_equal_prdc(block, monkeypatch):
  """Expected values are from prdc 0.2 (clovaai/generative-evaluation-prdc)."""
  monkeypatch.setattr(distances, 'BLOCK', block)
  rng = np.random.default_rng(0)
  real = rng.standard_normal((300, 8))
  fake = 0.8 * rng.standard_normal((250, 8)) + 0.3
  for k, expected in {
    3: (0.964, 0.5933333333, 1.224, 0.7566666667),
    5: (0.992, 0.6733333333, 1.324, 0.87),
  }.items():
    scores = (
      *neighbours.precision_recall(real, fake, k),
      *neighbours.density_coverage(real, fake, k),
    )
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.slow
def test_neighbour_scores_equal_prdc_in_many_dimensions():
  """1000-d, 2,000 rows each, k = 5: prdc 0.2. One row is a tie in float32."""
  real, fake = np.random.default_rng(0).standard_normal((2, 2000, 1000))
  scores = (
    *neighbours.precision_recall(real, fake, 5),
    *neighbours.density_coverage(real, fake, 5),
  )
  np.testing.assert_allclose(scores, (0.559, 0.564, 1.0085, 0.964), atol=6e-4)


@pytest.mark.slow
def test_neighbour_scores_are_near_the_readme_of_prdc():
  """N(0, I), 1000-d, 10,000 rows each, k = 5.

  The README draws without a seed. With 2,000 rows prdc's density had a standard
  deviation of 0.1 over seeds, and precision and recall had 0.02.
  """
  real, fake = normal(2, 10_000, 1000)
  scores = (
    *neighbours.precision_recall(real, fake, 5),
    *neighbours.density_coverage(real, fake, 5),
  )
  expected = 0.4772, 0.4705, 1.0555, 0.9735
  for score, value, tolerance in zip(
    scores, expected, (0.06, 0.06, 0.3, 0.03), strict=True
  ):
    assert abs(score - value) < tolerance


def test_neighbour_scores_of_identical_sets_are_one():
  x = normal(200, 16) + 100.0
  assert neighbours.precision_recall(x, x) == (1.0, 1.0)
  density, coverage = neighbours.density_coverage(x, x)
  np.testing.assert_allclose((density, coverage), 1.0, rtol=1e-6)


@pytest.mark.parametrize('size', [2, 6, 300])
@pytest.mark.parametrize('scale', [1.0, 0.1])
def test_neighbour_scores_of_ties_equal_exact_arithmetic(size, scale):
  """Points of a grid: most distances are ties, and 0.1 has no exact float."""
  rng = np.random.default_rng(size)
  side = 9 if size == 2 else 2
  real, fake = rng.integers(0, side, (2, 150, size))
  exact = lambda x, y: ((x[:, None] - y[None]) ** 2).sum(-1)  # integers
  k = 3
  real_radii, fake_radii = (
    np.sort(exact(x, x), axis=1)[:, k, None] for x in (real, fake)
  )
  cross = exact(real, fake)
  expected = (
    (cross <= real_radii).any(0).mean(),
    (fake_radii >= cross.T).any(0).mean(),
    (cross < real_radii).sum() / (k * len(fake)),
    (cross < real_radii).any(1).mean(),
  )
  sets = (scale * real + 3.0, scale * fake + 3.0)
  scores = (
    *neighbours.precision_recall(*sets, k),
    *neighbours.density_coverage(*sets, k),
  )
  np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_coverage_of_equal_distributions():
  """About 1 - 2^-k in expectation, Naeem et al. 2020, lemma 2."""
  scores = neighbours.density_coverage(normal(4000, 4), normal(4000, 4))
  np.testing.assert_allclose(scores, (1.0, 1.0 - 2.0**-5), atol=0.03)


def test_radii_are_distances_to_the_kth_other_row():
  x = normal(50, 3) + 1000.0
  lengths = np.sort(np.linalg.norm(x[:, None] - x[None], axis=-1), axis=1)
  for k in (1, 4):
    np.testing.assert_allclose(neighbours.radii(x, k), lengths[:, k], rtol=1e-3)


@pytest.mark.parametrize('block', [distances.BLOCK, 1000])
def test_nearest_finds_copies_and_their_neighbours(block, monkeypatch):
  monkeypatch.setattr(distances, 'BLOCK', block)
  images = RNG.integers(0, 256, (90, 4, 5, 1), dtype=np.uint8)
  rows = RNG.permutation(90)[:40]
  index, lengths = neighbours.nearest(images[rows], images, k=3)
  np.testing.assert_array_equal(index[:, 0], rows)
  np.testing.assert_array_equal(lengths[:, 0], 0.0)
  flat = images.reshape(90, -1).astype(float)
  exact = np.linalg.norm(flat[rows][:, None] - flat[None], axis=-1)
  np.testing.assert_allclose(lengths, np.sort(exact, axis=1)[:, :3], rtol=1e-5)


def test_sliced_distance_of_a_moved_set_is_the_mean_projection(key):
  """E|s.u| for u uniform on the sphere in D dimensions."""
  size = 5
  x, move = normal(200, size), normal(size)
  gamma = math.exp(math.lgamma(size / 2) - math.lgamma((size + 1) / 2))
  expected = np.linalg.norm(move) * gamma / math.sqrt(math.pi)
  distance = wasserstein.sliced(x, RNG.permutation(x) + move, key, 4000)
  np.testing.assert_allclose(distance, expected, rtol=0.03)


def test_sliced_distance_of_images_equals_distance_of_pixels(key):
  images = RNG.integers(0, 256, (2, 20, 3, 4, 2), dtype=np.uint8)
  distance = wasserstein.sliced(*images, key, 10)
  pixels = images.reshape(2, 20, -1) / 255.0
  np.testing.assert_allclose(
    distance, wasserstein.sliced(*pixels, key, 10), rtol=1e-5
  )
  assert wasserstein.sliced(images[0], images[0], key, 10) == 0.0


def test_interval_covers_the_mean_with_its_confidence():
  """40 rows, 200 intervals of 80 %: three deviations around 0.8 are 0.085."""
  mean = lambda x: x.mean(axis=0)
  covered = [
    low <= 2.0 <= high
    for i in range(200)
    for low, high in [
      bootstrap.interval(
        mean, 2.0 + normal(40), jax.random.key(i), 200, confidence=0.8
      )
    ]
  ]
  assert abs(np.mean(covered) - 0.8) < 0.1


def test_interval_resamples_pairs_together(key):
  x = normal(30)
  rows = {'x': x, 'y': jnp.asarray(2.0 * x)}
  slope = lambda r: (r['x'] * r['y']).sum() / (r['x'] ** 2).sum()
  low, high = bootstrap.interval(slope, rows, key, 50)
  np.testing.assert_allclose((low, high), 2.0, rtol=1e-6)
  again = bootstrap.interval(np.mean, x, key, 50)
  assert again == bootstrap.interval(np.mean, x, key, 50)
