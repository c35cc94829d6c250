"""The processes of `speed.py`: one that trains when told to, one that asks."""

import dataclasses
import json
import os
import pathlib
import subprocess
import time

from jaxgan import errors


class Ended(errors.UserError):
  """A side stopped; with its last words."""


@dataclasses.dataclass
class Process:
  """A side: it trains when told to.

  Attributes:
    command: starts it.
    environment: variables of its own.
    errors: file for what it says of its own accord.
    granularity: see `timing.Side`.
    memory: the largest so far, in bytes.
  """

  command: list[str]
  environment: dict[str, str]
  errors: pathlib.Path
  granularity: int = 1
  memory: float = 0.0

  def start(self) -> dict:
    """What it says of itself, with seconds to the end of its first call."""
    began = time.perf_counter()
    with self.errors.open('w') as said:
      self._process = subprocess.Popen(
        self.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env=os.environ | self.environment,
      )
    found = json.loads(self._answer())
    first = self.run(self.granularity)
    return found | {'first': first, 'start': time.perf_counter() - began}

  def run(self, rounds: int) -> float:
    seconds, self.memory = map(float, self.ask(rounds).split())
    return seconds

  def ask(self, words) -> str:
    try:
      self._process.stdin.write(f'{words}\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # Its last words are read then.
    return self._answer()

  def stop(self) -> None:
    self._process.communicate()

  def _answer(self) -> str:
    line = self._process.stdout.readline()
    if not line:
      self._process.communicate()
      words = self.errors.read_text().strip().splitlines()
      raise Ended(words[-1] if words else f'exit {self._process.returncode}')
    return line


def asked(python: str, code: str, flag: str, **environment) -> str:
  """What code prints; this process leaves the device to others."""
  try:
    done = subprocess.run(
      [python, '-c', code],
      capture_output=True,
      text=True,
      check=True,
      env=os.environ | environment,
    )
  except (OSError, subprocess.CalledProcessError):
    raise errors.UserError(f'{flag}={python!r} can not run: {code}') from None
  return done.stdout.strip()
