"""Errors that a user can cause, with the exit code of each."""

import signal


class UserError(ValueError):
  """A wrong config, flag or workdir.

  The message is one line that names the field, its value and the way out.
  """

  exit_code = 2


class DataError(UserError):
  """Images that are missing, unreadable or different from the config."""


class NotFinite(UserError):
  """A loss or a norm became NaN or infinite."""

  exit_code = 3


class StorageError(UserError):
  """A file could not be written, or no checkpoint is valid."""

  exit_code = 4


class Stopped(BaseException):
  """A signal asked the run to stop, and the run has saved its state.

  This is no `Exception`: code that skips unreadable files catches `Exception`
  and must not catch a signal.

  Args:
    number: number of the signal.
    message: state of the run, printed after the signal's name.
  """

  def __init__(self, number: int, message: str):
    name = signal.Signals(number).name
    super().__init__(f'{name}: {message}')
    # The code that shells report: 130 for Ctrl-C, 143 for SIGTERM.
    self.exit_code = 128 + number


def printable(text) -> str:
  """Escapes characters that would control a terminal or that it lacks."""
  return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def out_of_memory(error: Exception) -> UserError | None:
  """Returns a `UserError` with the fields to lower if memory ran out.

  Returns:
    None if the error has another cause.
  """
  message = str(error) or type(error).__name__
  signs = ('RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory')
  if not isinstance(error, MemoryError) and not any(
    sign in message for sign in signs
  ):
    return None
  lines = (line.strip() for line in message.splitlines())
  reason = next(filter(None, lines), message.strip())[:200]
  return UserError(
    f'memory ran out ({reason}). Lower batch_size, the widths of the networks, '
    'data.image_size or steps_per_call, or set data.resident_bytes=0 to stream '
    'the data. Checkpoints are unchanged.'
  )


def unknown(field: str, value, known) -> UserError:
  """Returns the error for a name that is not in a table.

  Args:
    field: the config field or flag.
    value: the unknown name.
    known: the names in the table.
  """
  names = ', '.join(sorted(str(name) or "''" for name in known))
  return UserError(f'{field}={value!r} is unknown. Choose one of: {names}')
