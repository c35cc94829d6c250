"""Random numbers that depend on an example's index in the global batch.

Row i of every draw is a function of the key and of i, the index of the example
in the batch over all devices. So the numbers do not depend on the number of
devices.
"""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxgan.core import axis, threefry

UNIT_SPHERE_EPSILON = 1e-12


def keys(key, *names: str) -> dict[str, jax.Array]:
  """Returns a different key for each name."""
  return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def _rows(sampler):
  def draw(key, count, shape=()):
    key = threefry.written_out(key)

    def row(index):
      return sampler(jax.random.fold_in(key, index), shape)

    return _split(jax.vmap(row)(axis.indices(count)))

  return draw


def _split(x):
  """Divides rows over the devices where the caller has set a mesh.

  The compiler does not know that noise belongs to the batch. Without the
  division every device would compute with the noise of the global batch.
  """
  mesh = jax.sharding.get_abstract_mesh()
  # Inside of `shard_map` and `pmap` the rows belong to this device.
  if mesh.empty or mesh.are_all_axes_manual or len(x) % mesh.size:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec(mesh.axis_names))


def once(draw, key):
  """Returns `draw(key)`, which CPUs compute once.

  XLA:CPU treats random numbers as cheap, and draws the same numbers again in
  every loop that uses them. The compiler does not look into branches, so the
  draw is put into a branch. Both branches are the same.

  Args:
    draw: function of a key.
    key: for this draw.
  """

  def apart(key):
    words = jax.random.key_data(key)
    return jax.lax.cond(words[0] > words[1], draw, draw, key)

  return jax.lax.platform_dependent(key, cpu=apart, default=draw)


# 32 bits, like networks, even if JAX uses 64 bits elsewhere.
_normal = functools.partial(jax.random.normal, dtype=jnp.float32)
_uniform = functools.partial(jax.random.uniform, dtype=jnp.float32)


def _signed_uniform(key, shape):
  return _uniform(key, shape, minval=-1.0, maxval=1.0)


def _sphere(key, shape):
  """Draws a point on the sphere of radius sqrt(d), near most Gaussian mass."""
  x = _normal(key, shape)
  square = jnp.mean(x**2) + UNIT_SPHERE_EPSILON
  return x * jax.lax.rsqrt(square)


# (key, count, shape) -> [count, *shape].
normal = _rows(_normal)
uniform = _rows(_uniform)  # in [0, 1)


def binary(key, probability: jax.Array) -> jax.Array:
  """Draws numbers 0 or 1 of the shape of their probabilities [B, ...]."""
  draw = uniform(key, len(probability), probability.shape[1:])
  return (draw < probability).astype(probability.dtype)


def _one_hot(key, shape):
  """Draws a one-hot vector; all classes have the same probability."""
  return jax.nn.one_hot(jax.random.randint(key, (), 0, shape[-1]), shape[-1])


# Distributions of latents: name -> (key, count, (size,)) -> [count, size].
LATENTS = {
  'normal': normal,
  'uniform': _rows(_signed_uniform),  # in [-1, 1)
  'sphere': _rows(_sphere),
  'categorical': _rows(_one_hot),
}
