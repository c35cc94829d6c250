"""Terms with gradient steps of their own, and path lengths."""

import functools
import types

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import config as config_lib
from jaxgan import errors, gan
from jaxgan.adversarial import path_length, penalties, terms
from jaxgan.config import presets, resume
from jaxgan.data import Spec
from jaxgan.models import mlp

gan = compiled.Compiled(gan)

SHAPE = (6, 4, 1)
BATCH = {'image': jax.random.uniform(jax.random.key(1), (8, *SHAPE))}
RATE = 0.1


def make(**fields):
  parts = {
    'generator': mlp.Generator(SHAPE, (8,)),
    'discriminator': mlp.Discriminator((8,)),
    'generator_optimizer': optax.sgd(RATE),
    'discriminator_optimizer': optax.sgd(RATE),
  }
  return gan.GAN(**(parts | games.fields(latent_size=4) | fields))


def r1(weight, every, apart):
  return terms.Term(
    'r1', terms.Penalty(penalties.r1), weight, ('real',), None, every, apart
  )


def after_step(method, step, key):
  """Returns the state and metrics after the discriminator's update."""
  state = gan.init(method, key).replace(step=jnp.int32(step))
  z = method.latents.sample(key, 8)
  return gan.discriminator_step(method, state, BATCH, z, key)


def test_step_apart_follows_the_update_with_k_times_the_gradient(key):
  method = make(discriminator_terms=(r1(2.0, 3, True),))
  plain, _ = after_step(make(), 6, key)
  state, metrics = after_step(method, 6, key)

  def penalty(params):
    apply = functools.partial(method.discriminator.apply, train=True)
    critic = lambda x: apply({'params': params}, x)
    return jnp.mean(penalties.r1(critic, BATCH['image'], None))

  params = plain.networks['discriminator'].params
  value, grads = jax.value_and_grad(penalty)(params)
  expected = jax.tree.map(lambda p, g: p - RATE * 3 * 2.0 * g, params, grads)
  chex.assert_trees_all_close(
    state.networks['discriminator'].params, expected, atol=1e-6
  )
  np.testing.assert_allclose(metrics['discriminator/r1'], 3 * value, rtol=1e-5)


@pytest.mark.parametrize('step', [1, 2, 4])
def test_other_rounds_are_as_without_the_term(step, key):
  method = make(discriminator_terms=(r1(2.0, 3, True),))
  state, metrics = after_step(method, step, key)
  expected, _ = after_step(make(), step, key)
  chex.assert_trees_all_close(state.networks, expected.networks, atol=1e-7)
  assert metrics['discriminator/r1'] == 0.0


def test_optimizer_takes_k_plus_one_steps_in_k_rounds(key):
  method = make(
    discriminator_terms=(r1(1.0, 4, True),),
    discriminator_optimizer=optax.adam(1e-3),
  )
  state = gan.init(method, key)
  for _ in range(4):
    state, _ = gan.train_step(method, state, BATCH, key)
  counts = state.networks['discriminator'].opt_state[0].count
  assert int(counts) == 5


def test_term_apart_keeps_a_state(key):
  """The toy term returns how often it was called, and counts in its state."""

  def count(scene, state):
    del scene
    return state, state + 1.0

  term = terms.Term(
    'calls', count, 0.0, init=lambda _: jnp.zeros(()), every=2, apart=True
  )
  method = make(generator_terms=(term,))
  state, found = gan.init(method, key), []
  for _ in range(5):
    state, metrics = gan.train_step(method, state, BATCH, key)
    found.append(float(metrics['generator/calls']))
  assert found == [0.0, 0.0, 2.0, 0.0, 4.0]
  assert float(state.extra['calls']) == 3.0


def test_lazy_preset_corrects_rates_and_decays():
  """Two steps with c * rate and decays b^c end where one step would."""
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.stylegan2())
  presets.lazy(config, generator=1, discriminator=16)
  assert (config.path_length_every, config.penalties_every) == (1, 16)
  settings = config.generator.optimizer
  np.testing.assert_allclose(settings.learning_rate, 0.002)
  np.testing.assert_allclose(settings.b2, 0.99)
  settings = config.discriminator.optimizer
  np.testing.assert_allclose(settings.learning_rate * 17, 0.002 * 16)
  np.testing.assert_allclose(settings.b2**17, 0.99**16)
  assert settings.b1 == 0.0


def test_runs_from_before_these_fields_resume():
  config = config_lib.defaults()
  config.update(presets.game())
  old = config.to_dict()
  for name in ('path_length', 'path_length_every', 'penalties_every'):
    del old[name]
  assert resume.differences(old, config) == []
  config.penalties_every = 16
  assert resume.differences(old, config) == ['penalties_every: 1 -> 16']


def test_path_lengths_of_a_linear_map(key):
  """For x = A w in each of L layers, |J^T y| = |A^T y| / sqrt(pixels)."""
  keys = jax.random.split(key, 3)
  matrix = jax.random.normal(keys[0], (5, 24))
  w = jax.random.normal(keys[1], (3, 2, 5))
  pixels = jax.random.normal(keys[2], (3, *SHAPE))
  draw = lambda w: (w.sum(1) @ matrix).reshape(-1, *SHAPE)
  found = path_length.lengths(draw, w, pixels)
  slopes = pixels.reshape(3, -1) @ matrix.T / 24**0.5
  expected = np.linalg.norm(slopes, axis=1)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_path_penalty_has_its_least_value_at_the_mean():
  values = jnp.array([1.0, 3.0])
  penalty, mean = path_length.penalty(values, jnp.float32(1.0))
  np.testing.assert_allclose(mean, 1.0 + 0.01 * (2.0 - 1.0))
  np.testing.assert_allclose(penalty, (0.01**2 + 1.99**2) / 2, rtol=1e-5)
  split = functools.partial(jax.vmap, axis_name='data', in_axes=(0, None))
  of_parts, means = split(path_length.penalty)(
    values[:, None], jnp.float32(1.0)
  )
  np.testing.assert_allclose(of_parts.mean(), penalty, rtol=1e-5)
  np.testing.assert_allclose(means, mean)


def test_schedules_do_not_count_the_steps_of_terms_apart():
  """Three updates in two rounds advance a learning rate by two batches."""
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.mlp())
  config.update(batch_size=8, penalties_every=2)
  spec = Spec((8, 8, 1))
  optimizers = []
  for weight in (0.0, 1.0):
    config.penalties.r1 = weight
    optimizers.append(gan.from_config(config, spec).discriminator_optimizer)
  assert optimizers[0].images_per_update == 8
  assert 3 * optimizers[1].images_per_update == pytest.approx(2 * 8)


def test_path_lengths_refuse_odd_numbers_of_examples_on_devices():
  def of_device(z):
    scene = types.SimpleNamespace(z=z, fake=(None,), networks={'generator': 0})
    return path_length.path_length(scene, 0.0)

  with pytest.raises(errors.UserError, match='2 devices has 3'):
    jax.eval_shape(jax.vmap(of_device, axis_name='data'), jnp.zeros((2, 3, 4)))
