"""Schedules of numeric fields: values, runs, resumes and errors."""

import functools
import math

import chex
import jax
import numpy as np
import pytest
import runs
from runs import Cut, assert_same_run, small

from jaxgan import data, errors, steps
from jaxgan.config import schedules
from jaxgan.training import loop, sweeps, traced
from jaxgan.training import run as run_lib

TEXT = (
  'penalties.r1=cosine:1->0.1:100; ema_halflife=linear:0->200:64; '
  'generator.optimizer.learning_rate=cosine:1e-3->1e-4:1e2; '
  'discriminator.optimizer.b2=linear:0.9->0.99:128'
)


@pytest.mark.parametrize(
  ('images', 'linear', 'cosine'),
  [
    (0, 2.0, 2.0),
    (25, 1.75, 1.5 + 0.5 * math.cos(math.pi / 4)),
    (50, 1.5, 1.5),
    (100, 1.0, 1.0),
    (1e9, 1.0, 1.0),
  ],
)
def test_values_of_schedules(images, linear, cosine):
  config = small(
    schedules='penalties.r1=linear:2->1:100;penalties.r2 = cosine: 2 -> 1 :1e2'
  )
  found = schedules.read(config)
  assert found.keys() == {'penalties.r1', 'penalties.r2'}
  values = [found[f'penalties.{name}'].at(images) for name in ('r1', 'r2')]
  np.testing.assert_allclose(values, [linear, cosine], rtol=1e-6)


def test_values_after_a_schedule():
  config = small(schedules='penalties.r1=linear:2->1:100:0.5')
  found = schedules.read(config)['penalties.r1']
  values = [float(found.at(images)) for images in (0, 50, 99, 100, 1e9)]
  np.testing.assert_allclose(values, [2.0, 1.5, 1.01, 0.5, 0.5], rtol=1e-6)
  assert schedules.at_ends(config).penalties.r1 == 0.5


def test_rounds_equal_rounds_of_methods_with_the_values_of_each_round():
  """Weights of penalties, learning rate, b2 and half-life of the averages."""
  config, gan = small(schedules=TEXT, ema_rampup=0.0), steps.find('gan')
  spec = data.Spec((28, 28, 1), 0, ())
  step = jax.jit(
    functools.partial(traced.bind(gan, 'train_step', config, spec), {})
  )
  key = jax.random.key(0)
  images = jax.random.uniform(key, (16, 28, 28, 1), minval=-1.0)
  method = gan.from_config(schedules.at_ends(config), spec)
  ours = expected = jax.jit(functools.partial(gan.init, method))(key)
  for seen in (0, 16, 32):
    cosine = 0.5 + 0.5 * math.cos(math.pi * seen / 100)
    values = {
      'penalties.r1': 0.1 + 0.9 * cosine,
      'ema_halflife': 200.0 * seen / 64,
      'generator.optimizer.learning_rate': 1e-4 + 9e-4 * cosine,
      'discriminator.optimizer.b2': 0.9 + 0.09 * seen / 128,
    }
    method = gan.from_config(schedules.replaced(config, values), spec)
    ours, _ = step(ours, {'image': images}, key)
    expected, _ = jax.jit(gan.train_step, static_argnums=0)(
      method, expected, {'image': images}, key
    )
  chex.assert_trees_all_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_resume_equals_unbroken_run_with_schedules(tmp_path, monkeypatch):
  config = functools.partial(small, schedules=TEXT)
  loop.train(config(), tmp_path / 'unbroken')
  advance = run_lib.Training.advance

  def cut(run, rounds):
    if run.step >= 7:
      raise Cut
    return advance(run, rounds)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', cut)
    with pytest.raises(Cut):
      loop.train(config(), tmp_path / 'run')
  loop.train(config(), tmp_path / 'run')
  assert_same_run(tmp_path / 'run', tmp_path / 'unbroken')


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('text', "schedules='text' is unknown"),
    ('penalties.r3=linear:1->0:10', "schedules='penalties.r3' is unknown"),
    ('batch_size=linear:1->2:10', "schedules='batch_size' is unknown"),
    ('latent_size=linear:1->2:10', "schedules='latent_size' is unknown"),
    ('penalties.r1', 'penalties.r1= is no schedule'),
    ('penalties.r1=1', 'penalties.r1=1 is no schedule'),
    ('penalties.r1=linear:1:10', 'r1=linear:1:10 is no schedule'),
    ('penalties.r1=linear:1->x:10', 'is no schedule'),
    ('penalties.r1=linear:1->0:10:3:4', 'is no schedule'),
    ('penalties.r1=linear:1->0:10:-1', 'at the last: penalties.r1=-1'),
    ('penalties.r1=steps:1->0:10', 'Choose one of: cosine, linear'),
    ('penalties.r1=linear:1->0:0', 'length of 0 images'),
    ('penalties.r1=linear:1->0:inf', 'length of inf images'),
    ('penalties.r1=linear:1->0:1;penalties.r1=linear:1->0:2', 'twice'),
    ('penalties.r1=linear:-1->0:9', 'at the start: penalties.r1=-1.0 must'),
    ('penalties.r1=linear:1->nan:9', 'at the end: penalties.r1=nan must'),
    ('generator.optimizer.b2=linear:0.9->1:9', r'b2=1.0 must be in \[0, 1\)'),
  ],
)
def test_schedule_that_cannot_be_read_is_refused(text, message):
  with pytest.raises(errors.UserError, match=message) as caught:
    schedules.read(small(schedules=text))
  assert '\n' not in str(caught.value)


def test_schedule_of_a_swept_field_is_refused():
  config = small(schedules=TEXT, sweep='penalties.r1=0,1')
  with pytest.raises(errors.UserError, match='r1 has a schedule'):
    sweeps.of(config)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('discriminator.dropout=linear:0.1->0.5:9', 'dropout changes .*Remove'),
    ('replay_share=linear:0.1->0.5:9', 'replay_share has no effect'),
  ],
)
def test_schedule_of_a_field_that_cannot_vary_is_refused(text, message):
  config = small(schedules=text)
  dataset = data.load(config.data)
  with pytest.raises(errors.UserError, match=message):
    traced.refuse_schedules(config, steps.find('gan'), dataset)


@pytest.mark.parametrize(('warmup', 'rounds'), [(0, 4), (16, 5)])
def test_rounds_without_a_learning_rate_are_named(warmup, rounds):
  """The half of a run that would change nothing."""
  config = small(num_steps=8, batch_size=16)
  assert schedules.early_ends(config) == []
  config.generator.optimizer.update(
    schedule='linear', schedule_images=64, warmup_images=warmup
  )
  (line,) = schedules.early_ends(config)
  assert line.startswith('generator.optimizer.schedule_images=64 ')
  assert f'after round {rounds} of 8. Set it to {128 - warmup} ' in line
  config.num_steps = rounds
  assert schedules.early_ends(config) == []


def test_a_run_warns_of_rounds_without_a_learning_rate(tmp_path, caplog):
  config = small(num_steps=1, batch_size=16)
  config.discriminator.optimizer.update(schedule='linear', schedule_images=8)
  with caplog.at_level('WARNING'):
    loop.train(config, tmp_path)
  assert 'discriminator.optimizer.schedule_images=8 makes' in caplog.text


def test_first_value_of_a_field_of_an_algorithm_is_checked(tmp_path):
  """Fields that stand in `jaxgan.steps` are checked where a run is built."""
  config = runs.module(runs.ROOT / 'configs' / 'afm_mnist.py').get_config()
  config.schedules = 'transport=cosine:-5->0.005:100'
  with pytest.raises(errors.UserError, match='transport=-5'):
    loop.train(config, tmp_path)
