"""PSNR, errors in holes, SSIM, MS-SSIM and path lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import masks
from jaxgan.metrics import similarity, smoothness

# Compiling many small programs takes a minute.
pytestmark = pytest.mark.slow


def pair():
  rng = np.random.default_rng(0)
  a = rng.integers(0, 256, (28, 33, 3), dtype=np.uint8)
  b = np.clip(a.astype(int) + rng.integers(-60, 61, a.shape), 0, 255)
  return a[None], b.astype(np.uint8)[None]


def test_ssim_and_psnr_equal_scikit_image():
  """Version 0.26 with gaussian_weights, sigma 1.5, no sample covariance."""
  a, b = pair()
  np.testing.assert_allclose(similarity.ssim(a, b), 0.9082932613, rtol=2e-5)
  np.testing.assert_allclose(similarity.psnr(a, b), 17.7490521447, rtol=1e-5)
  floats = [x / 127.5 - 1.0 for x in (a, b)]
  np.testing.assert_allclose(similarity.ssim(*floats), 0.9082932613, rtol=2e-5)


def test_psnr_of_constant_differences_is_the_formula():
  black = np.zeros((3, 4, 4, 1), np.uint8)
  other = black + np.array([255, 51, 0], np.uint8)[:, None, None, None]
  np.testing.assert_allclose(
    similarity.psnr(black, other), [0.0, 20 * np.log10(5), np.inf], atol=1e-5
  )


@pytest.mark.parametrize('metric', [similarity.ssim, similarity.ms_ssim])
def test_ssim_is_symmetric_and_one_for_equal_images(metric):
  a, b = pair()
  np.testing.assert_allclose(metric(a, a), 1.0, rtol=1e-6)
  np.testing.assert_allclose(metric(a, b), metric(b, a), rtol=1e-6)
  assert 0.0 < metric(a, b)[0] < 1.0


def test_ssim_of_constant_images_is_the_luminance_term():
  a, b = np.full((1, 30, 40, 1), -1.0), np.full((1, 30, 40, 1), 0.0)
  expected = 1e-4 / (0.25 + 1e-4)
  for metric in (similarity.ssim, similarity.ms_ssim):
    power = 1.0 if metric is similarity.ssim else 0.2856 / (0.0448 + 0.2856)
    np.testing.assert_allclose(metric(a, b), expected**power, rtol=1e-3)


def numpy_terms(a, b):
  """Means of SSIM and of its contrast and structure; one channel, float64."""
  offset = np.arange(11) - 5
  window = np.exp(-(offset**2) / 4.5)
  window /= window.sum()

  def blur(x):
    rows = np.apply_along_axis(np.convolve, 0, x, window, 'valid')
    return np.apply_along_axis(np.convolve, 1, rows, window, 'valid')

  ma, mb = blur(a), blur(b)
  covariance = blur(a * b) - ma * mb
  variances = blur(a * a) + blur(b * b) - ma**2 - mb**2
  structure = (2 * covariance + 9e-4) / (variances + 9e-4)
  luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
  return (luminance * structure).mean(), structure.mean()


def test_ms_ssim_of_odd_sizes_is_that_of_the_authors():
  """The mean of 2 x 2 pixels, mirrored at borders, of every second pixel."""
  a, b = (x[0, :21, :25, 0] / 255 for x in pair())
  _, fine = numpy_terms(a, b)
  small = []
  for x in (a, b):
    x = np.pad(x, ((0, 1), (0, 1)), 'symmetric')
    x = (x[1:, 1:] + x[1:, :-1] + x[:-1, 1:] + x[:-1, :-1]) / 4
    small.append(x[::2, ::2])
  assert small[0].shape == (11, 13)
  coarse, _ = numpy_terms(*small)
  weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
  expected = fine ** weights[0] * coarse ** weights[1]
  images = [x[None, :21, :25, :1] for x in (p[0] for p in pair())]
  np.testing.assert_allclose(similarity.ms_ssim(*images), [expected], rtol=2e-5)


def test_num_scales_depends_on_the_image_size():
  sizes = {11: 1, 21: 2, 28: 2, 32: 2, 64: 3, 128: 4, 161: 5, 512: 5}
  for size, scales in sizes.items():
    assert similarity.num_scales(size, size + 1) == scales
  images = np.zeros((2, 11, 15, 1))
  np.testing.assert_allclose(similarity.ms_ssim(images, images), 1.0)


@pytest.mark.slow
def test_self_similarity_is_low_for_diverse_images(key):
  noise = jax.random.uniform(key, (30, 28, 28, 1), minval=-1.0)
  same = jnp.broadcast_to(noise[:1], noise.shape)
  score = similarity.self_similarity(noise, key, 100)
  assert score < 0.2
  np.testing.assert_allclose(
    similarity.self_similarity(same, key, 100), 1.0, rtol=1e-5
  )
  assert score == similarity.self_similarity(noise, key, 100)


def test_self_similarity_never_pairs_an_image_with_itself(key):
  """Every pair of one black and one white image differs."""
  images = jnp.concatenate(
    [-jnp.ones((1, 12, 12, 1)), jnp.ones((1, 12, 12, 1))]
  )
  assert similarity.self_similarity(images, key, 50) < 1e-3


@pytest.mark.slow
def test_completion_errors_separate_holes_from_known_pixels(key):
  shape = (13, 16, 3)
  holes = masks.holes(key, 5, shape, 6)
  real = jnp.zeros((5, *shape))
  fake = jnp.where(holes.known, 0.2, -0.8)
  fake = jnp.broadcast_to(fake, real.shape)
  scores = similarity.completion_errors(real, fake, holes.known)
  for name, expected in {
    'l1_hole': 0.4,
    'mse_hole': 0.16,
    'l1_known': 0.1,
    'mse_known': 0.01,
  }.items():
    assert scores[name].shape == (5,)
    np.testing.assert_allclose(scores[name], expected, rtol=1e-5)
  without = similarity.completion_errors(real, fake, holes.known | True)
  assert np.isnan(without['mse_hole']).all()
  assert np.isfinite(without['mse_known']).all()


def test_path_length_of_linear_functions_is_the_closed_form(key):
  """|A (b - a)|^2 on a straight line; the squared angle on an arc."""
  keys = jax.random.split(key, 4)
  a, b = jax.random.uniform(keys[0], (2, 7, 4), minval=-1.0)
  matrix = jax.random.normal(keys[1], (4, 12))
  shares = jax.random.uniform(keys[2], (7,))
  decode = lambda z: (z @ matrix).reshape(-1, 2, 6, 1)
  length = smoothness.path_length(decode, lambda x: x, a, b, shares, 'uniform')
  expected = jnp.sum(((b - a) @ matrix) ** 2, axis=1)
  np.testing.assert_allclose(length, expected, rtol=1e-4)

  start = jnp.array([[3.0, 0.0], [0.0, 3.0]])
  end = jnp.array([[0.0, 3.0], [0.0, -3.0]])
  same = lambda x: x
  length = smoothness.path_length(same, same, start, end, shares[:2], 'normal')
  expected = 9.0 * np.array([np.pi / 2, np.pi]) ** 2
  np.testing.assert_allclose(length, expected, rtol=1e-4)
