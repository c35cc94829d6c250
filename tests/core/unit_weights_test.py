"""Kernels keep unit weights, in the network and after every update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import optim, unit_weights


@pytest.mark.parametrize('is_centred', [True, False])
def test_unit_sets_mean_and_mean_square_of_each_output(is_centred, key):
  kernel = 7.0 * jax.random.normal(key, (3, 3, 4, 5)) + 2.0
  found = np.asarray(unit_weights.unit(kernel, is_centred))
  np.testing.assert_allclose((found**2).mean((0, 1, 2)), 1.0, atol=1e-3)
  if is_centred:
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0.0, atol=1e-6)
  kernel = np.asarray(kernel)
  expected = kernel - kernel.mean((0, 1, 2)) if is_centred else kernel
  shares = expected / found
  np.testing.assert_allclose(
    shares, np.broadcast_to(shares[0, 0, 0], shares.shape), rtol=1e-3
  )


def test_unit_of_zeros_has_a_finite_slope():
  slope = jax.grad(lambda w: jnp.sum(unit_weights.unit(w)))(jnp.zeros((4, 2)))
  assert np.isfinite(slope).all()


def test_optimizer_keeps_unit_weights(key):
  settings = {'name': 'sgd', 'learning_rate': 0.5, 'b1': 0.0}
  optimizer = optim.build(settings | {'unit_weights': True}, 1.0)
  names = (unit_weights.CENTRED, unit_weights.NORMALISED, 'bias')
  params = {n: jax.random.normal(key, (6, 3)) + 1.0 for n in names}
  grads = jax.tree.map(jnp.ones_like, params)
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  after = {n: params[n] + updates[n] for n in names}
  moved = params['bias'] - 0.5
  for name, expected in (
    ('bias', moved),
    (unit_weights.CENTRED, unit_weights.unit(moved)),
    (unit_weights.NORMALISED, unit_weights.unit(moved, False)),
  ):
    np.testing.assert_allclose(after[name], expected, atol=1e-5)
