"""Holes in images: their positions and their filling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import masks

SHAPE = (16, 13, 3)
SIZE = 5
holes_of = jax.jit(masks.holes, static_argnums=(1, 2, 3))
inputs = jax.jit(
  masks.inputs, static_argnums=(3, 4), static_argnames='noise_channels'
)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)


def test_holes_are_inside_the_image_and_have_their_size(key):
  holes = holes_of(key, 500, SHAPE, SIZE)
  assert holes.known.shape == (500, 16, 13, 1)
  np.testing.assert_array_equal((~holes.known).sum(axis=(1, 2, 3)), 25)
  first = np.argwhere(~np.asarray(holes.known[..., 0]))
  for row, corner in enumerate(np.asarray(holes.corner[:50])):
    np.testing.assert_array_equal(first[first[:, 0] == row][0, 1:], corner)


def test_holes_are_uniform_over_positions(key):
  """12 x 9 corners, 20,000 draws: within 4.5 deviations of 185 each."""
  corner = np.asarray(holes_of(key, 20_000, SHAPE, SIZE).corner)
  assert corner.min() == 0
  np.testing.assert_array_equal(corner.max(axis=0), [11, 8])
  counts = np.bincount(corner[:, 0] * 9 + corner[:, 1], minlength=108)
  assert np.abs(counts - 20_000 / 108).max() < 4.5 * np.sqrt(20_000 / 108)


@pytest.mark.eight_devices
def test_holes_are_equal_on_one_and_eight_devices(key):
  mapped = jax.pmap(
    lambda _: holes_of(key, 2, SHAPE, SIZE).corner, axis_name='data'
  )
  many = mapped(jnp.arange(8)).reshape(16, 2)
  np.testing.assert_array_equal(many, holes_of(key, 16, SHAPE, SIZE).corner)


def test_hole_as_large_as_the_image_has_one_position(key):
  holes = holes_of(key, 4, (13, 13, 3), 13)
  assert not holes.corner.any()
  assert not holes.known.any()


def test_complete_restores_a_patch_that_was_cut(key):
  holes = holes_of(key, 8, SHAPE, SIZE)
  patch = masks.cut(IMAGES, holes.corner, SIZE)
  images, patch = np.asarray(IMAGES), np.asarray(patch)
  for row, (top, left) in enumerate(np.asarray(holes.corner)):
    np.testing.assert_array_equal(
      patch[row], images[row, top : top + 5, left : left + 5]
    )
  empty = jnp.where(holes.known, IMAGES, 0.0)
  np.testing.assert_array_equal(masks.complete(empty, patch, holes), IMAGES)


def test_complete_takes_only_the_holes_of_full_images(key):
  holes = holes_of(key, 8, SHAPE, SIZE)
  completed = masks.complete(IMAGES, jnp.zeros_like(IMAGES), holes)
  np.testing.assert_array_equal(completed, jnp.where(holes.known, IMAGES, 0.0))


@pytest.mark.parametrize('channel', [False, True])
def test_inputs_append_mask_and_noise_channels(channel, key):
  holes = holes_of(key, 8, SHAPE, SIZE)
  seen = inputs(IMAGES, holes, key, 0.5, channel, noise_channels=2)
  assert seen.shape == (8, 16, 13, 3 + channel + 2)
  hole = np.broadcast_to(~holes.known, IMAGES.shape)
  np.testing.assert_array_equal(seen[..., :3][hole], 0.5)
  np.testing.assert_array_equal(seen[..., :3][~hole], IMAGES[~hole])
  if channel:
    np.testing.assert_array_equal(seen[..., 3:4], holes.known)
  assert 0.8 < float(seen[..., -2:].std()) < 1.2
  one = inputs(IMAGES[:1], jax.tree.map(lambda x: x[:1], holes), key, 0.5)
  np.testing.assert_array_equal(one, seen[:1, ..., :3])
