r"""Rounds per second by number of processes, of one device each.

  python -m benchmarks.processes --processes=1,2,4

Real runs of `launch/multiprocess.sh` on the embedded digits. Strong scaling
keeps the batch of the config for all processes together, weak scaling gives as
many images to each. Where processes share cores, as on one CPU, the rate says
little, and what travels between them more: collectives of a round and their
bytes, of the compiled program (`--config.dry_run=True`).
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from absl import app, flags

from benchmarks import experiment

_PROCESSES = flags.DEFINE_list('processes', ['1', '2', '4'], 'How many.')
_CONFIGS = flags.DEFINE_list(
  'configs', ['gan_mnist', 'dcgan_mnist'], 'NAME or NAME:VARIANT.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 200, 'Of each run.', lower_bound=20)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _train(script, name, batch_size, devices, *others) -> str:
  """What a run prints; it stops here if the run does."""
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
      'NPROC': '16',  # threads: a collective needs one of each device
    },
    capture_output=True,
    text=True,
  )
  if done.returncode:
    sys.exit(f'error: {name}: {done.stderr.strip() or done.stdout[-500:]}')
  return done.stdout


def rates(name: str, batch_size: int, processes: int) -> list[float]:
  """Rounds per second of tenths of a run, without the first, which compiles."""
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
  found = [json.loads(line) for line in lines.splitlines()]
  return [line['steps_per_second'] for line in found[1:]]


def collectives(name: str, batch_size: int, devices: int) -> str:
  """What a round sends between so many devices."""
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
      for processes in map(int, _PROCESSES.value):
        size = batch_size * (processes if weak else 1)
        found = rates(name, size, processes)
        middle = statistics.median(found)
        cells = [
          *(f'{name}, {kind}', processes, size),
          f'{middle:.1f} ({min(found):.1f} to {max(found):.1f})',
          f'{middle * size:,.0f}',
          collectives(name, size, processes),
        ]
        print(f'| {" | ".join(map(str, cells))} |', flush=True)


if __name__ == '__main__':
  app.run(main)
