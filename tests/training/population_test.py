"""Populations: a member is the run that it would be alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, Cut, digests, lines, module, pictures, small

from jaxgan import config as config_lib
from jaxgan import data, errors, steps
from jaxgan.modes import replay, sample
from jaxgan.modes import restore as restore_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import loop, metric_window, sweeps
from jaxgan.training import population as population_lib
from jaxgan.training import run as run_lib

pytestmark = pytest.mark.eight_devices

SWEEP = 'generator.optimizer.learning_rate=1e-4,1e-3; penalties.r1=0,1'


def together(**fields):
  """Two seeds of two settings, one on each of four devices."""
  fields = {'sweep': SWEEP, 'sweep_as': 'pairs', 'seeds': 2} | fields
  return small(num_steps=6, eval_every=6, checkpoint_every=2, **fields)


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('population') / 'run'
  loop.train(together(), workdir)
  return workdir


def test_member_matches_the_run_trained_alone(unbroken, tmp_path):
  member = sweeps.of(together()).members[3]
  assert (member.seed, member.penalties.r1) == (1, 1.0)
  assert member.generator.optimizer.learning_rate == 1e-3
  loop.train(member, tmp_path / 'run')
  own, lone = (
    restore_lib.restore(*of)
    for of in [(unbroken, None, 3), (tmp_path / 'run',)]
  )
  assert config_lib.differences(own.config, lone.config) == []
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    own.state.networks,
    lone.state.networks,
  )
  for row, expected in zip(
    lines(unbroken), lines(tmp_path / 'run'), strict=True
  ):
    for name in filter(lambda name: '/' in name, expected):
      names = [metric_window.member_name(name, k) for k in range(4)]
      values = [row[k] for k in names]
      np.testing.assert_allclose(values[3], expected[name], 1e-3, 1e-4)
      np.testing.assert_allclose(row[name], np.mean(values))
      np.testing.assert_allclose(row[f'{name}/std'], np.std(values, ddof=1))
      assert len(set(values)) > 1


def test_resume_of_a_population_equals_unbroken_run(
  unbroken, tmp_path, monkeypatch
):
  advance = run_lib.Training.advance

  def cut(run, rounds):
    if run.step >= 3:  # Its line is written, its checkpoint is of step 2.
      raise Cut
    return advance(run, rounds)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', cut)
    with pytest.raises(Cut):
      loop.train(together(), tmp_path / 'run')
  loop.train(together(), tmp_path / 'run')
  assert digests(tmp_path / 'run') == digests(unbroken)
  assert lines(tmp_path / 'run') == lines(unbroken)
  assert pictures(tmp_path / 'run') == pictures(unbroken)


@pytest.mark.slow
def test_replay_finds_the_member_that_is_not_finite(tmp_path, capsys):
  config = together(sample_every=0)
  config.sweep = 'generator.optimizer.learning_rate=1e-3,1e30'
  with pytest.raises(errors.NotFinite) as caught:
    loop.train(config, tmp_path / 'run')
  capsys.readouterr()
  with pytest.raises(errors.NotFinite, match=r'/member_0[13]') as again:
    replay.replay(tmp_path / 'run')
  named = str(again.value).removesuffix(' is not finite')
  assert str(caught.value).startswith(named)
  output = capsys.readouterr().out
  assert 'member 00, state after it: finite' in output
  assert 'member 03, batch, image' in output


def test_sample_draws_one_member(unbroken):
  paths = [sample.sample(unbroken, 4, member=place) for place in (0, 3)]
  assert paths[0].name == 'sample_step6_member00_num4_seed0.png'
  assert paths[0].read_bytes() != paths[1].read_bytes()
  for member in (None, 4):
    with pytest.raises(errors.UserError, match='--member=0 to 3'):
      sample.sample(unbroken, 4, member=member)


def test_single_run_has_no_members(tmp_path):
  loop.train(small(num_steps=0, sample_every=0), tmp_path)
  assert restore_lib.num_members(tmp_path) == 0
  with pytest.raises(errors.UserError, match='--member=0'):
    sample.sample(tmp_path, member=0)


@pytest.mark.parametrize('at_once', [1, 2, 4])
def test_groups_match_single_runs(at_once):
  """With values that differ, in turn, by halves and all at once."""

  def step(state, batch, key, rate=0.5):
    noise = jax.random.normal(jax.random.fold_in(key, state.step))
    loss = jnp.mean(batch['image']) + noise
    found = dataclasses.replace(
      state, step=state.step + 1, weight=state.weight - rate * loss
    )
    return found, {'loss': loss}

  @jax.tree_util.register_dataclass
  @dataclasses.dataclass
  class State:
    step: jax.Array
    weight: jax.Array

  def compiled(engine, train_step):
    return compile_lib.compile_rounds(
      engine, train_step, rounds=2, draws=1, batch_size=4, resident=True
    )

  one = jax.devices()[:1]
  images = {'image': np.arange(40, dtype=np.float32).reshape(10, 4)}
  rates = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
  seeds = np.arange(5, 9, dtype=np.uint32)
  engine = devices_lib.make_for_members(4, at_once, one)
  call = compiled(
    engine, lambda values, *others: step(*others, rate=values['rate'])
  )
  for start in range(0, 4, at_once):
    rows = slice(start, start + at_once)
    zeros = jnp.zeros(at_once)
    state, metrics = call(
      State(zeros.astype(int), zeros),
      images,
      (seeds[rows], {'rate': rates[rows]}),
    )
    for place in range(at_once):
      rate = float(rates[rows][place])
      alone, expected = compiled(
        devices_lib.make('jit', 4, one),
        lambda *inputs, rate=rate: step(*inputs, rate=rate),
      )(State(jnp.int32(0), jnp.float32(0)), images, seeds[rows][place])
      np.testing.assert_allclose(state.weight[place], alone.weight, rtol=1e-6)
      np.testing.assert_allclose(
        metrics['loss'][:, place], expected['loss'], rtol=1e-6
      )


def test_make_for_members_spreads_members_over_devices():
  assert devices_lib.make_for_members(16).num_devices == 8
  assert devices_lib.make_for_members(6).num_devices == 6
  assert devices_lib.make_for_members(9).num_devices == 3
  with pytest.raises(errors.UserError, match='members_at_once=3'):
    devices_lib.make_for_members(16, 3)


def test_sweep_has_all_combinations_last_field_fastest():
  config = small(sweep='penalties.r1=0,1;seed=3,7', seeds=2)
  found = sweeps.of(config)
  assert found.column == {
    'seed': [3, 4, 7, 8, 3, 4, 7, 8],
    'penalties.r1': [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
  }
  assert sweeps.of(small()) is None


@pytest.mark.parametrize(
  ('sweep', 'message'),
  [
    ('loss=hinge', 'loss is no number'),
    ('batch_size=16,32', 'batch_size is of the loop'),
    ('data.limit=16,32', 'data.limit is of the loop or the data'),
    ('penalties.r3=1', r"'penalties.r3' is unknown.*penalties.r1,"),
    ('generator.optimizer.schedule_images=3_000_000_000', '32 bits'),
    ('penalties.r1=0,1e300', '32 bits'),
    ('penalties.r1', "'penalties.r1' must be a field"),
    ('penalties.r1=1,x', 'penalties.r1=1,x must be values'),
    ('penalties.r1=1;penalties.r1=2', 'twice'),
    ('penalties.r1=0,-1', 'penalties.r1=-1.0 must be at least 0'),
    ('penalties.r1=0,1;seed=0,1,2', 'as many values'),
    ('ada.target=0,0.6', 'ada.target=0 turns'),
  ],
)
def test_sweep_that_cannot_be_read_is_refused(sweep, message):
  with pytest.raises(errors.UserError, match=message):
    sweeps.of(small(sweep=sweep, sweep_as='pairs'))


def test_sweep_of_zero_weights_with_steps_of_their_own_is_refused():
  config = small(sweep='penalties.r1=0,1', penalties_every=2)
  with pytest.raises(errors.UserError, match=r'penalties\.r1=0 turns'):
    sweeps.of(config)


@pytest.mark.parametrize(
  'sweep',
  ['latent_size=4,8', 'discriminator_steps=1,2', 'discriminator.dropout=0,0.5'],
)
def test_sweep_that_changes_the_program_is_refused(sweep):
  config = small(sweep=sweep)
  name = sweep.partition('=')[0]
  with pytest.raises(errors.UserError, match=f'{name} .*launch/sweep.py'):
    sweeps.refuse(sweeps.of(config), steps.find('gan'), data.load(config.data))


@pytest.mark.parametrize(
  'sweep', ['top_k_images=10,50', 'penalties.r1=0,1;replay_share=0.1,0.2']
)
def test_sweep_without_effect_is_refused(sweep):
  config = small(sweep=sweep, sweep_as='pairs')
  name = sweep.rpartition(';')[2].partition('=')[0]
  with pytest.raises(errors.UserError, match=f'{name} has no effect'):
    sweeps.refuse(sweeps.of(config), steps.find('gan'), data.load(config.data))


@pytest.mark.parametrize(
  'sweep',
  [
    'instance_noise=0,0.1;label_smoothing.real=0,0.1;ema_halflife=0,9;'
    'feature_matching=0,1;discriminator.optimizer.b1=0,0.5;'
    'label_flip=0,0.1;generator.optimizer.historical_averaging=0,1',
    'instance_noise=0,0.1;instance_noise_images=0,50',
    'ema_halflife=10,20;ema_rampup=0,0.1',
  ],
)
def test_sweep_of_weights_that_are_zero_for_some_members(sweep):
  config = small(sweep=sweep, sweep_as='pairs')
  sweeps.refuse(sweeps.of(config), steps.find('gan'), data.load(config.data))


@pytest.mark.parametrize(
  ('name', 'sweep'),
  [
    ('vae_mnist', 'beta=1,2'),
    ('classifier_mnist', 'label_smoothing=0,0.1'),
    ('autoencoder_mnist', 'encoder.optimizer.learning_rate=1e-3,1e-4'),
  ],
)
def test_sweep_of_other_algorithms(name, sweep):
  config = module(ROOT / 'configs' / f'{name}.py').get_config()
  config.update(sweep=sweep)
  config.data.update(source='embedded', limit=64)
  sweeps.refuse(
    sweeps.of(config), steps.find(config.method), data.load(config.data)
  )


@pytest.mark.slow
@pytest.mark.parametrize('member', [0, 1])
def test_sweep_restores_state_that_some_members_lack(member, tmp_path):
  values = '0,1' if member else '1,0'
  config = small(
    sweep=f'generator.optimizer.historical_averaging={values}',
    num_steps=2,
    sample_every=0,
  )
  loop.train(config, tmp_path)
  run = restore_lib.restore(tmp_path, member=member)
  assert np.isfinite(sum(map(np.sum, jax.tree.leaves(run.state.networks))))
  config.num_steps = 4
  loop.train(config, tmp_path)
  assert lines(tmp_path)[-1]['step'] == 4


def test_sweep_of_spaces_is_a_single_run():
  assert sweeps.of(small(sweep=' ; ;')) is None


def test_init_from_refuses_a_population(unbroken, tmp_path):
  config = small(init_from=str(unbroken))
  with pytest.raises(errors.UserError, match=r'init_from=.*a population'):
    loop.train(config, tmp_path / 'run')


def test_rows_shows_every_member():
  lone = np.arange(3 * 12 * 4, dtype=np.float32).reshape(3, 12, 2, 2, 1)
  assert population_lib.rows([lone, -lone]).shape == (6, 12, 2, 2, 1)
  np.testing.assert_array_equal(population_lib.rows([lone, -lone])[5], -lone[2])
  samples = lone[0]
  assert population_lib.rows([samples, samples]).shape == (2, 10, 2, 2, 1)


@pytest.mark.parametrize(('values', 'is_averaged'), [('0,9', 0), ('5,9', 1)])
def test_is_averaged_requires_all_members(values, is_averaged):
  config = small(sweep=f'ema_halflife={values}')
  states = population_lib.ManyStates(sweeps.of(config))
  assert states.is_averaged() == is_averaged


def test_resume_of_runs_older_than_populations():
  recorded = small().to_dict()
  for name in config_lib.DEFAULTS_OF_OLD_RUNS:
    recorded.pop(name.partition('.')[0], None)
  assert sweeps.of(config_lib.from_json(recorded)) is None
  assert config_lib.differences(recorded, small()) == []
  assert config_lib.differences(recorded, small(seeds=2)) == ['seeds: 1 -> 2']
