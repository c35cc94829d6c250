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
  """The point at share t of the straight line from a to b; all broadcast.

  Args:
    a: [..., Z].
    b: [..., Z].
    t: [...] in [0, 1].
  """
  a, b, t = _aligned(a, b, t)
  t = t[..., None]
  return jnp.where(t < 1.0, a + t * (b - a), b)


def _aligned(a, b, t):
  """[..., Z], [..., Z] and [...] of one shape."""
  shape = jnp.broadcast_shapes(a.shape[:-1], b.shape[:-1], jnp.shape(t))
  full = (*shape, a.shape[-1])
  return (
    jnp.broadcast_to(a, full),
    jnp.broadcast_to(b, full),
    jnp.broadcast_to(t, shape),
  )


@jax.jit
def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
  """The point at share t of the arc from a to b; all broadcast.

  White 2016, https://arxiv.org/abs/1609.04468, after Shoemake 1985:

    sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b,   w the angle of a and b

  for vectors of one length. Of others, lengths go linearly, so that the angle
  to a is t w for vectors of any lengths. Opposite vectors are joined by one of
  the half circles between them, always the same; where there is no arc (a
  vector of zeros, or opposite numbers with Z = 1), by the straight line.

  Args:
    a: [..., Z].
    b: [..., Z].
    t: [...] in [0, 1]. The ends are a and b exactly.
  """
  a, b, t = _aligned(a, b, t)
  start, length = _unit(a)
  _, other_length = _unit(b)
  aside = _aside(a, b)
  has_arc = (length > 0) & (other_length > 0) & jnp.any(aside != 0, -1)
  turned = (t * angle(a, b))[..., None]
  arc = jnp.cos(turned) * start + jnp.sin(turned) * aside
  arc = arc * (length + t * (other_length - length))[..., None]
  found = jnp.where(has_arc[..., None], arc, lerp(a, b, t))
  found = jnp.where(t[..., None] > 0.0, found, a)
  return jnp.where(t[..., None] < 1.0, found, b)


@jax.jit
def angle(a: jax.Array, b: jax.Array) -> jax.Array:
  """The angle [...] in [0, pi] between a and b [..., Z].

  By Kahan's formula: the inverse cosine of a product loses half of the digits
  of small angles.
  """
  a, b = _unit(a)[0], _unit(b)[0]
  apart, together = _length(a - b), _length(a + b)
  return 2.0 * jnp.arctan2(apart, together)


def _length(x):
  return jnp.sqrt(jnp.sum(x**2, axis=-1))


def _unit(x):
  """Vectors at length one (zeros stay zeros), and their lengths [...]."""
  length = _length(x)
  return x / jnp.where(length > 0, length, 1.0)[..., None], length


def _aside(a, b):
  """The unit vector at a right angle to a on the side of b [..., Z].

  Zeros where there is none that could be needed: the vectors are parallel.
  """
  a, b = _unit(a)[0], _unit(b)[0]

  def across(x):
    rest = x - jnp.sum(x * a, axis=-1, keepdims=True) * a
    unit, length = _unit(rest)
    return jnp.where((length > SHORTEST)[..., None], unit, 0.0)

  found = across(across(b))  # Twice: of nearly opposite vectors little is left.
  # Opposite vectors: towards the axis that is farthest from theirs.
  axis = jax.nn.one_hot(jnp.argmin(jnp.abs(a), axis=-1), a.shape[-1])
  is_opposite = jnp.all(found == 0, axis=-1) & (jnp.sum(a * b, axis=-1) < 0)
  return jnp.where(is_opposite[..., None], across(axis), found)


def distance(a: jax.Array, b: jax.Array) -> jax.Array:
  """Length [...] of the straight line between a and b [..., Z]."""
  return _length(a - b)


# The way between latents of each of `noise.LATENTS`, and its measure.
WAYS = {
  'normal': (slerp, angle),
  'sphere': (slerp, angle),
  'uniform': (lerp, distance),
  'categorical': (lerp, distance),
}


def reach(kind: str, size: int) -> float:
  """How far from zero a walk in one dimension goes."""
  if kind == 'uniform':
    return UNIFORM_RANGE
  if kind == 'sphere':  # Its radius is sqrt(Z).
    return min(NORMAL_RANGE, size**0.5)
  return NORMAL_RANGE


@functools.partial(jax.jit, static_argnames=('dimension', 'kind'))
def walk(
  points: jax.Array, dimension: int, values: jax.Array, kind: str
) -> jax.Array:
  """Every point with one dimension set to every value: [N, M, Z].

  On the sphere the other dimensions are scaled to stay on it.

  Args:
    points: [N, Z].
    dimension: which one, in 0..Z - 1.
    values: [M].
    kind: of latents, a key of `WAYS`.
  """
  rest = points.at[:, dimension].set(0.0)  # [N, Z]
  shape = (len(points), len(values), points.shape[-1])
  found = jnp.broadcast_to(rest[:, None], shape)
  if kind == 'sphere':
    left = jnp.maximum(points.shape[-1] - values**2, 0.0)  # [M]
    found = _unit(found)[0] * jnp.sqrt(left)[None, :, None]
  return found.at[:, :, dimension].set(values[None, :])
