"""Which examples make up a batch: a pure function of (seed, step).

Every epoch visits the examples in an order of its own, without an array of that
order: a small Feistel network maps the places of an epoch to examples one to
one. It is written with operators only, so that the compiled step (jax.numpy)
and the loader's threads (numpy) find the same batches.
"""

import math

import jax.numpy as jnp
import numpy as np

ROUNDS = 6
_GOLDEN = 0x9E3779B9


def _mix(x):
  """The finaliser of MurmurHash3: a bijection of uint32 that avalanches."""
  x = x ^ (x >> np.uint32(16))
  x = x * np.uint32(0x85EBCA6B)
  x = x ^ (x >> np.uint32(13))
  x = x * np.uint32(0xC2B2AE35)
  return x ^ (x >> np.uint32(16))


def _sides(size: int) -> tuple[int, int]:
  """(a, b) near the square root of `size` with a * b just above or at it."""
  root = max(math.isqrt(size), 1)
  candidates = range(max(root // 2, 1), root + 1)
  a = min(candidates, key=lambda a: ((-size) % a, -a))
  return a, -(-size // a)


def permute(place, size: int, key):
  """Maps places in [0, size) one to one to [0, size), differently by key.

  The generalised Feistel cipher of Black and Rogaway 2002
  (https://doi.org/10.1007/3-540-45760-7_9), with cycle walking for the few
  places of the a x b rectangle that lie outside.

  Args:
    place: uint32 array, numpy or jax.
    size: number of examples.
    key: uint32 scalar or array that broadcasts with `place`.
  """
  a, b = (np.uint32(side) for side in _sides(size))
  xp = jnp if not isinstance(place, np.ndarray) else np

  def once(x):
    left, right = x // b, x % b
    for turn in range(ROUNDS):
      round_key = _mix(key + np.uint32((turn + 1) * _GOLDEN % 2**32))
      if turn % 2:
        right = (right + _mix(left ^ round_key) % b) % b
      else:
        left = (left + _mix(right ^ round_key) % a) % a
    return left * b + right

  x = once(place)
  # A walk leaves the rectangle's surplus after at most as many steps as it has.
  for _ in range(int(a) * int(b) - size):
    x = xp.where(x < np.uint32(size), x, once(x))
  return x


def examples(
  seed, draw, batch_size: int, size: int, places=None, shuffle: bool = True
):
  """Indices of the examples of one batch.

  An epoch has size // batch_size whole batches; which examples are left over
  changes with its order. A batch larger than the data spans several epochs.

  Args:
    seed: uint32 scalar, the seed of the run.
    draw: uint32 scalar, which batch since the start of the run.
    batch_size: examples in a global batch.
    size: examples in the data set.
    places: places in the global batch that are wanted; by default all.
    shuffle: every epoch has an order of its own; without, all have that of the
      data.

  Returns:
    uint32 [batch_size], or as many as `places`.
  """
  if places is None:
    places = np.arange(batch_size, dtype=np.uint32)
  if batch_size <= size:
    per_epoch = np.uint32(size // batch_size)
    epoch = draw // per_epoch
    place = (draw % per_epoch) * np.uint32(batch_size) + places
  else:
    epochs = np.uint32(-(-batch_size // size))
    epoch = draw * epochs + places // np.uint32(size)
    place = places % np.uint32(size)
  if not shuffle:
    return place
  return permute(place, size, _mix(_mix(seed + np.uint32(_GOLDEN)) + epoch))


def host_examples(
  seed: int, draw: int, batch_size: int, size: int, shuffle: bool = True
):
  """`examples` in numpy, from Python numbers."""
  with np.errstate(over='ignore'):
    return examples(
      np.uint32(seed % 2**32),
      np.uint32(draw),
      batch_size,
      size,
      shuffle=shuffle,
    )
