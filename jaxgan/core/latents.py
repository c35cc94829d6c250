"""Latents as a list of named parts.

`Latents` says how latents are drawn, for example 'normal 100' or
'categorical 10 + uniform 2 + normal 62'.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from jaxgan import errors
from jaxgan.core import interpolation, noise
from jaxgan.core.interpolation import NORMAL_RANGE, SHORTEST, WAYS
from jaxgan.core.ranges import MOST_UNITS


@functools.partial(jax.jit, static_argnames=('num', 'latents'))
def closed_path(points: jax.Array, num: int, latents: 'Latents') -> jax.Array:
  """Returns latents at equal steps on the closed path through all points.

  The step from the last latent to the first is as long as all others, so an
  animation that repeats has no seam. Steps are equal in angle on arcs and in
  length on straight lines. With several parts, all legs take the same time.

  Args:
    points: [K, Z]; the first is the first of the path.
    num: latents on the path.
    latents: distribution of the points.

  Returns:
    [num, Z].
  """
  following = jnp.roll(points, -1, axis=0)
  if len(latents.parts) == 1:
    _, measure = WAYS[latents.parts[0].distribution]
    lengths = measure(points, following)
    # Points that are all the same have no length: they get equal times.
    lengths = jnp.where(jnp.sum(lengths) > 0, lengths, 1.0)
  else:
    lengths = jnp.ones(len(points))
  ends = jnp.cumsum(lengths)
  time = jnp.arange(num) * (ends[-1] / num)
  leg = jnp.searchsorted(ends, time, side='right')
  leg = jnp.minimum(leg, len(points) - 1)
  t = jnp.clip((time - (ends - lengths)[leg]) / lengths[leg], 0.0, 1.0)
  starts, goals = latents.split(points[leg]), latents.split(following[leg])
  return jnp.concatenate(
    [
      WAYS[part.distribution][0](starts[part.name], goals[part.name], t)
      for part in latents.parts
    ],
    axis=-1,
  )


class Part(NamedTuple):
  """A part of a latent vector.

  Attributes:
    name: unique among the parts.
    distribution: a key of `noise.LATENTS`.
    size: dimensions.
  """

  name: str
  distribution: str
  size: int


@dataclasses.dataclass(frozen=True)
class Latents:
  """Latent vectors [Z] whose parts follow each other."""

  parts: tuple[Part, ...]

  @property
  def size(self) -> int:
    """Z, the dimensions of all parts together."""
    return sum(part.size for part in self.parts)

  def __str__(self) -> str:
    return ' + '.join(f'{part.distribution} {part.size}' for part in self.parts)

  def sample(self, key, count: int) -> jax.Array:
    """Draws latents [count, Z]; row i depends on the key and on i alone."""
    draws = []
    for index, part in enumerate(self.parts):
      part_key = jax.random.fold_in(key, index) if index else key
      draw = noise.LATENTS[part.distribution]
      draws.append(draw(part_key, count, (part.size,)))
    return jnp.concatenate(draws, axis=-1) if len(draws) > 1 else draws[0]

  def split(self, z: jax.Array) -> dict[str, jax.Array]:
    """Returns the parts of latents [..., Z] by name."""
    ends = np.cumsum([part.size for part in self.parts])[:-1]
    pieces = jnp.split(z, ends, axis=-1)
    return {part.name: x for part, x in zip(self.parts, pieces, strict=True)}

  def part_of(self, dimension: int) -> tuple[Part, int]:
    """Returns the part that holds a dimension, and where that part begins."""
    start = 0
    for part in self.parts:
      if dimension < start + part.size:
        return part, start
      start += part.size
    raise IndexError(f'dimension {dimension} of {start}')

  def walk(self, points, dimension: int, columns: int):
    """Varies one dimension of latents.

    A walk in a categorical part varies the category.

    Args:
      points: [N, Z].
      dimension: in 0..Z - 1.
      columns: values of a dimension; a categorical part has a value for each
        category.

    Returns:
      Latents [N, columns, Z], and a text that describes the values.
    """
    part, start = self.part_of(dimension)
    inner = points[:, start : start + part.size]
    if part.distribution == 'categorical':
      rows = jnp.broadcast_to(
        jnp.eye(part.size), (len(points), part.size, part.size)
      )
      text = f'{part.name} from 0 to {part.size - 1}'
    else:
      limit = interpolation.reach(part.distribution, part.size)
      values = jnp.linspace(-limit, limit, columns)
      rows = interpolation.walk(
        inner, dimension - start, values, part.distribution
      )
      text = f'latent {dimension} from {-limit:.3g} to {limit:.3g}'
    full = jnp.repeat(points[:, None], rows.shape[1], axis=1)
    return full.at[:, :, start : start + part.size].set(rows), text

  def move(self, points, direction, columns: int):
    """Moves latents along a direction, to both sides.

    Args:
      points: [N, Z].
      direction: [Z], of length one.
      columns: number of steps; the middle one of an odd number is the point.

    Returns:
      Latents [N, columns, Z] that are likely to be drawn, and a text that
      describes the steps.
    """
    steps = jnp.linspace(-NORMAL_RANGE, NORMAL_RANGE, columns)
    moved = points[:, None] + steps[None, :, None] * direction[None, None]
    text = f'from {-NORMAL_RANGE:.3g} to {NORMAL_RANGE:.3g}'
    is_middle = (steps == 0)[None, :, None]
    return jnp.where(is_middle, points[:, None], self.project(moved)), text

  def project(self, z: jax.Array) -> jax.Array:
    """Moves latents [..., Z] to the nearest that are likely to be drawn."""
    pieces = self.split(z)
    return jnp.concatenate(
      [SUPPORTS[part.distribution](pieces[part.name]) for part in self.parts],
      axis=-1,
    )


def truncated(z: jax.Array, limit: float) -> jax.Array:
  """Maps normal latents to those of a normal distribution cut off at a limit.

  The distribution is that of draws that are repeated until their size is at
  most the limit (Brock et al. 2018, https://arxiv.org/abs/1809.11096, section
  3.1). The map is monotonic: large latents stay large.

  Args:
    z: normal latents of any shape.
    limit: largest size of the result, at least 0.
  """
  beyond = special.ndtr(-jnp.float32(limit))
  tail = beyond + special.ndtr(-jnp.abs(z)) * (1.0 - 2.0 * beyond)
  return jnp.sign(z) * jnp.clip(-special.ndtri(tail), 0.0, limit)


def truncate(method, z: jax.Array, psi: float):
  """Returns a method and latents whose images vary less and look better.

  A generator with the field `truncation`, StyleGAN2, moves w to its average.
  For all others the size of normal latents is limited, see `truncated`.

  Args:
    method: has the fields `latents` and, if a game, `generator`.
    z: latents [N, Z] of the method.
    psi: at least 0.

  Raises:
    UserError: if no part of the latents is normal.
  """
  generator, latents = getattr(method, 'generator', None), method.latents
  inner = getattr(generator, 'module', generator)  # of spectral norm
  if hasattr(inner, 'truncation'):
    changed = inner.clone(truncation=psi)
    if inner is not generator:
      changed = generator.clone(module=changed)
    return dataclasses.replace(method, generator=changed), z
  if all(part.distribution != 'normal' for part in latents.parts):
    raise errors.UserError(
      f'--truncation={psi:g} limits normal latents, and this run has '
      f"'{latents}'. Remove the flag."
    )
  pieces = latents.split(z)
  for part in latents.parts:
    if part.distribution == 'normal':
      pieces[part.name] = truncated(pieces[part.name], psi)
  return method, jnp.concatenate(list(pieces.values()), axis=-1)


def _sphere(z):
  square = jnp.mean(z**2, axis=-1, keepdims=True)
  return z * jax.lax.rsqrt(jnp.maximum(square, SHORTEST))


def _simplex(z):
  z = jnp.clip(z, 0.0, 1.0) + SHORTEST
  return z / jnp.sum(z, axis=-1, keepdims=True)


# distribution -> function that moves latents [..., Z] into the support. The
# support of a Gaussian is cut off where latents are unlikely.
SUPPORTS = {
  'normal': lambda z: jnp.clip(z, -NORMAL_RANGE, NORMAL_RANGE),
  'uniform': lambda z: jnp.clip(z, -1.0, 1.0),
  'sphere': _sphere,
  'categorical': _simplex,
}


def single(distribution: str = 'normal', size: int = 100) -> Latents:
  """Returns latents of one part, named 'z'."""
  return Latents((Part('z', distribution, size),))


def parse(text: str, field: str = 'codes') -> tuple[Part, ...]:
  """Reads parts from a text such as 'categorical 10 + uniform 2'.

  Parts are named after their distribution, with a number from the second part
  of the same distribution on.

  Args:
    text: distributions and sizes, joined by +; '' for no parts.
    field: config field, for errors.

  Raises:
    UserError: for a text that is not of this form.
  """
  parts = []
  for piece in filter(None, (piece.strip() for piece in text.split('+'))):
    distribution, _, size = piece.partition(' ')
    if distribution not in noise.LATENTS:
      raise errors.unknown(field, distribution, noise.LATENTS)
    size = size.strip()
    # Python converts no numbers of thousands of digits.
    is_number = size.isdecimal() and len(size) < 10
    if not is_number or not 1 <= int(size) <= MOST_UNITS:
      raise errors.UserError(
        f'{field}={text!r} needs a size in 1..{MOST_UNITS} after '
        f"{distribution!r}. Write parts as 'categorical 10 + uniform 2'."
      )
    same = sum(part.distribution == distribution for part in parts)
    name = f'{distribution}_{same}' if same else distribution
    parts.append(Part(name, distribution, int(size)))
  return tuple(parts)


def bound(log_weights: jax.Array) -> jax.Array:
  """Returns the log of the mean weight p(x, z) / q(z|x), [B, k] to [B].

  Burda et al. 2015, equation 8. The expectation grows with k and stays below
  log p(x).
  """
  k = log_weights.shape[1]
  return jax.nn.logsumexp(log_weights, axis=1) - math.log(k)
