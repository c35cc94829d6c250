"""Flags of benchmarks, and how they end for errors of their user."""

import sys
from collections.abc import Callable, Iterable

from absl import app, flags

from jaxgan import errors


class _Integers(flags.ListParser):
  """Parses a comma-separated list of positive integers."""

  def parse(self, argument):
    entries = [str(entry) for entry in super().parse(argument)]  # or a default
    if not entries:
      raise ValueError('must not be empty')
    for entry in entries:
      if not entry.isdecimal() or not int(entry):
        raise ValueError(f'{entry!r} must be a positive integer')
    return list(map(int, entries))


def define_integers(
  name: str, default: list[int], help_text: str, flag_values=flags.FLAGS
) -> flags.FlagHolder[list[int]]:
  """Defines a flag whose value is a list of positive integers."""
  return flags.DEFINE(
    _Integers(),
    name,
    default,
    help_text,
    flag_values,
    flags.CsvListSerializer(','),
  )


def check_names(flag: str, names: Iterable[str], known: Iterable[str]) -> None:
  """Raises a UserError for names of a flag that are not known."""
  for name in names:
    if name not in known:
      raise errors.unknown(f'--{flag}', name, list(known))


def run(main: Callable[[list[str]], None]) -> None:
  """Parses flags and calls `main`.

  A UserError becomes one line, and the exit code is 2.
  """

  def call(argv):
    try:
      main(argv)
    except errors.UserError as error:
      print(f'error: {error}', file=sys.stderr)
      sys.exit(2)

  app.run(call)
