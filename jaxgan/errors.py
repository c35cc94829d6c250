"""Errors that a user can cause, each with the exit code that it ends in."""

import signal


class UserError(ValueError):
  """A wrong config, flag or workdir: one line saying what, and the way out."""

  exit_code = 2


class DataError(UserError):
  """Images that are missing, unreadable or not what the config says."""


class NotFinite(UserError):
  """A loss or a norm became NaN or infinite."""

  exit_code = 3


class StorageError(UserError):
  """Something could not be written, or no checkpoint is valid."""

  exit_code = 4


class Stopped(BaseException):
  """A signal asked to stop; whatever there was to save is saved.

  No `Exception`: where files that can not be read are set aside or skipped, a
  signal must not look like one.
  """

  def __init__(self, number: int, said: str):
    name = signal.Signals(number).name
    super().__init__(f'{name}: {said}')
    # As shells report it: 130 for Ctrl-C, 143 for SIGTERM.
    self.exit_code = 128 + number


def out_of_memory(error: Exception) -> UserError | None:
  """What to lower, if the error says that memory ran out; else None."""
  said = str(error) or type(error).__name__
  signs = ('RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory')
  if not isinstance(error, MemoryError) and not any(s in said for s in signs):
    return None
  reason = next((s for s in said.splitlines() if s.strip()), said).strip()[:200]
  return UserError(
    f'memory ran out ({reason}); lower batch_size, the widths of the networks, '
    'data.image_size or steps_per_call, or set data.resident_bytes=0 to stream '
    'the data. Checkpoints are as they were'
  )


def unknown(field: str, value, known) -> UserError:
  """The error for a name that is not in a table."""
  names = ', '.join(sorted(str(name) or "''" for name in known))
  return UserError(f'{field}={value!r} is unknown; known are: {names}')
