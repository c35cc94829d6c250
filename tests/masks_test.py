"""Holes in images: where they are, and what is put into them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import masks

SHAPE = (16, 13, 3)
SIZE = 5
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)


def test_every_hole_is_inside_and_of_its_size(key):
  where = masks.holes(key, 500, SHAPE, SIZE)
  assert where.known.shape == (500, 16, 13, 1)
  np.testing.assert_array_equal((~where.known).sum(axis=(1, 2, 3)), 25)
  first = np.argwhere(~np.asarray(where.known[..., 0]))
  for row, corner in enumerate(np.asarray(where.corner[:50])):
    np.testing.assert_array_equal(first[first[:, 0] == row][0, 1:], corner)


def test_holes_are_at_all_places_equally_often(key):
  """12 x 9 corners, 20,000 draws: four deviations around 185 each."""
  corner = np.asarray(masks.holes(key, 20_000, SHAPE, SIZE).corner)
  assert corner.min() == 0
  np.testing.assert_array_equal(corner.max(axis=0), [11, 8])
  counts = np.bincount(corner[:, 0] * 9 + corner[:, 1], minlength=108)
  assert np.abs(counts - 20_000 / 108).max() < 4.5 * np.sqrt(20_000 / 108)


def test_a_hole_belongs_to_the_example_and_not_to_the_device(key):
  mapped = jax.pmap(
    lambda _: masks.holes(key, 2, SHAPE, SIZE).corner, axis_name='data'
  )
  many = mapped(jnp.arange(8)).reshape(16, 2)
  np.testing.assert_array_equal(many, masks.holes(key, 16, SHAPE, SIZE).corner)


def test_a_hole_as_large_as_the_image_has_one_place(key):
  where = masks.holes(key, 4, (13, 13, 3), 13)
  assert not where.corner.any()
  assert not where.known.any()


def test_a_patch_goes_where_it_was_cut(key):
  where = masks.holes(key, 8, SHAPE, SIZE)
  patch = masks.cut(IMAGES, where.corner, SIZE)
  for row, (top, left) in enumerate(np.asarray(where.corner)):
    np.testing.assert_array_equal(
      patch[row], IMAGES[row, top : top + 5, left : left + 5]
    )
  empty = jnp.where(where.known, IMAGES, 0.0)
  np.testing.assert_array_equal(masks.complete(empty, patch, where), IMAGES)


def test_whole_images_give_their_pixels_in_the_holes_alone(key):
  where = masks.holes(key, 8, SHAPE, SIZE)
  found = masks.complete(IMAGES, jnp.zeros_like(IMAGES), where)
  np.testing.assert_array_equal(found, jnp.where(where.known, IMAGES, 0.0))


@pytest.mark.parametrize('channel', [False, True])
def test_further_channels_of_the_input(channel, key):
  where = masks.holes(key, 8, SHAPE, SIZE)
  seen = masks.inputs(IMAGES, where, key, 0.5, channel, noise_channels=2)
  assert seen.shape == (8, 16, 13, 3 + channel + 2)
  hole = np.broadcast_to(~where.known, IMAGES.shape)
  np.testing.assert_array_equal(seen[..., :3][hole], 0.5)
  np.testing.assert_array_equal(seen[..., :3][~hole], IMAGES[~hole])
  if channel:
    np.testing.assert_array_equal(seen[..., 3:4], where.known)
  assert 0.8 < float(seen[..., -2:].std()) < 1.2
  one = masks.inputs(IMAGES[:1], jax.tree.map(lambda x: x[:1], where), key, 0.5)
  np.testing.assert_array_equal(one, seen[:1, ..., :3])
