"""Seconds from the command to the first logged step, cold and from the cache.

  python -m benchmarks.startup

Cold means an empty compilation cache. The first line of the log comes after ten
rounds of the default experiment. Its time includes imports, data, the first
grid of samples and all compilation.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import cli

_REPEATS = flags.DEFINE_integer('repeats', 3, 'Starts per kind.')


def start(workdir: str, cache: str) -> float:
  """Returns the seconds until the first line of the log."""
  command = [sys.executable, '-u', '-m', 'jaxgan.main']
  command += ['--config=configs/gan_mnist.py', f'--workdir={workdir}']
  command += ['--config.log_every=10', '--config.num_steps=20']
  command += ['--config.data.source=embedded']
  launched = time.perf_counter()
  with subprocess.Popen(
    command,
    env=os.environ | {'XDG_CACHE_HOME': cache},
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  ) as process:
    for line in process.stdout:
      if line.startswith('step '):
        return time.perf_counter() - launched
  sys.exit('error: the run ended before its first step')


def main(argv) -> None:
  del argv
  seconds = {'cold': [], 'cached': []}
  for _ in range(_REPEATS.value):
    with tempfile.TemporaryDirectory() as folder:
      for kind, times in seconds.items():
        times.append(start(f'{folder}/{kind}', f'{folder}/cache'))
  print('| start | seconds to the first step, median (range) |')
  print('| --- | --- |')
  for kind, times in seconds.items():
    middle = statistics.median(times)
    print(f'| {kind} | {middle:.1f} ({min(times):.1f} to {max(times):.1f}) |')


if __name__ == '__main__':
  cli.run(main)
