"""Metrics between two lines of the log, also of the members of a population."""

import jax
import numpy as np

from jaxgan import errors


def member_name(name: str, member: int) -> str:
  """Returns the metric of one member: 'discriminator/loss/member_03'."""
  return f'{name}/member_{member:02d}'


def by_name(metrics) -> dict[str, np.ndarray]:
  """Returns the metrics of a call on the host, [rounds] each.

  Args:
    metrics: metrics [rounds] by name; of a population, a list with metrics
      [rounds, members] of each group.
  """
  if not isinstance(metrics, list):
    return metrics
  values = {}
  for name in metrics[0]:
    columns = np.concatenate([group[name] for group in metrics], axis=1).T
    for member, column in enumerate(columns):
      values[member_name(name, member)] = column
  return values


def with_spread(values: dict[str, float]) -> dict[str, float]:
  """Adds the mean and the standard deviation of each metric over members.

  Args:
    values: metrics by `member_name`.

  Returns:
    'NAME', 'NAME/std' (with n - 1; 0 for one member), and the values.
  """
  groups = {}
  for name, value in values.items():
    groups.setdefault(name.rpartition('/')[0], []).append(value)
  spread = {}
  for name, members in groups.items():
    spread[name] = float(np.mean(members))
    ddof = 1 if len(members) > 1 else 0
    spread[f'{name}/std'] = float(np.std(members, ddof=ddof))
  return spread | values


class Window:
  """Metrics of the rounds since the last log line; on the device until `fetch`.

  Args:
    step: the last round of the window.
    values: metrics of earlier rounds of the window, from a checkpoint.
  """

  def __init__(self, step: int, values: dict[str, list[float]] | None = None):
    self._values = {k: np.asarray(v) for k, v in (values or {}).items()}
    self._waiting = []
    self._step = step

  def add(self, rounds: int, metrics) -> None:
    """Adds the metrics of a call; see `by_name`."""
    self._waiting.append(metrics)
    self._step += rounds

  def fetch(self) -> dict[str, np.ndarray]:
    """Returns one value a round for each metric.

    Raises:
      NotFinite: at the first round with a value that is not finite.
    """
    # One transfer for all calls.
    fetched = [by_name(metrics) for metrics in jax.device_get(self._waiting)]
    self._waiting = []
    # Other code may have saved other metrics.
    is_known = not fetched or self._values.keys() == fetched[0].keys()
    parts = ([self._values] if self._values and is_known else []) + fetched
    if not parts:
      return {}
    self._values = {
      name: np.concatenate([part[name] for part in parts]).astype(np.float64)
      for name in parts[0]
    }
    finite = np.array([np.isfinite(v) for v in self._values.values()])
    if not finite.all():
      index = int(np.argmin(finite.all(axis=0)))
      names = [
        name
        for name, is_finite in zip(self._values, finite[:, index], strict=True)
        if not is_finite
      ]
      round_number = self._step - finite.shape[1] + index + 1
      raise errors.NotFinite(f'round {round_number}: {", ".join(names)}')
    return self._values

  def means(self) -> dict[str, float]:
    """Returns the mean of each metric and empties the window."""
    means = {name: float(v.mean()) for name, v in self.fetch().items()}
    self._values = {}
    return means

  def pending(self) -> dict[str, list[float]]:
    """Returns the values that a checkpoint keeps."""
    return {name: v.tolist() for name, v in self.fetch().items()}
