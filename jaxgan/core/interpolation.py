"""Interpolation between latents, and walks along one dimension.

Most of the mass of a Gaussian in many dimensions lies near a sphere. A straight
line between two latents leaves the sphere, and its middle holds latents that
the generator never saw. So normal latents are interpolated on an arc.
"""

import functools

import jax
import jax.numpy as jnp

# A walk goes this far to both sides.
NORMAL_RANGE, UNIFORM_RANGE = 3.0, 1.0


# Shorter than this, a vector of length one has no direction left.
SHORTEST = 1e-6


def lerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
  """Returns the point at share t of the straight line from a to b.

  All arguments broadcast.

  Args:
    a: [..., Z].
    b: [..., Z].
    t: [...] in [0, 1].
  """
  a, b, t = _aligned(a, b, t)
  t = t[..., None]
  return jnp.where(t < 1.0, a + t * (b - a), b)


def _aligned(a, b, t):
  """Broadcasts arrays to [..., Z], [..., Z] and [...]."""
  shape = jnp.broadcast_shapes(a.shape[:-1], b.shape[:-1], jnp.shape(t))
  full = (*shape, a.shape[-1])
  return (
    jnp.broadcast_to(a, full),
    jnp.broadcast_to(b, full),
    jnp.broadcast_to(t, shape),
  )


@jax.jit
def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
  """Returns the point at share t of the arc from a to b.

  All arguments broadcast.

  White 2016, https://arxiv.org/abs/1609.04468, after Shoemake 1985:

    sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b,   w the angle of a and b

  for vectors of one length. Between different lengths, the length is linear in
  t and the angle to a is t w. Opposite vectors are joined by one of the half
  circles between them, always the same. Without an arc, a and b are joined by
  the straight line: a vector of zeros, or opposite numbers with Z = 1.

  Args:
    a: [..., Z].
    b: [..., Z].
    t: [...] in [0, 1]; 0 and 1 return a and b exactly.
  """
  a, b, t = _aligned(a, b, t)
  start, length = _unit(a)
  _, other_length = _unit(b)
  aside = _aside(a, b)
  has_arc = (length > 0) & (other_length > 0) & jnp.any(aside != 0, -1)
  turned = (t * angle(a, b))[..., None]
  arc = jnp.cos(turned) * start + jnp.sin(turned) * aside
  arc = arc * (length + t * (other_length - length))[..., None]
  point = jnp.where(has_arc[..., None], arc, lerp(a, b, t))
  point = jnp.where(t[..., None] > 0.0, point, a)
  return jnp.where(t[..., None] < 1.0, point, b)


@jax.jit
def angle(a: jax.Array, b: jax.Array) -> jax.Array:
  """Returns the angle [...] in [0, pi] between a and b [..., Z].

  Kahan's formula keeps the digits of small angles. The inverse cosine of a
  product loses half of these digits.
  """
  a, b = _unit(a)[0], _unit(b)[0]
  apart, together = _length(a - b), _length(a + b)
  return 2.0 * jnp.arctan2(apart, together)


def _length(x):
  return jnp.sqrt(jnp.sum(x**2, axis=-1))


def _unit(x):
  """Scales vectors to length one, and returns the lengths [...] as well.

  Vectors of zeros are unchanged.
  """
  length = _length(x)
  return x / jnp.where(length > 0, length, 1.0)[..., None], length


def _aside(a, b):
  """Returns the unit vector [..., Z] at a right angle to a, on the side of b.

  The result is zero for parallel vectors.
  """
  a, b = _unit(a)[0], _unit(b)[0]

  def across(x):
    rest = x - jnp.sum(x * a, axis=-1, keepdims=True) * a
    unit, length = _unit(rest)
    return jnp.where((length > SHORTEST)[..., None], unit, 0.0)

  # Twice, because rounding errors are large for nearly opposite vectors.
  unit = across(across(b))
  # Opposite vectors: towards the axis that is farthest from both.
  axis = jax.nn.one_hot(jnp.argmin(jnp.abs(a), axis=-1), a.shape[-1])
  is_opposite = jnp.all(unit == 0, axis=-1) & (jnp.sum(a * b, axis=-1) < 0)
  return jnp.where(is_opposite[..., None], across(axis), unit)


def distance(a: jax.Array, b: jax.Array) -> jax.Array:
  """Returns the length [...] of the straight line between a and b [..., Z]."""
  return _length(a - b)


# distribution of `noise.LATENTS` -> path between latents, and its measure.
WAYS = {
  'normal': (slerp, angle),
  'sphere': (slerp, angle),
  'uniform': (lerp, distance),
  'categorical': (lerp, distance),
}


def reach(kind: str, size: int) -> float:
  """Returns the largest distance from zero in a walk along one dimension."""
  if kind == 'uniform':
    return UNIFORM_RANGE
  if kind == 'sphere':  # The radius is sqrt(Z).
    return min(NORMAL_RANGE, size**0.5)
  return NORMAL_RANGE


@functools.partial(jax.jit, static_argnames=('dimension', 'kind'))
def walk(
  points: jax.Array, dimension: int, values: jax.Array, kind: str
) -> jax.Array:
  """Returns every point with one dimension set to every value: [N, M, Z].

  On the sphere the other dimensions are scaled to stay on it.

  Args:
    points: [N, Z].
    dimension: index of the dimension, in 0..Z - 1.
    values: [M].
    kind: distribution of the latents, a key of `WAYS`.
  """
  rest = points.at[:, dimension].set(0.0)  # [N, Z]
  shape = (len(points), len(values), points.shape[-1])
  walks = jnp.broadcast_to(rest[:, None], shape)
  if kind == 'sphere':
    left = jnp.maximum(points.shape[-1] - values**2, 0.0)  # [M]
    walks = _unit(walks)[0] * jnp.sqrt(left)[None, :, None]
  return walks.at[:, :, dimension].set(values[None, :])
