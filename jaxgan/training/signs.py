"""Signs of failed training: conditions on the lines of a log, as a pure fold.

A sign that holds in `LEAST_LINES` lines in turn, over `LEAST_ROUNDS` rounds, is
reported once. Lines without its metrics are skipped. The state follows from the
lines alone, so a resumed run reports what an unbroken run reports.
"""

import types
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxgan.adversarial.losses import Levels

LEAST_LINES, LEAST_ROUNDS = 3, 500
# Of logits. Reals and fakes of healthy runs differ by more than 1, see the
# tests.
FLAT_DEVIATION, FLAT_GAP = 0.04, 0.2
FLAT_SHARE = 1e-3  # of the output itself, for losses without a scale
PERFECT = 0.01  # share of the way from the least loss to the equilibrium

Values = Mapping[str, float]


class Sign(NamedTuple):
  """A sign of a failure.

  Attributes:
    network: start of the names of the networks that may show it.
    metrics: metrics that a line must have.
    holds: (metrics of a network, levels) -> True if the line shows it.
    says: metrics -> the observation, in words.
  """

  network: str
  metrics: tuple[str, ...]
  holds: Callable[[Values, Levels], bool]
  says: Callable[[Values], str]


def _is_constant(values: Values, levels: Levels) -> bool:
  deviation = max(values['real_std'], values['fake_std'])
  gap = abs(values['real'] - values['fake'])
  if levels.least is None:
    level = FLAT_SHARE * max(abs(values['real']), abs(values['fake']))
    return max(deviation, gap) <= level
  return (
    deviation < FLAT_DEVIATION * levels.slope and gap < FLAT_GAP * levels.slope
  )


def _is_perfect(values: Values, levels: Levels) -> bool:
  if levels.least is None:
    return False
  way = levels.equilibrium - levels.least
  return values['loss'] - levels.least < PERFECT * way


SIGNS = {
  'constant': Sign(
    'discriminator',
    ('real', 'fake', 'real_std', 'fake_std'),
    _is_constant,
    lambda v: (
      f'gives all images the same answer, D(real) {v["real"]:.3f} with a '
      f'deviation of {v["real_std"]:.2g} and D(fake) {v["fake"]:.3f} with '
      f'{v["fake_std"]:.2g}'
    ),
  ),
  'perfect': Sign(
    'discriminator',
    ('loss', 'real', 'fake'),
    _is_perfect,
    lambda v: (
      f'is right about every image, loss {v["loss"]:.2g}, D(real) '
      f'{v["real"]:.3f}, D(fake) {v["fake"]:.3f}, so the generator learns '
      'little'
    ),
  ),
}


class Case(NamedTuple):
  """A sign of one network; `member` is None for a run of its own."""

  sign: str
  network: str
  member: int | None


class Report(NamedTuple):
  """A sign that has held for long enough.

  Attributes:
    case: the sign, and the network that shows it.
    first: the round after which it holds.
    last: the round of the newest line.
    values: metrics of the network in that line.
  """

  case: Case
  first: int
  last: int
  values: Values


class State(NamedTuple):
  """The signs that the lines of a log have shown.

  Attributes:
    step: step of the last line.
    held: (the round after which it holds, number of lines) of a case.
    reported: cases that need no second report.
  """

  step: int = 0
  held: Mapping[Case, tuple[int, int]] = types.MappingProxyType({})
  reported: frozenset[Case] = frozenset()


def by_network(line: Values) -> dict[tuple[str, int | None], Values]:
  """Groups the metrics of a line by network and member.

  Means over the members of a population are left out.
  """
  groups = {}
  for name, value in line.items():
    network, _, metric = name.partition('/')
    metric, _, number = metric.partition('/member_')
    member = int(number) if number else None
    groups.setdefault((network, member), {})[metric] = value
  if any(member is not None for _, member in groups):
    groups = {key: group for key, group in groups.items() if key[1] is not None}
  return groups


def fold(
  state: State, line: Values, levels: Callable[[int | None], Levels]
) -> tuple[State, list[Report]]:
  """Takes the next line of a log.

  Args:
    state: state after the lines before.
    line: 'step', and metrics by name.
    levels: member -> marks of its loss.

  Returns:
    The next state, and signs that have to be reported now.
  """
  step, reports, held = line['step'], [], dict(state.held)
  for (network, member), values in by_network(line).items():
    for name, sign in SIGNS.items():
      case = Case(name, network, member)
      if not network.startswith(sign.network):
        continue
      if not all(metric in values for metric in sign.metrics):
        continue
      if not sign.holds(values, levels(member)):
        held.pop(case, None)
        continue
      first, lines = held.get(case, (state.step, 0))
      held[case] = first, lines + 1
      is_long = lines + 1 >= LEAST_LINES and step - first >= LEAST_ROUNDS
      if is_long and case not in state.reported:
        reports.append(Report(case, first, step, values))
  reported = state.reported | {report.case for report in reports}
  return State(step, held, reported), reports
