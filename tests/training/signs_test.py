"""Signs of failed training: the fold over lines, and runs that fail."""

import logging
import math

import pytest
from runs import small

from jaxgan.adversarial import losses
from jaxgan.training import failures, loop, signs

LEVELS = losses.levels(losses.PAIRS['non_saturating'])
HEALTHY = {
  'discriminator/loss': 1.1,
  'discriminator/real': 0.6,
  'discriminator/fake': 0.4,
  'discriminator/real_std': 0.1,
  'discriminator/fake_std': 0.1,
}
SHOWN = {
  'constant': {
    'discriminator/loss': 2 * math.log(2),
    'discriminator/real': 0.5,
    'discriminator/fake': 0.5,
    'discriminator/real_std': 1e-3,
    'discriminator/fake_std': 1e-3,
  },
  'perfect': {
    'discriminator/loss': 1e-3,
    'discriminator/real': 0.999,
    'discriminator/fake': 0.001,
  },
}


def read(rows, levels=LEVELS, state=None):
  """Returns the state and the reports of the lines after each other."""
  state, reports = state or signs.State(), []
  for row in rows:
    state, new = signs.fold(state, row, lambda member: levels)
    reports += new
  return state, reports


def at(steps, values):
  return [{'step': step} | HEALTHY | values for step in steps]


def cases(reports):
  return [(report.case.sign, report.first, report.last) for report in reports]


@pytest.mark.parametrize('sign', SHOWN)
def test_sign_is_reported_once_when_it_has_held(sign):
  rows = at(range(100, 2_000, 100), SHOWN[sign])
  assert cases(read(rows)[1]) == [(sign, 0, signs.LEAST_ROUNDS)]
  rows = at(range(1_000, 9_000, 1_000), SHOWN[sign])
  assert cases(read(rows)[1]) == [(sign, 0, 1_000 * signs.LEAST_LINES)]


@pytest.mark.parametrize('sign', SHOWN)
def test_sign_that_does_not_last_is_not_reported(sign):
  rows = at((100, 200, 300, 400), SHOWN[sign]) + at((500,), {})
  state, reports = read(rows)
  assert reports == []
  assert state.held == {}
  later = at(range(600, 2_000, 100), SHOWN[sign])
  assert cases(read(rows + later)[1]) == [(sign, 500, 1_000)]


def test_healthy_lines_show_no_sign():
  state, reports = read(at(range(100, 2_000, 100), {}))
  assert reports == []
  assert state.held == {}


@pytest.mark.parametrize('sign', SHOWN)
def test_line_without_the_metrics_is_skipped(sign):
  rows = at(range(100, 1_000, 100), SHOWN[sign])
  rows[2] = {'step': 300, 'images': 1}
  assert cases(read(rows)[1]) == [(sign, 0, 500)]


@pytest.mark.parametrize('cut', [0, 3, 5, 8])
def test_fold_of_the_rest_equals_fold_of_all(cut):
  rows = at(range(100, 1_000, 100), SHOWN['constant'])
  state, before = read(rows[:cut])
  state, after = read(rows[cut:], state=state)
  assert (state, before + after) == read(rows)


def test_each_member_and_network_is_a_case_of_its_own():
  def row(step):
    constant = {
      f'discriminator_a/{name.split("/")[1]}/member_{k:02d}': value
      for k, values in enumerate((HEALTHY, HEALTHY | SHOWN['constant']))
      for name, value in values.items()
    }
    return {'step': step} | SHOWN['constant'] | constant  # means come first

  (report,) = read([row(step) for step in range(100, 1_000, 100)])[1]
  assert report.case == signs.Case('constant', 'discriminator_a', 1)


@pytest.mark.parametrize(
  ('name', 'least', 'equilibrium', 'slope'),
  [
    ('non_saturating', 0.0, 2 * math.log(2), 0.25),
    ('least_squares', 0.0, 0.25, 1.0),
    ('hinge', 0.0, 2.0, 1.0),
    ('wasserstein', None, 0.0, 1.0),
    ('relativistic_average', 0.0, 2 * math.log(2), 1.0),
    ('relativistic_pairing', 0.0, math.log(2), 1.0),
  ],
)
def test_levels_of_losses(name, least, equilibrium, slope):
  levels = losses.levels(losses.PAIRS[name])
  assert levels.slope == pytest.approx(slope)
  assert levels.equilibrium == pytest.approx(equilibrium, abs=1e-3)
  if least is None:
    assert levels.least is None
  else:
    assert levels.least == pytest.approx(least, abs=1e-3)


def test_levels_of_smoothed_labels():
  levels = losses.levels(losses.smooth(losses.PAIRS['non_saturating'], 0.1))
  # The entropy of the label of reals remains.
  expected = -0.1 * math.log(0.1) - 0.9 * math.log(0.9)
  assert levels.least == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
  ('values', 'is_constant'),
  [
    ({'real': 7.0, 'fake': 7.0, 'real_std': 1e-4, 'fake_std': 1e-4}, True),
    ({'real': 0.0, 'fake': 0.0, 'real_std': 0.0, 'fake_std': 0.0}, True),
    # Clipped weights: all outputs are small.
    ({'real': 2e-3, 'fake': 1e-3, 'real_std': 1e-3, 'fake_std': 1e-3}, False),
  ],
)
def test_constant_critic_without_a_scale(values, is_constant):
  levels = losses.levels(losses.PAIRS['wasserstein'])
  rows = [
    {'step': step} | {f'discriminator/{k}': x for k, x in values.items()}
    for step in range(100, 1_000, 100)
  ]
  assert bool(read(rows, levels)[1]) == is_constant


def report_of(sign, *members):
  _, reports = read(at(range(100, 1_000, 100), SHOWN[sign]))
  return [
    report._replace(case=report.case._replace(member=member))
    for report in reports
    for member in members or (None,)
  ]


@pytest.mark.parametrize(
  ('sign', 'fields', 'expected'),
  [
    (
      'constant',
      {'penalties.r1': 2.0},
      'rounds 0 to 500: the discriminator gives all images the same answer, '
      'D(real) 0.500 with a deviation of 0.001 and D(fake) 0.500 with 0.001. '
      'Lower penalties.r1=2.0, in a new workdir.',
    ),
    (
      'constant',
      {'penalties.r1': 0.0},
      'Lower discriminator.optimizer.learning_rate=0.0002, in a new workdir.',
    ),
    (
      'perfect',
      {'penalties.r1': 0.0},
      'rounds 0 to 500: the discriminator is right about every image, loss '
      '0.001, D(real) 0.999, D(fake) 0.001, so the generator learns little. '
      'Raise penalties.r1=0.0, or lower '
      'discriminator.optimizer.learning_rate=0.0002, in a new workdir.',
    ),
  ],
)
def test_message_names_fields_and_values(sign, fields, expected):
  text = failures.message(report_of(sign), small(**fields))
  assert text.endswith(expected)
  assert '\n' not in text


def test_message_names_members():
  config = small()
  one = failures.message(report_of('perfect', 3), config)
  assert 'the discriminator of member 3 is right' in one
  two = failures.message(report_of('perfect', 3, 7), config)
  assert 'the discriminator of members 3, 7 is right' in two


def failing(sign, **fields):
  """A config of a tiny run that shows a sign."""
  shared = {
    'log_every': 100,
    'sample_every': 0,
    'checkpoint_every': 300,
    'steps_per_call': 50,
    'num_steps': 600,
  }
  return small(**(shared | FAILING[sign] | fields))


# sign -> fields of a run that shows it.
FAILING = {
  'constant': {
    'penalties.r1': 1_000.0,
    'discriminator.optimizer.learning_rate': 1e-2,
  },
  'perfect': {
    'penalties.r1': 0.0,
    'discriminator.optimizer.learning_rate': 1e-2,
    'generator.optimizer.learning_rate': 1e-6,
  },
}


def warnings_of(caplog):
  return [
    record.getMessage()
    for record in caplog.records
    if record.getMessage().startswith('warning: rounds')
  ]


@pytest.mark.slow
@pytest.mark.parametrize('sign', FAILING)
def test_failing_run_warns_once(sign, tmp_path, caplog):
  with caplog.at_level(logging.WARNING):
    loop.train(failing(sign), tmp_path)
  (text,) = warnings_of(caplog)
  values = dict.fromkeys(signs.SIGNS[sign].metrics, 0.0)
  assert signs.SIGNS[sign].says(values)[:12] in text
