"""SIGTERM and Ctrl-C: stop after saving, and at once if asked twice."""

import contextlib
import os
import signal

from jaxgan import errors


class Interrupts:
  """Turns SIGTERM and Ctrl-C into a flag while `polled`, else into an error.

  A second signal ends the process at once.
  """

  NUMBERS = (signal.SIGTERM, signal.SIGINT)

  def __init__(self):
    self.number = None
    self.polled = False

  def __enter__(self):
    # Python allows handlers in the main thread only; elsewhere there are none.
    with contextlib.suppress(ValueError):
      self._before = [signal.signal(n, self._handle) for n in self.NUMBERS]
    return self

  def __exit__(self, *unused):
    before = getattr(self, '_before', ())
    for number, handler in zip(self.NUMBERS, before, strict=bool(before)):
      signal.signal(number, handler)

  def _handle(self, number, frame):
    del frame
    if self.number is not None:
      os._exit(128 + number)
    self.number = number
    if not self.polled:
      raise errors.Stopped(
        number, 'stopped before the first step; nothing to save'
      )
