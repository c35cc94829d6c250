"""Penalties against critics whose slope is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.adversarial import penalties
from jaxgan.core import optim

SHAPE = (5, 4, 4, 1)


@pytest.fixture
def images(key):
  real, fake = jax.random.split(key)
  return jax.random.normal(real, SHAPE), jax.random.normal(fake, SHAPE)


def linear(length):
  slope = jnp.full(16, length / 4.0)  # a vector of that length
  return lambda x: x.reshape(len(x), -1) @ slope


@pytest.mark.parametrize('name', ['gradient_penalty', 'dragan'])
@pytest.mark.parametrize(('length', 'value'), [(1.0, 0.0), (3.0, 4.0)])
def test_distance_to_unit_slope(name, length, value, images, key):
  found = penalties.PENALTIES[name](linear(length), *images, key)
  np.testing.assert_allclose(found, np.full(5, value), atol=1e-5)


@pytest.mark.parametrize('name', ['r1', 'r2'])
def test_squared_slope_where_it_belongs(name, images, key):
  """A quadratic critic has slope x: R1 sees reals, R2 sees fakes."""
  real, fake = images

  def critic(x):
    return 0.5 * jnp.sum(x**2, axis=(1, 2, 3))

  found = penalties.PENALTIES[name](critic, real, fake, key)
  at = {'r1': real, 'r2': fake}[name]
  np.testing.assert_allclose(found, (at**2).sum(axis=(1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize('name', penalties.PENALTIES)
def test_gradients_exist_for_a_constant_critic(name, images, key):
  """The square root of a vanishing slope must not give NaN."""

  def loss(scale):
    critic = lambda x: scale * x.sum(axis=(1, 2, 3))
    return penalties.PENALTIES[name](critic, *images, key).mean()

  assert jnp.isfinite(jax.grad(loss)(0.0))


def test_gradient_penalty_looks_between_reals_and_fakes(key):
  """Each image has one place of its own on the line between the two."""
  real, fake = jnp.zeros(SHAPE), jnp.ones(SHAPE)
  seen = []

  def critic(x):
    jax.debug.callback(lambda x: seen.append(np.array(x)), x)
    return x.sum(axis=(1, 2, 3))

  penalties.gradient_penalty(critic, real, fake, key)
  jax.effects_barrier()
  places = seen[0].reshape(5, -1)
  assert ((places >= 0) & (places <= 1)).all()
  np.testing.assert_allclose(places.std(axis=1), 0.0, atol=1e-6)
  assert len(set(places[:, 0].tolist())) == 5  # each image has a place


def test_dragan_looks_around_reals(key):
  """At x + 0.5 std(batch) U, a U for each number, as the authors' noise."""
  real = 3.0 * jax.random.normal(key, (40, 8, 8, 1)) + 1.0
  seen = []

  def critic(x):
    jax.debug.callback(lambda x: seen.append(np.array(x)), x)
    return x.sum(axis=(1, 2, 3))

  penalties.dragan(critic, real, None, jax.random.key(1))
  jax.effects_barrier()
  share = (seen[0] - np.asarray(real)) / (0.5 * np.std(np.asarray(real)))
  assert ((share >= -1e-5) & (share <= 1 + 1e-5)).all()
  assert abs(share.mean() - 0.5) < 0.02
  np.testing.assert_allclose(share.std(), 12**-0.5, atol=0.01)
  by_image = share.reshape(40, -1)  # No share of a whole image, `alpha`.
  np.testing.assert_allclose(by_image.std(axis=1), 12**-0.5, atol=0.08)
  np.testing.assert_allclose(by_image.mean(axis=1), 0.5, atol=0.15)


def test_clipped_weights_stay_inside(key):
  params = {'w': jax.random.uniform(key, (50,), minval=-0.01, maxval=0.01)}
  optimizer = optax.chain(optax.sgd(1.0), optim.clip_weights(0.01))
  grads = {'w': jnp.linspace(-1.0, 1.0, 50)}
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  moved = optax.apply_updates(params, updates)['w']
  assert jnp.abs(moved).max() <= 0.01 * (1 + 1e-6)
  np.testing.assert_allclose(moved[0], 0.01, rtol=1e-5)
  np.testing.assert_allclose(moved[-1], -0.01, rtol=1e-5)
