"""Metrics between two lines of the log."""

import jax
import numpy as np

from jaxgan import errors
from jaxgan.training import sweeps


def by_name(metrics) -> dict[str, np.ndarray]:
  """Metrics [rounds] of a call, of a run or of groups of members; numpy."""
  return sweeps.by_member(metrics) if isinstance(metrics, list) else metrics


class Window:
  """Metrics of the rounds since the last log; on the device until `fetch`.

  Args:
    step: the round at which the window ends, so far.
    values: metrics of earlier rounds in it, from a checkpoint.
  """

  def __init__(self, step: int, values: dict[str, list[float]] | None = None):
    self._values = {k: np.asarray(v) for k, v in (values or {}).items()}
    self._waiting = []
    self._step = step

  def add(self, rounds: int, metrics) -> None:
    """Metrics [rounds] by name, or a list of them of groups of members."""
    self._waiting.append(metrics)
    self._step += rounds

  def fetch(self) -> dict[str, np.ndarray]:
    """All values, one a round.

    Raises:
      NotFinite: at the first round that has a value that is not finite.
    """
    # All in one transfer.
    fetched = [by_name(metrics) for metrics in jax.device_get(self._waiting)]
    self._waiting = []
    parts = ([self._values] if self._values else []) + fetched
    if not parts:
      return {}
    self._values = {
      name: np.concatenate([part[name] for part in parts]).astype(np.float64)
      for name in parts[0]
    }
    finite = np.array([np.isfinite(v) for v in self._values.values()])
    if not finite.all():
      place = int(np.argmin(finite.all(axis=0)))
      names = [
        name
        for name, fine in zip(self._values, finite[:, place], strict=True)
        if not fine
      ]
      round_number = self._step - finite.shape[1] + place + 1
      raise errors.NotFinite(f'round {round_number}: {", ".join(names)}')
    return self._values

  def means(self) -> dict[str, float]:
    """The mean of each metric; the window is empty afterwards."""
    means = {name: float(v.mean()) for name, v in self.fetch().items()}
    self._values = {}
    return means

  def pending(self) -> dict[str, list[float]]:
    """What a checkpoint has to keep."""
    return {name: v.tolist() for name, v in self.fetch().items()}
