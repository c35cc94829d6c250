"""Terms: states, cadence, scheduled weights, several images, the hook at G."""

import dataclasses
import types

import chex
import compiled
import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import errors, gan, steps
from jaxgan.adversarial import penalties, terms, tricks
from jaxgan.config import networks as networks_lib
from jaxgan.config import presets
from jaxgan.core import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.models import mlp

gan = compiled.Compiled(gan)

SHAPE = (6, 4, 1)
BATCH = {'image': jax.random.uniform(jax.random.key(1), (8, *SHAPE))}


def make(**fields):
  parts = {
    'generator': mlp.Generator(SHAPE, (8,)),
    'discriminator': mlp.Discriminator((8,)),
    'generator_optimizer': optax.sgd(0.1),
    'discriminator_optimizer': optax.sgd(0.1),
  }
  return gan.GAN(**(parts | games.fields(latent_size=4) | fields))


def rounds(method, count, key):
  state, metrics = gan.init(method, key), []
  step = gan.train_step
  for _ in range(count):
    state, values = step(method, state, BATCH, key)
    metrics.append(values)
  return state, metrics


@pytest.mark.parametrize('side', ['discriminator', 'generator'])
def test_term_keeps_its_state_in_extra(side, key):
  """The toy term returns how often it was called, and counts in its state."""

  def count(scene, state):
    del scene
    return state['calls'], {'calls': state['calls'] + 1.0}

  term = terms.Term(
    'calls', count, 0.0, init=lambda _: {'calls': jnp.zeros(())}
  )
  method = make(**{f'{side}_terms': (term,)})
  state, metrics = rounds(method, 3, key)
  assert float(state.extra['calls']['calls']) == 3.0
  assert [float(m[f'{side}/calls']) for m in metrics] == [0.0, 1.0, 2.0]


def test_lazy_term_counts_as_often_as_it_is_left_out(key):
  lazy = terms.Term('one', lambda scene: jnp.ones(()), 1.0, every=4)
  method = make(generator_terms=(lazy,))
  _, metrics = rounds(method, 8, key)
  values = [float(m['generator/one']) for m in metrics]
  assert values == [4.0, 0.0, 0.0, 0.0] * 2


def test_lazy_penalty_moves_the_discriminator_in_its_rounds_alone(key):
  """Round 0 has the penalty twice, round 1 has it not at all."""

  def after(weight, every, step):
    penalty = terms.Term(
      'r1', terms.Penalty(penalties.r1), weight, ('real',), every=every
    )
    method = make(discriminator_terms=(penalty,))
    state = gan.init(method, key).replace(step=jnp.int32(step))
    z = method.latents.sample(key, 8)
    state, _ = gan.discriminator_step(method, state, BATCH, z, key)
    return state.networks['discriminator'].params

  chex.assert_trees_all_close(after(1.0, 2, 0), after(2.0, 1, 0), atol=1e-6)
  chex.assert_trees_all_close(after(1.0, 2, 1), after(0.0, 1, 1), atol=1e-6)
  with pytest.raises(AssertionError):
    chex.assert_trees_all_close(after(1.0, 2, 0), after(1.0, 2, 1), atol=1e-6)


def test_weight_follows_the_images_seen(key):
  """The loss falls by 1 for every batch of 8 images."""
  term = terms.Term('one', lambda scene: jnp.ones(()), lambda seen: seen / 8.0)
  totals = []
  for step in (0, 1, 5):
    method = make(generator_terms=(term,))
    state = gan.init(method, key).replace(step=jnp.int32(step))
    z = method.latents.sample(key, 8)
    networks = state_lib.bind(method, state)
    total, aux = gan.generator_loss(method, networks, state, BATCH, z, key)
    totals.append(float(total - aux.metrics['generator']['loss']))
  np.testing.assert_allclose(totals, [0.0, 1.0, 5.0], atol=1e-5)


class Pyramid(nn.Module):
  """Makes images at two scales, the largest last."""

  @nn.compact
  def __call__(self, z, *, train):
    del train
    small = nn.tanh(nn.Dense(6)(z)).reshape(-1, 3, 2, 1)
    large = nn.tanh(nn.Dense(24)(z)).reshape(-1, 6, 4, 1)
    return small, large


class Scales(nn.Module):
  """Judges images at two scales."""

  @nn.compact
  def __call__(self, images, *, train):
    del train
    flat = [x.reshape(len(x), -1) for x in images]
    return nn.Dense(1)(nn.tanh(nn.Dense(8)(jnp.concatenate(flat, 1))))[:, 0]


@pytest.mark.parametrize('name', penalties.PENALTIES)
def test_several_scales_train_with_every_penalty(name, key):
  fields = games.fields(
    latent_size=4, penalties=((penalties.PENALTIES[name], 1.0),)
  )
  method = make(generator=Pyramid(), discriminator=Scales(), **fields)
  state, metrics = rounds(method, 2, key)
  chex.assert_tree_all_finite((state, metrics))
  assert f'discriminator/{name}' in metrics[0]
  assert gan.sample(method, state, key, 3).shape == (3, *SHAPE)


def test_r1_of_several_scales_is_the_sum_over_scales():
  critic = lambda x: 2.0 * x[0].sum((1, 2, 3)) + 3.0 * x[1].sum((1, 2, 3))
  scales = (jnp.ones((2, 3, 2, 1)), jnp.ones((2, 6, 4, 1)))
  values = penalties.r1(critic, scales, scales)
  np.testing.assert_allclose(values, 4.0 * 6 + 9.0 * 24)


@dataclasses.dataclass(frozen=True)
class Scaled:
  factor: float

  def __call__(self, gradient):
    return self.factor * gradient


def test_hook_changes_the_gradient_at_the_output_of_the_generator(key):
  """Plain descent moves twice as far with a doubled gradient."""
  moves = []
  for factor in (1.0, 2.0):
    hook = tricks.OutputGradient(Scaled(factor))
    method = make(
      tricks=dataclasses.replace(tricks.Tricks(), output_gradient=hook)
    )
    state = gan.init(method, key)
    z = method.latents.sample(key, 8)
    after, _ = gan.generator_step(method, state, BATCH, z, key)
    moves.append(
      jax.tree.map(
        jnp.subtract,
        after.networks['generator'].params,
        state.networks['generator'].params,
      )
    )
  chex.assert_trees_all_close(
    jax.tree.map(lambda x: 2.0 * x, moves[0]), moves[1], atol=1e-6
  )


def config_with_tricks():
  config = presets.game()
  config.update(presets.dcgan())
  config.batch_size = 8
  config.generator.widths = config.discriminator.widths = (4, 4)
  config.penalties.r1 = 0.1
  config.update(
    augment=('color',), instance_noise=0.1, replay_size=8, label_noise=0.1
  )
  config.label_smoothing.real = 0.1
  config.generator.optimizer.schedule = 'linear'
  config.generator.optimizer.schedule_images = 100
  return config


def test_methods_of_one_config_are_equal_and_compile_once(key):
  spec = Spec((28, 28, 1))
  one, other = (gan.from_config(config_with_tricks(), spec) for _ in range(2))
  assert one == other
  assert hash(one) == hash(other)
  changed = config_with_tricks()
  changed.penalties.r1 = 0.2
  assert gan.from_config(changed, spec) != one
  state = jax.eval_shape(lambda key: gan.init(one, key), key)
  traced = []

  def counted(method, state, batch, key):
    traced.append(method)
    return gan.train_step(method, state, batch, key)

  compiled = jax.jit(counted, static_argnums=0)
  batch = {'image': jax.ShapeDtypeStruct((8, 28, 28, 1), jnp.float32)}
  for method in (one, other):
    compiled.lower(method, state, batch, key)
  assert len(traced) == 1


@pytest.mark.parametrize('name', steps.known())
def test_every_algorithm_has_the_contract(name):
  algorithm = steps.find(name)
  for function in ('from_config', 'modules', 'init', 'train_step', 'evaluate'):
    assert callable(getattr(algorithm, function))
  assert algorithm.name == name
  assert isinstance(algorithm.SHOWN_IMAGES, int)


def test_latents_of_a_config_are_named_parts():
  config = presets.game()
  config.codes = 'categorical 10 + uniform 2 + uniform 1'
  config.latent_size = 62
  latents = networks_lib.latents(config)
  assert str(latents) == 'categorical 10 + uniform 2 + uniform 1 + normal 62'
  assert [p.name for p in latents.parts] == [
    *('categorical', 'uniform', 'uniform_1', 'z')
  ]
  z = latents.sample(jax.random.key(0), 1000)
  parts = latents.split(z)
  np.testing.assert_array_equal(parts['categorical'].sum(-1), 1.0)
  assert float(jnp.abs(parts['uniform']).max()) <= 1.0
  np.testing.assert_allclose(parts['z'].std(), 1.0, atol=0.02)
  rows, text = latents.walk(z[:2], 3, 13)
  np.testing.assert_array_equal(rows[0, :, :10], np.eye(10))
  np.testing.assert_array_equal(rows[:, 4, 10:], z[:2, 10:])
  assert text == 'categorical from 0 to 9'
  rows, _ = latents.walk(z[:2], 11, 5)
  np.testing.assert_allclose(rows[1, :, 11], np.linspace(-1, 1, 5), atol=1e-6)


@pytest.mark.parametrize(
  ('codes', 'message'),
  [
    ('categorical', "codes='categorical' needs a size"),
    ('categorical ten', 'needs a size'),
    ('categorical 0', 'needs a size'),
    ('poisson 3', 'codes'),
  ],
)
def test_codes_that_are_no_parts_are_refused(codes, message):
  config = presets.game()
  config.codes = codes
  with pytest.raises(errors.UserError, match=message):
    networks_lib.latents(config)


@pytest.mark.eight_devices
def test_state_of_a_term_is_that_of_the_global_batch(key):
  """A running mean of the reals is the same on one device and on eight."""

  def running_mean(scene, state):
    return jnp.zeros(()), state + 0.5 * (jnp.mean(scene.real[0]) - state)

  term = terms.Term('mean', running_mean, 0.0, init=lambda _: jnp.zeros(()))
  method = make(discriminator_terms=(term,))
  state = gan.init(method, key)
  one, _ = jax.jit(gan.train_step, static_argnums=0)(method, state, BATCH, key)
  mapped = jax.pmap(
    gan.train_step,
    axis_name='data',
    static_broadcasted_argnums=0,
    in_axes=(None, None, 0, None),
    out_axes=None,
  )
  batch = {'image': BATCH['image'].reshape(8, 1, *SHAPE)}
  many, _ = mapped(method, state, batch, key)
  np.testing.assert_allclose(one.extra['mean'], many.extra['mean'], rtol=1e-5)
  assert abs(float(one.extra['mean'])) > 0.1


def test_held_out_images_are_judged_at_several_scales(key):
  method = make(generator=Pyramid(), discriminator=Scales())
  scores = gan.evaluate(method, gan.init(method, key), BATCH)
  assert 'discriminator/held_out' in scores


@pytest.mark.parametrize('name', ['replay', 'loss', 'real'])
def test_names_that_are_taken_are_refused(name, key):
  count = lambda scene, state: (jnp.zeros(()), state)
  term = terms.Term(name, count, 0.0, init=lambda _: jnp.zeros(()))
  with pytest.raises(errors.UserError, match='Rename it'):
    gan.init(make(discriminator_terms=(term,)), key)


def test_lazy_term_of_another_type_is_evaluated(key):
  term = terms.Term('half', lambda scene: jnp.ones((), jnp.bfloat16), every=2)
  _, metrics = rounds(make(generator_terms=(term,)), 2, key)
  assert [float(m['generator/half']) for m in metrics] == [2.0, 0.0]


@pytest.mark.parametrize(
  ('fake', 'expected'),
  [
    # Pairs (0, 2) and (1, 1); the last image has no partner.
    ([0.0, 2.0, 1.0, 1.0, 9.0], {'real_variance': 0.5, 'fake_variance': 1.0}),
    ([3.0] * 5, {'real_variance': 0.5, 'fake_variance': 0.0}),
    ([3.0], {'real_variance': 0.5}),
  ],
)
@pytest.mark.parametrize('scales', [1, 2])
def test_variances_are_half_squared_differences_of_pairs(
  fake, expected, scales
):
  def image(values):
    return jnp.array(values)[:, None, None, None] * jnp.ones((1, 2, 3, 1))

  images = image(fake)
  if scales == 2:  # The largest counts.
    images = (jnp.zeros((len(fake), 1, 1, 1)), images)
  generated = types.SimpleNamespace(images=images)
  scene = types.SimpleNamespace(
    generated=generated, batch={'image': image([0.0, 1.0, 5.0, 4.0])}
  )
  values = terms.variances(scene)
  assert {name: float(x) for name, x in values.items()} == expected
