"""Parts of sprites as text, 16 x 16 pixels, and layers of parts.

A sheet holds parts side by side. Halves of 8 columns are mirrored. Characters:

  .                  transparent
  o w                black and white
  letter             middle shade of a material: s(kin) h(air) c(loth) t(rim)
                     m(etal) b(oots)
  capital letter     light shade of that material
  digit              dark shade of a material: 1 is s, 2 is h, ... 6 is b
"""

import functools

import numpy as np

from jaxgan.data.sources._draws import Draws

SIDE = 16
MATERIALS = 'shctmb'
INK, WHITE, FIRST = 1, 2, 3  # slots; slot 0 is transparent
DARK, MIDDLE, LIGHT = range(3)


def slot(material: str, shade: int) -> int:
  return FIRST + 3 * MATERIALS.index(material) + shade


_SLOTS = {'.': 0, 'o': INK, 'w': WHITE}
for _index, _material in enumerate(MATERIALS):
  _SLOTS[str(_index + 1)] = slot(_material, DARK)
  _SLOTS[_material] = slot(_material, MIDDLE)
  _SLOTS[_material.upper()] = slot(_material, LIGHT)
NUM_SLOTS = FIRST + 3 * len(MATERIALS)


def sheet(text: str, top: int = 0) -> np.ndarray:
  """Returns the parts of a sheet, uint8 [parts, SIDE, SIDE].

  Args:
    text: rows of parts that are separated by blanks.
    top: row of the first line.
  """
  rows = [line.split() for line in text.split('\n') if line.strip()]
  parts = []
  for part in zip(*rows, strict=True):
    pixels = np.array([[_SLOTS[x] for x in row] for row in part], np.uint8)
    if pixels.shape[1] == SIDE // 2:
      pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    bottom = SIDE - top - len(pixels)
    parts.append(np.pad(pixels, ((top, bottom), (0, 0))))
  return np.stack(parts)


def pick(sheet: np.ndarray, draws: Draws, name: str) -> np.ndarray:
  """Returns a random part of the sheet for each sprite."""
  return sheet[draws.below(name, len(sheet))]


def over(*layers: np.ndarray) -> np.ndarray:
  """Stacks layers of slots; the last one is on top."""
  return functools.reduce(lambda a, b: np.where(b, b, a), layers)


def sometimes(part, draws: Draws, name: str, percent: int) -> np.ndarray:
  return np.where(draws.chance(name, percent)[:, None, None], part, 0)


STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
  """Moves images [N, H, W] by one pixel; new pixels are zero."""
  result = np.roll(x, (down, right), (1, 2))
  if down:
    result[:, 0 if down > 0 else -1] = 0
  else:
    result[:, :, 0 if right > 0 else -1] = 0
  return result
