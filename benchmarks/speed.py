"""Rounds per second of jaxgan and of its peers: same networks, same recipe.

  python -m benchmarks.speed --torch_python=PYTHON --keras_python=PYTHON
  python -m benchmarks.speed --torch_python=... --systems=gan --recipe=plain

The Pythons given need torch, or keras (3) and tensorflow; they run
`benchmarks/peers/torch_speed.py` and `keras_speed.py`, where modes are
described. A peer without its flag is left out. Every side is a process of its
own, on one device. It is started twice, with an empty cache of compiled
programs and with what the first start left; then all sides of a system take
turns. Networks must have equal numbers of parameters.

Printed: a Markdown table. The ratio is taken turn by turn; jaxgan's own row has
that to the fastest of the other sides. A side's share of the ceiling is the
least time of a round, see `systems.bound`, over the time that it took; the
program is jaxgan's. Bytes count where a cache keeps them too, hence more than
100% of a copy. What compiles is in the first call, less a call after it, with
an empty cache and from the cache; the first call itself is timed from the start
of the process, and of jaxgan is `steps_per_call` rounds. Memory is the process'
own on CPUs, the device's elsewhere, of the second start.
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
from absl import app, flags

from benchmarks import experiment, systems, timing
from benchmarks.sides import Ended, Process, asked
from jaxgan import errors


@dataclasses.dataclass(frozen=True)
class Peer:
  """A library that is timed beside jaxgan.

  Attributes:
    python: the flag that gives a Python with it.
    version: code that prints it there.
    script: in `peers/`; answers as `systems.serve` does.
    modes: of the script.
    accelerated: modes that need an accelerator.
    environment: variables of its own.
  """

  python: flags.FlagHolder[str]
  version: str
  script: str
  modes: tuple[str, ...]
  accelerated: tuple[str, ...] = ()
  environment: dict[str, str] = dataclasses.field(default_factory=dict)


PEERS = {
  'PyTorch': Peer(
    python=flags.DEFINE_string('torch_python', '', 'A Python with torch.'),
    version='import torch; print("PyTorch", torch.__version__)',
    script='torch_speed.py',
    modes=('eager', 'tuned', 'compile', 'graphs'),
    accelerated=('graphs',),
  ),
  'Keras': Peer(
    python=flags.DEFINE_string('keras_python', '', 'A Python with keras.'),
    version='import keras, tensorflow; print("Keras", keras.__version__, '
    '"on TensorFlow", tensorflow.__version__)',
    script='keras_speed.py',
    modes=('graph', 'xla', 'steps', 'xla_steps'),
    environment={
      'KERAS_BACKEND': 'tensorflow',
      # Or it takes all of the memory, which other sides need too.
      'TF_FORCE_GPU_ALLOW_GROWTH': 'true',
    },
  ),
}

_SYSTEMS = flags.DEFINE_list(
  'systems', [], 'Keys of systems.SYSTEMS; none is all.'
)
_MODES = flags.DEFINE_list(
  'modes', [], 'Of peers, see PEERS; none is all that the device has.'
)
_RECIPE = flags.DEFINE_enum(
  'recipe', 'default', list(systems.RECIPES), 'A key of systems.RECIPES.'
)
_TURNS = flags.DEFINE_integer('turns', 8, 'Turns of each side.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 4.0, 'About how long a turn takes.')

HERE = pathlib.Path(__file__).resolve().parent
HEAD = (
  *('system', 'side', 'parameters', 'rounds/s, median (range)'),
  *('jaxgan is faster by', 'of the ceiling', 'compiles, s'),
  *('cached, s', 'first call, s', 'cached, s', 'peak memory, MB'),
)


def sides_of(name, config, chosen, folder) -> dict[str, Process]:
  """Jaxgan and peers in modes, with empty caches; chosen: (peer, mode)."""
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
  own['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  visible = os.environ.get('CUDA_VISIBLE_DEVICES') or '0'
  own['CUDA_VISIBLE_DEVICES'] = visible.split(',')[0]
  ours = [sys.executable, '-m', 'benchmarks.systems', name, _RECIPE.value]
  errors_in = folder / 'jaxgan.txt'
  sides = {'jaxgan': Process(ours, own, errors_in, config.steps_per_call)}
  for key, mode in chosen:
    peer, side = PEERS[key], f'{key} {mode}'
    theirs = [peer.python.value, str(HERE / 'peers' / peer.script), mode]
    sides[side] = Process(
      [*theirs, *files], own | peer.environment, folder / f'{side}.txt'
    )
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
      f'{float(least) * rate:.0%} of a {what}',
      *(f'{max(said["first"] - call, 0.0):.1f}' for said in starts),
      *(f'{said["start"]:.1f}' for said in starts),
      f'{memory[side] / 1e6:.0f}',
    )


def chosen(device: str) -> list[tuple[str, str]]:
  """Peers that have a Python, with every mode of theirs that is timed.

  Raises:
    UserError: if `--modes` names a mode that none of these has.
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
  """Prints the table."""
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
  print(
    f'recipe {_RECIPE.value}, batch {systems.BATCH_SIZE}, {_TURNS.value} turns '
    f'of {_SECONDS.value:g} s, {device}, {os.cpu_count()} cores '
    f'({platform.machine()}), {", ".join(versions)}\n'
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
