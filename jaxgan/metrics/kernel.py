"""Kernel distance: squared maximum mean discrepancy of features.

Binkowski et al. 2018 (https://arxiv.org/abs/1801.01401), section 4. With
features of Inception the distance is called KID. Unlike the Frechet distance it
is unbiased for any number of images.
"""

import functools

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.metrics import check


def _kernel(x, y):
  product = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
  return (product / x.shape[1] + 1.0) ** 3


def _discrepancy(real, fake):
  n = len(real)
  crossed = _kernel(real, fake)
  # Terms are subtracted before the sum: the sums are large and nearly equal.
  term = _kernel(real, real) + _kernel(fake, fake) - crossed - crossed.T
  pairs = jnp.sum(jnp.where(jnp.eye(n, dtype=bool), 0.0, term))
  # By definition the crossed kernel is averaged over all pairs, with i = j.
  diagonal = jnp.sum(crossed) / n - jnp.trace(crossed)
  return (pairs + 2.0 * diagonal) / (n * (n - 1))


def discrepancy(real, fake) -> jax.Array:
  """Unbiased estimate of MMD^2 with the kernel (x.y / D + 1)^3.

  Gretton et al. 2012 (https://jmlr.org/papers/v13/gretton12a.html), equation 3.
  The estimate is 0 on average for equal distributions and may be negative.
  O(N^2 D), and memory for N^2 numbers.

  Args:
    real: features [N, D].
    fake: features [N, D].

  Raises:
    UserError: for sets of different shapes, and for NaN or infinity.
  """
  real, fake = check.features(real=real, fake=fake)
  check.paired(real=real, fake=fake)
  return _jitted(*_float(real, fake))


_jitted = jax.jit(_discrepancy)


def _float(*sets):
  return [jnp.asarray(x, jnp.float32) for x in sets]


def distance(real, fake, key, subsets: int = 50, size: int = 1000):
  """Mean and standard deviation of `discrepancy` over random subsets.

  O(subsets size^2 D).

  Args:
    real: features [N, D].
    fake: features [M, D].
    key: random key; equal keys give equal subsets.
    subsets: number of subsets; the default is that of the authors' code.
    size: rows of a subset, drawn without replacement.

  Returns:
    (mean, deviation), scalars. The deviation is over subsets; it is not the
    standard error of the mean.

  Raises:
    UserError: for sets smaller than a subset, different D, NaN or infinity.
  """
  real, fake = check.features(real=real, fake=fake)
  check.at_least('size', size, 2)
  check.at_least('subsets', subsets, 1)
  fewest = min(len(real), len(fake))
  if size > fewest:
    raise errors.UserError(
      f'size={size} is more than the {fewest} rows of a set. Pass more rows, '
      f'or size={fewest} and name the size beside the number.'
    )
  values = _over_subsets(*_float(real, fake), key, subsets, size)
  return jnp.mean(values), jnp.std(values)


@functools.partial(jax.jit, static_argnames=('subsets', 'size'))
def _over_subsets(real, fake, key, subsets, size):
  def of_subset(key):
    keys = jax.random.split(key)
    pick = lambda key, x: jax.random.choice(key, x, (size,), replace=False)
    return _discrepancy(pick(keys[0], real), pick(keys[1], fake))

  return jax.lax.map(of_subset, jax.random.split(key, subsets))
