"""Compares losses of the `tutorial` variants with the tutorials' own.

  python -m benchmarks.tutorials --epochs=1 --source=tfds --data_dir=PATH
  python -m benchmarks.tutorials --systems=gan,cgan --seeds=3 --epochs=10

Each run is `python -m jaxgan.main --config=configs/NAME_mnist.py:tutorial`. A
tutorial prints the losses of an epoch's last minibatch. Ours are means over the
last 100 rounds at most, in the tutorial's units: its loss of the discriminator
is half the sum over reals and fakes. An epoch has 937 rounds, or 1,875 of
LSGAN, for any data. Runs stay in --workdir, and a second call resumes them.
Prints a Markdown table with mean and range over seeds.
"""

import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
from absl import flags

from benchmarks import cli

_SYSTEMS = flags.DEFINE_list('systems', [], 'Keys of SYSTEMS (all).')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs per system.')
_EPOCHS = flags.DEFINE_float('epochs', 1.0, 'Epochs per run.')
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', 'runs/tutorials', 'Folder of all runs.'
)

ROOT = pathlib.Path(__file__).resolve().parent.parent
WINDOW = 100  # averaged rounds


def _half(line) -> float:
  return 0.5 * line['discriminator/loss']


def _adversarial(line) -> float:
  return line['generator/loss']


class System(NamedTuple):
  """The losses of a tutorial.

  Attributes:
    rounds: rounds of an epoch.
    printed: losses of discriminator and generator by epoch, 101 in all.
    discriminator: function of a line of metrics to the tutorial's loss.
    generator: the same for the generator.
  """

  rounds: int
  printed: dict[int, tuple[float, float]]
  discriminator: Callable = _half
  generator: Callable = _adversarial


# Our square errors are halved, the tutorial's are not. A label of 0.9 adds a
# constant: 0.9 (x - 1)^2 + 0.1 x^2 = (x - 0.9)^2 + 0.09.
SYSTEMS = {
  'gan': System(
    937,
    {1: (0.875, 1.677), 10: (0.64, 1.13), 50: (0.55, 1.33), 101: (0.47, 1.627)},
  ),
  'dcgan': System(937, {1: (0.624, 0.863), 101: (0.692, 0.896)}),
  'cgan': System(937, {1: (0.672, 0.962), 101: (0.625, 0.916)}),
  'ccgan': System(
    937,
    {1: (0.382, 0.290), 101: (0.010, 0.832)},
    lambda line: (
      0.5 * line['discriminator/loss']
      - 0.0225
      + 0.25 * line['discriminator/class_loss']
    ),
    lambda line: 2.0 * line['generator/loss'] - 0.09,
  ),
  'wgan': System(937, {1: (-0.033, -0.835), 101: (-0.014, -0.028)}),
  'lsgan': System(
    1875,
    {1: (0.141, 0.877), 101: (0.135, 0.561)},
    lambda line: line['discriminator/loss'],
    lambda line: 2.0 * line['generator/loss'],
  ),
}


def _run(name: str, seed: int) -> tuple[tuple[float, float], float, str]:
  """Trains; returns both last losses, the seconds, and the data source."""
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
  done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
  if done.returncode:
    sys.exit(f'error: {" ".join(command)} failed')
  text = (workdir / 'metrics.jsonl').read_text()
  lines = [json.loads(line) for line in text.splitlines()]
  losses = (
    SYSTEMS[name].discriminator(lines[-1]),
    SYSTEMS[name].generator(lines[-1]),
  )
  # The first window is mostly compilation.
  rates = [line['steps_per_second'] for line in lines[1:] or lines]
  record = json.loads((workdir / 'config.json').read_text())
  source = record['config']['data']['source']
  return losses, rounds / statistics.harmonic_mean(rates), source


def _spread(values) -> str:
  mean = statistics.fmean(values)
  return f'{mean:.3f} ({min(values):.3f} to {max(values):.3f})'


def main(argv) -> None:
  del argv
  names = _SYSTEMS.value or list(SYSTEMS)
  cli.check_names('systems', names, SYSTEMS)
  rows = []
  for name in names:
    runs = [_run(name, seed) for seed in range(_SEEDS.value)]
    ours = [
      _spread(values) for values in zip(*(run[0] for run in runs), strict=True)
    ]
    printed = SYSTEMS[name].printed.items()
    theirs = [
      ', '.join(f'{losses[player]} ({epoch})' for epoch, losses in printed)
      for player in range(2)
    ]
    seconds = statistics.fmean(run[1] for run in runs)
    rows.append(
      [name, theirs[0], ours[0], theirs[1], ours[1], f'{seconds:.0f}']
    )
  device = jax.devices()[0]
  print(
    f'{_EPOCHS.value:g} epochs, {_SEEDS.value} seeds, data: {runs[0][2]}, '
    f'{device.device_kind}, jax {jax.__version__}\n'
  )
  print('| | D, printed (epoch) | D here | G, printed | G here | seconds |')
  print('| --- ' * 6 + '|')
  for row in rows:
    print(f'| {" | ".join(row)} |')


if __name__ == '__main__':
  cli.run(main)
