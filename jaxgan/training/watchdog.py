"""No hang without a message: what does not move for too long is ended.

Of several processes one that is stuck, or was never started, makes all others
wait for ever.
"""

import faulthandler
import os
import sys
import threading

from jaxgan import errors

EXIT_CODE = 5
TICK = 1.0


def seconds(variable: str, default: int) -> int:
  """The number of seconds that an environment variable holds; 0 is for ever."""
  value = os.environ.get(variable) or str(default)
  if not (value.isascii() and value.isdecimal() and len(value) < 10):
    raise errors.UserError(
      f'{variable}={value!r} must be a whole number of seconds; 0 is for ever'
    )
  return int(value)


class Deadline:
  """Ends the process if `moved` is not called for so long.

  It counts ticks of its own and looks at no clock: a clock that jumps, or a
  process that was stopped for hours and goes on, does not set it off.

  Args:
    allowed: seconds between two moves; 0 is for ever.
    said: one line for the user.
    stacks: whether those of all threads are printed before it.
  """

  def __init__(self, allowed: int, said: str, stacks: bool = True):
    self._allowed = self._left = allowed
    self._said = said
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
        print(f'error: {self._said}', file=sys.__stderr__, flush=True)
        os._exit(EXIT_CODE)
