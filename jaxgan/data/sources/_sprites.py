"""Sprites of 16 x 16 or 32 x 32 pixels: heroes, monsters, items and tiles.

A sprite is composed of parts (`_sprite_art`), whose materials get ramps of three
shades from one palette. Shadows and outlines are added to the result. Sprites
lie on white. Integers only: every platform draws the same images.
"""

import functools

import numpy as np

from jaxgan.data.sources import _sprite_art as art
from jaxgan.data.sources import _tiles as tiles
from jaxgan.data.sources._draws import Draws

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
_CLOTHS = tuple(
  'red gold pine leaf navy sky teal plum brown snow iron'.split()
)
_MONSTERS = tuple('leaf sky red plum teal gold navy pine'.split())
_HERO = dict(
  s=('pale', 'pale', 'tan', 'brown'),
  h=('brown', 'gold', 'red', 'iron', 'snow', 'tan'),
  c=_CLOTHS,
  t=_CLOTHS,
  m=('steel', 'steel', 'gold', 'iron'),
  b=('brown', 'brown', 'iron'),
)


def _pick(sheet: np.ndarray, draws: Draws, name: str) -> np.ndarray:
  """Returns a random part of the sheet for each sprite."""
  return sheet[draws.below(name, len(sheet))]


def _over(*layers: np.ndarray) -> np.ndarray:
  """Stacks layers of slots; the last one is on top."""
  return functools.reduce(lambda a, b: np.where(b, b, a), layers)


def _sometimes(part, draws: Draws, name: str, percent: int) -> np.ndarray:
  return np.where(draws.chance(name, percent)[:, None, None], part, 0)


def _legs(frame) -> np.ndarray:
  """Returns legs that stand, or step with the left or the right one."""
  legs = np.stack([*art.LEGS, art.LEGS[1, :, ::-1]])
  return legs[frame]


def _hero(draws, frame, heads, bodies, held, bearded: int) -> np.ndarray:
  face = _over(
    np.broadcast_to(art.FACE[0], (len(frame), art.SIDE, art.SIDE)),
    _sometimes(_pick(art.BEARDS, draws, 'beard'), draws, 'bearded', bearded),
    _pick(art.MOUTHS, draws, 'mouth'),
    _pick(art.EYES, draws, 'eyes'),
  )
  body = _over(_legs(frame), _pick(bodies, draws, 'body'))
  slots = _over(body, face, _pick(heads, draws, 'head'))
  return _over(slots, _sometimes(_pick(held, draws, 'tool'), draws, 'held', 60))


def _knight(draws, frame):
  slots = _hero(draws, frame, art.HELMETS, art.ARMOUR, art.SWORDS, 20)
  shield = _pick(art.SHIELDS, draws, 'shield')
  return _over(slots, _sometimes(shield, draws, 'held', 40))


def _slime(draws, frame):
  body = art.SLIMES[draws.below('body', len(art.SLIMES))]
  face = _over(
    _pick(art.MONSTER_EYES, draws, 'eyes'),
    _pick(art.MONSTER_MOUTHS, draws, 'mouth'),
  )
  # Slimes breathe: in the second and third frame the face is lower, or higher.
  moved = np.stack([face, np.roll(face, 1, 1), np.roll(face, -1, 1)])
  return _over(body, moved[frame, np.arange(len(frame))])


def _ghost(draws, frame):
  hem = art.HEMS[(draws.below('hem', 2) + frame) % 2]
  eyes = np.roll(_pick(art.MONSTER_EYES, draws, 'eyes'), -2, 1)
  mouth = np.roll(_pick(art.MONSTER_MOUTHS, draws, 'mouth'), -1, 1)
  return _over(_pick(art.GHOSTS, draws, 'body'), hem, eyes, mouth)


def _bat(draws, frame):
  eyes = _pick(art.BAT_EYES, draws, 'eyes')
  return _over(art.BATS[frame], eyes, _pick(art.BAT_MOUTHS, draws, 'mouth'))


def _alien(draws, frame):
  kind = draws.below('body', len(art.ALIEN_CORE))
  core, maybe = art.ALIEN_CORE[kind] > 0, art.ALIEN_MAYBE[kind] > 0
  filled = draws.chance('filled', 55, (art.SIDE, art.SIDE // 2))
  filled = np.concatenate([filled, filled[:, :, ::-1]], axis=2)
  filled = core | (maybe & filled)
  near = sum(_shifted(filled, *step).astype(int) for step in _STEPS)
  filled = core | (filled & (near > 0))
  trim = draws.chance('trim', 25, (art.SIDE, art.SIDE // 2))
  trim = np.concatenate([trim, trim[:, :, ::-1]], axis=2)
  slots = np.where(trim & ~core, art.slot('t', art.MIDDLE), 0)
  slots = np.where(slots, slots, art.slot('c', art.MIDDLE))
  lit = filled & ~_shifted(filled, 1, 0)
  slots = np.where(lit & core, art.slot('c', art.LIGHT), slots)
  slots = np.where(filled, slots, 0)
  return _over(slots, np.roll(_pick(art.MONSTER_EYES, draws, 'eyes'), -1, 1))


def _potion(draws, frame):
  slots = _pick(art.POTIONS, draws, 'flask')
  level = draws.between('level', 6, 10)[:, None, None]
  row = np.arange(art.SIDE)[:, None]
  liquid = (slots >= art.slot('c', 0)) & (slots <= art.slot('c', 2))
  slots = np.where(liquid & (row < level), art.slot('m', art.LIGHT), slots)
  slots = np.where(liquid & (row == level), art.slot('c', art.LIGHT), slots)
  bubble = draws.chance('bubble', 8, (art.SIDE, art.SIDE))
  slots = np.where(
    liquid & bubble & (row > level), art.slot('c', art.LIGHT), slots
  )
  return _over(slots, np.where(slots, art.GLINT, 0))


def _sword(draws, frame):
  """Draws along the diagonal from the lower left to the upper right."""
  y, x = np.arange(art.SIDE)[:, None], np.arange(art.SIDE)
  along, across = x + (15 - y), x - (15 - y)

  def number(name, low, high):
    return draws.between(name, low, high)[:, None, None]

  tip, guard = number('tip', 21, 27), number('guard', 10, 12)
  wide, arm = number('wide', 1, 2), number('arm', 2, 5)
  far = np.abs(across)
  blade = (far <= wide) & (along > guard) & (along + far // 2 <= tip)
  shade = np.where(across < 0, art.LIGHT, art.MIDDLE)
  shade = np.where(across > 0, art.DARK, shade)
  slots = np.where(blade, art.slot('m', 0) + shade, 0)
  handle = (far <= 1) & (along >= 4) & (along < guard)
  wrapped = (along % 4 < 2) & (number('wrap', 0, 1) > 0)
  slots = np.where(handle, art.slot('b', 1) - wrapped, slots)
  cross = (far <= arm) & ((along == guard) | (along == guard + 1))
  slots = np.where(cross, art.slot('t', 1) + (across < 0), slots)
  pommel = (far <= 1) & (along >= 2) & (along <= 4)
  return np.where(pommel, art.slot('t', 1), slots)


def _gem(draws, frame):
  slots = _pick(art.GEMS, draws, 'cut')
  glint = np.where(slots, _pick(art.GEM_GLINTS, draws, 'glint'), 0)
  return _over(slots, glint, _pick(art.MOUNTS, draws, 'mount'))


def _shield(draws, frame):
  slots = _pick(art.SHIELD_SHAPES, draws, 'shape')
  pattern = _pick(art.PATTERNS, draws, 'pattern')
  field = slots == art.slot('c', art.MIDDLE)
  slots = np.where(field & (pattern > 0), pattern, slots)
  row, column = np.arange(art.SIDE)[:, None], np.arange(art.SIDE)
  lit = field & (pattern == 0) & (row + column < 11)
  return np.where(lit, art.slot('c', art.LIGHT), slots)


def _tile(texture):
  return lambda draws, frame: texture(draws)


# Class -> (slots of (draws, frame), ramps of materials).
_CLASSES = {
  'knight': (_knight, _HERO),
  'mage': (
    lambda draws, frame: _hero(
      draws, frame, art.HATS, art.ROBES, art.STAVES, 50
    ),
    _HERO,
  ),
  'ranger': (
    lambda draws, frame: _hero(
      draws, frame, art.HOODS, art.TUNICS, art.BOWS, 20
    ),
    _HERO | dict(c=('pine', 'leaf', 'brown', 'teal', 'iron', 'red')),
  ),
  'villager': (
    lambda draws, frame: _hero(
      draws, frame, art.HAIR, art.SHIRTS, art.TOOLS, 20
    ),
    _HERO,
  ),
  'slime': (_slime, dict(c=_MONSTERS, t=('pine',))),
  'ghost': (_ghost, dict(c=('snow', 'snow', 'sky', 'plum', 'iron', 'leaf'))),
  'bat': (
    _bat,
    dict(
      c=('plum', 'iron', 'brown', 'red', 'navy'),
      t=('plum', 'iron', 'brown', 'red', 'navy', 'tan', 'teal'),
    ),
  ),
  'alien': (_alien, dict(c=_MONSTERS, t=_MONSTERS)),
  'potion': (
    _potion,
    dict(c=_MONSTERS, m=('steel', 'snow'), b=('brown', 'tan')),
  ),
  'sword': (
    _sword,
    dict(
      m=('steel', 'snow', 'gold', 'sky', 'red'),
      t=('gold', 'iron', 'brown', 'red', 'navy'),
      b=('brown', 'iron', 'red'),
    ),
  ),
  'gem': (_gem, dict(c=_MONSTERS, t=('gold', 'steel', 'brown'))),
  'shield': (
    _shield,
    dict(c=_CLOTHS, h=('gold', 'snow', 'iron'), t=('steel', 'gold', 'brown')),
  ),
  'grass': (
    _tile(tiles.grass),
    dict(
      c=('leaf', 'leaf', 'pine', 'gold', 'teal'), t=('red', 'plum', 'gold')
    ),
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
_STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def _shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
  """Moves images [N, H, W] by one pixel; new pixels are zero."""
  result = np.roll(x, (down, right), (1, 2))
  if down:
    result[:, 0 if down > 0 else -1] = 0
  else:
    result[:, :, 0 if right > 0 else -1] = 0
  return result


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
  above, below = _shifted(material, 1, 0), _shifted(material, -1, 0)
  dark = is_middle & (above == material) & (below != material)
  slots = np.where(dark, slots - 1, slots)
  near = functools.reduce(
    np.maximum, (_shifted(slots, *step) for step in _STEPS)
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
    uint8 [N, side, side, 3] with colours of `PALETTE`, and labels [N], positions
    in `CLASSES`.
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
    image[rows] = PALETTE[
      table[np.arange(len(rows))[:, None, None], slots]
    ]
  return image, label
