"""Nearest neighbours: precision, recall, density, coverage, memorisation.

Distances are Euclidean and computed in blocks of rows. For 10,000 real and
10,000 fake images the largest array has 64 MiB. Every metric is O(N M D).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.metrics import check, distances


@functools.partial(jax.jit, static_argnames='k')
def _nearest(rows, points, k):
  """Returns the squared distances and indices of the k nearest points."""
  negative, index = jax.lax.top_k(-distances.squared(rows, points), k)
  return -negative, index


def _squared_radii(x, k):
  # k + 1, because every row is its own nearest neighbour.
  blocks = distances.blocks(x, len(x))
  return jnp.concatenate(
    [_nearest(rows, x, k + 1)[0][:, -1] for rows in blocks]
  )


def _check_k(k, **sets):
  check.at_least('k', k, 1)
  for name, x in sets.items():
    if k >= len(x):
      raise errors.UserError(
        f'k={k} needs more than the {len(x)} rows of {name}. Pass k of at most '
        f'{len(x) - 1}, or more rows.'
      )


def radii(features, k: int) -> jax.Array:
  """Distance [N] from every row of [N, D] to its k-th nearest other row.

  Raises:
    UserError: if k is not in 1..N - 1, or features are not finite.
  """
  (features,) = check.features(features=features)
  _check_k(k, features=features)
  return jnp.sqrt(_squared_radii(*distances.centred(features), k))


@functools.partial(jax.jit, static_argnames='closed')
def _inside(rows, squared_radii, points, closed):
  limits = distances.rounding(rows, squared_radii)
  limits = squared_radii + (limits if closed else -limits)
  inside = distances.squared(rows, points) <= limits[:, None]
  return jnp.sum(inside, axis=1), jnp.sum(inside, axis=0)


def _balls(centres, points, k, closed):
  """Counts the points in each ball [N] and the balls around each point [M].

  Points on the sphere, up to rounding, are in closed balls alone.
  """
  squared_radii = _squared_radii(centres, k)
  columns = len(points)
  blocks = zip(
    distances.blocks(centres, columns),
    distances.blocks(squared_radii, columns),
    strict=True,
  )
  inside, around = zip(
    *(_inside(*pair, points, closed) for pair in blocks), strict=True
  )
  return jnp.concatenate(inside), sum(around)


def precision_recall(real, fake, k: int = 3):
  """Precision and recall: shares of fakes near reals and of reals near fakes.

  Kynkaanniemi et al. 2019 (https://arxiv.org/abs/1904.06991), equations 1 and
  2. A point is near a set if it lies in the ball around any row of the set. The
  radius is the distance from that row to its k-th nearest neighbour. A point at
  this distance is near, as in the paper and its code. Distances that agree up
  to the rounding of float32 count as equal.

  Args:
    real: features [N, D].
    fake: features [M, D].
    k: number of the neighbour, in 1..min(N, M) - 1.

  Returns:
    (precision, recall), scalars in [0, 1]. Both fall with D and depend on N and
    M, so compare at equal N and M.

  Raises:
    UserError: for k out of range, different D, NaN or infinity.
  """
  real, fake = check.features(real=real, fake=fake)
  _check_k(k, real=real, fake=fake)
  real, fake = distances.centred(real, fake)
  _, around_fakes = _balls(real, fake, k, closed=True)
  _, around_reals = _balls(fake, real, k, closed=True)
  return jnp.mean(around_fakes > 0), jnp.mean(around_reals > 0)


def density_coverage(real, fake, k: int = 5):
  """Density of fakes among reals, and the share of reals that fakes cover.

  Naeem et al. 2020 (https://arxiv.org/abs/2002.09797). B_i is the ball around
  real i to its k-th nearest real, so outliers among fakes do not widen it:

    density = 1 / (k M) sum_ij [fake_j in B_i],
    coverage = 1 / N sum_i [any fake in B_i].

  The balls are open, as in the authors' code. Distances that agree up to the
  rounding of float32 count as equal.

  Args:
    real: features [N, D].
    fake: features [M, D].
    k: number of the neighbour, in 1..N - 1.

  Returns:
    (density, coverage). Density is at least 0 and 1 on average for equal
    distributions; it is larger where fakes crowd. Coverage is in [0, 1], and
    about 1 - 2^-k for equal distributions and M = N.

  Raises:
    UserError: for k out of range, different D, NaN or infinity.
  """
  real, fake = check.features(real=real, fake=fake)
  _check_k(k, real=real)
  inside, around = _balls(*distances.centred(real, fake), k, closed=False)
  return jnp.mean(around) / k, jnp.mean(inside > 0)


@functools.partial(jax.jit, static_argnames='k')
def _exact_nearest(rows, points, k):
  _, index = _nearest(rows, points, k)
  squared = jnp.sum((rows[:, None] - points[index]) ** 2, axis=-1)  # [B, k]
  order = jnp.argsort(squared, axis=1)
  sort = lambda x: jnp.take_along_axis(x, order, axis=1)
  return sort(index), jnp.sqrt(sort(squared))


def nearest(queries, references, k: int = 1):
  """Finds the nearest training images of samples, to detect memorisation.

  Args:
    queries: features or pixels of samples [N, ...].
    references: features or pixels of the training set [M, ...].
    k: number of neighbours, in 1..M.

  Returns:
    Indices int [N, k] into the references and distances [N, k], nearest first.
    A copy has distance 0.

  Raises:
    UserError: for k out of range, different shapes of rows, NaN or infinity.
  """
  flat = lambda x: np.reshape(x, (len(x), -1))
  sets = (check.array(queries), check.array(references))
  queries, references = check.features(
    least=1, queries=flat(sets[0]), references=flat(sets[1])
  )
  check.at_least('k', k, 1)
  if k > len(references):
    raise errors.UserError(
      f'k={k} is more than the {len(references)} references. Pass at most '
      f'k={len(references)}.'
    )
  references, queries = distances.centred(references, queries)
  # A query needs memory for its distances and for its k neighbours.
  columns = max(len(references), k * references.shape[1])
  neighbours = [
    _exact_nearest(rows, references, k)
    for rows in distances.blocks(queries, columns)
  ]
  indices, lengths = zip(*neighbours, strict=True)
  return jnp.concatenate(indices), jnp.concatenate(lengths)
