"""Random features: the same everywhere, of any images, and they see noise."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import config as config_lib
from jaxgan import data
from jaxgan.metrics import frechet, random_features

NUM = 250


def distance(real, fake):
  call = random_features.features()
  moments = (frechet.moments(call(x)['features']) for x in (real, fake))
  return frechet.distance(*moments)


@pytest.fixture(scope='module')
def digits():
  """Returns digits to train on and held-out ones."""
  settings = config_lib.defaults().data
  settings.source = 'embedded'
  return [
    data.load(settings, split).evenly(NUM)['image']
    for split in ('train', 'test')
  ]


def test_kernels_are_fixed():
  """Another NumPy, JAX or machine changes no number that was published."""
  kernels = random_features.kernels(0, 1)
  shapes = [kernel.shape for kernel in kernels]
  assert shapes[0] == (3, 3, 1, 32)
  assert shapes[-1] == (3, 3, 128, 128)
  expected = [-0.120863, -0.016749, -0.016152, 0.022255, 0.026547, 0.020661]
  first = [kernel.flat[0] for kernel in kernels]
  np.testing.assert_allclose(first, expected, rtol=1e-4)
  other = random_features.kernels(1, 1)
  for one, two in itertools.product(kernels, other):
    assert not np.array_equal(one, two)


def test_channels_change_the_first_kernel_only():
  grey, colour = (random_features.kernels(0, c) for c in (1, 3))
  assert colour[0].shape == (3, 3, 3, 32)
  for one, two in zip(grey[1:], colour[1:], strict=True):
    np.testing.assert_array_equal(one, two)


def test_activations_keep_their_scale():
  """The second moment is half, after each ReLU, in all blocks."""
  images = np.random.default_rng(0).normal(size=(8, 32, 32, 3))
  x, kernels = jnp.asarray(images, jnp.float32), random_features.kernels(0, 3)
  for count in (2, 4, 6):
    last = random_features.apply(x, kernels[:count])[
      :, -kernels[count - 1].shape[-1] :
    ]
    assert 0.1 < float(jnp.mean(last**2)) < 0.7


def test_distance_of_digits_is_fixed(digits):
  train, test = digits
  assert distance(test, test) < 1e-9
  assert distance(test, train) == pytest.approx(0.0049035, rel=1e-3)


def test_distance_grows_with_noise(digits):
  train, test = digits
  noise = np.random.default_rng(0).normal(size=train.shape)
  noised = [
    np.clip(train + scale * noise, 0, 255).astype(np.uint8)
    for scale in (0, 20, 60)
  ]
  distances = [distance(test, images) for images in noised]
  for low, high in itertools.pairwise(distances):
    assert high > 3 * low


@pytest.mark.parametrize('shape', [(1, 1, 1), (9, 5, 4), (64, 64, 3)])
def test_features_of_any_shape(shape):
  images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
  call = random_features.features(batch_size=2)
  features = call(images)['features']
  assert features.shape == (3, 224)
  floats = images.astype(np.float32) / 127.5 - 1.0
  np.testing.assert_allclose(call(floats)['features'], features, atol=1e-6)
  # Contrast multiplies features.
  np.testing.assert_allclose(
    call(0.5 * floats)['features'], 0.5 * features, atol=1e-6
  )
