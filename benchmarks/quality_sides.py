"""Sides of `quality` and `time_to_quality`: jaxgan, PyTorch and Keras.

A side trains a config for seconds, with compilation and without reading data,
and makes samples at given times. PyTorch trains the same networks with a plain
recipe (`peers/torch_quality.py`). On photographs its networks have twice the
channels, and batch norm in the discriminator, as a DCGAN without tricks. Keras
trains the networks of the config's `tutorial` variant with the tutorial's
recipe (`peers/keras_quality.py`).
"""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import flags

from benchmarks import experiment
from jaxgan import data, errors, gan
from jaxgan.modes import evaluate

DIGITS = [
  *('gan_mnist', 'lsgan_mnist', 'cgan_mnist'),
  *('dcgan_mnist', 'acgan_mnist', 'wgan_mnist'),
]
PHOTOGRAPHS = ['dcgan_cifar10', 'dcgan_faces']
# With a variant `tutorial`.
TUTORIALS = ('gan_mnist', 'lsgan_mnist', 'cgan_mnist')
TUTORIALS += ('dcgan_mnist', 'wgan_mnist')
PEERS = pathlib.Path(__file__).parent / 'peers'

_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)
_FOLDER = flags.DEFINE_string(
  'folder', '', 'Class folders to train on, a tenth held out, not --source.'
)
_PYTHONS = {
  'PyTorch': flags.DEFINE_string(
    'torch_python', '', 'Path of a Python with torch; empty leaves it out.'
  ),
  'Keras': flags.DEFINE_string(
    'keras_python', '', 'Path of a Python with keras; empty leaves it out.'
  ),
}
SCRIPTS = {'PyTorch': 'torch_quality.py', 'Keras': 'keras_quality.py'}


@dataclasses.dataclass(frozen=True)
class Reached:
  """State of a side after a time.

  Attributes:
    seconds: time of training.
    rounds: rounds until then.
    reals: real images that the discriminator saw until then.
    samples: uint8 images.
  """

  seconds: float
  rounds: int
  reals: int
  samples: np.ndarray


# (config, seed, increasing seconds, number of samples) -> one item per time.
Side = Callable[[object, int, Sequence[float], int], Iterator[Reached]]


def load(name: str):
  """Returns the config NAME or NAME:VARIANT with the data of the flags."""
  known = DIGITS + PHOTOGRAPHS
  if name.partition(':')[0] not in known:
    raise errors.unknown('--configs', name, known)
  config = experiment.load(name)
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  if _FOLDER.value:
    config.data.update(
      source='folder', path=_FOLDER.value, held_out=0.1, on_bad='skip'
    )
  config.data.source = data.resolve(config.data)
  return config


def sides_of(name: str) -> dict[str, Side]:
  """Returns the sides that train a config, by name."""
  sides = {'jaxgan': ours}
  for peer, python in _PYTHONS.items():
    if python.value and (peer == 'PyTorch' or name in TUTORIALS):
      sides[peer] = _peer(peer, name)
  return sides


def ours(config, seed, seconds, num):
  """Trains jaxgan."""
  request = evaluate.Request(num)
  for run, took in experiment.watch(config, seed, seconds):
    rounds = int(run.state.step)
    reals = rounds * gan.batches_per_round(run.method) * config.batch_size
    yield Reached(took, rounds, reals, evaluate.fakes(run, request))


def _peer(peer: str, name: str) -> Side:
  def theirs(config, seed, seconds, num):
    config = _recipe(peer, name, config)
    yield from train_peer(peer, config, seed, seconds, num)[1]

  return theirs


def _recipe(peer: str, name: str, config):
  """Returns the config whose networks a peer trains."""
  if peer == 'PyTorch':
    return _plain(config) if name in PHOTOGRAPHS else config
  tutorial = experiment.load(f'{name}:tutorial')
  tutorial.data.update(config.data)
  return tutorial


def _plain(config):
  config = experiment.changed(config, {'discriminator.norm': 'batch'})
  config.discriminator.minibatch_stddev = False
  for network in (config.generator, config.discriminator):
    network.widths = tuple(2 * width for width in network.widths)
  return config


def train_peer(peer: str, config, seed, seconds, num):
  """Trains a peer, and returns its version and its items.

  Raises:
    UserError: if the peer lacks a part of the networks.
  """
  dataset = experiment.read(config.data)
  method = gan.from_config(config, dataset.spec)
  task = {
    'loss': config.loss,
    'latent_size': config.latent_size,
    'generator': experiment.describe(method.generator),
    'discriminator': experiment.describe(method.discriminator),
    'seconds': list(seconds),
    'num': num,
    'seed': seed,
  }
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    # A wrapper's field is a module, hence `str`. The peer refuses wrappers.
    (folder / 'task.json').write_text(json.dumps(task, default=str))
    for column in ('image', 'label'):
      np.save(folder / f'{column}s.npy', dataset.arrays()[column])
    done = subprocess.run(
      [_PYTHONS[peer].value, PEERS / SCRIPTS[peer], folder],
      capture_output=True,
      text=True,
    )
    if done.returncode:
      lines = done.stderr.strip().splitlines() or [f'exit {done.returncode}']
      raise errors.UserError(lines[-1].removeprefix('error: '))
    report = json.loads(done.stdout)
    reached = [
      Reached(*counts, np.load(folder / f'samples_{index}.npy'))
      for index, counts in enumerate(report['reports'])
    ]
  ours = experiment.parameters(method)
  if report['parameters'] != ours:
    raise errors.UserError(f'{report["parameters"]} are not {ours}')
  return report['version'], reached


def check(configs) -> str:
  """Returns the versions of the peers; raises UserError for a missing one."""
  versions = []
  for peer, flag in _PYTHONS.items():
    if not flag.value:
      continue
    if not shutil.which(flag.value):
      raise errors.UserError(
        f'--{flag.name}={flag.value!r} must be a Python that has {peer}. '
        'Leave the flag out to go without.'
      )
    for name, config in configs.items():
      if peer not in sides_of(name):
        continue
      recipe = _recipe(peer, name, config)
      try:
        version, _ = train_peer(peer, recipe, 0, [0.0], 1)
      except errors.UserError as error:
        raise errors.UserError(f'--configs={name}, {peer}: {error}') from None
    versions.append(f', {peer} {version}')
  return ''.join(versions)
