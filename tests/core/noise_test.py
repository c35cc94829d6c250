"""Noise is JAX' own, whatever computes it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import noise, threefry

SHAPES = ((), (7,), (3, 5, 2), (0,))


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(
  'draw', [jax.random.bits, jax.random.uniform, jax.random.normal]
)
def test_written_out_draws_what_jax_draws(draw, shape):
  key = jax.random.key(2**31 + 5)
  written_out = jax.jit(lambda key: draw(threefry.written_out(key), shape))
  drawn = written_out(key)
  np.testing.assert_array_equal(drawn, draw(key, shape))


@pytest.mark.parametrize('data', [0, 1, 2**31, 2**32 - 1, -1])
def test_written_out_folds_and_splits_as_jax(data):
  key = jax.random.key(7)
  other = threefry.written_out(key)
  data = jnp.asarray(data % 2**32, jnp.uint32)
  for change in (lambda k: jax.random.fold_in(k, data), jax.random.split):
    np.testing.assert_array_equal(
      jax.random.key_data(change(other)), jax.random.key_data(change(key))
    )


def test_written_out_draws_16_and_64_bits_as_jax():
  key = jax.random.key(1)
  for dtype in (jnp.uint8, jnp.uint16):
    np.testing.assert_array_equal(
      jax.random.bits(threefry.written_out(key), (9,), dtype),
      jax.random.bits(key, (9,), dtype),
    )


def test_encrypt_returns_known_answers():
  """Of the authors' test vectors, Random123's kat_vectors."""
  ones = jnp.uint32(2**32 - 1)
  for key, words, answer in (
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((ones, ones), (ones, ones), (0x1CB996FC, 0xBB002BE7)),
  ):
    key, words = jnp.uint32(key), jnp.uint32(words)
    found = threefry.encrypt(key, words)
    np.testing.assert_array_equal(found, np.uint32(answer))


def test_written_out_keeps_keys_of_other_generators():
  key = jax.random.key(0, impl='rbg')
  assert threefry.written_out(key) is key
  assert noise.normal(key, 3, (2,)).shape == (3, 2)


def test_once_equals_the_draw_in_both_branches():
  draw = lambda key: noise.uniform(key, 3, (4,))
  taken = set()
  for seed in range(8):
    key = jax.random.fold_in(jax.random.key(seed), 1)
    found = jax.jit(lambda key: noise.once(draw, key))(key)
    np.testing.assert_array_equal(found, draw(key))
    words = jax.random.key_data(key)
    taken.add(bool(words[0] > words[1]))
  assert taken == {True, False}


def test_once_under_vmap_draws_for_every_member():
  keys = jax.random.split(jax.random.key(0), 3)
  draw = lambda key: noise.normal(key, 2)
  found = jax.vmap(lambda key: noise.once(draw, key))(keys)
  np.testing.assert_allclose(found, jax.vmap(draw)(keys), rtol=1e-6)


@pytest.mark.parametrize('name', ['normal', 'uniform'])
def test_rows_are_draws_of_folded_keys(name):
  key = jax.random.key(3)
  rows = jax.jit(getattr(noise, name), static_argnums=(1, 2))(key, 4, (5, 6))
  alone = [
    getattr(jax.random, name)(jax.random.fold_in(key, row), (5, 6))
    for row in range(4)
  ]
  np.testing.assert_allclose(rows, jnp.stack(alone), rtol=1e-6)
