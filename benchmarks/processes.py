r"""Rounds per second by number of processes, with one device each.

  python -m benchmarks.processes --processes=1,2,4

Runs `launch/multiprocess.sh` on the embedded digits. Strong scaling divides the
batch of the config among all processes. Weak scaling gives a whole batch to
each. Rates mean little where processes share cores, as on one CPU. The table
therefore has the collectives of a round and their bytes, read from the compiled
program (`--config.dry_run=True`).
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from benchmarks import cli, experiment

_PROCESSES = cli.define_integers(
  'processes', [1, 2, 4], 'Numbers of processes.'
)
_CONFIGS = flags.DEFINE_list(
  'configs', ['gan_mnist', 'dcgan_mnist'], 'NAME or NAME:VARIANT.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 200, 'Rounds per run.', lower_bound=20)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _train(script, name, batch_size, devices, *others) -> str:
  """Runs a launch script and returns its output; exits if the run fails."""
  file, _, variant = name.partition(':')
  done = subprocess.run(
    [
      *[*script, f'--config={experiment.CONFIGS / file}.py:{variant}', *others],
      f'--config.batch_size={batch_size}',
      '--config.data.source=embedded',
    ],
    cwd=ROOT,
    env=os.environ
    | {
      'JAXGAN_PYTHON': sys.executable,
      'JAX_NUM_CPU_DEVICES': str(devices),
      'NPROC': '16',  # Threads: a collective needs one per device.
    },
    capture_output=True,
    text=True,
  )
  if done.returncode:
    sys.exit(f'error: {name}: {done.stderr.strip() or done.stdout[-500:]}')
  return done.stdout


def rates(name: str, batch_size: int, processes: int) -> list[float]:
  """Returns rounds per second of tenths of a run, except the first."""
  script = ['launch/multiprocess.sh', '-n', str(processes)]
  if processes == 1:
    script = ['launch/local.sh']
  with tempfile.TemporaryDirectory() as folder:
    _train(
      *[script, name, batch_size, 1, f'--workdir={folder}/run'],
      f'--config.num_steps={_ROUNDS.value}',
      f'--config.log_every={_ROUNDS.value // 10}',
      *['--config.sample_every=0', '--config.eval_every=0'],
      *['--config.checkpoint_every=0', '--config.steps_per_call=1'],
    )
    lines = (pathlib.Path(folder) / 'run/metrics.jsonl').read_text()
  rows = [json.loads(line) for line in lines.splitlines()]
  return [row['steps_per_second'] for row in rows[1:]]  # The first compiles.


def collectives(name: str, batch_size: int, devices: int) -> str:
  """Returns the collectives of a round between devices."""
  printed = _train(
    ['launch/local.sh'], name, batch_size, devices, '--config.dry_run=True'
  )
  (line,) = (x for x in printed.splitlines() if x.startswith('collectives'))
  return line.removeprefix('collectives').strip()


def main(argv) -> None:
  del argv
  print(
    f'{_ROUNDS.value} rounds, {os.cpu_count()} cores, one device a process; '
    'rounds/s: median (range) of tenths of a run\n'
  )
  head = ('', 'processes', 'batch', 'rounds/s', 'images/s', 'collectives')
  print(f'| {" | ".join(head)} |')
  print('| --- ' * len(head) + '|')
  for name in _CONFIGS.value:
    batch_size = experiment.load(name).batch_size
    for kind, weak in (('strong', False), ('weak', True)):
      for processes in _PROCESSES.value:
        size = batch_size * (processes if weak else 1)
        measured = rates(name, size, processes)
        middle = statistics.median(measured)
        cells = [
          *(f'{name}, {kind}', processes, size),
          f'{middle:.1f} ({min(measured):.1f} to {max(measured):.1f})',
          f'{middle * size:,.0f}',
          collectives(name, size, processes),
        ]
        print(f'| {" | ".join(map(str, cells))} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
