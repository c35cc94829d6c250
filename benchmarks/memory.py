r"""Memory of a process that samples, scores, saves, or starts many runs.

  python -m benchmarks.memory --seconds=3600 --runs=50

Two rows have many short runs in one process, as a notebook starts them: equal
configs, and configs whose networks differ. The last row is one run that draws
grids, scores and saves every fifty rounds. A row has the resident memory at the
start and the end. Then it has the slope of a line without the first ten minutes
or runs. Neighbouring values depend on each other, so the line goes through the
means of ten equal parts, whose residuals give its standard error.
"""

import contextlib
import gc
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time

import numpy as np
from absl import flags

from benchmarks import cli, experiment
from jaxgan import errors
from jaxgan.training import loop

_SECONDS = flags.DEFINE_integer('seconds', 3_600, 'Length of the long run.')
_RUNS = flags.DEFINE_integer('runs', 50, 'Runs in one process.')

SMALL = {
  'data.source': 'embedded',
  'data.limit': 500,
  'data.image_size': 8,
  'generator.widths': (8,),
  'discriminator.widths': (8,),
  'batch_size': 8,
  'log_every': 50,
  'sample_every': 50,
  'checkpoint_every': 50,
  'eval_every': 50,
}
PARTS = 10
SECONDS_OF_START, RUNS_OF_START = 600.0, 10


def resident() -> float:
  """Returns the resident memory of this process in MB."""
  text = pathlib.Path('/proc/self/status').read_text()
  (line,) = (x for x in text.splitlines() if x.startswith('VmRSS'))
  return int(line.split()[1]) / 1024


def slope(times, values) -> tuple[float, float]:
  """Returns the slope of a line through means of parts, and its error."""
  if len(times) < 3:
    return float('nan'), float('nan')
  count = min(PARTS, len(times))
  x, y = (
    np.array([part.mean() for part in np.array_split(column, count)])
    for column in (np.asarray(times, float), np.asarray(values, float))
  )
  x = x - x.mean()
  value = x @ (y - y.mean()) / (x @ x)
  rest = y - y.mean() - value * x
  return value, float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))


def row(name: str, times, values, begin: float, unit: str) -> str:
  """Returns a row of a table."""
  late = [(t, v) for t, v in zip(times, values, strict=True) if t >= begin]
  value, error = slope(*zip(*late, strict=True)) if late else slope((), ())
  return (
    f'| {name} | {values[0]:.0f} | {values[-1]:.0f} | '
    f'{value:.3f} ± {error:.3f} MB per {unit} |'
  )


def long_run(seconds: float) -> str:
  """Trains for some seconds and watches the memory; returns a row."""
  config = experiment.changed(experiment.load('gan_mnist'), SMALL)
  config.num_steps = 10**9
  times, values = [], []

  def watch():
    start, wait = time.monotonic(), min(5.0, seconds / 100)
    while (now := time.monotonic() - start) < seconds:
      times.append(now / 60)
      values.append(resident())
      time.sleep(wait)
    os.kill(os.getpid(), signal.SIGTERM)  # Saves and stops the run.

  watcher = threading.Thread(target=watch)
  with tempfile.TemporaryDirectory() as folder:
    watcher.start()
    with contextlib.suppress(errors.Stopped):
      loop.train(config, folder)
  watcher.join()
  begin = min(SECONDS_OF_START, seconds / 2) / 60
  return row('sampling, scoring, saving', times, values, begin, 'minute')


def many_runs(count: int, differ: bool) -> str:
  """Trains many runs in this process and returns a row."""
  values = []
  for index in range(count):
    config = experiment.changed(experiment.load('gan_mnist'), SMALL)
    config.num_steps = 20
    if differ:
      config.generator.widths = (8 + index,)
    with tempfile.TemporaryDirectory() as folder:
      loop.train(config, folder)
    gc.collect()
    values.append(resident())
  name = 'runs with different networks' if differ else 'equal runs'
  begin = min(RUNS_OF_START, count // 2)
  return row(name, range(count), values, begin, 'run')


def main(argv) -> None:
  del argv
  print('| work | MB at the start | at the end | slope |')
  print('| --- | --- | --- | --- |', flush=True)

  def show(work, *arguments):
    with contextlib.redirect_stdout(sys.stderr):  # Tables of the runs.
      line = work(*arguments)
    print(line, flush=True)

  if _RUNS.value:
    show(many_runs, _RUNS.value, False)
    show(many_runs, _RUNS.value, True)
  if _SECONDS.value:
    show(long_run, _SECONDS.value)


if __name__ == '__main__':
  cli.run(main)
