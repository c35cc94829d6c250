"""Networks beside arrays that reference code made, see `tests/golden/`."""

import pathlib
from collections.abc import Callable, Iterable

import jax
import numpy as np
import pytest

from tests.golden.make_residual import thin

FLOAT64, FLOAT32 = 1e-5, 1e-4  # tolerances, as shares of the largest number


def cases(names: Iterable[str], first: str) -> list:
  """Pairs of a name and a tolerance; all but `first` in float64 are slow."""
  return [
    pytest.param(
      name,
      tolerance,
      id=f'{name}-{"f64" if tolerance == FLOAT64 else "f32"}',
      marks=[] if (name, tolerance) == (first, FLOAT64) else pytest.mark.slow,
    )
    for name in names
    for tolerance in (FLOAT64, FLOAT32)
  ]


def compare(
  path: pathlib.Path,
  player: str,
  tolerance: float,
  outcome: Callable[[int], dict],
  most: Callable[[str], int],
) -> tuple[dict, dict]:
  """Asserts that our arrays are near the golden ones of a network.

  Args:
    path: file of arrays, named 'PLAYER NAME'.
    player: 'generator' or 'discriminator'.
    tolerance: `FLOAT64`, which selects this type, or `FLOAT32`.
    outcome: number of the draw of inputs -> our arrays by name.
    most: name of an array -> largest number of entries that are compared.

  Returns:
    Our arrays and the golden ones, by name.
  """
  with np.load(path) as arrays:
    golden = {
      key.removeprefix(f'{player} '): array
      for key, array in arrays.items()
      if key.startswith(f'{player} ')
    }
  with jax.enable_x64(tolerance == FLOAT64):
    found = outcome(int(golden.pop('draw')))
  assert golden.keys() <= found.keys(), golden.keys() - found.keys()
  worst = {}
  for key, expected in golden.items():
    ours = thin(np.asarray(found[key], np.float64), most(key))
    error = np.abs(ours - expected.reshape(-1)).max() / np.abs(expected).max()
    worst[key] = error
  print(f'{path.stem} {player}: at most {max(worst.values()):.1e}')
  bad = {k: v for k, v in worst.items() if not v <= tolerance}
  assert not bad, bad
  return found, golden
