"""Rounds per second of jaxgan and of PyTorch on the same networks.

  python -m benchmarks.speed --torch_python=/path/to/python

The Python given needs torch; it runs `benchmarks/peers/torch_gan.py`. Both
sides keep their data and state, and take turns, so that a change in the
machine's speed meets both. Printed: a Markdown table with the median and range
of each, and of the ratio turn by turn. With --systems=all, or names, other
systems too, see `benchmarks/systems.py`.
"""

import functools
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import jax
import numpy as np
from absl import app, flags

from benchmarks import experiment, systems
from jaxgan import config as config_lib
from jaxgan import data, errors, parallel
from jaxgan.steps import gan

_TORCH_PYTHON = flags.DEFINE_string('torch_python', '', 'A Python with torch.')
_TURNS = flags.DEFINE_integer('turns', 8, 'Turns of each side.')
_SECONDS = flags.DEFINE_float('seconds', 4.0, 'About how long a turn takes.')
_MODES = flags.DEFINE_list(
  'modes',
  ['eager', 'tuned'],
  'Of PyTorch: eager, tuned, compile; of --systems eager, compile, graphs.',
)
_RECIPE = flags.DEFINE_enum(
  'recipe',
  'default',
  ['default', 'plain'],
  'That of gan_mnist.py; plain: with label smoothing alone, no penalty and no '
  'average.',
)
_SYSTEMS = flags.DEFINE_list(
  'systems',
  [],
  'Of benchmarks/systems.py, or all; without, the recipes of gan_mnist.',
)

HERE = pathlib.Path(__file__).parent


class Jaxgan:
  """The training loop's own calls, without its files."""

  name = 'jaxgan'

  def __init__(self, config):
    dataset = data.load(config.data)
    method = gan.from_config(config, dataset.spec)
    self.parameters = experiment.parameters(method)
    engine = parallel.make('jit', config.batch_size, jax.devices()[:1])
    init = functools.partial(gan.init, method)
    self._state = jax.jit(init, out_shardings=engine.replicated)(
      jax.random.key(0)
    )
    self._data = engine.replicate(dataset.arrays())
    self._seed = engine.replicate(np.uint32(0))
    self._per_call = config.steps_per_call
    self._call = parallel.compile_rounds(
      engine,
      functools.partial(gan.train_step, method),
      rounds=self._per_call,
      draws=gan.draws(method),
      batch_size=config.batch_size,
      resident=True,
    )

  def run(self, rounds: int) -> float:
    """Seconds for `rounds` rounds."""
    began = time.perf_counter()
    for _ in range(rounds // self._per_call):
      self._state, _ = self._call(self._state, self._data, self._seed)
    jax.block_until_ready(self._state)
    return time.perf_counter() - began


class Torch:
  """The same in a process of its own."""

  def __init__(self, mode: str, config, images: pathlib.Path):
    self.name = f'PyTorch {mode}'
    command = [_TORCH_PYTHON.value, str(HERE / 'peers' / 'torch_gan.py')]
    command += [mode, str(images), str(config.batch_size)]
    command += [str(config.penalties.r1), str(config.ema_halflife)]
    self._process = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    self.version, *counts = self._process.stdout.readline().split()
    self.parameters = dict(
      zip(('generator', 'discriminator'), map(int, counts), strict=True)
    )

  def run(self, rounds: int) -> float:
    self._process.stdin.write(f'{rounds}\n')
    self._process.stdin.flush()
    return float(self._process.stdout.readline())


def _config():
  config = experiment.load('gan_mnist')
  if _RECIPE.value == 'plain':
    config.penalties.r1 = config.ema_halflife = 0.0
    config.label_smoothing.real = 0.1
    config.discriminator_batches = 'joint'  # one call, as the tuned peer
  config.data.source = 'embedded'
  config_lib.validate(config)
  return config


def _spread(values, digits=1) -> str:
  low, high = min(values), max(values)
  middle = statistics.median(values)
  return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


def _compare_systems() -> None:
  names = _SYSTEMS.value
  modes = _MODES.value if flags.FLAGS['modes'].present else ['eager', 'compile']
  try:
    systems.compare(
      systems.SYSTEMS if names == ['all'] else names,
      *(_TORCH_PYTHON.value, modes, _TURNS.value, _SECONDS.value),
    )
  except errors.UserError as error:
    sys.exit(f'error: {error}')


def main(argv) -> None:
  del argv
  if not _TORCH_PYTHON.value:
    sys.exit('error: --torch_python is missing: a Python that has torch')
  if _SYSTEMS.value:
    _compare_systems()
    return
  config = _config()
  ours = Jaxgan(config)
  images = HERE / '.images.npy'
  np.save(images, data.load(config.data).arrays()['image'])
  try:
    peers = [Torch(mode, config, images) for mode in _MODES.value]
  finally:
    images.unlink()
  for peer in peers:
    if peer.parameters != ours.parameters:
      sys.exit(f'error: {peer.parameters} are not {ours.parameters}')
  sides = [ours, *peers]
  rounds = {}
  for side in sides:
    side.run(50)  # compiles, and fills caches
    rate = 50 / side.run(50)
    rounds[side.name] = max(50, round(rate * _SECONDS.value / 50) * 50)
  rates = {side.name: [] for side in sides}
  for _ in range(_TURNS.value):
    for side in sides:
      count = rounds[side.name]
      rates[side.name].append(count / side.run(count))
  device = jax.devices()[0]
  print(
    f'gan_mnist, recipe {_RECIPE.value}, batch {config.batch_size}, '
    f'{ours.parameters["generator"]:,} + '
    f'{ours.parameters["discriminator"]:,} parameters, '
    f'{device.device_kind} ({platform.machine()}), jax {jax.__version__}, '
    f'torch {peers[0].version}, {_TURNS.value} turns each in turn\n'
  )
  print('| | rounds/s, median (range) | jaxgan is faster by |')
  print('| --- | --- | --- |')
  for side in sides:
    ratios = [
      a / b for a, b in zip(rates['jaxgan'], rates[side.name], strict=True)
    ]
    ratio = '' if side is ours else f'{_spread(ratios, 2)}x'
    print(f'| {side.name} | {_spread(rates[side.name])} | {ratio} |')


if __name__ == '__main__':
  app.run(main)
