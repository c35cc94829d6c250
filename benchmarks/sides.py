"""Processes of the sides that `speed.py` times."""

import dataclasses
import json
import os
import pathlib
import subprocess
import time

from jaxgan import errors


def processor_seconds(pid: int) -> float:
  """Returns the processor time of a process and all its threads, on Linux."""
  line = pathlib.Path(f'/proc/{pid}/stat').read_text()
  user, system = line.rpartition(')')[2].split()[11:13]
  return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


class Ended(errors.UserError):
  """A side stopped; the message is its last line."""


@dataclasses.dataclass
class Process:
  """The process of a side, which trains on request.

  Attributes:
    command: command line of the process.
    environment: environment variables to add.
    errors: file for standard error.
    granularity: rounds per call, see `timing.Side`.
    counts_processor: True to return processor time as seconds.
    memory: peak memory in bytes.
  """

  command: list[str]
  environment: dict[str, str]
  errors: pathlib.Path
  granularity: int = 1
  counts_processor: bool = False
  memory: float = 0.0

  def start(self) -> dict:
    """Starts the process; returns its report and the seconds of its start."""
    start = time.perf_counter()
    with self.errors.open('w') as stderr:
      self._process = subprocess.Popen(
        self.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | self.environment,
      )
    report = json.loads(self._answer())
    first = self.run(self.granularity)
    seconds = time.perf_counter() - start
    if self.counts_processor:
      seconds = processor_seconds(self._process.pid)
    return report | {'first': first, 'start': seconds}

  def run(self, rounds: int) -> float:
    if self.counts_processor:
      start = processor_seconds(self._process.pid)
    seconds, self.memory = map(float, self.ask(rounds).split())
    if self.counts_processor:
      seconds = processor_seconds(self._process.pid) - start
    return seconds

  def ask(self, request) -> str:
    try:
      self._process.stdin.write(f'{request}\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # `_answer` raises the error.
    return self._answer()

  def stop(self) -> None:
    self._process.communicate()

  def _answer(self) -> str:
    line = self._process.stdout.readline()
    if not line:
      self._process.communicate()
      lines = self.errors.read_text().strip().splitlines()
      raise Ended(lines[-1] if lines else f'exit {self._process.returncode}')
    return line


def asked(python: str, code: str, flag: str, **environment) -> str:
  """Returns the output of code that a Python runs, which frees its device."""
  try:
    done = subprocess.run(
      [python, '-c', code],
      capture_output=True,
      text=True,
      check=True,
      env=os.environ | environment,
    )
  except (OSError, subprocess.CalledProcessError):
    raise errors.UserError(f'{flag}={python!r} cannot run: {code}') from None
  return done.stdout.strip()
