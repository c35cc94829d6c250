"""Parts of sprites as text, 16 x 16 pixels.

A sheet holds parts side by side. Halves of 8 columns are mirrored. Characters:

  .                  transparent
  o w                black and white
  letter             middle shade of a material: s(kin) h(air) c(loth) t(rim)
                     m(etal) b(oots)
  capital letter     light shade of that material
  digit              dark shade of a material: 1 is s, 2 is h, ... 6 is b
"""

import numpy as np

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


def _sheet(text: str, top: int = 0) -> np.ndarray:
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


# Heroes. Heads fill rows 2 to 8, bodies 9 to 12, legs 13 and 14.
FACE = _sheet(
  """
.....sss
....ssss
....ssss
....ssss
....ssss
....ssss
.....sss
""",
  2,
)
EYES = _sheet(
  """
......o. ......w. ........ ......o. .....oo.
......o. ......o. ......o. .....1o. ......o.
""",
  5,
)
MOUTHS = _sheet(
  """
........ .......1 .......o .....1..
""",
  7,
)
BEARDS = _sheet(
  """
........ ....h... ....h... .......h
....hh.. ....hhhh ....hhh. .....hhh
.....hhh .....hhh .....hhh ......hh
........ ......hh ........ ........
""",
  7,
)
# Short, wild, long, bun, fringe, straw hat, cap, curls.
HAIR = _sheet(
  """
.....hhh ...hh.hh .....hhh ......hh .....hhh .....ttt .....ccc ...hhhhh
....hHHh ....hHhh ....hHHh ....hHHh ...hhHHh .....tTT ....cCCc ..hhHhhH
....hhhh ..hhhhhh ...hhHhh ....hhhh ...hhhhh ....bbbb ....cccc ..hhhHhh
....hh.. ....hh.h ...hhh.. ....hh.. ...hhhhh ..tttttt ...3cccc ..hhh.hh
....h... ....h... ...hh... ....h... ...hh... ....h... ....h... ..hhh...
........ ........ ...hh... ........ ...hh... ....h... ........ ..hh....
........ ........ ...hh... ........ ........ ........ ........ ...h....
........ ........ ...hh... ........ ........ ........ ........ ........
........ ........ ...h.... ........ ........ ........ ........ ........
""",
  1,
)
# Open, plumed, closed, horned, winged, crown.
HELMETS = _sheet(
  """
.....mmm ......tt ......tT .....mmm .....mmm ....t.tt
....mMMm .....mMt .....mmt ...w.mMm ....mMMm ....tTtT
....mMmm ....mMmm ....mMMm ...wmMmm ..wwmMmm ....tttt
....mmmm ....mmmm ....mmmm ....mmmm ..wwmmmm ....hhhh
....m... ....m... ....oooo ....mm.m ...wm... ....hh..
....m... ....m... ....mmom ....m... ....m... ....h...
........ ....m... ....mmom ....m... ........ ........
........ .....m.. .....mmm ........ ........ ........
""",
  1,
)
# Hats of mages: pointed, wide, hood, circlet.
HATS = _sheet(
  """
......cC ......cc .....ccc .....hhh
.....ccC .....cCC ....cCCc ....hHHh
.....ccc ....ccCc ...ccCcc ...hhHhh
....tttt ....tttt ...cc333 ...htttT
..cccccc .ccccccc ...cc... ...hh...
....h... ....h... ...cc... ...hh...
........ ........ ...cc... ...hh...
........ ........ ...ccc.. ...hh...
""",
  1,
)
# Hoods of rangers: hood, feathered cap, mask, bandana.
HOODS = _sheet(
  """
.....ccc .....ccc .....ccc .....ttt
....cCCc ....cCCc ....cCCc ....tTTt
...ccCcc ...ccccc ....cccc ....tttt
...cc333 ..cccccc ....cc.. ....4444
...cc... ....h... ....c... ....h...
...cc... ....h... ....c... ....h...
...ccc.. ........ ....cccc ........
....ccc. ........ .....ccc ........
""",
  1,
)
# Bodies of villagers: shirt, dress, apron, vest.
SHIRTS = _sheet(
  """
....cccc ....cccc ....cccc ....ttcc
...ccCcc ...ccCcc ...cctww ...ctTcc
...c3ccc ...c3ttt ...c3www ...ctttc
...s.bbb ...s.ccC ...s.www ...s.bbb
.....bbb ....ccCc .....ccw .....bbb
""",
  9,
)
# Bodies of knights, mages and rangers.
ARMOUR = _sheet(
  """
...mmmmm ....mmcc ....mmtt
...mMmMM ...mMccC ...mmtTt
...m5mmm ...m5ccC ...m5tmm
...m.ttT ...m.ttT ...m.mMM
.....mm5 .....cc3 .....mm5
""",
  9,
)
ROBES = _sheet(
  """
....cccc ....cctt ....cccc
...ccCct ...ccCtT ...cCctc
...c3cct ...c3ctt ..cccctc
...s.cct ...s.ccc ..s.tttT
....tttt ....cccc ...ttttt
""",
  9,
)
TUNICS = _sheet(
  """
....cccc ....cctt ...tcccc
...ccCcc ...ccCct ...ttccC
...c3ccc ...c3ctc ...c3ttc
...s.bbb ...s.bbB ...s.bbt
.....ccc .....cc. .....cct
""",
  9,
)
# Legs: standing, and a step with the left leg.
LEGS = _sheet(
  """
.....bb..bb..... .....bb..bb.....
.....bb..bb..... .........bb.....
""",
  13,
)
# Held in the right hand.
NOTHING = np.zeros((1, SIDE, SIDE), np.uint8)
SWORDS = _sheet(
  """
.............M.. ................ ............mM..
.............M.. .............M.. ............mMm.
.............M.. .............M.. ............mMm.
.............M.. .............M.. .............b..
.............M.. .............M.. .............b..
.............M.. .............M.. .............b..
............ttt. ............ttt. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
................ ................ .............b..
""",
  4,
)
STAVES = _sheet(
  """
................ .............t.. ................
.............tT. ............t.t. ............bbb.
.............tt. ............tTt. ............b.b.
.............b.. .............b.. ..............b.
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
.............b.. .............b.. .............b..
""",
  1,
)
BOWS = _sheet(
  """
............bb.. ................
............wBb. ................
............w.b. ................
............w.b. .............M..
............w.b. .............M..
............w.b. .............M..
............w.b. .............t..
............wBb. .............b..
............bb.. ................
""",
  5,
)
TOOLS = _sheet(
  """
................ ...........mmm.. ............m.m.
................ .............b.. ............mmm.
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
................ .............b.. .............b..
""",
  4,
)
# Held in the left hand by knights.
SHIELDS = _sheet(
  """
.tttt........... .mmm............
.tccT........... mttMm...........
.tccT........... mtTtm...........
.tccT........... mtttm...........
..tt............ .mmm............
""",
  9,
)

# Monsters.
SLIMES = _sheet(
  """
........ ........ ......cc ........ .....tt.
......cc ........ ......cc ...ccccc ......tt
....cCCc ........ .....cCc ..cCCccc ....cCcc
...cCCcc .....ccc ....cCcc ..cCcccc ...cCCcc
...cCccc ...cCCcc ...cCccc ..cccccc ...cCccc
..cCcccc ..cCCccc ..cCcccc ..cccccc ..cCcccc
..cccccc .cCccccc ..cccccc ..cccccc ..cccccc
..cccccc .ccccccc ..cccccc ..cccccc ..cccccc
..cccccc .ccccccc ..cccccc ..cccccc ..cccccc
..c33333 .c333333 ..c33333 ..c33333 ..c33333
...33333 ..333333 ...33333 ...33333 ...33333
""",
  4,
)
# Dots, round eyes, angry eyes, one eye, closed eyes.
MONSTER_EYES = _sheet(
  """
........ ....ww.. ....o... ......ww ........
.....o.. ....wo.. ....woo. .....wwo ........
.....o.. ....ww.. ....ww.. .....wwo ....oo..
........ ........ ........ ......ww ........
""",
  7,
)
MONSTER_MOUTHS = _sheet(
  """
........ .......o ......oo .....ooo ......oo
........ ........ ........ ......wo ........
""",
  11,
)
GHOSTS = _sheet(
  """
.....ccc ......cc .....ccc
....cCCc ....cccc ....cCCc
...cCCcc ...cCCcc ...cCCcc
...cCccc ..cCCccc ...cCccc
...ccccc ..cCcccc ...ccccc
...ccccc ..cccccc ...ccccc
...ccccc ..cccccc .c.ccccc
...ccccc ..cccccc .ccccccc
.ccccccc ..cccccc ..cccccc
.c.ccccc ..cccccc ...ccccc
...ccccc ...ccccc ...ccccc
""",
  2,
)
HEMS = _sheet(
  """
...cc3cc ...c3cc3
...c..c. ....c..c
""",
  13,
)
# Wings up, level and down.
BATS = _sheet(
  """
.t...... ........ ........
.tt..c.. .....c.. .....c..
.tt4.cc. .....cc. .....cc.
..t4cCCc ttt..CCc ....cCCc
..ttcccc .tttcccc ..ttcccc
...t4ccc ..t44ccc .tt4cccc
....4ccc ...4.ccc .t4.cccc
.....3cc .....3cc .t...3cc
......3. ......3. ......3.
""",
  3,
)
BAT_EYES = _sheet(
  """
.....wo. ......o. .....w.. .....oo.
........ ........ .....ww. ......w.
""",
  7,
)
BAT_MOUTHS = _sheet(
  """
......w. .......o ......oo ......ow
""",
  9,
)
# Cells of robots and insects: always filled, and filled at random.
ALIEN_CORE = _sheet(
  """
........ ........ ........
........ ......cc ........
.....ccc .....ccc .....ccc
....cccc .....ccc ....cccc
....cccc ....cccc ....cccc
....cccc ....cccc .....ccc
.....ccc ....cccc .....ccc
......cc .....ccc ....cccc
........ ......cc .....ccc
........ ........ ........
........ ........ ........
""",
  3,
)
ALIEN_MAYBE = _sheet(
  """
...c.c.. ..c...c. ....cc..
...ccccc ...cc.cc ..c.cccc
..cccccc ...ccccc ..cccccc
.ccccccc ..cccccc .ccccccc
.ccccccc .ccccccc .ccccccc
..cccccc .ccccccc ..cccccc
..cccccc .ccccccc ..cccccc
.ccccccc ..cccccc .ccccccc
.ccccccc ..cccccc .ccccccc
..cccccc ..cccccc ..cccccc
..cc.cc. ..c..cc. ..cccc..
""",
  3,
)

# Items.
POTIONS = _sheet(
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
GLINT = _sheet(
  """
................
......w.........
.....w..........
.....w..........
""",
  6,
)
GEMS = _sheet(
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
GEM_GLINTS = _sheet(
  """
................ ................ ................ ................
.....w.......... ................ ......w......... ................
....w........... ................ .....www........ ....ww..........
................ ................ ......w......... ....w...........
""",
  5,
)
# Below the gem: nothing, a foot, claws.
MOUNTS = _sheet(
  """
........ ........ ...t....
........ ........ ...tt...
........ ......tt ....tt..
........ .....ttt .....ttt
""",
  11,
)
SHIELD_SHAPES = _sheet(
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
PATTERNS = _sheet(
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
