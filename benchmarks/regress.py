"""Compares the speed of two checkouts: rounds per second of eight systems.

  python -m benchmarks.regress OLD NEW
  python -m benchmarks.regress HEAD~1 . --minutes=4 --systems=gan,vae

OLD and NEW are git revisions, or paths of checkouts; `.` is the working tree.
Each checkout has one process, and the processes take turns. In each turn, both
time a slice of the rounds of a system, one directly after the other. The order
alternates. So a change in the machine's speed meets both. A process may be some
percent faster than another one of the same code, by the places of its arrays in
memory. So several pairs of processes follow each other. The systems are those
of `benchmarks.systems`, on random images.

On a machine that has other work, --clock=processor is steadier: it divides
rounds by the seconds that the processors worked for the process. Work that has
become less parallel is not seen then.

Prints the median rounds per second of both checkouts for each system, and the
median over turns of the ratio NEW / OLD. A 95 % interval of this median comes
from 2,000 bootstrap samples of pairs, and of turns in each. The exit code is 0
if, for all systems, the interval starts at LEAST_LOW or above and the median is
LEAST_MEDIAN or more. It is 1 if a system misses this, and 2 if a process cannot
run.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks import checkouts, systems

LEAST_LOW, LEAST_MEDIAN = 0.95, 0.98
SLICE_SECONDS = 0.3
LEAST_TURNS = 2  # of a pair
CLOCKS = ('elapsed', 'processor')  # in the order of an answer
BOOTSTRAP_SAMPLES = 2_000


class Side:
  """The process of one checkout.

  Args:
    label: OLD or NEW, for messages.
    checkout: folder of the code.
    names: configs of the systems.
    scratch: folder for messages and compiled programs.
    clock: one of `CLOCKS`.
  """

  def __init__(self, label, checkout, names, scratch: pathlib.Path, clock):
    self._label, self._names = label, names
    self._column = CLOCKS.index(clock)
    self._messages = scratch / f'{label}.txt'
    with self._messages.open('w') as file:
      self._process = checkouts.start(
        checkout,
        *('rates', json.dumps([systems.CHANGED, systems.KEPT]), *names),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=file,
        env={
          # The same program is compiled once.
          'JAX_COMPILATION_CACHE_DIR': str(scratch / 'cache'),
          'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        },
      )

  def wait(self) -> None:
    """Returns when all systems are compiled."""
    self.rounds_per_call = {name: int(self._answer()) for name in self._names}

  def seconds(self, name: str, calls: int) -> float:
    """Returns the seconds of so many compiled calls of a system."""
    try:
      self._process.stdin.write(f'{name} {calls}\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # There is no answer then, and the process has said why.
    return float(self._answer().split()[self._column])

  def _answer(self) -> str:
    line = self._process.stdout.readline()
    if not line:
      self._process.wait()
      reason = checkouts.last_line(self._messages)
      reason = reason or f'exit code {self._process.returncode}'
      raise checkouts.Failed(f'{self._label} ended: {reason}')
    return line

  def close(self) -> None:
    """Ends the process, which may have ended already."""
    try:
      self._process.stdin.close()
      self._process.wait(timeout=30)
    except (OSError, subprocess.TimeoutExpired):
      self._process.kill()
      self._process.wait()


@dataclasses.dataclass
class Rates:
  """Rounds per second of a system in both checkouts, turn by turn."""

  old: list[float] = dataclasses.field(default_factory=list)
  new: list[float] = dataclasses.field(default_factory=list)

  def ratios(self) -> np.ndarray:
    return np.array(self.new) / np.array(self.old)


def interval(pairs: list[np.ndarray]) -> tuple[float, float]:
  """Returns the 95 % bootstrap interval of the median over all turns.

  Args:
    pairs: ratios of the turns of each pair of processes.
  """
  rng = np.random.default_rng(0)
  medians = [
    np.median(
      np.concatenate(
        [
          rng.choice(pairs[pair], len(pairs[pair]))
          for pair in rng.integers(len(pairs), size=len(pairs))
        ]
      )
    )
    for _ in range(BOOTSTRAP_SAMPLES)
  ]
  low, high = np.quantile(medians, [0.025, 0.975])
  return float(low), float(high)


def is_as_fast(pairs: list[np.ndarray]) -> bool:
  """Returns True if NEW keeps up with OLD, see the text of the module."""
  low, _ = interval(pairs)
  median = float(np.median(np.concatenate(pairs)))
  return low >= LEAST_LOW and median >= LEAST_MEDIAN


@contextlib.contextmanager
def open_sides(folders, names, scratch: pathlib.Path, clock: str):
  """Yields processes of both checkouts, 'old' and 'new', with all compiled.

  Args:
    folders: checkouts.
    names: see `Side`.
    scratch: see `Side`.
    clock: see `Side`.
  """
  sides = {}
  try:
    for label, folder in zip(('old', 'new'), folders, strict=True):
      sides[label] = Side(label.upper(), folder, names, scratch, clock)
    for side in sides.values():  # They compile at the same time.
      side.wait()
    yield sides
  finally:
    for side in sides.values():
      side.close()


def calls_for(sides, name: str) -> dict[str, int]:
  """Returns how many calls of a system fill a slice, for each side."""
  calls = {}
  for label, side in sides.items():
    side.seconds(name, 1)
    calls[label] = max(round(SLICE_SECONDS / side.seconds(name, 1)), 1)
  return calls


def take_turns(sides, names, until: float) -> dict[str, Rates]:
  """Times all systems in turns.

  Args:
    sides: 'old' and 'new'.
    names: configs of the systems.
    until: time of the clock `time.monotonic`; at least `LEAST_TURNS` are taken.

  Returns:
    Rates of each system.
  """
  calls = {name: calls_for(sides, name) for name in names}
  rates = {name: Rates() for name in names}
  turn = 0
  while turn < LEAST_TURNS or time.monotonic() < until:
    order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
    for name in names:
      for label in order:
        side, count = sides[label], calls[name][label]
        rounds = count * side.rounds_per_call[name]
        getattr(rates[name], label).append(rounds / side.seconds(name, count))
    turn += 1
  return rates


def print_table(rates: dict[str, list[Rates]]) -> list[str]:
  """Prints a row for each system; returns the systems that are too slow.

  Args:
    rates: rates of each pair of processes, by system.
  """
  print('| system | OLD, rounds/s | NEW, rounds/s | NEW / OLD | 95 % | turns |')
  print('| --- ' * 6 + '|')
  slow = []
  for name, pairs in rates.items():
    ratios = [pair.ratios() for pair in pairs]
    low, high = interval(ratios)
    if not is_as_fast(ratios):
      slow.append(name)
    old, new = (
      statistics.median(rate for pair in pairs for rate in getattr(pair, side))
      for side in ('old', 'new')
    )
    every = np.concatenate(ratios)
    print(
      f'| {name} | {old:.4g} | {new:.4g} | {np.median(every):.3f} '
      f'| {low:.3f} to {high:.3f} | {len(every)} |'
    )
  return slow


def compare(old, new, keys, minutes: float, pairs: int, clock: str) -> int:
  """Prints the comparison; returns the exit code.

  Args:
    old: revision or path.
    new: revision or path.
    keys: keys of `systems.SYSTEMS`.
    minutes: from the start of this function to the last turn.
    pairs: pairs of processes.
    clock: one of `CLOCKS`.
  """
  until = time.monotonic() + 60 * minutes
  names = [systems.SYSTEMS[key] for key in keys]
  rates = {key: [] for key in keys}
  with (
    checkouts.open_checkouts(old, new) as folders,
    tempfile.TemporaryDirectory() as scratch,
  ):
    for left in range(pairs, 0, -1):
      with open_sides(folders, names, pathlib.Path(scratch), clock) as sides:
        # The pairs to come need their share of the time that is left.
        end = time.monotonic() + (until - time.monotonic()) / left
        for key, found in zip(
          keys, take_turns(sides, names, end).values(), strict=True
        ):
          rates[key].append(found)
  slow = print_table(rates)
  if slow:
    print(f'slower: {", ".join(slow)}')
    return 1
  print('no system is slower')
  return 0


def main() -> int:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument('old', help='Git revision, or path of a checkout.')
  parser.add_argument('new', help='Likewise; . is the working tree.')
  parser.add_argument('--minutes', type=float, default=10.0)
  parser.add_argument('--pairs', type=int, default=3)
  parser.add_argument(
    '--systems', default='', help='Keys of systems.SYSTEMS; all by default.'
  )
  parser.add_argument('--clock', choices=CLOCKS, default='elapsed')
  args = parser.parse_args()
  keys = args.systems.split(',') if args.systems else list(systems.SYSTEMS)
  for key in keys:
    if key not in systems.SYSTEMS:
      parser.error(f'--systems={key}: known are {", ".join(systems.SYSTEMS)}')
  try:
    return compare(
      args.old, args.new, keys, args.minutes, args.pairs, args.clock
    )
  except checkouts.Failed as error:
    print(f'error: {error}', file=sys.stderr)
    return 2


if __name__ == '__main__':
  sys.exit(main())
