"""The random bits of JAX as one expression.

On CPUs, JAX draws random bits in a loop over arrays in memory, which compiles
fast. As one expression, XLA fuses the draw with the operations that use it.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import random

_THREEFRY = random.threefry_prng_impl
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
_ROUNDS_OF_FOUR = 5


def encrypt(key, words):
  """Encrypts words by Threefry-2x32 with 20 rounds.

  Salmon et al. 2011 (https://doi.org/10.1145/2063384.2063405), section 3.3.

  Args:
    key: two words of uint32.
    words: two arrays of uint32 that broadcast.

  Returns:
    Two arrays.
  """
  keys = (*key, key[0] ^ key[1] ^ _PARITY)
  x, y = words[0] + keys[0], words[1] + keys[1]
  for index in range(_ROUNDS_OF_FOUR):
    for distance in _ROTATIONS[index % 2]:
      x = x + y
      y = x ^ (y << np.uint32(distance) | y >> np.uint32(32 - distance))
    x = x + keys[(index + 1) % 3]
    y = y + keys[(index + 2) % 3] + np.uint32(index + 1)
  return x, y


def _random_bits(key, bit_width, shape):
  size = math.prod(shape)
  if bit_width != 32 or size >= 2**32:
    return _THREEFRY.random_bits(key, bit_width, shape)
  indices = jax.lax.iota(jnp.uint32, size).reshape(shape)
  x, y = encrypt(key, (jnp.uint32(0), indices))
  return x ^ y


def _fold_in(key, data):
  return jnp.stack(encrypt(key, (jnp.uint32(0), data.astype(jnp.uint32))))


_WRITTEN_OUT = random.define_prng_impl(
  key_shape=_THREEFRY.key_shape,
  seed=_THREEFRY.seed,
  split=_THREEFRY.split,
  random_bits=_random_bits,
  fold_in=_fold_in,
  name='threefry2x32_written_out',
  tag='wry',
)


def written_out(key: jax.Array) -> jax.Array:
  """Returns keys that draw the same numbers as one expression.

  Keys of other generators are unchanged.

  Args:
    key: a key, or an array of keys.
  """
  if jax.random.key_impl(key) != _THREEFRY.name:
    return key
  return jax.random.wrap_key_data(jax.random.key_data(key), impl=_WRITTEN_OUT)
