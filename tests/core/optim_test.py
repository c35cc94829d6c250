"""Tests that optimizers equal those of optax."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxgan import errors
from jaxgan.core import optim


@pytest.mark.parametrize(
  ('b1', 'b2', 'eps'), [(0.9, 0.999, 1e-8), (0.5, 0.9, 1e-3), (0, 0.99, 1e-8)]
)
def test_adam_equals_optax_adam(b1, b2, eps):
  rate = optax.linear_schedule(1e-2, 0.0, 20)
  ours = optim.adam(rate, b1, b2, eps)
  theirs = optax.adam(rate, b1=b1, b2=b2, eps=eps)
  params = {'a': jnp.ones((3, 4)), 'b': jnp.zeros(5)}
  states = ours.init(params), theirs.init(params)
  ours, theirs = jax.jit(ours.update), jax.jit(theirs.update)
  for step in range(30):
    key = jax.random.fold_in(jax.random.key(0), step)
    scale = 10.0 ** (step % 7 - 3)
    grads = jax.tree.map(
      lambda x, key=key, scale=scale: scale * jax.random.normal(key, x.shape),
      params,
    )
    updates, state = ours(grads, states[0])
    expected, other = theirs(grads, states[1])
    chex.assert_trees_all_close(updates, expected, rtol=2e-5, atol=1e-9)
    states = state, other


def test_eps_of_keras_is_added_before_the_correction():
  """Keras: step (1 - b2^t)^1/2 / (1 - b1^t) m / (v^1/2 + eps)."""
  settings = {'name': 'adam', 'learning_rate': 0.1, 'b1': 0.5, 'b2': 0.999}
  optimizer = optim.build(settings | {'eps': 1e-4, 'keras_eps': True}, 1.0)
  gradients, m, v = [1e-3, 2.0, -1e-4], 0.0, 0.0
  state = optimizer.init(jnp.float32(0.0))
  for step, gradient in enumerate(gradients, 1):
    m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * gradient**2
    size = 0.1 * (1 - 0.999**step) ** 0.5 / (1 - 0.5**step)
    update, state = optimizer.update(jnp.float32(gradient), state)
    assert update == pytest.approx(-size * m / (v**0.5 + 1e-4), rel=1e-4)
  plain = optim.build(settings | {'eps': 1e-4}, 1.0)
  first, _ = plain.update(jnp.float32(1e-3), plain.init(jnp.float32(0.0)))
  assert first == pytest.approx(-0.1 * 1e-3 / (1e-3 + 1e-4), rel=1e-4)


@pytest.mark.parametrize('schedule', ['linear', 'late_linear', 'cosine'])
def test_schedules_accept_more_images_than_32_bits_count(schedule):
  images = 2**33
  rate = optim.learning_rate(1.0, schedule, images, images)
  half = images // 2
  assert rate(jnp.float32(half)) == pytest.approx(0.5)
  assert rate(jnp.float32(2 * images)) == pytest.approx(0.0, abs=1e-6)
  settings = {'name': 'sgd', 'learning_rate': 1.0, 'b1': 0.0, 'b2': 0, 'eps': 0}
  settings |= {'schedule': schedule, 'schedule_images': images}
  optimizer = optim.build(settings, images_per_update=half)
  params = jnp.ones(1)
  state, found = optimizer.init(params), []
  for _ in range(3):
    update, state = optimizer.update(params, state)
    found.append(float(-update[0]))
  middle = 1.0 if schedule == 'late_linear' else 0.5
  assert found == pytest.approx([1.0, middle, 0.0], abs=1e-6)


def test_weight_decay_is_that_of_adamw():
  settings = {'name': 'adam', 'learning_rate': 0.1, 'b1': 0.5, 'b2': 0.9}
  ours = optim.build(settings | {'weight_decay': 0.3}, 1.0)
  theirs = optax.adamw(0.1, b1=0.5, b2=0.9, weight_decay=0.3)
  params = other = {'a': jnp.linspace(-1.0, 2.0, 5)}
  states = ours.init(params), theirs.init(params)
  for step in range(3):
    grads = {'a': jnp.sin(jnp.arange(5.0) + step)}
    updates, state = ours.update(grads, states[0], params)
    expected, their_state = theirs.update(grads, states[1], other)
    params = optax.apply_updates(params, updates)
    other = optax.apply_updates(other, expected)
    states = state, their_state
  chex.assert_trees_all_close(params, other, rtol=1e-5)


@pytest.mark.parametrize(
  ('limit', 'length'), [(0.0, 5.0), (10.0, 5.0), (1.0, 1.0)]
)
def test_gradients_are_shortened_to_the_limit(limit, length):
  settings = {'name': 'sgd', 'learning_rate': 1.0, 'b1': 0.0}
  optimizer = optim.build(settings | {'clip_gradient': limit}, 1.0)
  grads = {'a': jnp.array([3.0]), 'b': jnp.array([4.0])}
  updates, _ = optimizer.update(grads, optimizer.init(grads), grads)
  for name, share in (('a', 0.6), ('b', 0.8)):
    assert float(updates[name][0]) == pytest.approx(-share * length)


def test_learning_rate_falls_with_the_width():
  settings = {'name': 'sgd', 'learning_rate': 0.5, 'b1': 0.0, 'base_width': 768}
  for width, rate in ((768, 0.5), (384, 1.0), (1536, 0.25)):
    optimizer = optim.build(settings, 1.0, width=width)
    update, _ = optimizer.update(jnp.ones(1), optimizer.init(jnp.ones(1)))
    assert float(update[0]) == pytest.approx(-rate)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'base_width': 768}, 'base_width=768 is for networks with a field width'),
    ({'name': 'sgd', 'weight_decay': 0.1}, r'weight_decay=0\.1 is for Adam'),
  ],
)
def test_fields_of_other_networks_and_optimizers_are_refused(fields, message):
  with pytest.raises(errors.UserError, match=message):
    optim.build({'name': 'adam'} | fields, 1.0)
