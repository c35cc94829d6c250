"""Checkouts of git revisions, and processes that use the code of one.

`benchmarks.same_numbers` and `benchmarks.regress` compare two checkouts. Each
checkout is used by a process of its own, which runs `benchmarks/inside.py` of
the checkout that compares.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
INSIDE = ROOT / 'benchmarks' / 'inside.py'


class Failed(Exception):
  """A revision cannot be checked out, or its process ended early."""


@contextlib.contextmanager
def open_checkout(name: str, folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the folder of a checkout; removes the checkout if it was made here.

  Args:
    name: path of a checkout, as '.', or a git revision.
    folder: does not exist yet; a revision is checked out there.

  Raises:
    Failed: if there is no such path or revision.
  """
  path = pathlib.Path(name).absolute()
  if (path / 'jaxgan').is_dir():
    yield path
    return
  git = ['git', '-C', str(ROOT), 'worktree']
  done = subprocess.run(
    [*git, 'add', '--quiet', '--detach', str(folder), name],
    capture_output=True,
    text=True,
  )
  if done.returncode:
    lines = done.stderr.strip().splitlines()
    raise Failed(f'{name!r} is no checkout and no revision: {lines[-1]}')
  try:
    yield folder
  finally:
    subprocess.run([*git, 'remove', '--force', str(folder)], check=True)


@contextlib.contextmanager
def open_checkouts(*names: str) -> Iterator[list[pathlib.Path]]:
  """Yields a folder for each name, see `open_checkout`.

  SIGTERM ends this process by SystemExit, so that checkouts are removed.
  """
  signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
  with contextlib.ExitStack() as stack:
    scratch = stack.enter_context(tempfile.TemporaryDirectory())
    yield [
      stack.enter_context(
        open_checkout(name, pathlib.Path(scratch).resolve() / f'side{index}')
      )
      for index, name in enumerate(names)
    ]


def start(
  checkout: pathlib.Path, job: str, *arguments: str, **popen
) -> subprocess.Popen:
  """Starts a job of `benchmarks/inside.py` with the code of a checkout.

  Args:
    checkout: folder whose `jaxgan` and `configs` the process uses.
    job: a key of `inside.JOBS`.
    *arguments: of the job.
    **popen: further arguments of `subprocess.Popen`; `env` adds variables.
  """
  added = popen.pop('env', {})
  # Python does not put the script's folder on its path: `-P`.
  return subprocess.Popen(
    [sys.executable, '-P', str(INSIDE), job, *arguments],
    cwd=checkout,
    env=os.environ | {'PYTHONPATH': str(checkout)} | added,
    text=True,
    **popen,
  )


def last_line(path: pathlib.Path) -> str:
  """Returns the last line of a file of errors, or '' if the file is empty."""
  lines = path.read_text(errors='replace').strip().splitlines()
  return lines[-1] if lines else ''
