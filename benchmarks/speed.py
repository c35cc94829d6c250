"""Rounds per second of jaxgan and of its peers: same networks, same recipe.

  python -m benchmarks.speed --torch_python=PYTHON --keras_python=PYTHON
  python -m benchmarks.speed --torch_python=... --systems=gan --recipe=plain
  python -m benchmarks.speed --torch_python=... --systems=sngan,stylegan2

The given Pythons need torch, or keras (3) and tensorflow. They run
`benchmarks/peers/torch_speed.py` and `keras_speed.py`, which describe the
modes. A peer without its flag is left out. Every side is a separate process on
one device. Each starts twice: first with an empty cache of compiled programs,
then with the programs of the first start. Then all sides of a system take
turns. Networks must have equal numbers of parameters.

Prints a Markdown table with these columns:

  jaxgan is faster by: ratio, taken turn by turn. In jaxgan's own row, the ratio
    to the fastest of the other sides.
  of the ceiling: least time of a round of jaxgan's program, see
    `systems.bound`, over the time of the side's round. Bytes that a cache keeps
    count as well, so a share can exceed 100% of a copy.
  compiles: the first call less a later call, with an empty cache and from the
    cache.
  first call: from the start of the process. A call of jaxgan has
    `steps_per_call` rounds.
  peak memory: of the process on CPUs, of the device elsewhere, at the second
    start.
"""

import dataclasses
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile

import jax
import numpy as np
from absl import flags

from benchmarks import cli, experiment, systems, timing
from benchmarks.sides import Ended, Process, asked
from jaxgan import errors


@dataclasses.dataclass(frozen=True)
class Peer:
  """A library that is timed beside jaxgan.

  Attributes:
    python: flag with the path of a Python that has the library.
    version: code that prints the version.
    script: file in `peers/` that answers as `systems.serve` does.
    modes: modes of the script.
    accelerated: modes that need an accelerator.
    environment: environment variables to add.
  """

  python: flags.FlagHolder[str]
  version: str
  script: str
  modes: tuple[str, ...]
  accelerated: tuple[str, ...] = ()
  environment: dict[str, str] = dataclasses.field(default_factory=dict)


PEERS = {
  'PyTorch': Peer(
    python=flags.DEFINE_string(
      'torch_python', '', 'Path of a Python with torch.'
    ),
    version='import torch; print("PyTorch", torch.__version__)',
    script='torch_speed.py',
    modes=('eager', 'tuned', 'compile', 'graphs'),
    accelerated=('graphs',),
  ),
  'Keras': Peer(
    python=flags.DEFINE_string(
      'keras_python', '', 'Path of a Python with keras.'
    ),
    version='import keras, tensorflow; print("Keras", keras.__version__, '
    '"on TensorFlow", tensorflow.__version__)',
    script='keras_speed.py',
    modes=('graph', 'xla', 'steps', 'xla_steps'),
    environment={
      'KERAS_BACKEND': 'tensorflow',
      # Otherwise TensorFlow takes all memory from other sides.
      'TF_FORCE_GPU_ALLOW_GROWTH': 'true',
    },
  ),
}

_SYSTEMS = flags.DEFINE_list(
  'systems', [], 'Keys of systems.SYSTEMS (all) or of systems.RECENT.'
)
_MODES = flags.DEFINE_list(
  'modes', [], 'Modes of PEERS (all that run on the device).'
)
_RECIPE = flags.DEFINE_enum(
  'recipe', 'default', list(systems.RECIPES), 'Key of systems.RECIPES.'
)
_TURNS = flags.DEFINE_integer('turns', 8, 'Turns per side.', lower_bound=1)
_PROCESSOR = flags.DEFINE_bool(
  'processor_time',
  False,
  'Counts processor time on CPUs instead of time, for a core with other work.',
)
_SECONDS = flags.DEFINE_float('seconds', 4.0, 'Approximate length of a turn.')

HERE = pathlib.Path(__file__).resolve().parent
HEAD = (
  *('system', 'side', 'parameters', 'rounds/s, median (range)'),
  *('jaxgan is faster by', 'of the ceiling', 'compiles, s'),
  *('cached, s', 'first call, s', 'cached, s', 'peak memory, MB'),
)


def sides_of(name, config, chosen, folder) -> dict[str, Process]:
  """Returns jaxgan and pairs `chosen` of peer and mode, with empty caches."""
  dataset = experiment.read(config.data)
  task = folder / 'task.json'
  # A wrapper's field is a module, hence `str`. The peer refuses wrappers.
  task.write_text(
    json.dumps(systems.task_of(config, dataset.spec), default=str)
  )
  files = [str(task)]
  for column in ('image', 'label'):
    files.append(str(folder / f'{column}.npy'))
    np.save(files[-1], dataset.arrays()[column])
  caches = ('JAX_COMPILATION_CACHE_DIR', 'TORCHINDUCTOR_CACHE_DIR')
  variables = {name: str(folder / name) for name in caches}
  variables['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  visible = os.environ.get('CUDA_VISIBLE_DEVICES') or '0'
  variables['CUDA_VISIBLE_DEVICES'] = visible.split(',')[0]
  ours = [sys.executable, '-m', 'benchmarks.systems', name, _RECIPE.value]
  errors_in = folder / 'jaxgan.txt'
  counts = _PROCESSOR.value
  sides = {
    'jaxgan': Process(ours, variables, errors_in, config.steps_per_call, counts)
  }
  for key, mode in chosen:
    peer, side = PEERS[key], f'{key} {mode}'
    theirs = [peer.python.value, str(HERE / 'peers' / peer.script), mode]
    sides[side] = Process(
      [*theirs, *files],
      variables | peer.environment,
      folder / f'{side}.txt',
      counts_processor=counts,
    )
  return sides


def row(*cells) -> None:
  print(f'| {" | ".join(cells)} |', flush=True)


def started(name, sides) -> tuple[dict, dict]:
  """Starts sides twice, returns their reports, and drops those that fail.

  Raises:
    UserError: if jaxgan cannot run, or networks differ.
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
  """Times a system and prints its rows."""
  cold, warm = started(name, sides)
  rates = timing.take_turns(sides, _TURNS.value, _SECONDS.value)
  memory = {side: process.memory for side, process in sides.items()}
  least, limit = sides['jaxgan'].ask('bound').split()
  others = [side for side in rates if side != 'jaxgan']
  fastest = max(
    others, key=lambda side: statistics.median(rates[side]), default=''
  )
  for side, process in sides.items():
    process.stop()
    is_ours = side == 'jaxgan'
    over = fastest if is_ours else side
    ratio = ''
    if over:
      ratios = timing.ratios(rates['jaxgan'], rates[over])
      ratio = f'{timing.spread(ratios, ".2f")}x' + f', {over}' * is_ours
    rate = statistics.median(rates[side])
    starts, call = (cold[side], warm[side]), process.granularity / rate
    row(
      *(name, side, f'{sum(warm[side]["parameters"].values()):,}'),
      timing.spread(rates[side], '.3g'),
      ratio,
      f'{float(least) * rate:.0%} of a {limit}',
      *(f'{max(report["first"] - call, 0.0):.1f}' for report in starts),
      *(f'{report["start"]:.1f}' for report in starts),
      f'{memory[side] / 1e6:.0f}',
    )


def chosen(device: str) -> list[tuple[str, str]]:
  """Returns pairs of a peer that has a Python and a mode to time.

  Raises:
    UserError: if `--modes` names a mode that none of the peers has.
  """
  owners = {mode: peer for peer in PEERS.values() for mode in peer.modes}
  for mode in _MODES.value:
    if mode not in owners:
      raise errors.unknown('--modes', mode, owners)
    python = owners[mode].python
    if not python.value:
      raise errors.UserError(f'--modes={mode!r} needs --{python.name}')
  wanted = _MODES.value or [
    mode
    for mode, peer in owners.items()
    if device != 'cpu' or mode not in peer.accelerated
  ]
  return [
    (key, mode)
    for key, peer in PEERS.items()
    for mode in peer.modes
    if peer.python.value and mode in wanted
  ]


def compare() -> None:
  """Times all systems and prints the table."""
  configs = {
    name: systems.load(name, _RECIPE.value)
    for name in _SYSTEMS.value or systems.SYSTEMS
  }
  device = asked(
    sys.executable, 'import jax; print(jax.devices()[0].device_kind)', 'python'
  )
  modes = chosen(device)
  versions = [f'jax {jax.__version__}']
  for key in dict(modes):
    peer = PEERS[key]
    flag = f'--{peer.python.name}'
    versions.append(
      asked(peer.python.value, peer.version, flag, **peer.environment)
    )
  batches = sorted({config.batch_size for config in configs.values()})
  clock = ' of processor time' * _PROCESSOR.value
  print(
    f'recipe {_RECIPE.value}, batch {" or ".join(map(str, batches))}, '
    f'{_TURNS.value} turns '
    f'of {_SECONDS.value:g} s{clock}, {device}, {os.cpu_count()} cores '
    f'({platform.machine()}), {", ".join(versions)}\n'
  )
  row(*HEAD)
  print('| --- ' * len(HEAD) + '|')
  for name, config in configs.items():
    with tempfile.TemporaryDirectory() as folder:
      measure(name, sides_of(name, config, modes, pathlib.Path(folder)))


def main(argv) -> None:
  del argv
  jax.config.update('jax_platforms', 'cpu')  # Leaves the device to the sides.
  compare()


if __name__ == '__main__':
  cli.run(main)
