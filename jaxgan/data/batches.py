"""Indices of the examples in a batch, a pure function of (seed, step).

Every epoch shuffles the examples differently, without an array of their order.
A small Feistel network maps the positions in an epoch one to one to examples.
It uses operators only. The compiled step (jax.numpy) and the loader's threads
(numpy) therefore compute the same batches.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 6
_GOLDEN = 0x9E3779B9


def _mix(x):
  """Applies the finaliser of MurmurHash3, a bijection of uint32."""
  x = x ^ (x >> np.uint32(16))
  x = x * np.uint32(0x85EBCA6B)
  x = x ^ (x >> np.uint32(13))
  x = x * np.uint32(0xC2B2AE35)
  return x ^ (x >> np.uint32(16))


def _sides(size: int) -> tuple[int, int]:
  """Returns (a, b) near the square root of `size`, with a * b >= size."""
  root = max(math.isqrt(size), 1)
  candidates = range(max(root // 2, 1), root + 1)
  a = min(candidates, key=lambda a: ((-size) % a, -a))
  return a, -(-size // a)


def permute(index, size: int, key):
  """Permutes the integers in [0, size); every key gives another order.

  The generalised Feistel cipher of Black and Rogaway 2002
  (https://doi.org/10.1007/3-540-45760-7_9) on an a x b rectangle. Cycle walking
  maps the few results that are `size` or more back into the range.

  Args:
    index: uint32 array, numpy or jax.
    size: number of examples.
    key: uint32 scalar or array that broadcasts with `index`.

  Returns:
    uint32 array of the shape of `index`.
  """
  a, b = (np.uint32(side) for side in _sides(size))
  xp = jnp if isinstance(index + key, jax.Array) else np

  def once(x):
    left, right = x // b, x % b
    for number in range(ROUNDS):
      round_key = _mix(key + np.uint32((number + 1) * _GOLDEN % 2**32))
      if number % 2:
        right = (right + _mix(left ^ round_key) % b) % b
      else:
        left = (left + _mix(right ^ round_key) % a) % a
    return left * b + right

  x = once(index)
  # A walk visits each surplus cell of the rectangle at most once.
  for _ in range(int(a) * int(b) - size):
    x = xp.where(x < np.uint32(size), x, once(x))
  return x


def _start(draw, batch_size: int, size: int):
  """Returns draw * batch_size modulo size, uint32, without overflow."""
  start = draw * np.uint32(0)
  for k in range(32):
    bit = (draw >> np.uint32(k)) & np.uint32(1)
    start = (start + bit * np.uint32(2**k * batch_size % size)) % np.uint32(
      size
    )
  return start


def examples(
  seed,
  draw,
  batch_size: int,
  size: int,
  places=None,
  shuffle: bool = True,
  drop_remainder: bool = False,
):
  """Returns the indices of the examples in one batch.

  With `shuffle` an epoch has size // batch_size full batches, and the examples
  that remain are other ones in every epoch. A batch larger than the data spans
  several epochs. Without `shuffle` the data follow each other without end.

  Args:
    seed: uint32 scalar, the seed of the run.
    draw: uint32, the number of the batch since the start of the run, or an
      array that broadcasts with `places`.
    batch_size: examples in a global batch.
    size: examples in the data set.
    places: positions in the global batch to return; all by default.
    shuffle: if True, every epoch has another order. If False, every epoch has
      the order of the data.
    drop_remainder: with `shuffle=False`, True drops the examples after the last
      full batch of an epoch, as runs of format 1 did.

  Returns:
    uint32 [batch_size], or one index for each of `places`.
  """
  if places is None:
    places = np.arange(batch_size, dtype=np.uint32)
  if not shuffle and not drop_remainder:
    start = _start(draw, batch_size, size)
    return (start + places % np.uint32(size)) % np.uint32(size)
  if batch_size <= size:
    per_epoch = np.uint32(size // batch_size)
    epoch = draw // per_epoch
    index = (draw % per_epoch) * np.uint32(batch_size) + places
  else:
    epochs = np.uint32(-(-batch_size // size))
    epoch = draw * epochs + places // np.uint32(size)
    index = places % np.uint32(size)
  if not shuffle:
    return index
  return permute(index, size, _mix(_mix(seed + np.uint32(_GOLDEN)) + epoch))


def host_examples(
  seed: int,
  draw: int,
  batch_size: int,
  size: int,
  shuffle: bool = True,
  drop_remainder: bool = False,
):
  """Computes `examples` in numpy from Python numbers."""
  with np.errstate(over='ignore'):
    return examples(
      np.uint32(seed % 2**32),
      np.uint32(draw),
      batch_size,
      size,
      shuffle=shuffle,
      drop_remainder=drop_remainder,
    )
