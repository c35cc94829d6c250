"""Confidence intervals for any statistic of rows."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgan import errors
from jaxgan.metrics import check


def interval(
  statistic: Callable,
  rows,
  key,
  resamples: int = 1000,
  confidence: float = 0.95,
  centred: bool = False,
):
  """Percentile bootstrap interval of a statistic.

  Efron 1979 (https://doi.org/10.1214/aos/1176344552); Efron and Tibshirani
  1993, section 13.3: quantiles of the statistic over sets of N rows drawn with
  replacement. On the host, one call of the statistic a resample. It covers what
  comes of the choice of rows, not of training again. Of statistics that dislike
  equal rows (a Frechet distance, neighbours, unbiased kernel estimates) it is
  shifted: see `centred`.

  Args:
    statistic: of what `rows` is, to a scalar or an array; `jit` it where it can
      be.
    rows: [N, ...], or a pytree of such, resampled together.
    key: the same key gives the same interval.
    resamples: how many.
    confidence: in (0, 1).
    centred: moves the interval by the difference between the statistic and its
      mean over the resamples, an estimate of that shift.

  Returns:
    (low, high), each of the statistic's shape.

  Raises:
    UserError: for fewer than two rows or resamples, different N, or a
      confidence that is none.
  """
  rows = jax.tree.map(np.asarray, rows)
  leaves = {f'rows[{i}]': x for i, x in enumerate(jax.tree.leaves(rows))}
  for name, x in leaves.items():
    check.rows(name, x, 2)
    check.finite(name, x)
  check.paired(**leaves)
  check.at_least('resamples', resamples, 2)
  if not 0.0 < confidence < 1.0:
    raise errors.UserError(f'confidence={confidence} must be between 0 and 1')
  rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
  num = len(next(iter(leaves.values())))

  def one():
    index = rng.integers(num, size=num)
    return np.asarray(statistic(jax.tree.map(lambda x: x[index], rows)))

  found = np.stack([one() for _ in range(resamples)])
  if centred:
    found = found - found.mean(axis=0) + np.asarray(statistic(rows))
  outside = (1.0 - confidence) / 2.0
  low, high = np.quantile(found, (outside, 1.0 - outside), axis=0)
  return low, high
