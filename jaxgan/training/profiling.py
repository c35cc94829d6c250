"""Traces of some rounds, on the device and on the host."""

import contextlib
import logging
import pathlib
from collections.abc import Sequence

import jax

_logger = logging.getLogger(__name__)


class Trace:
  """Records the rounds between two steps.

  TensorBoard's profile plugin reads the folder. Perfetto
  (https://ui.perfetto.dev) reads the file `perfetto_trace.json.gz`.
  """

  def __init__(self, window: Sequence[int], folder: pathlib.Path):
    """Prepares the trace.

    Args:
      window: the first step, and the step after the last; () for no trace.
      folder: folder for the trace.
    """
    self._first, self._last = window or (0, 0)
    self._folder = folder
    self._is_on = False
    self._is_written = not window

  def call(
    self, step: int, rounds: int, state
  ) -> contextlib.AbstractContextManager:
    """Returns a context manager for a call.

    A call is recorded if any of its rounds is in the window.

    Args:
      step: the first round of the call.
      rounds: rounds of the call.
      state: the state before the call.
    """
    is_in = step < self._last and self._first < step + rounds
    if is_in != self._is_on:
      jax.block_until_ready(
        state
      )  # Earlier calls end before the trace starts or ends.
      if is_in:
        jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
        self._is_on = self._is_written = True
      else:
        self.close()
    if not self._is_on:
      return contextlib.nullcontext()
    return jax.profiler.StepTraceAnnotation('round', step_num=step)

  def close(self) -> None:
    """Writes the trace, if it is being recorded."""
    if self._is_on:
      self._is_on = False
      jax.profiler.stop_trace()
    if not self._is_written:
      _logger.warning(
        'profile_steps=%d,%d: no trace, because these rounds were not trained',
        self._first,
        self._last,
      )
