"""Sprites of 16 x 16 or 32 x 32 pixels: heroes, monsters, items and tiles.

A sprite is composed of parts, see `art`. Each material of a part gets a ramp of
three shades from one palette. Shadows and outlines are added to the result.
Sprites lie on white. Integers only: every platform draws the same images.
"""

import functools

import numpy as np

from jaxgan.data.sources._draws import Draws
from jaxgan.data.sources._sprites import art, heroes, items, monsters, tiles

SIDES = (16, 32)
FRAMES = 3
PALETTE = np.array(
  [
    *((255, 255, 255), (28, 22, 40)),
    *((62, 58, 80), (108, 108, 132), (158, 164, 184), (210, 218, 230)),
    *((72, 42, 40), (124, 72, 52), (178, 114, 68), (226, 168, 104)),
    *((198, 122, 92), (238, 168, 126), (254, 212, 174)),
    *((112, 28, 54), (182, 44, 56), (234, 90, 74)),
    *((206, 104, 38), (246, 178, 60), (255, 232, 134)),
    *((22, 64, 62), (40, 112, 68), (92, 168, 72), (172, 218, 98)),
    *((32, 40, 98), (44, 84, 166), (64, 144, 220), (134, 212, 242)),
    *((22, 106, 122), (58, 178, 164)),
    *((78, 40, 114), (142, 72, 176), (212, 130, 212)),
  ],
  np.uint8,
)
_BLACK = 1
# Dark, middle and light shade.
_RAMPS = {
  'iron': (2, 3, 4),
  'steel': (3, 4, 5),
  'snow': (4, 5, 0),
  'brown': (6, 7, 8),
  'tan': (7, 8, 9),
  'pale': (10, 11, 12),
  'red': (13, 14, 15),
  'gold': (16, 17, 18),
  'pine': (19, 20, 21),
  'leaf': (20, 21, 22),
  'navy': (23, 24, 25),
  'sky': (24, 25, 26),
  'teal': (19, 27, 28),
  'plum': (29, 30, 31),
}
_CLOTHS = (
  *('red', 'gold', 'pine', 'leaf', 'navy', 'sky'),
  *('teal', 'plum', 'brown', 'snow', 'iron'),
)
_MONSTERS = ('leaf', 'sky', 'red', 'plum', 'teal', 'gold', 'navy', 'pine')
_HERO = dict(
  s=('pale', 'pale', 'tan', 'brown'),
  h=('brown', 'gold', 'red', 'iron', 'snow', 'tan'),
  c=_CLOTHS,
  t=_CLOTHS,
  m=('steel', 'steel', 'gold', 'iron'),
  b=('brown', 'brown', 'iron'),
)


def _tile(texture):
  return lambda draws, frame: texture(draws)


# Class -> (slots of (draws, frame), ramps of materials).
_CLASSES = {
  'knight': (heroes.knight, _HERO),
  'mage': (
    lambda draws, frame: heroes.hero(
      draws, frame, heroes.HATS, heroes.ROBES, heroes.STAVES, 50
    ),
    _HERO,
  ),
  'ranger': (
    lambda draws, frame: heroes.hero(
      draws, frame, heroes.HOODS, heroes.TUNICS, heroes.BOWS, 20
    ),
    _HERO | dict(c=('pine', 'leaf', 'brown', 'teal', 'iron', 'red')),
  ),
  'villager': (
    lambda draws, frame: heroes.hero(
      draws, frame, heroes.HAIR, heroes.SHIRTS, heroes.TOOLS, 20
    ),
    _HERO,
  ),
  'slime': (monsters.slime, dict(c=_MONSTERS, t=('pine',))),
  'ghost': (
    monsters.ghost,
    dict(c=('snow', 'snow', 'sky', 'plum', 'iron', 'leaf')),
  ),
  'bat': (
    monsters.bat,
    dict(
      c=('plum', 'iron', 'brown', 'red', 'navy'),
      t=('plum', 'iron', 'brown', 'red', 'navy', 'tan', 'teal'),
    ),
  ),
  'alien': (monsters.alien, dict(c=_MONSTERS, t=_MONSTERS)),
  'potion': (
    items.potion,
    dict(c=_MONSTERS, m=('steel', 'snow'), b=('brown', 'tan')),
  ),
  'sword': (
    items.sword,
    dict(
      m=('steel', 'snow', 'gold', 'sky', 'red'),
      t=('gold', 'iron', 'brown', 'red', 'navy'),
      b=('brown', 'iron', 'red'),
    ),
  ),
  'gem': (items.gem, dict(c=_MONSTERS, t=('gold', 'steel', 'brown'))),
  'shield': (
    items.shield,
    dict(c=_CLOTHS, h=('gold', 'snow', 'iron'), t=('steel', 'gold', 'brown')),
  ),
  'grass': (
    _tile(tiles.grass),
    dict(c=('leaf', 'leaf', 'pine', 'gold', 'teal'), t=('red', 'plum', 'gold')),
  ),
  'brick': (
    _tile(tiles.brick),
    dict(c=('red', 'tan', 'brown', 'steel', 'iron', 'navy'), t=('iron',)),
  ),
  'water': (_tile(tiles.water), dict(c=('sky', 'sky', 'navy', 'teal'))),
  'wood': (_tile(tiles.wood), dict(c=('brown', 'tan', 'tan'), t=('brown',))),
}
CLASSES = tuple(_CLASSES)
TILES = CLASSES[12:]


def _doubled(slots: np.ndarray) -> np.ndarray:
  """Enlarges to twice the size by Scale2x, https://www.scale2x.it."""
  up, down = np.roll(slots, 1, 1), np.roll(slots, -1, 1)
  left, right = np.roll(slots, 1, 2), np.roll(slots, -1, 2)
  count, side, _ = slots.shape
  result = np.empty((count, 2 * side, 2 * side), slots.dtype)

  def corner(a, b, opposite_a, opposite_b):
    is_edge = (a == b) & (a != opposite_b) & (b != opposite_a)
    return np.where(is_edge, a, slots)

  result[:, ::2, ::2] = corner(left, up, right, down)
  result[:, ::2, 1::2] = corner(right, up, left, down)
  result[:, 1::2, ::2] = corner(left, down, right, up)
  result[:, 1::2, 1::2] = corner(right, down, left, up)
  return result


def _shaded(slots: np.ndarray) -> np.ndarray:
  """Darkens the lower ends of each material, and adds the outline."""
  material = np.where(slots >= art.FIRST, (slots - art.FIRST) // 3 + 1, 0)
  is_middle = (slots >= art.FIRST) & ((slots - art.FIRST) % 3 == art.MIDDLE)
  above, below = art.shifted(material, 1, 0), art.shifted(material, -1, 0)
  dark = is_middle & (above == material) & (below != material)
  slots = np.where(dark, slots - 1, slots)
  near = functools.reduce(
    np.maximum, (art.shifted(slots, *step) for step in art.STEPS)
  )
  return np.where((slots == 0) & (near > 0), art.INK, slots)


def _colours(draws: Draws, ramps) -> np.ndarray:
  """Returns the palette index of every slot, [N, slots].

  Cloth and trim of the same choice of ramps differ.
  """
  table = np.zeros((len(draws.index), art.NUM_SLOTS), np.int32)
  table[:, art.INK] = _BLACK
  for material, names in ramps.items():
    choice = draws.below(material, len(names))
    if material == 't' and names == ramps.get('c'):
      choice = draws.below('t', len(names) - 1) + 1
      choice = (draws.below('c', len(names)) + choice) % len(names)
    shades = np.array([_RAMPS[name] for name in names])[choice]
    first = art.slot(material, 0)
    table[:, first : first + 3] = shades
  return table


def draw(seed: int, index, side: int = art.SIDE, frame: int | None = None):
  """Draws sprites.

  Args:
    seed: seed of all sprites.
    index: numbers of the sprites [N]; sprite i depends on the seed and on i
      only.
    side: height and width, one of `SIDES`.
    frame: frame of all characters in range(FRAMES); by default random.

  Returns:
    uint8 [N, side, side, 3] with colours of `PALETTE`, and labels [N],
    positions in `CLASSES`.
  """
  index = np.asarray(index)
  label = Draws(seed, index).below('class', len(CLASSES))
  image = np.empty((len(index), side, side, 3), np.uint8)
  for number, (compose, ramps) in enumerate(_CLASSES.values()):
    rows = np.flatnonzero(label == number)
    draws = Draws(seed, index[rows])
    frames = draws.below('frame', FRAMES)
    if frame is not None:
      frames = np.full_like(frames, frame)
    slots = compose(draws, frames).astype(np.uint8)
    if side == 2 * art.SIDE:
      slots = _doubled(slots)
    if CLASSES[number] not in TILES:
      slots = _shaded(slots)
    table = _colours(draws, ramps)
    image[rows] = PALETTE[table[np.arange(len(rows))[:, None, None], slots]]
  return image, label
