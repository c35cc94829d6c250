"""Rounds per second of jaxgan and of PyTorch: same networks, same recipe.

  python -m benchmarks.speed --torch_python=/path/to/python
  python -m benchmarks.speed --torch_python=... --systems=gan --recipe=plain

The Python given needs torch; it runs `benchmarks/peers/torch_speed.py`, where
its modes are described. Every side is a process of its own, on one device. It
is started twice, with an empty cache of compiled programs and with what the
first start left; then all sides of a system take turns. Networks must have
equal numbers of parameters.

Printed: a Markdown table. The ratio is taken turn by turn. A side's share of
the ceiling is the least time of a round, see `systems.bound`, over the time
that it took; the program is jaxgan's. Bytes count where a cache keeps them
too, hence more than 100% of a copy. What compiles is in the first call, less
a call after it. Memory is the process' own on CPUs, the device's elsewhere.
"""

import dataclasses
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
from absl import app, flags

from benchmarks import experiment, systems, timing
from jaxgan import errors

MODES = ('eager', 'tuned', 'compile', 'graphs')

_TORCH_PYTHON = flags.DEFINE_string('torch_python', '', 'A Python with torch.')
_SYSTEMS = flags.DEFINE_list(
  'systems', [], 'Keys of systems.SYSTEMS; none is all.'
)
_MODES = flags.DEFINE_list(
  'modes', [], f'Of PyTorch: {MODES}; none is all that the device has.'
)
_RECIPE = flags.DEFINE_enum(
  'recipe', 'default', list(systems.RECIPES), 'A key of systems.RECIPES.'
)
_TURNS = flags.DEFINE_integer('turns', 8, 'Turns of each side.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 4.0, 'About how long a turn takes.')

HERE = pathlib.Path(__file__).resolve().parent
PEER = HERE / 'peers' / 'torch_speed.py'
HEAD = (
  *('system', 'side', 'parameters', 'rounds/s, median (range)'),
  *('jaxgan is faster by', 'of the ceiling', 'compiles, s'),
  *('first round, cold, s', 'cached, s', 'peak memory, MB'),
)


class Ended(errors.UserError):
  """A side stopped; with its last words."""


@dataclasses.dataclass
class Process:
  """A side: it trains when told to.

  Attributes:
    command: starts it.
    environment: variables of its own.
    errors: file for what it says of its own accord.
    granularity: see `timing.Side`.
    memory: the largest so far, in bytes.
  """

  command: list[str]
  environment: dict[str, str]
  errors: pathlib.Path
  granularity: int = 1
  memory: float = 0.0

  def start(self) -> dict:
    """What it says of itself, with seconds to the end of its first call."""
    began = time.perf_counter()
    with self.errors.open('w') as said:
      self._process = subprocess.Popen(
        self.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env=os.environ | self.environment,
      )
    found = json.loads(self._answer())
    first = self.run(self.granularity)
    return found | {'first': first, 'start': time.perf_counter() - began}

  def run(self, rounds: int) -> float:
    seconds, self.memory = map(float, self.ask(rounds).split())
    return seconds

  def ask(self, words) -> str:
    try:
      self._process.stdin.write(f'{words}\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # Its last words are read then.
    return self._answer()

  def stop(self) -> None:
    self._process.communicate()

  def _answer(self) -> str:
    line = self._process.stdout.readline()
    if not line:
      self._process.communicate()
      words = self.errors.read_text().strip().splitlines()
      raise Ended(words[-1] if words else f'exit {self._process.returncode}')
    return line


def sides_of(name, config, modes, folder) -> dict[str, Process]:
  """Jaxgan and PyTorch in its modes, with empty caches."""
  dataset = experiment.read(config.data)
  task = folder / 'task.json'
  # A wrapper's field is a module, and the peer refuses the wrapper.
  task.write_text(
    json.dumps(systems.task_of(config, dataset.spec), default=str)
  )
  files = [str(task)]
  for column in ('image', 'label'):
    files.append(str(folder / f'{column}.npy'))
    np.save(files[-1], dataset.arrays()[column])
  caches = ('JAX_COMPILATION_CACHE_DIR', 'TORCHINDUCTOR_CACHE_DIR')
  own = {place: str(folder / place) for place in caches}
  own['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'
  visible = os.environ.get('CUDA_VISIBLE_DEVICES') or '0'
  own['CUDA_VISIBLE_DEVICES'] = visible.split(',')[0]
  ours = [sys.executable, '-m', 'benchmarks.systems', name, _RECIPE.value]
  errors_in = folder / 'jaxgan.txt'
  sides = {'jaxgan': Process(ours, own, errors_in, config.steps_per_call)}
  for mode in modes:
    theirs = [_TORCH_PYTHON.value, str(PEER), mode, *files]
    sides[f'PyTorch {mode}'] = Process(theirs, own, folder / f'{mode}.txt')
  return sides


def row(*cells) -> None:
  print(f'| {" | ".join(cells)} |', flush=True)


def started(name, sides) -> tuple[dict, dict]:
  """What sides said cold and from the cache; those that can't run are out.

  Raises:
    UserError: if jaxgan can't run, or networks differ.
  """
  cold, warm = {}, {}
  for side, process in list(sides.items()):
    try:
      cold[side] = process.start()
      process.stop()
      warm[side] = process.start()
    except Ended as error:
      if side == 'jaxgan':
        raise errors.UserError(f'{name}: jaxgan ended: {error}') from None
      row(name, side, *[''] * (len(HEAD) - 3), f'does not run here: {error}')
      del sides[side]
      continue
    ours, theirs = (warm[k]['parameters'] for k in ('jaxgan', side))
    if theirs != ours:
      raise errors.UserError(f'{name}: {side} has {theirs}, jaxgan {ours}')
  return cold, warm


def measure(name, sides) -> None:
  """Prints the rows of a system."""
  cold, warm = started(name, sides)
  rates = timing.take_turns(sides, _TURNS.value, _SECONDS.value)
  memory = {side: process.memory for side, process in sides.items()}
  least, what = sides['jaxgan'].ask('bound').split()
  for side, process in sides.items():
    process.stop()
    ratios = timing.ratios(rates['jaxgan'], rates[side])
    rate = statistics.median(rates[side])
    compiles = cold[side]['first'] - process.granularity / rate
    row(
      *(name, side, f'{sum(warm[side]["parameters"].values()):,}'),
      timing.spread(rates[side], '.3g'),
      '' if side == 'jaxgan' else f'{timing.spread(ratios, ".2f")}x',
      f'{float(least) * rate:.0%} of a {what}',
      f'{max(compiles, 0.0):.1f}',
      *(f'{found[side]["start"]:.1f}' for found in (cold, warm)),
      f'{memory[side] / 1e6:.0f}',
    )


def asked(python: str, code: str, flag: str) -> str:
  """What code prints; this process leaves the device to others."""
  try:
    done = subprocess.run(
      [python, '-c', code], capture_output=True, text=True, check=True
    )
  except (OSError, subprocess.CalledProcessError):
    raise errors.UserError(f'{flag}={python!r} can not run: {code}') from None
  return done.stdout.strip()


def compare() -> None:
  """Prints the table."""
  configs = {
    name: systems.load(name, _RECIPE.value)
    for name in _SYSTEMS.value or systems.SYSTEMS
  }
  torch = asked(
    _TORCH_PYTHON.value,
    'import torch; print(torch.__version__)',
    '--torch_python',
  )
  device = asked(
    sys.executable, 'import jax; print(jax.devices()[0].device_kind)', 'python'
  )
  modes = _MODES.value or (MODES[:3] if device == 'cpu' else MODES)
  for mode in modes:
    if mode not in MODES:
      raise errors.unknown('--modes', mode, MODES)
  print(
    f'recipe {_RECIPE.value}, batch {systems.BATCH_SIZE}, {_TURNS.value} turns '
    f'of {_SECONDS.value:g} s, {device}, {os.cpu_count()} cores '
    f'({platform.machine()}), jax {jax.__version__}, torch {torch}\n'
  )
  row(*HEAD)
  print('| --- ' * len(HEAD) + '|')
  for name, config in configs.items():
    with tempfile.TemporaryDirectory() as folder:
      measure(name, sides_of(name, config, modes, pathlib.Path(folder)))


def main(argv) -> None:
  del argv
  jax.config.update('jax_platforms', 'cpu')  # The device is for the sides.
  try:
    compare()
  except errors.UserError as error:
    sys.exit(f'error: {error}')


if __name__ == '__main__':
  app.run(main)
