"""Signs of failed training: the fold over lines, and runs that fail."""

import logging
import math

import pytest
from runs import ROOT, Cut, module, small

from jaxgan import config as config_lib
from jaxgan import presets
from jaxgan.adversarial import losses, soft_labels
from jaxgan.modes import evaluate
from jaxgan.training import failures, loop, signs
from jaxgan.training import run as run_lib

LEVELS = losses.levels(losses.PAIRS['non_saturating'])
GAMES = ('gan_mnist', 'wgan_mnist', 'cyclegan_faces', 'pix2pix_faces')
GAMES += ('context_encoder_cifar10', 'infogan_mnist', 'pixel_art')
HEALTHY = {
  'discriminator/loss': 1.1,
  'discriminator/real': 0.6,
  'discriminator/fake': 0.4,
  'discriminator/real_std': 0.1,
  'discriminator/fake_std': 0.1,
  'generator/fake_variance': 0.1,
  'generator/real_variance': 0.2,
  'generator/grad_norm': 0.5,
  'discriminator/seen': 0.6,
  'discriminator/held_out': 0.55,
  'commonest_class/classifier-1f2e/1000-test/500': 0.2,
  'commonest_class_real/classifier-1f2e/1000-test/500': 0.1,
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
  'equal': {'generator/fake_variance': 1e-3},
  'overfit': {'discriminator/seen': 0.9, 'discriminator/held_out': 0.6},
  'one class': {'commonest_class/classifier-1f2e/1000-test/500': 0.95},
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
  levels = losses.levels(
    soft_labels.smooth(losses.PAIRS['non_saturating'], 0.1)
  )
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


@pytest.mark.parametrize(
  'values',
  [
    # A quarter of the way to the fakes.
    {'discriminator/seen': 0.8, 'discriminator/held_out': 0.7},
    # A difference as small as chance would make.
    {
      'discriminator/seen': 0.43,
      'discriminator/held_out': 0.39,
      'discriminator/real_std': 0.1,
    },
    # The real images have the same class.
    {
      'commonest_class/classifier-1f2e/1000-test/500': 0.95,
      'commonest_class_real/classifier-1f2e/1000-test/500': 0.8,
    },
    {'generator/fake_variance': 0.01},
    {'discriminator/loss': 0.1},
    {'discriminator/real_std': 1e-3, 'discriminator/fake_std': 0.1},
  ],
)
def test_values_beside_a_sign_show_none(values):
  assert read(at(range(100, 1_000, 100), values))[1] == []


@pytest.mark.parametrize(
  ('norm', 'expected'), [(1e-4, [('vanished', 200, 700)]), (1e-3, [])]
)
def test_gradient_that_has_vanished_since_the_first_line(norm, expected):
  rows = at((100, 200), {})
  rows += at(range(300, 2_000, 100), {'generator/grad_norm': norm})
  assert cases(read(rows)[1]) == expected


def test_gradient_that_is_zero_from_the_start():
  rows = at(range(100, 2_000, 100), {'generator/grad_norm': 0.0})
  assert cases(read(rows)[1]) == [('vanished', 0, 500)]


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
      'Raise penalties.r1=0.0 or lower '
      'discriminator.optimizer.learning_rate=0.0002, in a new workdir.',
    ),
  ],
)
def test_message_names_fields_and_values(sign, fields, expected):
  text = failures.message(report_of(sign), small(**fields))
  assert text.endswith(expected)
  assert '\n' not in text


@pytest.mark.parametrize('name', GAMES)
def test_every_game_has_ways_out(name):
  fields = config_lib.flatten(
    module(ROOT / 'configs' / f'{name}.py').get_config()
  )
  for sign, way_out in failures.WAYS_OUT.items():
    text = way_out(fields)
    known = [
      f'{name}={value}' for name, value in fields.items() if name in text
    ]
    assert known, (sign, text)
    assert text[0].isupper()
  assert failures.WAYS_OUT.keys() == signs.SIGNS.keys()


def test_message_names_members():
  config = small()
  one = failures.message(report_of('perfect', 3), config)
  assert 'the discriminator of member 3 is right' in one
  two = failures.message(report_of('perfect', 3, 7), config)
  assert 'the discriminator of members 3, 7 is right' in two


# sign -> fields of a tiny run that shows it.
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
  'equal': {'generator.norm': 'none', 'generator.optimizer.clip_weights': 0.01},
  'vanished': {
    'loss': 'minimax',
    'penalties.r1': 0.0,
    'discriminator.optimizer.learning_rate': 0.1,
    'generator.optimizer.learning_rate': 1e-6,
    'num_steps': 1_200,
  },
  'overfit': {
    'data.limit': 16,
    'penalties.r1': 0.0,
    'discriminator.widths': (256, 128),
    'generator.widths': (64,),
    'discriminator.optimizer.learning_rate': 1e-3,
    'generator.optimizer.learning_rate': 2e-3,
    'log_every': 200,
    'eval_every': 200,
  },
}


def failing(sign, **fields):
  shared = {
    'log_every': 100,
    'sample_every': 0,
    'checkpoint_every': 300,
    'steps_per_call': 50,
    'num_steps': 600,
  }
  return small(**(shared | FAILING[sign] | fields))


def train(config, workdir, caplog, make_scorer=None):
  """Returns the warnings of a run."""
  caplog.clear()
  with caplog.at_level(logging.WARNING):
    loop.train(config, workdir, make_scorer)
  texts = [record.getMessage() for record in caplog.records]
  return [text for text in texts if text.startswith('warning: rounds')]


def start(sign):
  """The first words of a sign's observation."""
  values = dict.fromkeys((*signs.SIGNS[sign].metrics, signs.FIRST), 0.0)
  return signs.SIGNS[sign].says(values)[:12]


@pytest.mark.slow
@pytest.mark.parametrize('sign', FAILING)
def test_failing_run_warns_once(sign, tmp_path, caplog):
  texts = train(failing(sign), tmp_path, caplog)
  assert sum(start(sign) in text for text in texts) == 1
  # A gradient vanishes where the discriminator is perfect.
  assert len(texts) == (2 if sign == 'vanished' else 1)


@pytest.mark.slow
def test_resumed_run_warns_as_an_unbroken_run(tmp_path, caplog, monkeypatch):
  (expected,) = train(failing('constant'), tmp_path / 'unbroken', caplog)
  advance = run_lib.Training.advance

  def cut(run, rounds):
    if run.step >= 450:
      raise Cut
    return advance(run, rounds)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', cut)
    with pytest.raises(Cut):
      train(failing('constant'), tmp_path / 'run', caplog)
  assert train(failing('constant'), tmp_path / 'run', caplog) == [expected]
  longer = failing('constant', num_steps=1_200)
  assert train(longer, tmp_path / 'run', caplog) == []


@pytest.mark.slow
def test_population_warns_of_its_members(tmp_path, caplog):
  sweep = 'penalties.r1=1.0,1000.0,2000.0'
  config = failing('constant', sweep=sweep)
  (text,) = train(config, tmp_path, caplog)
  assert 'discriminator of members 1, 2 gives all images' in text
  assert 'Lower penalties.r1=1000.0' in text


@pytest.mark.slow
def test_run_whose_samples_are_of_one_class_warns(
  tmp_path, caplog, monkeypatch
):
  """Its samples are equal."""
  whole = presets.classifier

  def brief():
    config = whole()
    config.num_steps = 200
    config.network.update(widths=(8,), features=32)
    return config

  monkeypatch.setattr(presets, 'classifier', brief)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  fields = {
    'data.source': 'embedded',
    'data.name': 'mnist',
    'eval_every': 200,
    'eval_images': 200,
    'eval_scores': ('classes',),
  }
  config = failing('equal', **fields)
  texts = train(config, tmp_path / 'run', caplog, evaluate.make_scorer)
  assert sum(start('one class') in text for text in texts) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'rounds'), [('gan_mnist', 1_000), ('dcgan_mnist', 600)]
)
@pytest.mark.trains_long
def test_healthy_run_does_not_warn(name, rounds, tmp_path, caplog):
  config = module(ROOT / 'configs' / f'{name}.py').get_config()
  config.data.source = 'embedded'
  config.update(num_steps=rounds, sample_every=0, eval_every=100)
  assert train(config, tmp_path, caplog) == []
