"""Rounds per second of several systems, beside PyTorch.

  python -m benchmarks.speed --systems=gan,dcgan --torch_python=PYTHON

Every side is a process of its own. It is started twice, with an empty cache of
compiled programs and with what the first start left, and all sides then take
turns, so that a change in the machine's speed meets them all. Both sides have
the same networks (parameter counts are compared first), batches of 64, and the
recipe of the config without its average and R1.
"""

import dataclasses
import functools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan import dry_run, errors, parallel, steps, summary

BATCH_SIZE = 64
# name -> (config, variant).
SYSTEMS = {
  'gan': ('gan_mnist', ''),
  'dcgan_tutorial': ('dcgan_mnist', 'tutorial'),
  'dcgan': ('dcgan_mnist', ''),
  'cgan': ('cgan_mnist', ''),
  'ccgan': ('ccgan_mnist', 'tutorial'),
  'wgan_gp': ('wgan_mnist', 'gp'),
  'autoencoder': ('autoencoder_mnist', 'convolutional'),
  'vae': ('vae_mnist', 'tutorial'),
}
# What tutorials do not have, or have in more than one way.
CHANGED = {
  'batch_size': BATCH_SIZE,
  'ema_halflife': 0.0,
  'penalties.r1': 0.0,
  'discriminator_batches': 'separate',
  'fakes': 'batch',
  'label_smoothing.real': 0.1,
  'label_smoothing.generator': False,
  'data.source': 'embedded',
  'data.shuffle': True,
}
HERE = pathlib.Path(__file__).resolve().parent
PEER = HERE / 'peers' / 'torch_systems.py'


def load(name: str):
  """The config of a row of `SYSTEMS`."""
  if name not in SYSTEMS:
    raise errors.unknown('--systems', name, SYSTEMS)
  config = experiment.load(*SYSTEMS[name])
  known = config_lib.flatten(config)
  changed = {k: v for k, v in CHANGED.items() if k in known}
  if known.get('loss') == 'wasserstein':
    changed['label_smoothing.real'] = 0.0
  config = experiment.changed(config, changed)
  config_lib.validate(config)
  return config


def method_of(config, dataset):
  """The algorithm's module and its method."""
  algorithm = steps.find(config.method)
  return algorithm, algorithm.from_config(config, dataset.spec)


def counts(algorithm, method) -> dict[str, int]:
  """Numbers that are trained, by network."""
  return {
    name: summary.parameter_counts(module, *inputs)[1]
    for name, (module, inputs) in algorithm.modules(method).items()
  }


def task_of(config, dataset) -> dict:
  """A system as the peer reads it."""
  algorithm, method = method_of(config, dataset)
  modules = algorithm.modules(method)
  return {
    'method': config.method,
    'batch_size': config.batch_size,
    'shape': dataset.spec.shape,
    'loss': config.get('loss'),
    'latent_size': config.get('latent_size'),
    'discriminator_steps': config.get('discriminator_steps'),
    'class_weight': config.get('class_weight'),
    'mask_size': config.mask.size if 'mask' in config else 0,
    'gradient_penalty': dict(config.get('penalties', {})).get(
      'gradient_penalty', 0.0
    ),
    'networks': {k: experiment.describe(m) for k, (m, _) in modules.items()},
    'optimizers': {k: dict(config[k].optimizer) for k in modules},
  }


def serve(name: str) -> None:
  """Is the process of jaxgan; speaks as `peers/torch_systems.py` does."""
  parallel.use_compilation_cache()
  parallel.use_float32()
  config = load(name)
  dataset = experiment.read(config.data)
  algorithm, method = method_of(config, dataset)
  engine = parallel.make('jit', BATCH_SIZE, jax.devices()[:1])
  fields = {
    'engine': engine,
    'train_step': functools.partial(algorithm.train_step, method),
    'draws': algorithm.draws(method),
    'batch_size': BATCH_SIZE,
    'resident': True,
    'precision': config.precision,
  }
  said = {
    'version': jax.__version__,
    'parameters': counts(algorithm, method),
    'device': jax.devices()[0].device_kind,
  }
  print(json.dumps(said), flush=True)
  init = functools.partial(algorithm.init, method)
  state = jax.jit(init, out_shardings=engine.replicated)(jax.random.key(0))
  arrays = engine.replicate(dataset.arrays())
  seed = engine.replicate(np.uint32(0))
  many = config.steps_per_call
  call = parallel.compile_rounds(rounds=many, **fields)
  for line in sys.stdin:
    if line.strip() == 'ceiling':
      program = parallel.lower_rounds(
        state=state, data=arrays, seed=seed, rounds=1, **fields
      )
      flops = program.compile().cost_analysis()['flops']
      best = dry_run.ceilings(jax.devices()[0], config.precision)
      print(flops / best.flops, flush=True)
      continue
    began = time.perf_counter()
    for _ in range(-(-int(line) // many)):
      state, _ = call(state, arrays, seed)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = jax.devices()[0].memory_stats() or {}
    print(seconds, found.get('peak_bytes_in_use', memory), flush=True)


@dataclasses.dataclass
class Side:
  """A process that trains when told to, and how fast it came up."""

  name: str
  command: list
  environment: dict
  granularity: int = 1

  def start(self) -> dict:
    """What it says of itself, with seconds to the end of the first round."""
    began = time.perf_counter()
    self._process = subprocess.Popen(
      self.command,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | self.environment,
    )
    said = json.loads(self._answer())
    first, _ = self.run(1)
    return said | {'first': first, 'start': time.perf_counter() - began}

  def run(self, rounds: int) -> tuple[float, float]:
    """Seconds that rounds took, and the largest memory so far, in bytes."""
    self._tell(rounds)
    seconds, memory = map(float, self._answer().split())
    return seconds, memory

  def ceiling(self) -> float:
    """Seconds of a round at the speed of a large product of matrices."""
    self._tell('ceiling')
    return float(self._answer())

  def stop(self) -> None:
    self._process.stdin.close()
    self._process.wait()

  def _tell(self, words) -> None:
    self._process.stdin.write(f'{words}\n')
    self._process.stdin.flush()

  def _answer(self) -> str:
    line = self._process.stdout.readline()
    if not line:
      raise errors.UserError(f'{self.name} ended; see above')
    return line


def sides_of(name, config, folder, torch_python, modes) -> list[Side]:
  """Jaxgan and PyTorch in its modes, with empty caches."""
  dataset = experiment.read(config.data)
  task = folder / 'task.json'
  task.write_text(json.dumps(task_of(config, dataset), default=str))
  files = [str(task)]
  for column in ('image', 'label'):
    files.append(str(folder / f'{column}.npy'))
    np.save(files[-1], dataset.arrays()[column])
  caches = ('JAX_COMPILATION_CACHE_DIR', 'TORCHINDUCTOR_CACHE_DIR')
  cache = {place: str(folder / place) for place in caches}
  cache['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'
  ours = [sys.executable, '-m', 'benchmarks.systems', name]
  found = [Side('jaxgan', ours, cache, config.steps_per_call)]
  for mode in modes:
    command = [torch_python, str(PEER), mode, *files]
    found.append(Side(f'PyTorch {mode}', command, cache))
  return found


def compare(names, torch_python, modes, turns: int, seconds: float) -> None:
  """Prints a table for every system."""
  configs = {name: load(name) for name in names}
  for name, config in configs.items():
    with tempfile.TemporaryDirectory() as folder:
      sides = sides_of(name, config, pathlib.Path(folder), torch_python, modes)
      _table(name, sides, turns, seconds)


def _table(name, sides, turns, seconds) -> None:
  cold = {}
  for side in sides:
    cold[side.name] = side.start()
    side.stop()
  warm = {side.name: side.start() for side in sides}
  ours = warm['jaxgan']
  for side in sides:
    if warm[side.name]['parameters'] != ours['parameters']:
      raise errors.UserError(
        f'--systems={name}: {side.name} has {warm[side.name]["parameters"]} '
        f'and jaxgan {ours["parameters"]}'
      )
  rounds, rates, memory = {}, {side.name: [] for side in sides}, {}
  for side in sides:
    least = 2 * side.granularity
    side.run(least)
    took, _ = side.run(least)
    count = round(least / took * seconds / least) * least
    rounds[side.name] = max(count, least)
  for _ in range(turns):
    for side in sides:
      count = rounds[side.name]
      took, memory[side.name] = side.run(count)
      rates[side.name].append(count / took)
  share = sides[0].ceiling() * statistics.median(rates['jaxgan'])
  for side in sides:
    side.stop()
  versions = {v['version'] for v in warm.values()} - {ours['version']}
  print(
    f'{name}: batch {BATCH_SIZE}, parameters {ours["parameters"]}, '
    f'{ours["device"]}, jax {ours["version"]}, torch {"".join(versions)}, '
    f'{turns} turns; jaxgan at {share:.0%} of the speed of a large product\n'
  )
  head = ('', 'rounds/s, median (range)', 'jaxgan is faster by', 'compiles, s')
  head += ('first round, cold, s', 'cached, s', 'memory, MB')
  print(f'| {" | ".join(head)} |')
  print('| --- ' * len(head) + '|')
  for side in sides:
    own = rates[side.name]
    ratios = [a / b for a, b in zip(rates['jaxgan'], own, strict=True)]
    cells = [
      side.name,
      _spread(own, 1),
      '' if side is sides[0] else f'{_spread(ratios, 2)}x',
      f'{cold[side.name]["first"]:.1f}',
      f'{cold[side.name]["start"]:.1f}',
      f'{warm[side.name]["start"]:.1f}',
      f'{memory[side.name] / 1e6:.0f}',
    ]
    print(f'| {" | ".join(cells)} |')
  print(flush=True)


def _spread(values, digits: int) -> str:
  low, high = min(values), max(values)
  middle = statistics.median(values)
  return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


if __name__ == '__main__':
  serve(sys.argv[1])
