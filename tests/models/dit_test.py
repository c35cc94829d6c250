"""DiT: published counts, first outputs, times and labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.models import dit
from jaxgan.models.layers import dit as parts
from jaxgan.training import summary

LATENTS_OF_PAPER = (32, 32, 4)
SHAPE = (8, 8, 1)
SMALL = dict(depth=2, width=16, heads=2, patch=4)
# Millions of parameters of generators, Lin et al. 2025, table 1.
PUBLISHED = {'B': 130, 'M': 306, 'L': 457, 'XL': 673}


@pytest.mark.parametrize('size', PUBLISHED)
def test_generators_have_the_published_parameters(size):
  """The published numbers count the fixed positions of 256 patches."""
  depth, width, heads = dit.SIZES[size]
  network = dit.Generator(
    shape=LATENTS_OF_PAPER,
    **dict(depth=depth, width=width, heads=heads, patch=2),
    num_classes=1000,
  )
  inputs = jnp.zeros((1, 4096)), jnp.zeros(1, int)
  count = summary.parameter_counts(network, *inputs)[1]
  c = width
  block = (4 * c * c + 4 * c) + (8 * c * c + 5 * c) + (6 * c * c + 6 * c)
  ends = (16 * c + c) + 1000 * c + (2 * c * c + 2 * c) + (16 * c + 16)
  assert count == depth * block + ends
  assert round((count + 256 * c) / 1e6) == PUBLISHED[size]


def test_small_networks_have_few_parameters():
  fields = dict(depth=4, width=128, heads=4, patch=4)
  generator = dit.Generator(shape=(28, 28, 1), **fields)
  discriminator = dit.Discriminator(**fields)
  count = summary.parameter_counts
  assert count(generator, jnp.zeros((1, 784)))[1] == 1_224_720
  image = jnp.zeros((1, 28, 28, 1))
  assert count(discriminator, image)[1] == 1_189_888


def made(network, key, *inputs, moved: float = 0.0):
  """Returns the output, and a function of inputs, of fresh weights.

  Args:
    network: a module.
    key: of the weights.
    *inputs: of the module.
    moved: deviation of noise on all weights.
  """
  params = jax.jit(functools.partial(network.init, train=False))(key, *inputs)
  leaves, structure = jax.tree.flatten(params)
  keys = jax.random.split(key, len(leaves))
  leaves = [
    x + moved * jax.random.normal(k, x.shape)
    for x, k in zip(leaves, keys, strict=True)
  ]
  params = structure.unflatten(leaves)
  return jax.jit(functools.partial(network.apply, params, train=False))


def test_generators_begin_with_zero_or_the_identity(key):
  z = jax.random.normal(key, (3, 64))
  one = dit.Generator(shape=SHAPE, **SMALL)
  assert float(jnp.abs(made(one, key, z)(z)).max()) == 0.0
  other = dit.Generator(shape=SHAPE, **SMALL, predicts='velocity')
  np.testing.assert_array_equal(made(other, key, z)(z), z.reshape(3, *SHAPE))


def test_discriminator_begins_with_a_constant(key):
  x = jax.random.normal(key, (3, *SHAPE))
  network = dit.Discriminator(**SMALL)
  logits = made(network, key, x)(x)
  assert logits.shape == (3,)
  np.testing.assert_allclose(logits, logits[0], rtol=1e-5)
  logits = made(network, key, x, moved=0.2)(x)
  assert np.ptp(logits) > 1e-3


@pytest.mark.parametrize('predicts', dit.PREDICTIONS)
def test_times_and_labels_change_the_result(predicts, key):
  """Without times the step is that of noise to images, from 1 to 0."""
  fields = dict(**SMALL, times=True, num_classes=3)
  z, label = jax.random.normal(key, (2, 64)), jnp.array([0, 1])
  times = jnp.broadcast_to(jnp.array([[1.0, 0.0]]), (2, 2))
  generator = dit.Generator(shape=SHAPE, **fields, predicts=predicts)
  run = made(generator, key, z, label, times, moved=0.2)
  np.testing.assert_array_equal(run(z, label), run(z, label, times))
  judge = made(
    dit.Discriminator(**fields),
    *(key, z.reshape(2, *SHAPE), label, times),
    moved=0.2,
  )
  for function, x, seen in (
    (run, z, (True, True)),
    (judge, z.reshape(2, *SHAPE), (False, True)),
  ):
    plain = function(x, label, times)
    assert float(jnp.abs(function(x, 1 - label, times) - plain).max()) > 1e-4
    for index in range(2):
      moved = times.at[:, index].set(0.5)
      change = jnp.abs(function(x, label, moved) - plain).max()
      assert (float(change) > 1e-4) == seen[index]


def test_times_are_waves_of_a_thousand_steps():
  found = parts.waves(jnp.array([0.0, 0.25]))
  assert found.shape == (2, 256)
  np.testing.assert_array_equal(found[0], [1.0] * 128 + [0.0] * 128)
  np.testing.assert_allclose(found[1, 0], np.cos(250.0), atol=1e-4)
  angle = 250.0 * 10_000 ** (-64 / 128)
  np.testing.assert_allclose(found[1, 192], np.sin(angle), atol=1e-5)


def test_heads_must_divide_the_width(key):
  network = dit.Discriminator(**SMALL | {'heads': 3})
  with pytest.raises(errors.UserError, match=r'discriminator\.width=16'):
    made(network, key, jnp.zeros((1, *SHAPE)))
