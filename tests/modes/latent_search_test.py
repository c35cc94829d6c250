"""The search over latents, what it weighs, and blending."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import interpolation, masks, noise
from jaxgan.core import latents as latents_lib
from jaxgan.modes import latent_search, poisson

SHAPE = (6, 5, 2)  # not square, odd
Z = 4
MAP = jax.random.normal(jax.random.key(5), (2, Z, 60)) / 3.0
KNOWN = jnp.ones((3, 6, 5, 1), bool).at[:, 2:4, 1:3].set(False)


def decode(z, label=None):
  chosen = MAP[jnp.zeros(len(z), int) if label is None else label]
  return jnp.tanh(jnp.einsum('bz,bzx->bx', z, chosen)).reshape(-1, *SHAPE)


def targets(key, labels=None):
  return decode(noise.normal(key, 3, (Z,)), labels)


def starts(restarts=3):
  z = noise.normal(jax.random.key(1), 3 * restarts, (Z,))
  return z.reshape(3, restarts, Z)


blend = jax.jit(poisson.blend)


def search(images, known=KNOWN, first=None, *args, **fields):
  fields = dict(learning_rate=0.05, iterations=200) | fields
  first = starts() if first is None else first
  run = jax.jit(lambda *arrays: latent_search.search(decode, *arrays, **fields))
  return run(images, latent_search.weights(known), first, *args)


def test_search_completes_missing_pixels(key):
  images = targets(key)
  found = search(jnp.where(KNOWN, images, 0.7))
  np.testing.assert_allclose(found.images, images, atol=0.05)
  np.testing.assert_allclose(found.images, decode(found.latents), atol=1e-6)
  alone = search(jnp.where(KNOWN, images, -0.2)[1:2], KNOWN[1:2], starts()[1:2])
  np.testing.assert_allclose(alone.latents[0], found.latents[1], atol=1e-4)


def test_search_keeps_the_best_start(key):
  images, first = targets(key), starts()
  found = search(images, first=first, iterations=20)
  losses = [
    search(images, first=first[:, k : k + 1], iterations=20).loss
    for k in range(3)
  ]
  np.testing.assert_allclose(found.loss, np.min(losses, axis=0), rtol=1e-4)
  np.testing.assert_array_equal(found.start, np.argmin(losses, axis=0))


def test_search_chooses_the_class_with_the_lowest_loss(key):
  true = jnp.array([1, 0, 1])
  images = targets(key, true)
  labels = jnp.tile(jnp.array([0, 0, 1, 1]), (3, 1))
  found = search(images, KNOWN, starts(4), labels)
  chosen = jnp.take_along_axis(labels, found.start[:, None], axis=1)[:, 0]
  np.testing.assert_array_equal(chosen, true)


def test_search_with_prior_moves_latents_to_likely_values(key):
  images = targets(key)
  prior = lambda z, image: latent_search.gaussian_prior(z)
  found = [
    search(images, prior=prior, prior_weight=weight) for weight in (0.0, 100.0)
  ]
  near, far = (np.abs(x.latents).mean() for x in found[::-1])
  assert near < 0.1 < far


@pytest.mark.parametrize('kind', noise.LATENTS)
def test_search_keeps_latents_in_their_support(kind):
  """Of images that no latent makes."""
  images = jnp.ones((3, *SHAPE))
  found = search(
    images, project=latents_lib.SUPPORTS[kind], learning_rate=1.0, iterations=30
  ).latents
  if kind == 'categorical':
    np.testing.assert_allclose(jnp.sum(found, axis=-1), 1.0, rtol=1e-4)
  elif kind == 'sphere':
    np.testing.assert_allclose(jnp.mean(found**2, axis=-1), 1.0, rtol=1e-4)
  else:
    limit = interpolation.reach(kind, Z)
    assert np.abs(found).max() == pytest.approx(limit)


def test_weights_are_larger_near_the_hole():
  known = np.asarray(KNOWN)[:1, :, :, 0]
  expected = np.zeros(known.shape, np.float32)
  for i in range(6):
    for j in range(5):
      around = known[0, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
      expected[0, i, j] = known[0, i, j] * (~around).mean()
  found = latent_search.weights(KNOWN[:1], window=3)[..., 0]
  np.testing.assert_allclose(found, expected, atol=1e-6)
  known = jnp.ones((1, 6, 5, 1), bool)
  np.testing.assert_array_equal(latent_search.weights(known), 1.0)


def test_reduced_averages_over_partial_blocks(key):
  x = np.asarray(jax.random.normal(key, (2, 7, 5, 3)))
  found = latent_search.reduced(jnp.asarray(x), 4)
  assert found.shape == (2, 2, 2, 3)
  for i in range(2):
    for j in range(2):
      block = x[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
      np.testing.assert_allclose(
        found[:, i, j], block.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5
      )


def test_blend_leaves_no_seam(key):
  """A patch that is off by a constant is moved by it."""
  image = jax.random.uniform(key, (3, *SHAPE), minval=-0.5, maxval=0.5)
  shift = jnp.array([0.3, -0.2, 0.1])[:, None, None, None]
  found = blend(jnp.where(KNOWN, image, 9.0), image + shift, KNOWN)
  np.testing.assert_allclose(found, image, atol=1e-3)


def test_blend_solves_the_poisson_equation(key):
  """Against a dense solution, one channel, the hole at a corner of it."""
  known = np.ones((6, 5), bool)
  known[:3, 2:] = False
  image, patch = np.asarray(
    jax.random.uniform(key, (2, 6, 5), minval=-0.3, maxval=0.3)
  )
  places = [tuple(p) for p in np.argwhere(~known)]
  matrix, right = np.zeros((9, 9)), np.zeros(9)
  for row, (i, j) in enumerate(places):
    for p in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
      if not (0 <= p[0] < 6 and 0 <= p[1] < 5):
        continue
      matrix[row, row] += 1.0
      right[row] += patch[i, j] - patch[p]
      if known[p]:
        right[row] += image[p]
      else:
        matrix[row, places.index(p)] -= 1.0
  expected = image.copy()
  expected[~known] = np.clip(np.linalg.solve(matrix, right), -1.0, 1.0)
  arrays = (jnp.asarray(x)[None, :, :, None] for x in (image, patch, known))
  found = blend(*arrays)[0, :, :, 0]
  np.testing.assert_allclose(found, expected, atol=1e-3)


def test_blend_without_known_pixels_returns_the_patch(key):
  patch = jax.random.uniform(key, (1, *SHAPE))
  nowhere = jnp.zeros((1, 6, 5, 1), bool)
  found = blend(jnp.zeros_like(patch), patch, nowhere)
  np.testing.assert_array_equal(found, patch)


def test_patterns_have_their_share_of_known_pixels(key):
  shape = (13, 9, 3)
  shares = {'random': 0.2, 'centre': 0.75, 'half': 0.5, 'grid': 1 / 16}
  assert shares.keys() == masks.PATTERNS.keys()
  for name, share in shares.items():
    known = masks.PATTERNS[name](key, 20, shape)
    assert known.shape == (20, *shape[:2], 1)
    assert float(known.mean()) == pytest.approx(share, abs=0.08)
