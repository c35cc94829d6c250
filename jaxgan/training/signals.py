"""SIGTERM and Ctrl-C: stop after saving, and at once if asked twice."""

import contextlib
import os
import signal

from jax.experimental import multihost_utils

from jaxgan import errors
from jaxgan.training import processes


class Interrupts:
  """Turns SIGTERM and Ctrl-C into a flag while `polled`, else into an error.

  A second signal ends the process at once. Of several processes all stop at the
  same step when one of them is asked to; there JAX listens to SIGTERM, from its
  start on, and Ctrl-C is handed to it.
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
    # Python allows handlers in the main thread only; elsewhere there are none.
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
    """Whether to stop now; each process asks once before every call."""
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
        number, 'stopped before the first step; nothing to save'
      )


def _hand_over(number, frame):
  del number, frame
  os.kill(os.getpid(), signal.SIGTERM)
