"""Random numbers that are a pure function of a seed, an index and a name.

Integers of 64 bits only, so that every platform draws the same numbers, and
an example does not depend on the others.
"""

import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
  """Applies the finaliser of SplitMix64, a bijection of uint64.

  Steele et al. 2014, https://doi.org/10.1145/2714064.2660195.
  """
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return x ^ (x >> np.uint64(31))


class Draws:
  """Draws integers for many examples.

  Attributes:
    index: numbers of the examples [N].
  """

  def __init__(self, seed: int, index):
    self.index = np.asarray(index, np.uint64)
    first = _mix(np.full(1, seed + 1, np.uint64) * _GOLDEN)
    self._keys = _mix(self.index * _GOLDEN + first)

  def below(self, name: str, high, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Returns int32 [N, *shape] in [0, high).

    Args:
      name: name of the draw; other names give independent numbers.
      high: an integer, or an array that broadcasts to the result.
      shape: shape of each example's numbers.
    """
    stream = np.full(1, zlib.crc32(name.encode()), np.uint64)
    count = int(np.prod(shape))
    counter = _mix(stream * _GOLDEN + np.arange(count, dtype=np.uint64))
    keys = self._keys.reshape(-1, 1) ^ counter
    bits = _mix(keys * _GOLDEN) >> np.uint64(32)
    bits = bits.reshape(len(self.index), *shape)
    return (bits * np.asarray(high, np.uint64) >> np.uint64(32)).astype(
      np.int32
    )

  def between(self, name: str, low: int, high: int, shape=()) -> np.ndarray:
    """Returns int32 [N, *shape] in [low, high]."""
    return low + self.below(name, high - low + 1, shape)

  def chance(self, name: str, percent: int, shape=()) -> np.ndarray:
    """Returns bool [N, *shape], true with a probability in percent."""
    return self.below(name, 100, shape) < percent
