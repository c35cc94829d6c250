"""A trace of some rounds: what ran when, on the device and on the host."""

import contextlib
import logging
import pathlib
from collections.abc import Sequence

import jax

_logger = logging.getLogger(__name__)


class Trace:
  """Records the rounds from one step to another.

  TensorBoard's profile plugin reads the folder, and Perfetto
  (https://ui.perfetto.dev) the `perfetto_trace.json.gz` in it.
  """

  def __init__(self, window: Sequence[int], folder: pathlib.Path):
    """Waits for the window.

    Args:
      window: the first step and the one after the last; empty is never.
      folder: where the trace goes.
    """
    self._first, self._last = window or (0, 0)
    self._folder = folder
    self._is_on = False
    self._is_written = not window

  def call(
    self, step: int, rounds: int, state
  ) -> contextlib.AbstractContextManager:
    """Goes around the call of `rounds` that begins at `step` from `state`.

    It is recorded as a whole, if any of its rounds is in the window.
    """
    is_in = step < self._last and self._first < step + rounds
    if is_in != self._is_on:
      jax.block_until_ready(state)  # Calls under way belong to one side.
      if is_in:
        jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
        self._is_on = self._is_written = True
      else:
        self.close()
    if not self._is_on:
      return contextlib.nullcontext()
    return jax.profiler.StepTraceAnnotation('round', step_num=step)

  def close(self) -> None:
    """Writes the trace, if one is being recorded."""
    if self._is_on:
      self._is_on = False
      jax.profiler.stop_trace()
    if not self._is_written:
      _logger.warning(
        'profile_steps=%d,%d: no trace, as none of these rounds was trained',
        self._first,
        self._last,
      )
