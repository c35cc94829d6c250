"""Batches are a pure function of (seed, step), the same on host and device."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxgan.core import pixels as pixels_lib
from jaxgan.data import batches as batches_lib

SIZES = [1, 2, 3, 5, 38, 97, 255, 256, 4500, 13_165, 60_000]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('key', [0, 1, 2**32 - 1])
def test_an_epoch_visits_everything_once(size, key):
  place = np.arange(size, dtype=np.uint32)
  with np.errstate(over='ignore'):
    found = batches_lib.permute(place, size, np.uint32(key))
  assert sorted(found.tolist()) == list(range(size))


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
  size=st.integers(1, 3000),
  batch_size=st.integers(1, 200),
  draw=st.integers(0, 2**20),
  seed=st.integers(0, 2**32 - 1),
)
def test_host_and_device_agree(size, batch_size, draw, seed):
  host = batches_lib.host_examples(seed, draw, batch_size, size)
  device = batches_lib.examples(
    jnp.uint32(seed), jnp.uint32(draw), batch_size, size
  )
  np.testing.assert_array_equal(host, device)
  assert host.shape == (batch_size,)
  assert host.max() < size


def test_an_epoch_of_batches_has_no_repeats():
  rows = [batches_lib.host_examples(7, draw, 64, 4500) for draw in range(70)]
  assert len(set(np.concatenate(rows).tolist())) == 70 * 64


def test_epochs_and_seeds_differ():
  one = batches_lib.host_examples(0, 0, 64, 4500)
  assert (one != batches_lib.host_examples(0, 70, 64, 4500)).mean() > 0.9
  assert (one != batches_lib.host_examples(1, 0, 64, 4500)).mean() > 0.9


def test_without_shuffling_batches_are_slices():
  """Contiguous, in the data's order, without the remainder; every epoch."""
  rows = [
    batches_lib.host_examples(7, k, 4, 10, shuffle=False) for k in range(3)
  ]
  np.testing.assert_array_equal(
    np.concatenate(rows), [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]
  )


def test_a_batch_larger_than_the_data_repeats_evenly():
  found = batches_lib.host_examples(0, 3, 64, 38)
  counts = np.bincount(found, minlength=38)
  assert counts.min() == 1
  assert counts.max() == 2


def test_parts_of_a_batch_make_up_the_whole():
  whole = batches_lib.host_examples(3, 5, 64, 4500)
  parts = [
    batches_lib.examples(
      jnp.uint32(3),
      jnp.uint32(5),
      64,
      4500,
      jnp.arange(16, dtype=jnp.uint32) + jnp.uint32(16 * part),
    )
    for part in range(4)
  ]
  np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_order_has_no_structure():
  """Neighbours in a batch are as far apart as random examples are."""
  size = 60_000
  found = np.concatenate(
    [batches_lib.host_examples(0, draw, 64, size) for draw in range(900)]
  ).astype(np.int64)
  gaps = np.abs(np.diff(found)) / size
  # Of two uniform numbers: mean 1/3, deviation sqrt(1/18).
  assert abs(gaps.mean() - 1 / 3) < 0.01
  assert abs(gaps.std() - np.sqrt(1 / 18)) < 0.01
  place = np.arange(len(found))
  assert abs(np.corrcoef(place, found)[0, 1]) < 0.02


def test_pixels_survive_the_way_to_floats_and_back():
  pixels = np.arange(256, dtype=np.uint8)
  floats = pixels_lib.to_float(jnp.asarray(pixels))
  assert floats.min() == -1.0
  assert floats.max() == 1.0
  np.testing.assert_array_equal(pixels_lib.to_uint8(floats), pixels)


def test_seeds_reach_the_device_as_they_are():
  big = 2**32 - 1
  jitted = jax.jit(lambda s: batches_lib.examples(s, jnp.uint32(0), 8, 100))
  np.testing.assert_array_equal(
    jitted(np.uint32(big)), batches_lib.host_examples(big, 0, 8, 100)
  )
