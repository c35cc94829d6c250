"""Ground and wall tiles of 16 x 16 pixels that repeat without a seam."""

import numpy as np

from jaxgan.data.sources._draws import Draws
from jaxgan.data.sources._sprites import art

SIDE = art.SIDE
_DARK, _MIDDLE, _LIGHT = (art.slot('c', shade) for shade in range(3))
_TRIM = art.slot('t', art.MIDDLE)


def _noise(draws: Draws, name: str, side: int) -> np.ndarray:
  """Returns smooth noise on a torus, int32 [N, SIDE, SIDE] in 0..255.

  Args:
    draws: random numbers of the tiles.
    name: name of the draw.
    side: number of independent values along an axis, a divisor of SIDE.
  """
  value = draws.below(name, 256, (side, side))
  scale = SIDE // side
  for axis in (1, 2):
    after = np.roll(value, -1, axis)
    parts = [(value * (scale - k) + after * k) // scale for k in range(scale)]
    value = np.stack(parts, axis + 1)
    shape = list(value.shape)
    shape[axis : axis + 2] = [side * scale]
    value = value.reshape(shape)
  return value


def _stamp(slots, draws: Draws, name: str, stamp, chance: int, places: int):
  """Draws a small stamp at random places, around the border.

  Args:
    slots: uint8 [N, SIDE, SIDE], changed.
    draws: random numbers of the tiles.
    name: name of the draw.
    stamp: {(row, column): slot}.
    chance: probability of each place in percent.
    places: number of places.
  """
  rows = np.arange(len(slots))[:, None]
  corner = draws.below(name, SIDE, (places, 2))
  drawn = draws.chance(f'{name} drawn', chance, (places,))
  for (down, right), slot in stamp.items():
    y, x = (corner + np.array([down, right])).transpose(2, 0, 1) % SIDE
    slots[rows, y, x] = np.where(drawn, slot, slots[rows, y, x])


def grass(draws: Draws) -> np.ndarray:
  """Returns meadows with blades and flowers, uint8 [N, SIDE, SIDE]."""
  rough = _noise(draws, 'rough', 4)
  slots = np.where(rough < 88, _DARK, _MIDDLE).astype(np.uint8)
  slots = np.where(draws.chance('patches', 60)[:, None, None], slots, _MIDDLE)
  blade = {(0, 0): _LIGHT, (1, 0): _LIGHT, (1, 1): _DARK, (0, 2): _LIGHT}
  _stamp(slots, draws, 'blades', blade, 70, 8)
  _stamp(slots, draws, 'tufts', {(0, 0): _DARK, (0, 1): _DARK}, 70, 5)
  flower = {
    (0, 1): _TRIM,
    (1, 0): _TRIM,
    (1, 1): art.WHITE,
    (1, 2): _TRIM,
    (2, 1): _TRIM,
  }
  rich = np.flatnonzero(draws.chance('flowers', 35))
  part = slots[rich]
  _stamp(part, Draws(7, draws.index[rich]), 'flower', flower, 60, 3)
  slots[rich] = part
  return slots


def _blocks(draws: Draws, height, width, shift):
  """Returns rows and columns in the blocks of a wall, and their numbers."""
  y = (np.arange(SIDE)[:, None] + draws.below('y', SIDE, (1, 1))) % SIDE
  layer, row = y // height, y % height
  x = np.arange(SIDE) + draws.below('x', SIDE, (1, 1)) + layer % 2 * shift
  x = x % SIDE
  return row, x % width, layer * (SIDE // width) + x // width


def brick(draws: Draws) -> np.ndarray:
  """Returns walls of shifted bricks with mortar."""
  tall = draws.chance('tall', 35)[:, None, None]
  height = np.where(tall, 8, 4)
  width = np.where(draws.chance('short', 25)[:, None, None] & ~tall, 4, 8)
  row, column, block = np.broadcast_arrays(
    *_blocks(draws, height, width, width // 2)
  )
  tone = draws.below('tone', 100, (32,))
  tone = tone[np.arange(len(tone))[:, None, None], block]
  slots = np.where(tone < 25, _DARK, _MIDDLE)
  top = (row == 0) & (tone >= 25) | (tone > 90)
  slots = np.where(top, _LIGHT, slots)
  last = row == height - 2
  slots = np.where(last & tall, _DARK, slots)
  mortar = (row == height - 1) | (column == width - 1)
  return np.where(mortar, art.slot('t', art.DARK), slots).astype(np.uint8)


_WAVE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0])


def water(draws: Draws) -> np.ndarray:
  """Returns waves with crests and foam."""
  phase = draws.below('phase', SIDE, (4, 1))
  columns = (np.arange(SIDE) + phase) % SIDE  # [N, 4, SIDE]
  bend = _WAVE[columns] * draws.between('bend', 0, 1, (1, 1))
  distance = np.where(draws.chance('dense', 50), 4, 8)[:, None, None, None]
  start = draws.below('start', SIDE, (1, 1, 1))
  y = np.arange(SIDE)[:, None]
  layer = np.arange(4)[:, None, None]
  crest = start + layer * distance + bend[:, :, None]
  at = (y - crest) % SIDE  # [N, 4, SIDE, SIDE]
  length = draws.between('length', 5, 10, (4, 1, 1))
  short = columns[:, :, None] < length
  is_light = ((at == 0) & short).any(axis=1)
  is_dark = ((at == 1) & (columns[:, :, None] < length + 2)).any(axis=1)
  slots = np.where(is_dark, _DARK, _MIDDLE)
  slots = np.where(is_light, _LIGHT, slots).astype(np.uint8)
  foam = np.flatnonzero(draws.chance('foam', 50))
  part = slots[foam]
  _stamp(part, Draws(7, draws.index[foam]), 'foam', {(0, 0): art.WHITE}, 50, 4)
  slots[foam] = part
  return slots


def wood(draws: Draws) -> np.ndarray:
  """Returns planks with grain, joints and nails."""
  height = np.where(draws.chance('narrow', 50), 4, 8)[:, None, None]
  y = (np.arange(SIDE)[:, None] + draws.below('y', SIDE, (1, 1))) % SIDE
  plank, row = y // height, y % height  # [N, SIDE, 1]
  rows = np.arange(len(y))[:, None, None]
  joint = draws.below('joint', SIDE, (4,))[rows, plank]
  x = (np.arange(SIDE) - joint) % SIDE  # [N, SIDE, SIDE]
  slots = np.where(row == 0, _LIGHT, np.full(x.shape, _MIDDLE))
  # Grain: a dash in some rows of each plank.
  line = y[:, :, 0]
  start = np.take_along_axis(draws.between('start', 2, 9, (SIDE,)), line, 1)
  long = np.take_along_axis(draws.between('long', 2, 6, (SIDE,)), line, 1)
  grained = np.take_along_axis(draws.chance('grain', 60, (SIDE,)), line, 1)
  grain = (x >= start[..., None]) & (x < (start + long)[..., None])
  inner = (row > 0) & (row < height - 1)
  slots = np.where(grain & grained[..., None] & inner, _DARK, slots)
  gap = (row == height - 1) | (x == 0)
  slots = np.where(gap, art.slot('t', art.DARK), slots)
  nails = draws.chance('nails', 50)[:, None, None]
  nail = nails & (row == height // 2 - 1) & ((x == 2) | (x == SIDE - 2))
  slots = np.where(nail, art.INK, slots).astype(np.uint8)
  upright = draws.chance('upright', 40)[:, None, None]
  return np.where(upright, slots.transpose(0, 2, 1), slots)
