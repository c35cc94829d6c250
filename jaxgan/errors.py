"""Errors that a user can cause, each with the exit code that it ends in."""


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


def unknown(field: str, value, known) -> UserError:
  """The error for a name that is not in a table."""
  names = ', '.join(sorted(str(name) or "''" for name in known))
  return UserError(f'{field}={value!r} is unknown; known are: {names}')
