"""Uses the `jaxgan` of the current folder; started by `benchmarks.checkouts`.

  PYTHONPATH=CHECKOUT python -P benchmarks/inside.py numbers ONLY FOLDER PART
  PYTHONPATH=CHECKOUT python -P benchmarks/inside.py rates CHANGED NAME...

The code of a checkout may be older or newer than this file. Hence this file
uses only what stays: `steps.find`, `from_config`, `init` and `train_step` of an
algorithm, `jaxgan.trainer`, `Spec`, and `get_config` of `configs/*.py`. Nothing
is imported from `benchmarks`.
"""

import functools
import hashlib
import importlib.util
import json
import pathlib
import re
import sys
import time
import traceback

import jax
import jax.numpy as jnp
import numpy as np

import jaxgan
from jaxgan import steps
from jaxgan.data.dataset import Spec

ROUNDS = 2
# Sides of images by the end of a config's name, where the config has none.
SIDES = {'mnist': 28, 'grams': 64}
# Rounds in one compiled call: so that a call takes less than a second.
MOST_PER_CALL = 10
EXAMPLES = 4_500


def get_config(name: str):
  """Returns the config of `configs/NAME.py`, or a variant, as NAME:VARIANT."""
  name, _, variant = name.partition(':')
  return load(pathlib.Path('configs', f'{name}.py')).get_config(variant)


def load(path: pathlib.Path):
  """Imports a Python file that belongs to no package."""
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def config_names() -> list[str]:
  """Returns the names of all configs and variants, see `get_config`."""
  return [
    f'{path.stem}:{variant}'.removesuffix(':')
    for path in sorted(pathlib.Path('configs').glob('*.py'))
    for variant in load(path).VARIANTS
  ]


def shrink(node) -> None:
  """Gives every layer of a config's networks few units."""
  for name, value in node.items():
    if name.endswith('widths'):
      node[name] = (4,) * len(value)
    elif name == 'bottleneck':
      node[name] = 8
    elif name == 'blocks':
      node[name] = 1
    elif hasattr(value, 'items'):
      shrink(value)


def spec_of(config, name: str) -> Spec:
  """Returns shapes of the data that a config describes.

  Args:
    config: config of the run.
    name: name of the config file; its end tells the size of images if the
      config does not.
  """
  settings, stem = config.data, name.partition(':')[0]
  side = settings.image_size or SIDES.get(stem[-5:], 32)
  is_grey = 'mnist' in stem or 'logograms' in stem
  shape = (side, side, settings.channels or (1 if is_grey else 3))
  if settings.get('unpaired'):
    return Spec(shape, source_shape=shape)
  classes = tuple(settings.classes) or tuple('0123456789')
  if settings.get('pair') in ('edges', 'grey', 'outline'):
    source = (side, side, 1)
  else:
    source = shape if settings.get('pair') else ()
  return Spec(shape, len(classes), classes, source)


def random_examples(config, spec: Spec, count: int) -> dict[str, np.ndarray]:
  """Returns uint8 images and labels, the same for the same arguments."""
  rng = np.random.default_rng(0)
  columns = {'image': rng.integers(256, size=(count, *spec.shape))}
  if spec.source_shape:
    columns['source'] = rng.integers(256, size=(count, *spec.source_shape))
  columns = {name: x.astype(np.uint8) for name, x in columns.items()}
  if spec.num_classes:
    labels = rng.integers(spec.num_classes, size=count)
    columns['label'] = labels.astype(np.int32)
  if config.data.get('labelled'):
    columns |= {f'labelled_{name}': x[::-1] for name, x in columns.items()}
  return columns


def to_float(x: np.ndarray) -> np.ndarray:
  """Returns images in [-1, 1]; labels stay as they are."""
  return x / np.float32(127.5) - np.float32(1) if x.dtype == np.uint8 else x


def batches_per_round(algorithm, method) -> int:
  """Returns how many batches a round takes."""
  count = getattr(algorithm, 'batches_per_round', None)
  count = count or getattr(algorithm, 'draws', lambda method: 1)
  return count(method)


def two_rounds(name: str, fields) -> dict[str, np.ndarray]:
  """Returns all leaves of state and metrics after `ROUNDS` small rounds."""
  config = get_config(name)
  config.update_from_flattened_dict(fields)
  shrink(config)
  spec = spec_of(config, name)
  is_large = spec.is_image and spec.shape[0] > 64
  config.batch_size = 2 if is_large else 8
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, spec)
  count = config.batch_size * batches_per_round(algorithm, method)
  batch = random_examples(config, spec, count)
  batch = {column: to_float(x) for column, x in batch.items()}
  key = jax.random.key(0)
  state = jax.jit(functools.partial(algorithm.init, method))(key)
  step = jax.jit(functools.partial(algorithm.train_step, method))
  for _ in range(ROUNDS):
    state, metrics = step(state, batch, key)
  return leaves({'state': state, 'metrics': metrics})


def leaves(tree) -> dict[str, np.ndarray]:
  """Returns the arrays of a tree by path."""
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      name, leaf = f'{name}:key', jax.random.key_data(leaf)
    elif leaf.dtype == jnp.bfloat16:  # NumPy cannot store this type.
      name, leaf = f'{name}:bfloat16', leaf.astype(jnp.float32)
    found[name] = np.asarray(leaf)
  return found


def file_of(name: str) -> str:
  """Returns the file name for the numbers of a system."""
  return hashlib.sha256(name.encode()).hexdigest()[:16] + '.npz'


def numbers(only: str, folder: str, part: str) -> None:
  """Writes numbers of systems, and prints a line of JSON for each.

  Systems are all variants of configs, and those that standard input describes.

  Args:
    only: a regular expression; other systems are left out.
    folder: for an .npz file of each system.
    part: every second system from number 1 on, for 1/2.
  """
  extra = json.loads(sys.stdin.read())
  systems = {name: (name, {}) for name in config_names()} | extra
  chosen = [name for name in systems if re.search(only, name)]
  first, step = map(int, part.split('/'))
  for name in chosen[first::step]:
    config, fields = systems[name]
    line = {'name': name, 'file': file_of(name)}
    try:
      np.savez(pathlib.Path(folder, line['file']), **two_rounds(config, fields))
    except Exception as error:
      traceback.print_exc()
      text = (str(error).strip().splitlines() or [''])[0]
      line = {'name': name, 'error': f'{type(error).__name__}: {text}'}
    print(json.dumps(line), flush=True)


class System:
  """A system whose rounds are timed, compiled when it is made."""

  def __init__(self, name: str, changed: dict):
    config = get_config(name)
    known = {
      field: tuple(value) if isinstance(value, list) else value
      for field, value in changed.items()
      if has_field(config, field)
    }
    if config.get('loss') == 'wasserstein':
      known['label_smoothing.real'] = 0.0
    if 'discriminator_batches' in config:
      is_joint = not config.penalties.get('r1')
      known['discriminator_batches'] = 'joint' if is_joint else 'separate'
    config.update_from_flattened_dict(known)
    spec = spec_of(config, name)
    algorithm = steps.find(config.method)
    method = algorithm.from_config(config, spec)
    self.least = min(config.steps_per_call, MOST_PER_CALL)
    self._advance = jaxgan.trainer(
      algorithm,
      method,
      random_examples(config, spec, EXAMPLES),
      batch_size=config.batch_size,
      rounds_per_call=self.least,
    )
    init = jax.jit(functools.partial(algorithm.init, method))
    self._state = init(jax.random.key(0))
    self.run(1)

  def run(self, calls: int) -> tuple[float, float]:
    """Returns seconds of so many compiled calls: elapsed, and of processors."""
    began, began_cpu = time.perf_counter(), time.process_time()
    self._state, _ = self._advance(self._state, calls * self.least)
    jax.block_until_ready(self._state)
    return time.perf_counter() - began, time.process_time() - began_cpu


def has_field(config, field: str) -> bool:
  """Returns True if a config has a field of this dotted name."""
  for part in field.split('.'):
    if not hasattr(config, 'keys') or part not in config:
      return False
    config = config[part]
  return True


def rates(changed: str, *names: str) -> None:
  """Compiles systems, then times one whenever a line asks for it.

  Prints for each system, when it is compiled, the rounds of a call. Then reads
  lines 'NAME CALLS' and answers with the two numbers of `System.run`.

  Args:
    changed: fields that differ from the configs', as JSON: those of all
      systems, and those of single ones by their name.
    *names: names of systems, see `get_config`.
  """
  of_all, of_one = json.loads(changed)
  systems = {}
  for name in names:
    systems[name] = System(name, of_all | of_one.get(name, {}))
    print(systems[name].least, flush=True)
  for line in sys.stdin:
    name, calls = line.split()
    print(*systems[name].run(int(calls)), flush=True)


JOBS = {'numbers': numbers, 'rates': rates}

if __name__ == '__main__':
  home = pathlib.Path(jaxgan.__file__).resolve().parents[1]
  if home != pathlib.Path.cwd().resolve():
    sys.exit(f'jaxgan was imported from {home}, not from the checkout')
  JOBS[sys.argv[1]](*sys.argv[2:])
