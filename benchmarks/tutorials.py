"""Losses of the `tutorial` variants against those that the tutorials print.

  python -m benchmarks.tutorials --epochs=1 --source=tfds --data_dir=PATH
  python -m benchmarks.tutorials --systems=gan,cgan --seeds=3 --epochs=10

Each run is `python -m jaxgan.main --config=configs/NAME_mnist.py:tutorial`. A
tutorial prints the losses of an epoch's last minibatch; ours
are means over the last 100 rounds, in the tutorial's units: its loss of the
discriminator is half the sum over reals and fakes. Epochs count 937 rounds (of
LSGAN 1,875), whatever the data. Runs stay in --workdir, and a second call goes
on with them. Printed: a Markdown table, with mean and range over seeds.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
from absl import app, flags

_SYSTEMS = flags.DEFINE_list('systems', [], 'Keys of SYSTEMS; none is all.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each system.')
_EPOCHS = flags.DEFINE_float('epochs', 1.0, 'Of each run.')
_SOURCE = flags.DEFINE_string('source', 'auto', 'As config.data.source.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'As config.data.data_dir.')
_WORKDIR = flags.DEFINE_string('workdir', 'runs/tutorials', 'Of all runs.')

ROOT = pathlib.Path(__file__).resolve().parent.parent
WINDOW = 100  # rounds that are averaged


def _half(line) -> float:
  return 0.5 * line['discriminator/loss']


def _adversarial(line) -> float:
  return line['generator/loss']


class System(NamedTuple):
  """What a tutorial prints.

  Attributes:
    rounds: of an epoch.
    first: losses of both players that it prints after its first epoch.
    last: after its last one, the 101st.
    discriminator: a line of metrics to the loss as the tutorial counts it.
    generator: likewise.
  """

  rounds: int
  first: tuple[float, float]
  last: tuple[float, float]
  discriminator: Callable = _half
  generator: Callable = _adversarial


# Square errors are halved here and not there. A label of 0.9 adds a constant:
# 0.9 (x - 1)^2 + 0.1 x^2 = (x - 0.9)^2 + 0.09.
SYSTEMS = {
  'gan': System(937, (0.875, 1.677), (0.470, 1.627)),
  'dcgan': System(937, (0.624, 0.863), (0.692, 0.896)),
  'cgan': System(937, (0.672, 0.962), (0.625, 0.916)),
  'ccgan': System(
    937,
    (0.382, 0.290),
    (0.010, 0.832),
    lambda line: (
      0.5
      * (
        line['discriminator/loss']
        - 0.045
        + 0.5 * line['discriminator/class_loss']
      )
    ),
    lambda line: 2.0 * line['generator/loss'] - 0.09,
  ),
  'wgan': System(937, (-0.033, -0.835), (-0.014, -0.028)),
  'lsgan': System(
    1875,
    (0.141, 0.877),
    (0.135, 0.561),
    lambda line: line['discriminator/loss'],
    lambda line: 2.0 * line['generator/loss'],
  ),
}


def _run(name: str, seed: int) -> tuple[tuple[float, float], float, str]:
  """Both losses at the end, the seconds it took, and the source of the data."""
  rounds = max(1, round(_EPOCHS.value * SYSTEMS[name].rounds))
  workdir = pathlib.Path(_WORKDIR.value).absolute() / f'{name}_seed{seed}'
  settings = {
    'seed': seed,
    'num_steps': rounds,
    'log_every': WINDOW,
    'sample_every': rounds,
    'checkpoint_every': 0,
    'eval_every': 0,
    'data.source': _SOURCE.value,
    'data.data_dir': _DATA_DIR.value,
  }
  command = [sys.executable, '-m', 'jaxgan.main', f'--workdir={workdir}']
  command.append(f'--config=configs/{name}_mnist.py:tutorial')
  command += [f'--config.{field}={value}' for field, value in settings.items()]
  began = time.monotonic()
  done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
  if done.returncode:
    sys.exit(f'error: {" ".join(command)} failed')
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  line = json.loads(lines[-1])
  losses = (SYSTEMS[name].discriminator(line), SYSTEMS[name].generator(line))
  record = json.loads((workdir / 'config.json').read_text())
  return losses, time.monotonic() - began, record['config']['data']['source']


def _spread(values) -> str:
  mean = statistics.fmean(values)
  return f'{mean:.3f} ({min(values):.3f} to {max(values):.3f})'


def main(argv) -> None:
  del argv
  names = _SYSTEMS.value or list(SYSTEMS)
  for name in names:
    if name not in SYSTEMS:
      sys.exit(f'error: --systems: {name!r} is unknown; known: {[*SYSTEMS]}')
  rows = []
  for name in names:
    found = [_run(name, seed) for seed in range(_SEEDS.value)]
    ours = [
      _spread(values) for values in zip(*(f[0] for f in found), strict=True)
    ]
    system = SYSTEMS[name]
    rows.append(
      [
        name,
        *(str(values[0]) for values in (system.first, system.last)),
        ours[0],
        *(str(values[1]) for values in (system.first, system.last)),
        ours[1],
        f'{statistics.fmean(f[1] for f in found):.0f}',
      ]
    )
  device = jax.devices()[0]
  print(
    f'{_EPOCHS.value:g} epochs, {_SEEDS.value} seeds, data: {found[0][2]}, '
    f'{device.device_kind}, jax {jax.__version__}\n'
  )
  print('| | D first | D last | D here | G first | G last | G here | seconds |')
  print('| --- ' * 8 + '|')
  for row in rows:
    print(f'| {" | ".join(row)} |')


if __name__ == '__main__':
  app.run(main)
