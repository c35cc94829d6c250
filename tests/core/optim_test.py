"""Tests that optimizers equal those of optax."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

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
