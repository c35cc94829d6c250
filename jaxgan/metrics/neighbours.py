"""Nearest neighbours: precision, recall, density, coverage, memorisation.

Distances are Euclidean and taken in blocks of rows: with 10,000 real and fake
images each the largest array has 64 MiB. Every metric takes O(N M D).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.metrics import check, distances


@functools.partial(jax.jit, static_argnames='k')
def _nearest(rows, points, k):
  """Squared distances to the k nearest points, and their indices."""
  found, index = jax.lax.top_k(-distances.squared(rows, points), k)
  return -found, index


def _squared_radii(x, k):
  # One more than k: every row is its own nearest neighbour.
  blocks = distances.blocks(x, len(x))
  return jnp.concatenate(
    [_nearest(rows, x, k + 1)[0][:, -1] for rows in blocks]
  )


def _check_k(k, **sets):
  check.at_least('k', k, 1)
  for name, x in sets.items():
    if k >= len(x):
      raise errors.UserError(
        f'k={k} neighbours of each of the {len(x)} rows of {name}: give k of '
        f'at most {len(x) - 1}, or more rows'
      )


def radii(features, k: int) -> jax.Array:
  """Distance [N] from every row of [N, D] to its k-th nearest other row.

  Raises:
    UserError: if k is not in 1..N - 1, or features are not finite.
  """
  (features,) = check.features(features=features)
  _check_k(k, features=features)
  return jnp.sqrt(_squared_radii(*distances.centred(features), k))


@jax.jit
def _inside(rows, squared_radii, points):
  # Strictly, as in the authors' code: of equal sets the k-th one is outside.
  inside = distances.squared(rows, points) < squared_radii[:, None]
  return jnp.sum(inside, axis=1), jnp.sum(inside, axis=0)


def _balls(centres, points, k):
  """Points [N] in the ball of each centre, and balls [M] around each point."""
  squared_radii = _squared_radii(centres, k)
  columns = len(points)
  blocks = zip(
    distances.blocks(centres, columns),
    distances.blocks(squared_radii, columns),
    strict=True,
  )
  held, around = zip(*(_inside(*pair, points) for pair in blocks), strict=True)
  return jnp.concatenate(held), sum(around)


def precision_recall(real, fake, k: int = 3):
  """Share of fakes near reals, and of reals near fakes.

  Kynkaanniemi et al. 2019 (https://arxiv.org/abs/1904.06991), equations 1 and
  2: near means in the ball around any one to its k-th nearest neighbour.

  Args:
    real: features [N, D].
    fake: features [M, D].
    k: which neighbour, in 1..min(N, M) - 1.

  Returns:
    (precision, recall), scalars in [0, 1]. Both fall with D and differ with N
    and M: compare at equal numbers.

  Raises:
    UserError: for such k, different D, or what is not finite.
  """
  real, fake = check.features(real=real, fake=fake)
  _check_k(k, real=real, fake=fake)
  real, fake = distances.centred(real, fake)
  _, around_fakes = _balls(real, fake, k)
  _, around_reals = _balls(fake, real, k)
  return jnp.mean(around_fakes > 0), jnp.mean(around_reals > 0)


def density_coverage(real, fake, k: int = 5):
  """How densely fakes lie among reals, and the share of reals that they reach.

  Naeem et al. 2020 (https://arxiv.org/abs/2002.09797): with balls B_i around
  reals to their k-th nearest real, which outliers among fakes do not widen,

    density = 1 / (k M) sum_ij [fake_j in B_i],
    coverage = 1 / N sum_i [any fake in B_i].

  Args:
    real: features [N, D].
    fake: features [M, D].
    k: which neighbour, in 1..N - 1.

  Returns:
    (density, coverage): density is at least 0, 1 on average for equal
    distributions, and more where fakes crowd; coverage is in [0, 1] and for
    equal distributions and M = N about 1 - 2^-k.

  Raises:
    UserError: for such k, different D, or what is not finite.
  """
  real, fake = check.features(real=real, fake=fake)
  _check_k(k, real=real)
  held, around = _balls(*distances.centred(real, fake), k)
  return jnp.mean(around) / k, jnp.mean(held > 0)


@functools.partial(jax.jit, static_argnames='k')
def _exact_nearest(rows, points, k):
  _, index = _nearest(rows, points, k)
  apart = jnp.sum((rows[:, None] - points[index]) ** 2, axis=-1)  # [B, k]
  order = jnp.argsort(apart, axis=1)
  sort = lambda x: jnp.take_along_axis(x, order, axis=1)
  return sort(index), jnp.sqrt(sort(apart))


def nearest(queries, references, k: int = 1):
  """The nearest training images of samples, for a picture of memorisation.

  Args:
    queries: features or pixels [N, ...].
    references: the same of the training set [M, ...].
    k: how many, in 1..M.

  Returns:
    Indices int [N, k] into the references and distances [N, k], nearest first.
    A copy has distance 0.

  Raises:
    UserError: for such k, different shapes of rows, or what is not finite.
  """
  flat = lambda x: np.reshape(x, (len(x), -1))
  sets = (check.array(queries), check.array(references))
  queries, references = check.features(
    least=1, queries=flat(sets[0]), references=flat(sets[1])
  )
  check.at_least('k', k, 1)
  if k > len(references):
    raise errors.UserError(
      f'k={k} is more than the {len(references)} references'
    )
  references, queries = distances.centred(references, queries)
  # A query takes a row of distances, and its neighbours themselves.
  columns = max(len(references), k * references.shape[1])
  found = [
    _exact_nearest(rows, references, k)
    for rows in distances.blocks(queries, columns)
  ]
  index, apart = zip(*found, strict=True)
  return jnp.concatenate(index), jnp.concatenate(apart)
