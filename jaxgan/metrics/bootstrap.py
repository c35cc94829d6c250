"""Confidence intervals of any statistic of rows."""

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
  """Computes the percentile bootstrap interval of a statistic.

  Efron 1979 (https://doi.org/10.1214/aos/1176344552); Efron and Tibshirani
  1993, section 13.3. The bounds are quantiles of the statistic over sets of N
  rows drawn with replacement. Runs on the host, with one call of the statistic
  a resample.

  The interval covers the choice of rows, not the variation between trainings.
  Equal rows shift some statistics: Frechet distances, neighbours and unbiased
  kernel estimates. Set `centred` for such statistics.

  Args:
    statistic: maps `rows` to a scalar or an array; `jit` it if possible.
    rows: [N, ...], or a pytree of such arrays, resampled together.
    key: random key; equal keys give equal intervals.
    resamples: number of resamples.
    confidence: share of the resamples inside the interval, in (0, 1).
    centred: if True, the interval is moved by the difference between the
      statistic and its mean over the resamples, an estimate of the shift.

  Returns:
    (low, high), each of the statistic's shape.

  Raises:
    UserError: for fewer than two rows or resamples, different N, or a
      confidence outside of (0, 1).
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

  def resample():
    index = rng.integers(num, size=num)
    return np.asarray(statistic(jax.tree.map(lambda x: x[index], rows)))

  values = np.stack([resample() for _ in range(resamples)])
  if centred:
    values = values - values.mean(axis=0) + np.asarray(statistic(rows))
  outside = (1.0 - confidence) / 2.0
  low, high = np.quantile(values, (outside, 1.0 - outside), axis=0)
  return low, high
