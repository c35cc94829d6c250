"""Optimizers: the fast one computes what the library's computes."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxgan import optim


@pytest.mark.parametrize(
  ('b1', 'b2', 'eps'), [(0.9, 0.999, 1e-8), (0.5, 0.9, 1e-3), (0, 0.99, 1e-8)]
)
def test_adam_is_the_library_s(b1, b2, eps):
  rate = optax.linear_schedule(1e-2, 0.0, 20)
  ours = optim.adam(rate, b1, b2, eps)
  theirs = optax.adam(rate, b1=b1, b2=b2, eps=eps)
  params = {'a': jnp.ones((3, 4)), 'b': jnp.zeros(5)}
  states = ours.init(params), theirs.init(params)
  for step in range(30):
    key = jax.random.fold_in(jax.random.key(0), step)
    scale = 10.0 ** (step % 7 - 3)
    grads = jax.tree.map(
      lambda x, key=key, scale=scale: scale * jax.random.normal(key, x.shape),
      params,
    )
    updates, state = ours.update(grads, states[0])
    expected, other = theirs.update(grads, states[1])
    chex.assert_trees_all_close(updates, expected, rtol=2e-5, atol=1e-9)
    states = state, other
