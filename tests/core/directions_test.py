"""Directions of a first layer, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.core import directions
from jaxgan.core import latents as latents_lib
from jaxgan.models import dcgan, mlp

LATENTS, BATCH = 6, 3


def test_directions_are_singular_vectors():
  rng = np.random.default_rng(0)
  expected, _ = np.linalg.qr(rng.normal(size=(LATENTS, LATENTS)))
  outputs, _ = np.linalg.qr(rng.normal(size=(20, LATENTS)))
  lengths = np.array([9.0, 5.0, 3.0, 2.0, 1.0, 0.0])
  kernel = (expected * lengths[None]) @ outputs.T  # [Z, D]
  found, moved = directions.factorize(kernel)
  np.testing.assert_allclose(moved, lengths, atol=1e-6)
  cosines = np.abs(found @ expected)
  np.testing.assert_allclose(cosines, np.eye(LATENTS), atol=1e-6)
  rows = np.arange(LATENTS)
  assert (found[rows, np.abs(found).argmax(axis=1)] > 0).all()


def test_first_direction_moves_the_output_most():
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(LATENTS, 20))
  found, lengths = directions.factorize(kernel)
  np.testing.assert_allclose(
    np.linalg.norm(found @ kernel, axis=1), lengths, rtol=1e-9
  )
  others = rng.normal(size=(1000, LATENTS))
  others /= np.linalg.norm(others, axis=1, keepdims=True)
  moved = np.linalg.norm(others @ kernel, axis=1)
  assert lengths[-1] <= moved.min() < moved.max() <= lengths[0]


NETWORKS = {
  'mlp': mlp.Generator((4, 4, 1), widths=(8,)),
  'classes': mlp.Generator((4, 4, 1), widths=(8,), num_classes=9),
  'dcgan': dcgan.Generator((4, 4, 1), widths=(4, 4), strides=(2, 2)),
  'multiply': mlp.Generator(
    (4, 4, 1), widths=(8,), num_classes=9, conditioning='multiply'
  ),
  'none': mlp.Generator((2,), widths=()),
}


def layer(name, key):
  """Returns latents, inputs and kernel of a layer, and the parameters."""
  network = NETWORKS[name]
  z = jax.random.normal(key, (BATCH, LATENTS))
  labels = (jnp.arange(BATCH),) if network.num_classes else ()
  variables = network.init(key, z, *labels, train=False)

  @jax.jit
  def find(variables, z):
    decode = lambda z: network.apply(variables, z, *labels, train=False)
    return directions.first_layer(decode, z)

  return z, *find(variables, z), variables['params']


@pytest.mark.parametrize('name', ['mlp', 'classes', 'dcgan', 'none'])
def test_first_layer_is_that_of_the_latents(name, key):
  z, inputs, kernel, params = layer(name, key)
  np.testing.assert_array_equal(kernel, params['Dense_0']['kernel'])
  np.testing.assert_array_equal(inputs[:, :LATENTS], z)
  found, _ = directions.of_layer(z, inputs, kernel)
  assert found.shape == (LATENTS, LATENTS)
  expected, _ = directions.factorize(kernel[:LATENTS])
  np.testing.assert_array_equal(found, expected)


def test_latents_that_are_multiplied_by_labels_are_refused(key):
  z, inputs, kernel, _ = layer('multiply', key)
  with pytest.raises(errors.UserError, match='does not see the latents'):
    directions.of_layer(z, inputs, kernel)


def test_networks_without_a_dense_layer_are_refused():
  with pytest.raises(errors.UserError, match='no dense layer'):
    directions.first_layer(jnp.tanh, jnp.zeros((1, LATENTS)))


def test_the_middle_of_a_move_is_the_point():
  """Also beyond the range of latents that are likely to be drawn."""
  points = jnp.array([[4.0, 0.5, -5.0]])
  moved, _ = latents_lib.single('normal', 3).move(
    points, jnp.array([1.0, 0.0, 0.0]), 5
  )
  np.testing.assert_array_equal(moved[:, 2], points)
  assert float(jnp.abs(moved[:, 0]).max()) <= 3.0
