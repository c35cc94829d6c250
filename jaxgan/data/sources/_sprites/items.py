"""Items: potions, swords, gems and shields."""

import numpy as np

from jaxgan.data.sources._sprites import art

POTIONS = art.sheet(
  """
......bb ......bb ......bb ......bb
......bb ......bb ......bb ......bb
.....mmm .....mmm .....mmm .....mmm
......mm ......mm ......mm ......mm
......mm .....mmm ......mm .....mmm
....mmcc ....mmcc .....mmc ...mmccc
...mmccc ....mccc .....mcc ...mcccc
...mcccc ....mccc ....mmcc ....mccc
...mcccc ....mccc ....mccc ....mccc
...mcccc ....mccc ...mmccc ...mcccc
...mm333 ....mccc ...mcccc ...mcccc
....mm33 ....mm33 ...mm333 ...mm333
.....mmm .....mmm ....mmmm ....mmmm
""",
  2,
)
GLINT = art.sheet(
  """
................
......w.........
.....w..........
.....w..........
""",
  6,
)
GEMS = art.sheet(
  """
........ ........ ........ ......CC ........
........ ......CC ........ .....CCc ........
....CCCC ....CCCC .....CCC .....Ccc ..CC....
...CCccc ...CCCcc ...CCccc ....CCcc .CCCC.CC
..CCcccc ...CCccc ..CCcccc ....Cccc .CCcccCC
..cccccc ..CCcccc ..Cccccc ...CCccc .Ccccccc
..333333 ..Cccccc ..Cccccc ...Ccccc .ccccccc
...c3333 ..cccccc ..cccccc ...ccccc ..cccccc
....c333 ..ccccc3 ..cccc33 ...cccc3 ...ccccc
.....c33 ...cccc3 ...c3333 ....ccc3 ....cccc
......c3 ...cc333 .....333 ....cc33 .....cc3
........ ....3333 ........ .....c33 ......33
........ ......33 ........ ......33 ........
""",
  2,
)
GEM_GLINTS = art.sheet(
  """
................ ................ ................ ................
.....w.......... ................ ......w......... ................
....w........... ................ .....www........ ....ww..........
................ ................ ......w......... ....w...........
""",
  5,
)
# Below the gem: nothing, a foot, claws.
MOUNTS = art.sheet(
  """
........ ........ ...t....
........ ........ ...tt...
........ ......tt ....tt..
........ .....ttt .....ttt
""",
  11,
)
SHIELD_SHAPES = art.sheet(
  """
..t..ttt ........ ..tttttt .....ttt
..tttccc .....ttt ..tccccc ...tttcc
..tccccc ...ttccc ..tccccc ..ttcccc
..tccccc ..ttcccc ..tccccc ..tccccc
..tccccc ..tccccc ..tccccc ..tccccc
..tccccc .ttccccc ..tccccc ..tccccc
..tccccc .tcccccc ..tccccc ..tccccc
..ttcccc .tcccccc ..tccccc ...tcccc
...tcccc .ttccccc ..ttcccc ...ttccc
...ttccc ..tccccc ...ttccc ....tccc
....ttcc ..ttcccc ....ttcc ....ttcc
.....ttc ...ttccc .....ttt .....ttc
......tt .....ttt ........ ......tt
""",
  2,
)
# The part of a shield that has the second colour.
PATTERNS = art.sheet(
  """
........ .......h hhhhhhhh........ ........ hhhhhhhh........ ........
........ .......h hhhhhhhh........ ........ hhhhhhhh........ ........
........ .......h hhhhhhhh........ ........ hhhhhhhh........ .......h
........ .......h hhhhhhhh........ ........ hhhhhhhh........ ......hh
........ .......h hhhhhhhh........ ......hh hhhhhhhh........ .....hhh
........ .......h hhhhhhhh........ .....hHh hhhhhhhh........ ....hhh.
........ hhhhhhhh hhhhhhhh........ .....hhh ........hhhhhhhh ...hhh..
........ hhhhhhhh hhhhhhhh........ .....hhh ........hhhhhhhh ..hhh...
........ .......h hhhhhhhh........ ......hh ........hhhhhhhh .hhh....
........ .......h hhhhhhhh........ ........ ........hhhhhhhh hhh.....
........ .......h hhhhhhhh........ ........ ........hhhhhhhh hh......
........ .......h hhhhhhhh........ ........ ........hhhhhhhh ........
........ .......h hhhhhhhh........ ........ ........hhhhhhhh ........
""",
  2,
)


def potion(draws, frame):
  slots = art.pick(POTIONS, draws, 'flask')
  level = draws.between('level', 6, 10)[:, None, None]
  row = np.arange(art.SIDE)[:, None]
  liquid = (slots >= art.slot('c', 0)) & (slots <= art.slot('c', 2))
  slots = np.where(liquid & (row < level), art.slot('m', art.LIGHT), slots)
  slots = np.where(liquid & (row == level), art.slot('c', art.LIGHT), slots)
  bubble = draws.chance('bubble', 8, (art.SIDE, art.SIDE))
  slots = np.where(
    liquid & bubble & (row > level), art.slot('c', art.LIGHT), slots
  )
  return art.over(slots, np.where(slots, GLINT, 0))


def sword(draws, frame):
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


def gem(draws, frame):
  slots = art.pick(GEMS, draws, 'cut')
  glint = np.where(slots, art.pick(GEM_GLINTS, draws, 'glint'), 0)
  return art.over(slots, glint, art.pick(MOUNTS, draws, 'mount'))


def shield(draws, frame):
  slots = art.pick(SHIELD_SHAPES, draws, 'shape')
  pattern = art.pick(PATTERNS, draws, 'pattern')
  field = slots == art.slot('c', art.MIDDLE)
  slots = np.where(field & (pattern > 0), pattern, slots)
  row, column = np.arange(art.SIDE)[:, None], np.arange(art.SIDE)
  lit = field & (pattern == 0) & (row + column < 11)
  return np.where(lit, art.slot('c', art.LIGHT), slots)
