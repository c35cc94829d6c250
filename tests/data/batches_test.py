"""Indices of batches, a pure function of (seed, step) on host and device."""

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
def test_permute_visits_every_example_once(size, key):
  index = np.arange(size, dtype=np.uint32)
  with np.errstate(over='ignore'):
    rows = batches_lib.permute(index, size, np.uint32(key))
  assert sorted(rows.tolist()) == list(range(size))


device_examples = jax.jit(batches_lib.examples, static_argnums=(2, 3))


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
  size=st.integers(1, 3000),
  batch_size=st.integers(1, 200),
  draw=st.integers(0, 2**20),
  seed=st.integers(0, 2**32 - 1),
)
def test_examples_are_equal_on_host_and_device(size, batch_size, draw, seed):
  host = batches_lib.host_examples(seed, draw, batch_size, size)
  device = device_examples(jnp.uint32(seed), jnp.uint32(draw), batch_size, size)
  np.testing.assert_array_equal(host, device)
  assert host.shape == (batch_size,)
  assert host.max() < size


def test_batches_of_an_epoch_have_no_repeats():
  rows = [batches_lib.host_examples(7, draw, 64, 4500) for draw in range(70)]
  assert len(set(np.concatenate(rows).tolist())) == 70 * 64


def test_batches_differ_between_epochs_and_seeds():
  first = batches_lib.host_examples(0, 0, 64, 4500)
  assert (first != batches_lib.host_examples(0, 70, 64, 4500)).mean() > 0.9
  assert (first != batches_lib.host_examples(1, 0, 64, 4500)).mean() > 0.9


def test_unshuffled_batches_show_every_example_equally_often():
  rows = [
    batches_lib.host_examples(7, k, 4, 10, shuffle=False) for k in range(5)
  ]
  assert np.concatenate(rows).tolist() == [*range(10), *range(10)]
  rows = [
    batches_lib.host_examples(7, k, 64, 38, shuffle=False) for k in range(19)
  ]
  assert (np.bincount(np.concatenate(rows)) == 32).all()


def test_unshuffled_batches_of_format_1_drop_the_remainder():
  rows = [
    batches_lib.host_examples(7, k, 4, 10, shuffle=False, drop_remainder=True)
    for k in range(3)
  ]
  np.testing.assert_array_equal(
    np.concatenate(rows), [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]
  )


@pytest.mark.parametrize('size', [7, 60_000, 2**31 - 1])
def test_unshuffled_batches_do_not_overflow(size):
  draw, batch_size = 2**32 - 3, 4096
  device = batches_lib.examples(
    jnp.uint32(1), jnp.uint32(draw), batch_size, size, shuffle=False
  )
  assert int(device[0]) == draw * batch_size % size
  host = batches_lib.host_examples(1, draw, batch_size, size, shuffle=False)
  np.testing.assert_array_equal(host, device)


def test_batch_larger_than_the_data_repeats_evenly():
  rows = batches_lib.host_examples(0, 3, 64, 38)
  counts = np.bincount(rows, minlength=38)
  assert counts.min() == 1
  assert counts.max() == 2


def test_parts_of_a_batch_equal_the_batch():
  batch = batches_lib.host_examples(3, 5, 64, 4500)
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
  np.testing.assert_array_equal(np.concatenate(parts), batch)


def test_shuffled_order_has_no_structure():
  """Neighbours in a batch are as far apart as random examples."""
  size = 60_000
  rows = np.concatenate(
    [batches_lib.host_examples(0, draw, 64, size) for draw in range(900)]
  ).astype(np.int64)
  gaps = np.abs(np.diff(rows)) / size
  # Distance of two uniform numbers: mean 1/3, standard deviation sqrt(1/18).
  assert abs(gaps.mean() - 1 / 3) < 0.01
  assert abs(gaps.std() - np.sqrt(1 / 18)) < 0.01
  assert abs(np.corrcoef(np.arange(len(rows)), rows)[0, 1]) < 0.02


def test_pixels_survive_conversion_to_floats_and_back():
  pixels = np.arange(256, dtype=np.uint8)
  floats = pixels_lib.to_float(jnp.asarray(pixels))
  assert floats.min() == -1.0
  assert floats.max() == 1.0
  np.testing.assert_array_equal(pixels_lib.to_uint8(floats), pixels)


def test_largest_seed_reaches_the_device_unchanged():
  seed = 2**32 - 1
  jitted = jax.jit(lambda s: batches_lib.examples(s, jnp.uint32(0), 8, 100))
  np.testing.assert_array_equal(
    jitted(np.uint32(seed)), batches_lib.host_examples(seed, 0, 8, 100)
  )
