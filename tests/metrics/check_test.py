"""Errors of metrics: one line that names the argument and the way out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.metrics import (
  check,
  kernel,
  modes,
  neighbours,
  parzen,
  similarity,
  smoothness,
  wasserstein,
)
from jaxgan.metrics import classes as classes_lib

FEATURES = np.arange(12.0).reshape(6, 2)
IMAGES = np.zeros((4, 12, 12, 1), np.float32)
BAD = np.where(FEATURES == 5.0, np.nan, FEATURES)
KEY = jax.random.key(0)


def refused(function, *words):
  with pytest.raises(errors.UserError) as caught:
    function()
  message = str(caught.value)
  assert '\n' not in message
  assert all(word in message for word in words), message


@pytest.mark.parametrize('make', [np.asarray, jnp.asarray])
def test_wrong_features_are_refused(make):
  call = lambda x, y=FEATURES: neighbours.precision_recall(
    make(y), make(x), k=2
  )
  refused(lambda: call(BAD), 'fake', 'NaN', '1 of 6', 'first is 2')
  refused(lambda: call(FEATURES[:1]), 'fake', '1 rows', 'at least 2')
  refused(lambda: call(FEATURES[:, :1]), 'features', '(2,)', '(1,)')
  refused(lambda: call(FEATURES[0]), 'fake', '(2,)', '[N, D]')
  refused(lambda: call(FEATURES[:2]), 'k=2', '2 rows of fake')


@pytest.mark.parametrize('make', [np.asarray, jnp.asarray])
def test_wrong_images_are_refused(make):
  call = lambda x, y=IMAGES: similarity.psnr(make(y), make(x))
  refused(lambda: call(IMAGES + 255), 'fake', '[255, 255]', 'uint8', '[-1, 1]')
  refused(lambda: call(IMAGES.astype(int)), 'fake', 'int', 'uint8')
  refused(lambda: call(IMAGES + np.inf), 'fake', '4 of 4')
  refused(lambda: call(IMAGES[..., 0]), 'fake', '[N, H, W, C]')
  refused(lambda: call(IMAGES[:, :11]), 'images', '(12, 12, 1)', '(11, 12, 1)')
  refused(lambda: call(IMAGES[:3]), 'numbers of rows', 'real 4', 'fake 3')


def test_pixels_are_equal_for_uint8_and_float_images():
  grey = np.arange(256, dtype=np.uint8).reshape(2, 8, 16, 1)
  floats = grey / 127.5 - 1.0
  stored, signed = check.pixels(stored=grey, signed=floats)
  np.testing.assert_allclose(stored, signed, atol=1e-6)
  assert (stored.min(), stored.max(), stored.dtype) == (0.0, 1.0, jnp.float32)


def test_jit_checks_shapes_and_not_values():
  traced = jax.jit(neighbours.precision_recall, static_argnames='k')
  assert traced(BAD, FEATURES, k=1)[0].shape == ()
  refused(lambda: traced(FEATURES, FEATURES[:, :1], k=1), 'different features')


@pytest.mark.parametrize(
  ('function', 'sets'),
  [
    (lambda *x: kernel.distance(*x, KEY, 2, 4), (FEATURES, FEATURES)),
    (neighbours.density_coverage, (FEATURES, FEATURES)),
    (neighbours.nearest, (IMAGES, IMAGES)),
    (lambda x: classes_lib.inception(x, 2), (FEATURES,)),
    (classes_lib.accuracy, (FEATURES, np.ones(6, int))),
    (lambda x: modes.mixture(x, FEATURES, 1.0), (FEATURES,)),
    (parzen.score, (IMAGES, IMAGES, IMAGES)),
    (lambda *x: wasserstein.sliced(*x, KEY), (IMAGES, IMAGES)),
    (similarity.ms_ssim, (IMAGES, IMAGES)),
    (lambda x: similarity.self_similarity(x, KEY), (IMAGES,)),
  ],
)
def test_metrics_can_be_traced(function, sets):
  jax.eval_shape(function, *sets)


@pytest.mark.parametrize(
  ('function', 'words'),
  [
    (lambda: kernel.distance(FEATURES, FEATURES, KEY), ('size=1000', 'size=6')),
    (lambda: kernel.discrepancy(FEATURES, FEATURES[:3]), ('real 6', 'fake 3')),
    (lambda: classes_lib.inception(FEATURES), ('probabilities', 'softmax')),
    (
      lambda: classes_lib.inception(FEATURES * 0 + 0.5, 7),
      ('splits=7', '6 rows'),
    ),
    (lambda: classes_lib.histogram([0, 3], 3), ('labels', '0 to 3', '0..2')),
    (lambda: classes_lib.accuracy(FEATURES, [0.5] * 6), ('labels', 'float64')),
    (lambda: modes.mixture(np.ones((2, 3)), np.ones((2, 3)), 1.0), ('(2, 3)',)),
    (lambda: modes.mixture(FEATURES, FEATURES, 0.0), ('deviation=0.0',)),
    (lambda: neighbours.radii(FEATURES, 6), ('k=6', 'at most 5')),
    (lambda: neighbours.nearest(FEATURES, FEATURES, 7), ('k=7', '6')),
    (lambda: parzen.score(IMAGES, IMAGES, IMAGES[:1]), ('test', '1 rows')),
    (
      lambda: wasserstein.sliced(FEATURES, FEATURES[:2], KEY),
      ('real 6', 'fake 2'),
    ),
    (lambda: similarity.ssim(IMAGES[:, :9], IMAGES[:, :9]), ('9 x 12', '11')),
    (
      lambda: similarity.completion_errors(IMAGES, IMAGES, IMAGES),
      ('known', 'float32', 'bool'),
    ),
    (
      lambda: smoothness.path_length(
        None, None, FEATURES, FEATURES, FEATURES[:, 0], 'cube'
      ),
      ("kind='cube'", 'normal'),
    ),
  ],
)
def test_wrong_arguments_are_refused(function, words):
  refused(function, *words)
