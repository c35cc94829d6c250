"""SIGTERM and Ctrl-C: the first signal saves and stops, the second ends."""

import contextlib
import os
import signal

from jax.experimental import multihost_utils

from jaxgan import errors
from jaxgan.training import processes


class Interrupts:
  """Turns SIGTERM and Ctrl-C into a flag while `polled`, else into an error.

  A second signal ends the process at once. If a run has several processes and a
  signal reaches any of them, all stop at the same step. In that case JAX
  handles SIGTERM from its start, and Ctrl-C is passed on as SIGTERM.
  """

  NUMBERS = (signal.SIGTERM, signal.SIGINT)

  def __init__(self):
    self.number = None
    self.polled = False
    self._polls = 0
    self._handlers = dict.fromkeys(self.NUMBERS, self._handle)
    if processes.num_processes() > 1:
      self._handlers = {signal.SIGINT: _hand_over}

  def __enter__(self):
    # Python allows handlers in the main thread only.
    with contextlib.suppress(ValueError):
      self._before = {
        number: signal.signal(number, handler)
        for number, handler in self._handlers.items()
      }
    return self

  def __exit__(self, *unused):
    for number, handler in getattr(self, '_before', {}).items():
      signal.signal(number, handler)

  def asked(self) -> bool:
    """Returns True to stop now; each process calls this before every call."""
    if processes.num_processes() > 1:
      self._polls += 1
      if multihost_utils.reached_preemption_sync_point(self._polls):
        self.number = signal.SIGTERM
    return self.number is not None

  def _handle(self, number, frame):
    del frame
    if self.number is not None:
      os._exit(128 + number)
    self.number = number
    if not self.polled:
      raise errors.Stopped(
        number, 'stopped before the first step: nothing to save'
      )


def _hand_over(number, frame):
  del number, frame
  os.kill(os.getpid(), signal.SIGTERM)
