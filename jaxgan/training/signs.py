"""Signs of failed training: conditions on the lines of a log, as a pure fold.

A sign that holds in `LEAST_LINES` lines in turn, over `LEAST_ROUNDS` rounds, is
reported once. Lines without its metrics are skipped. The state depends on
the lines alone, so a resumed run reports what an unbroken run reports.
"""

import types
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxgan.adversarial.losses import Levels

LEAST_LINES, LEAST_ROUNDS = 3, 500
# In units of logits. A default run on digits has a deviation of 0.3 or more.
FLAT_DEVIATION, FLAT_GAP = 0.04, 0.2
FLAT_SHARE = 1e-3  # of the output itself, for losses without a scale
PERFECT = 0.01  # share of the way from the least loss to the equilibrium
EQUAL = 0.01  # variance of samples, as a share of the variance of reals
VANISHED = 1e-3  # norm of a gradient, as a share of that in the first line
OVERFIT = 0.5  # (seen - held out) / (seen - fake), means of D(x)
OVERFIT_GAP = 0.5  # smallest difference of these, in deviations of D(x)
ONE_CLASS = 0.9  # share of samples in one class, which exceeds that of reals
ONE_CLASS_EXCESS = 0.4  # by this at least
FIRST = 'first_grad_norm'  # added to the metrics of a network

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


def _is_equal(values: Values, levels: Levels) -> bool:
  del levels
  return values['fake_variance'] < EQUAL * values['real_variance']


def _has_vanished(values: Values, levels: Levels) -> bool:
  del levels
  return values['grad_norm'] <= VANISHED * values[FIRST]


def _has_overfit(values: Values, levels: Levels) -> bool:
  del levels
  way = values['seen'] - values['held_out']
  return way > OVERFIT_GAP * values['real_std'] and way > OVERFIT * (
    values['seen'] - values['fake']
  )


def _is_one_class(values: Values, levels: Levels) -> bool:
  del levels
  share, of_reals = values['commonest_class'], values['commonest_class_real']
  return share > ONE_CLASS and share - of_reals > ONE_CLASS_EXCESS


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
  'equal': Sign(
    'generator',
    ('fake_variance', 'real_variance'),
    _is_equal,
    lambda v: (
      'makes equal images, whose pixels have a variance of '
      f'{v["fake_variance"]:.2g}, and those of reals {v["real_variance"]:.2g}'
    ),
  ),
  'vanished': Sign(
    'generator',
    ('grad_norm',),
    _has_vanished,
    lambda v: (
      f'has lost its gradient, norm {v["grad_norm"]:.2g} after {v[FIRST]:.2g} '
      'in the first line, so it learns nothing'
    ),
  ),
  'overfit': Sign(
    'discriminator',
    ('seen', 'held_out', 'fake', 'real_std'),
    _has_overfit,
    lambda v: (
      f'tells training images from held-out images, mean D(x) {v["seen"]:.3f} '
      f'and {v["held_out"]:.3f}, and {v["fake"]:.3f} of fakes'
    ),
  ),
  'one class': Sign(
    'generator',
    ('commonest_class', 'commonest_class_real'),
    _is_one_class,
    lambda v: (
      f'makes one class, {100 * v["commonest_class"]:.0f} % of its samples and '
      f'{100 * v["commonest_class_real"]:.0f} % of real images'
    ),
  ),
}
# Scores of samples, 'NAME/PROTOCOL' in a line, count as the generator's.
SCORES = ('commonest_class', 'commonest_class_real')


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
    norms: the first norm of the gradient of a network, by network and member.
  """

  step: int = 0
  held: Mapping[Case, tuple[int, int]] = types.MappingProxyType({})
  reported: frozenset[Case] = frozenset()
  norms: Mapping[tuple[str, int | None], float] = types.MappingProxyType({})


def by_network(line: Values) -> dict[tuple[str, int | None], Values]:
  """Groups the metrics of a line by network and member.

  Means over the members of a population are left out.
  """
  groups = {}
  for name, value in line.items():
    name, _, number = name.partition('/member_')
    network, _, metric = name.partition('/')
    if network in SCORES:
      network, metric = 'generator', network
    member = int(number) if number else None
    groups.setdefault((network, member), {})[metric] = value
  if any(member is not None for _, member in groups):
    groups = {key: group for key, group in groups.items() if key[1] is not None}
  return groups


def as_seen(scores: Values) -> Values:
  """Returns D(x) on held-out images as 'seen', for that on training images."""
  return {
    name.replace('/held_out', '/seen'): value
    for name, value in scores.items()
    if '/held_out/' in f'{name}/'
  }


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
  norms = dict(state.norms)
  for (network, member), values in by_network(line).items():
    if 'grad_norm' in values:
      first = norms.setdefault((network, member), values['grad_norm'])
      values = values | {FIRST: first}
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
  return State(step, held, reported, norms), reports
