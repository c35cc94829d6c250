"""Watchdog: exits with a message when training stalls.

If one of several processes is stuck or was never started, all others wait for
ever.
"""

import faulthandler
import os
import sys
import threading

from jaxgan import errors

EXIT_CODE = 5
TICK = 1.0


def seconds(variable: str, default: int) -> int:
  """Returns the seconds of an environment variable; 0 stands for ever."""
  value = os.environ.get(variable) or str(default)
  if not (value.isascii() and value.isdecimal() and len(value) < 10):
    raise errors.UserError(
      f'{variable}={value!r} must be a whole number of seconds. Set 0 to wait '
      'for ever.'
    )
  return int(value)


class Deadline:
  """Ends the process if `moved` is not called in time.

  The deadline counts ticks and reads no clock. A clock that jumps, or a process
  that was suspended for hours, does not end the process.

  Args:
    allowed: seconds between two calls of `moved`; 0 stands for ever.
    message: one line for the user.
    stacks: True to print the stacks of all threads before the message.
  """

  def __init__(self, allowed: int, message: str, stacks: bool = True):
    self._allowed = self._left = allowed
    self._message = message
    self._stacks = stacks
    self._done = threading.Event()

  def __enter__(self):
    if self._allowed:
      threading.Thread(target=self._watch, daemon=True).start()
    return self

  def __exit__(self, *unused):
    self._done.set()

  def moved(self) -> None:
    self._left = self._allowed

  def _watch(self):
    while not self._done.wait(TICK):
      self._left -= TICK
      if self._left <= 0:
        if self._stacks:
          faulthandler.dump_traceback(sys.__stderr__)
        print(f'error: {self._message}', file=sys.__stderr__, flush=True)
        os._exit(EXIT_CODE)
