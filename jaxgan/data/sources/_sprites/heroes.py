"""Heroes that stand or walk."""

import numpy as np

from jaxgan.data.sources._sprites import art

# Heroes. Heads fill rows 2 to 8, bodies 9 to 12, legs 13 and 14.
FACE = art.sheet(
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
EYES = art.sheet(
  """
......o. ......w. ........ ......o. .....oo.
......o. ......o. ......o. .....1o. ......o.
""",
  5,
)
MOUTHS = art.sheet(
  """
........ .......1 .......o .....1..
""",
  7,
)
BEARDS = art.sheet(
  """
........ ....h... ....h... .......h
....hh.. ....hhhh ....hhh. .....hhh
.....hhh .....hhh .....hhh ......hh
........ ......hh ........ ........
""",
  7,
)
# Short, wild, long, bun, fringe, straw hat, cap, curls.
HAIR = art.sheet(
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
HELMETS = art.sheet(
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
HATS = art.sheet(
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
HOODS = art.sheet(
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
SHIRTS = art.sheet(
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
ARMOUR = art.sheet(
  """
...mmmmm ....mmcc ....mmtt
...mMmMM ...mMccC ...mmtTt
...m5mmm ...m5ccC ...m5tmm
...m.ttT ...m.ttT ...m.mMM
.....mm5 .....cc3 .....mm5
""",
  9,
)
ROBES = art.sheet(
  """
....cccc ....cctt ....cccc
...ccCct ...ccCtT ...cCctc
...c3cct ...c3ctt ..cccctc
...s.cct ...s.ccc ..s.tttT
....tttt ....cccc ...ttttt
""",
  9,
)
TUNICS = art.sheet(
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
LEGS = art.sheet(
  """
.....bb..bb..... .....bb..bb.....
.....bb..bb..... .........bb.....
""",
  13,
)
# Held in the right hand.
NOTHING = np.zeros((1, art.SIDE, art.SIDE), np.uint8)
SWORDS = art.sheet(
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
STAVES = art.sheet(
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
BOWS = art.sheet(
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
TOOLS = art.sheet(
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
SHIELDS = art.sheet(
  """
.tttt........... .mmm............
.tccT........... mttMm...........
.tccT........... mtTtm...........
.tccT........... mtttm...........
..tt............ .mmm............
""",
  9,
)


def _legs(frame) -> np.ndarray:
  """Returns legs that stand, or step with the left or the right one."""
  legs = np.stack([*LEGS, LEGS[1, :, ::-1]])
  return legs[frame]


def hero(draws, frame, heads, bodies, held, bearded: int) -> np.ndarray:
  face = art.over(
    np.broadcast_to(FACE[0], (len(frame), art.SIDE, art.SIDE)),
    art.sometimes(art.pick(BEARDS, draws, 'beard'), draws, 'bearded', bearded),
    art.pick(MOUTHS, draws, 'mouth'),
    art.pick(EYES, draws, 'eyes'),
  )
  body = art.over(_legs(frame), art.pick(bodies, draws, 'body'))
  slots = art.over(body, face, art.pick(heads, draws, 'head'))
  return art.over(
    slots, art.sometimes(art.pick(held, draws, 'tool'), draws, 'held', 60)
  )


def knight(draws, frame):
  slots = hero(draws, frame, HELMETS, ARMOUR, SWORDS, 20)
  shield = art.pick(SHIELDS, draws, 'shield')
  return art.over(slots, art.sometimes(shield, draws, 'held', 40))
