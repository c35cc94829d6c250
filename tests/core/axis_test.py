"""The mapped axis that JAX is asked for."""

import functools

import chex
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import errors, gan
from jaxgan.core import axis
from jaxgan.models import mlp

pytestmark = pytest.mark.eight_devices
SHAPE = (4, 4, 1)
DEVICES = 8


def look(x):
  return (
    axis.mean(x),
    axis.gather(x),
    jnp.float32(axis.index()) + 0.0 * x[0],
    jnp.float32(axis.size()) + 0.0 * x[0],
  )


def test_everything_is_the_identity_where_nothing_is_mapped():
  x = jnp.arange(3.0)
  for run in (look, jax.jit(look), lambda x: jax.vmap(look)(x[None])):
    mean, gathered, index, size = (np.squeeze(y) for y in run(x))
    np.testing.assert_array_equal(mean, x)
    np.testing.assert_array_equal(gathered, x)
    assert (float(index), float(size)) == (0.0, 1.0)
  assert axis.name() is None


def inside(transform):
  """Applies a transformation inside of a map over the axis."""
  x = jnp.arange(2.0 * DEVICES).reshape(DEVICES, 2)
  return x, jax.pmap(transform, axis_name='data')(x)


@pytest.mark.parametrize(
  'transform',
  [
    look,
    lambda x: jax.jit(look)(x),
    lambda x: jax.lax.scan(lambda c, _: (c, look(c)), x, length=1)[1],
    lambda x: jax.grad(lambda x: sum(y.sum() for y in look(x)))(x),
  ],
  ids=['pmap', 'jit', 'scan', 'grad'],
)
def test_axis_is_seen_through_transformations(transform):
  x, result = inside(transform)
  assert jax.tree.leaves(result)[0].shape[0] == DEVICES
  if isinstance(result, tuple):
    mean = np.asarray(result[0]).reshape(DEVICES, 2)
    np.testing.assert_allclose(mean, np.tile(x.mean(axis=0), (DEVICES, 1)))


def method():
  return gan.GAN(
    mlp.Generator(SHAPE, (8,)),
    mlp.Discriminator((8,)),
    generator_optimizer=optax.sgd(0.1),
    discriminator_optimizer=optax.sgd(0.1),
    **games.fields(latent_size=4),
  )


init = jax.jit(gan.init, static_argnums=0)


def batch():
  images = jax.random.uniform(jax.random.key(1), (2 * DEVICES, *SHAPE))
  return {'image': images}


def by_device(tree):
  return jax.tree.map(lambda x: x.reshape(DEVICES, 2, *x.shape[1:]), tree)


def test_step_of_a_notebook_runs_under_jit_and_pmap_alike(key):
  """The command of the documentation, with the object that `jit` got."""
  state = init(method(), key)
  one, _ = jax.jit(gan.train_step, static_argnums=0)(
    method(), state, batch(), key
  )
  mapped = jax.pmap(
    gan.train_step,
    axis_name='data',
    static_broadcasted_argnums=0,
    in_axes=(None, None, 0, None),
    out_axes=None,
  )
  many, _ = mapped(method(), state, by_device(batch()), key)
  chex.assert_trees_all_close(one, many, atol=1e-5)


@pytest.mark.parametrize('name', ['batch', 'devices', None])
def test_map_over_another_axis_is_refused(name, key):
  """It would train without averages over devices, in silence."""
  state = init(method(), key)
  names = {} if name is None else {'axis_name': name}
  step = functools.partial(gan.train_step, method())
  mapped = jax.pmap(step, in_axes=(None, 0, None), out_axes=0, **names)
  with pytest.raises(errors.UserError, match="axis_name='data'"):
    mapped(state, by_device(batch()), key)


def test_named_vmap_of_members_is_allowed(key):
  state = jax.tree.map(lambda x: x[None], init(method(), key))
  step = functools.partial(gan.train_step, method())
  run = lambda name: jax.jit(
    jax.vmap(step, in_axes=(0, None, None), axis_name=name)
  )(state, batch(), key)
  after, _ = run(axis.MEMBERS)
  assert int(after.step[0]) == 1
  with pytest.raises(errors.UserError, match="axis_name='data'"):
    run('batch')


def test_mesh_under_jit_is_no_mapped_axis(key):
  """With `jax.set_mesh` the compiler divides the batch; nothing is mapped."""
  state = init(method(), key)
  step = jax.jit(functools.partial(gan.train_step, method()))
  one, _ = step(state, batch(), key)
  mesh = jax.make_mesh(
    (DEVICES,), ('data',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  with jax.set_mesh(mesh):
    assert not axis.is_mapped()
    many, _ = jax.jit(functools.partial(gan.train_step, method()))(
      state, batch(), key
    )
  chex.assert_trees_all_close(one, many, atol=1e-5)
