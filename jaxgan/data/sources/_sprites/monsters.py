"""Monsters with symmetric bodies."""

import numpy as np

from jaxgan.data.sources._sprites import art

SLIMES = art.sheet(
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
MONSTER_EYES = art.sheet(
  """
........ ....ww.. ....o... ......ww ........
.....o.. ....wo.. ....woo. .....wwo ........
.....o.. ....ww.. ....ww.. .....wwo ....oo..
........ ........ ........ ......ww ........
""",
  7,
)
MONSTER_MOUTHS = art.sheet(
  """
........ .......o ......oo .....ooo ......oo
........ ........ ........ ......wo ........
""",
  11,
)
GHOSTS = art.sheet(
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
HEMS = art.sheet(
  """
...cc3cc ...c3cc3
...c..c. ....c..c
""",
  13,
)
# Wings up, level and down.
BATS = art.sheet(
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
BAT_EYES = art.sheet(
  """
.....wo. ......o. .....w.. .....oo.
........ ........ .....ww. ......w.
""",
  7,
)
BAT_MOUTHS = art.sheet(
  """
......w. .......o ......oo ......ow
""",
  9,
)
# Cells of robots and insects: always filled, and filled at random.
ALIEN_CORE = art.sheet(
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
ALIEN_MAYBE = art.sheet(
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


def slime(draws, frame):
  body = SLIMES[draws.below('body', len(SLIMES))]
  face = art.over(
    art.pick(MONSTER_EYES, draws, 'eyes'),
    art.pick(MONSTER_MOUTHS, draws, 'mouth'),
  )
  # Slimes breathe: in the second and third frame the face is lower, or higher.
  moved = np.stack([face, np.roll(face, 1, 1), np.roll(face, -1, 1)])
  return art.over(body, moved[frame, np.arange(len(frame))])


def ghost(draws, frame):
  hem = HEMS[(draws.below('hem', 2) + frame) % 2]
  eyes = np.roll(art.pick(MONSTER_EYES, draws, 'eyes'), -2, 1)
  mouth = np.roll(art.pick(MONSTER_MOUTHS, draws, 'mouth'), -1, 1)
  return art.over(art.pick(GHOSTS, draws, 'body'), hem, eyes, mouth)


def bat(draws, frame):
  eyes = art.pick(BAT_EYES, draws, 'eyes')
  return art.over(BATS[frame], eyes, art.pick(BAT_MOUTHS, draws, 'mouth'))


def alien(draws, frame):
  kind = draws.below('body', len(ALIEN_CORE))
  core, maybe = ALIEN_CORE[kind] > 0, ALIEN_MAYBE[kind] > 0
  filled = draws.chance('filled', 55, (art.SIDE, art.SIDE // 2))
  filled = np.concatenate([filled, filled[:, :, ::-1]], axis=2)
  filled = core | (maybe & filled)
  near = sum(art.shifted(filled, *step).astype(int) for step in art.STEPS)
  filled = core | (filled & (near > 0))
  trim = draws.chance('trim', 25, (art.SIDE, art.SIDE // 2))
  trim = np.concatenate([trim, trim[:, :, ::-1]], axis=2)
  slots = np.where(trim & ~core, art.slot('t', art.MIDDLE), 0)
  slots = np.where(slots, slots, art.slot('c', art.MIDDLE))
  lit = filled & ~art.shifted(filled, 1, 0)
  slots = np.where(lit & core, art.slot('c', art.LIGHT), slots)
  slots = np.where(filled, slots, 0)
  return art.over(slots, np.roll(art.pick(MONSTER_EYES, draws, 'eyes'), -1, 1))
