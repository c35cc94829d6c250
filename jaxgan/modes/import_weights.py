r"""--mode=import: weights of other codebases as a run of this one.

  python -m jaxgan.main --mode=import --weights=G_ema.pth,D.pth \
    --workdir=runs/biggan --config.data.source=folder --config.data.path=FOLDER

The workdir then has a checkpoint of step 0 with the weights and averages of the
files, and fresh optimizers. All modes take the workdir, and so does
`config.init_from`. Its file `config.py` is a config to resume with:

  python -m jaxgan.main --config=runs/biggan/config.py --workdir=runs/biggan

Without data, the run samples, inverts, completes and exports. Files of weights
are read as data and nothing in them is executed, see `core.pickles`.
"""

import dataclasses
import functools
import logging
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data as data_lib
from jaxgan import errors, steps
from jaxgan.core import buckets, paths
from jaxgan.core.pickles import Instance
from jaxgan.data.dataset import Spec
from jaxgan.metrics import pth
from jaxgan.modes.weights import modules, r3gan, recipes, residual, stylegan2
from jaxgan.modes.weights import network as network_lib
from jaxgan.modes.weights.network import Network
from jaxgan.training import checkpoint, data_files, writers
from jaxgan.training import compile as compile_lib
from jaxgan.training import workdir as workdir_lib

_logger = logging.getLogger(__name__)

KNOWN = 'BigGAN-PyTorch, PyTorch-StudioGAN, mimicry, R3GAN and StyleGAN2'
_MODULES = ('G', 'G_ema', 'D')  # of a snapshot
# Keys of dictionaries around a state dict.
_INNER = ('state_dict', 'model_state_dict')
CONFIG = '''"""Config of imported weights, to resume or to change their run."""

import json
import pathlib

from jaxgan import config as config_lib


def get_config():
  path = pathlib.Path(__file__).with_name('config.json')
  return config_lib.from_json(json.loads(path.read_text())['config'])
'''


def import_weights(
  workdir, weights: list[str] | None = None, data=None
) -> dict[str, str]:
  """Makes a workdir of files of weights.

  Args:
    workdir: the new folder of the run.
    weights: files of PyTorch: a generator, and a discriminator or averages of
      the generator, whose file name contains 'ema'. A missing discriminator is
      fresh.
    data: fields of `config.data` by name, for scores and further training.

  Returns:
    'path' of the workdir, 'source', and for each network the file.

  Raises:
    UserError: for files that are damaged, unknown, or do not fit each other or
      the data, and for a workdir with files.
  """
  folder = paths.of_user(workdir, '--workdir')
  if not weights:
    raise errors.UserError(
      '--weights is missing. Set --weights=FILE, or --weights=G.pth,D.pth.'
    )
  if folder.is_dir() and any(p.name != '.lock' for p in folder.iterdir()):
    raise errors.UserError(
      f'workdir {str(workdir)!r} has files. Choose another --workdir.'
    )
  found = [network for name in weights for network in read(name)]
  generator, average, discriminator = _players(found)
  config = recipes.config_of(generator, discriminator)
  dataset = _dataset(config, generator, data)
  method = steps.find(config.method).from_config(config, dataset.spec)
  state = _state(config, method, generator, average, discriminator)
  with workdir_lib.locked(folder), buckets.stored(folder):
    _write(folder, config, dataset, state)
  files = {'generator': generator, 'average': average}
  files |= {'discriminator': discriminator}
  return {
    'path': buckets.named(folder),
    'source': generator.source,
    **{name: n.path if n else 'fresh' for name, n in files.items()},
  }


def read(path) -> list[Network]:
  """Returns the networks of a file.

  Raises:
    UserError: for a file that is damaged or has no known network.
  """
  path = paths.of_user(path, '--weights')
  contents = pth.load(path, r3gan.NAMES)
  size = path.stat().st_size
  players = {'': contents}
  if isinstance(contents, dict):
    for name in _INNER:
      contents = contents.get(name, contents)
    players = {name: contents.get(name) for name in _MODULES}
  found = [
    _of_module(path, size, name, module)
    for name, module in players.items()
    if isinstance(module, Instance)
  ]
  if found:
    return found
  tensors = {
    str(name).removeprefix('module.'): value
    for name, value in (contents if isinstance(contents, dict) else {}).items()
    if isinstance(value, np.ndarray)
  }
  network_lib.refuse_sizes(path, tensors, size)
  if not residual.source(tensors):
    listed = ', '.join([*tensors][:3]) or 'no tensors'
    raise network_lib.refusal(
      path, f'no network of {KNOWN}', f'it has {listed}'
    )
  network = residual.convert(str(path), tensors)
  is_average = network.player == 'generator' and 'ema' in path.name.lower()
  return [dataclasses.replace(network, is_averaged=is_average)]


def _of_module(path, size: int, name: str, module: Instance) -> Network:
  """Returns the network of a pickled module, of the name in its snapshot."""
  try:
    network_lib.refuse_sizes(path, modules.tensors(module), size)
    family = stylegan2 if stylegan2.is_network(module) else r3gan
    return family.convert(str(path), module, 'ema' in name)
  except errors.UserError:
    raise
  except Exception as error:  # Objects in a pickle have any form.
    reason = str(error) or type(error).__name__
    raise network_lib.refusal(
      path, f'no network of {KNOWN}', f'{name or module.name}: {reason}'
    ) from None


def _players(found: list[Network]):
  """Returns generator, averaged generator and discriminator.

  Without averages the generator is the average, and the other way around.
  """
  players = {}
  for network in found:
    player = 'average' if network.is_averaged else network.player
    if player in players:
      raise errors.UserError(
        f'--weights has two files with a network {player!r}: '
        f'{players[player].path} and {network.path}. Remove one; the name of '
        "the generator's averages contains ema."
      )
    players[player] = network
  generator = players.get('generator', players.get('average'))
  if generator is None:
    raise errors.UserError(
      f'--weights has no generator: {found[0].path} is a discriminator. Add '
      'the file of the generator after a comma.'
    )
  return (
    generator,
    players.get('average', generator),
    players.get('discriminator'),
  )


def _dataset(config, generator: Network, data) -> data_lib.Dataset:
  """Returns the data of the run; without data, a set of size 0."""
  if not data:
    classes = tuple(map(str, range(generator.classes)))
    spec = Spec(generator.shape, generator.classes, classes)
    return data_lib.Dataset('folder', '', 'train', spec, 0, lambda rows: [], {})
  data_files.set_all(config.data, data)
  config_lib.validate(config)
  config.data.source = data_lib.resolve(config.data)
  dataset = data_lib.load(config.data)
  if generator.classes and dataset.spec.num_classes != generator.classes:
    raise errors.UserError(
      f'{generator.path} has {generator.classes} classes, and data.source='
      f'{config.data.source!r} has {dataset.spec.num_classes}. Set '
      '--config.data.path to data with the same classes.'
    )
  return dataset


def _state(config, method, generator, average, discriminator):
  """Returns the first state with the arrays of the files."""
  init = functools.partial(steps.find(config.method).init, method)
  like = jax.eval_shape(init, jax.random.key(0))
  filled = {}
  for network in (generator, average, discriminator):
    if network is not None:
      wanted = like.networks[network.player]
      template = {'params': wanted.params, **wanted.stats}
      filled[network.player, network is average] = network.fill(template)
  state = compile_lib.jit_once(init)(jax.random.key(config.seed))
  networks = dict(state.networks)
  # Statistics of averages are those of samples.
  averages = filled['generator', True]
  for player in state.networks:
    tree = filled.get(
      (player, False), averages if player in state.ema else None
    )
    if tree is None:
      _logger.info('%s: fresh, because no file has it', player)
      continue
    stats = averages if player in state.ema else tree
    networks[player] = networks[player].replace(
      params=jax.tree.map(jnp.array, tree['params']),
      stats={
        k: jax.tree.map(jnp.array, v) for k, v in stats.items() if k != 'params'
      },
    )
  ema = {'generator': jax.tree.map(jnp.array, averages['params'])}
  return state.replace(networks=networks, ema=ema)


def _write(folder: pathlib.Path, config, dataset, state) -> None:
  """Writes checkpoint, record, list of files and config of a run."""
  meta = {
    'format': config_lib.FORMAT,
    'rules': {},
    'config': config.to_dict(),
    'data': workdir_lib.of_data(dataset),
    'pending': {},
  }
  with checkpoint.Checkpoints(folder) as checkpoints:
    checkpoints.save(0, state, meta)
    checkpoints.verify(0, state)
  data_files.write(folder, dataset)
  writers.write_atomically(folder / 'config.py', CONFIG)
  workdir_lib.write(folder, config, {}, dataset, jax.devices(), True)
