"""Compares what two checkouts compute: state and metrics after two rounds.

  python -m benchmarks.same_numbers OLD NEW
  python -m benchmarks.same_numbers HEAD~1 . --only=gan_mnist --rtol=1e-5

OLD and NEW are git revisions, or paths of checkouts; `.` is the working tree.
Every variant of every file in `configs/` and every trick of `docs/tricks.md` is
run with few units in every layer on random images. A line for each says
`equal`, which means bit for bit, or the largest relative difference of a leaf:
max |old - new| / max |old|. Systems that only one side has are listed.

The exit code is 0 if no difference is larger than --rtol, 1 if one is or if a
system fails, and 2 if a side cannot run. Trees of other paths, shapes or types
always differ, and integers and keys have to be equal. Some leaves have a
gradient that is zero up to rounding, as a bias before batch norm. These are
compared with FLOOR times the largest number of their kind, which has the same
last part of the path.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks import checkouts, trick_fields

PARTS = ('0/2', '1/2')  # One process for each.
# See the text above. Bit for bit is asked for first, whatever this is.
FLOOR = 1e-3

TRICKS = trick_fields.COMPARED
# Tricks of networks that the default config does not have.
CONVOLUTIONAL = ('minibatch deviation', 'dropout in G')


def extra_systems() -> dict[str, tuple[str, dict]]:
  """Returns (config, changed fields) of each trick by its name."""
  return {
    f'trick: {name}': (
      'dcgan_mnist' if name in CONVOLUTIONAL else 'gan_mnist',
      fields,
    )
    for name, fields in TRICKS.items()
  }


def kind_of(path: str) -> str:
  """Returns what leaves of a common scale share: a path without its layers."""
  parts = path.split('/')
  return '/'.join(p for p in parts if not p[-1:].isdigit() or p.isdigit())


def scales_of(tree) -> dict[str, float]:
  """Returns the number that differences of a leaf are divided by."""
  largest = {}
  for path, leaf in tree.items():
    if leaf.size and np.issubdtype(leaf.dtype, np.inexact):
      largest[path] = float(np.max(np.abs(leaf)))
  kinds = {}
  for path, value in largest.items():
    kind = kind_of(path)
    kinds[kind] = max(kinds.get(kind, 0.0), value)
  return {
    path: max(value, FLOOR * kinds[kind_of(path)], 1e-30)
    for path, value in largest.items()
  }


def difference(old, new) -> tuple[float, str]:
  """Returns the largest relative difference of two trees, and where it is.

  The difference is infinite if paths, shapes, types or integers differ, or if
  a number of one side alone is not finite.

  Args:
    old: arrays by path.
    new: arrays by path.
  """
  only = sorted(old.keys() ^ new.keys())
  if only:
    side = 'OLD' if only[0] in old else 'NEW'
    return np.inf, f'{len(only)} paths differ, as {only[0]}, only in {side}'
  worst, where = 0.0, ''
  scales = scales_of(old)
  for path in old:
    a, b = old[path], new[path]
    if (a.shape, a.dtype) != (b.shape, b.dtype):
      return np.inf, (
        f'{path}: {a.dtype}{list(a.shape)} -> {b.dtype}{list(b.shape)}'
      )
    if a.tobytes() == b.tobytes():
      continue
    if path not in scales:
      return np.inf, f'{path}: integers differ'
    with np.errstate(invalid='ignore'):
      found = float(np.max(np.abs(a - b))) / scales[path]
    found = found if np.isfinite(found) else np.inf
    if found >= worst:
      worst, where = found, path
  return worst, where


def compute(checkout, only: str, folder: pathlib.Path) -> dict[str, dict]:
  """Runs all systems in a checkout, in two processes.

  Args:
    checkout: folder of the code.
    only: regular expression of names of systems.
    folder: for numbers, and for messages of the processes.

  Returns:
    By system what `inside.numbers` prints of it.

  Raises:
    Failed: if a process ends early.
  """
  folder.mkdir()
  processes = {}
  for part in PARTS:
    messages = folder / f'messages_{part[0]}.txt'
    with messages.open('w') as file:
      processes[messages] = checkouts.start(
        checkout,
        *('numbers', only, str(folder), part),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=file,
        env={
          'JAX_PLATFORMS': 'cpu',
          'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
          'JAX_COMPILATION_CACHE_DIR': str(folder.parent / 'cache'),
          'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
          'XLA_FLAGS': '--xla_cpu_multi_thread_eigen=false',
        },
      )
      processes[messages].stdin.write(json.dumps(extra_systems()))
      processes[messages].stdin.close()
  try:
    return {
      line['name']: line
      for messages, process in processes.items()
      for line in lines_of(process, messages)
    }
  finally:
    for process in processes.values():
      process.kill()
      process.wait()


def lines_of(process, messages: pathlib.Path):
  """Yields the lines of JSON that a process prints.

  Args:
    process: started by `compute`.
    messages: file of its errors.

  Raises:
    Failed: if the process ends with an error.
  """
  yield from map(json.loads, process.stdout)
  if process.wait():
    raise checkouts.Failed(f'a process ended: {checkouts.last_line(messages)}')


def read(folder: pathlib.Path, line) -> dict[str, np.ndarray]:
  with np.load(folder / line['file']) as file:
    return dict(file)


def report(name: str, sides, folders, rtol: float) -> bool:
  """Prints the line of a system; returns True if the sides agree.

  Args:
    name: name of the system.
    sides: the results of `compute` for both checkouts.
    folders: folders of their numbers.
    rtol: the largest relative difference that is allowed.
  """
  lines = [side.get(name) for side in sides]
  for label, line in zip(('OLD', 'NEW'), lines, strict=True):
    if line is None:
      print(f'{name}: not in {label}')
      return True
  for label, line in zip(('OLD', 'NEW'), lines, strict=True):
    if 'error' in line:
      print(f'{name}: fails in {label}: {line["error"]}')
      return False
  trees = [read(*pair) for pair in zip(folders, lines, strict=True)]
  worst, where = difference(*trees)
  if not where:
    print(f'{name}: equal')
  else:
    print(f'{name}: {worst:.2g} at {where}')
  return not where or worst <= rtol


def compare(old: str, new: str, only: str, rtol: float) -> int:
  """Prints the comparison; returns the exit code."""
  with (
    checkouts.open_checkouts(old, new) as folders,
    tempfile.TemporaryDirectory() as scratch,
  ):
    outputs = [pathlib.Path(scratch, name) for name in ('old', 'new')]
    sides = [
      compute(checkout, only, output)
      for checkout, output in zip(folders, outputs, strict=True)
    ]
    names = sorted(sides[0].keys() | sides[1].keys())
    bad = [n for n in names if not report(n, sides, outputs, rtol)]
  if not names:
    print(f'error: --only={only!r} matches no system', file=sys.stderr)
    return 2
  print(f'{len(names)} systems, {len(bad)} differ by more than {rtol:g}')
  return 1 if bad else 0


def main() -> int:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument('old', help='Git revision, or path of a checkout.')
  parser.add_argument('new', help='Likewise; . is the working tree.')
  parser.add_argument('--only', default='', help='Regular expression of names.')
  parser.add_argument(
    '--rtol', type=float, default=0.0, help='Largest relative difference.'
  )
  args = parser.parse_args()
  try:
    return compare(args.old, args.new, args.only, args.rtol)
  except checkouts.Failed as error:
    print(f'error: {error}', file=sys.stderr)
    return 2


if __name__ == '__main__':
  sys.exit(main())
