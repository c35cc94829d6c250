"""First weights of a run: `config.init_from` names the workdir of another."""

import logging

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.models.layers import spectral_norm
from jaxgan.training import checkpoint, digests, sweeps
from jaxgan.training import workdir as workdir_lib

_logger = logging.getLogger(__name__)
MOST_NAMED = 20  # layers in a line of the log
_SPECTRAL = f'/stats/{spectral_norm.SPECTRAL}/'


def check(workdir: str) -> None:
  """Raises a UserError if a workdir does not hold a single run."""
  record = workdir_lib.read(paths.of_user(workdir, 'init_from'))
  if record is None:
    problem = 'holds no run'
  elif sweeps.is_population(record['config']):
    problem = 'holds a population, whose members have different weights'
  else:
    return
  raise errors.UserError(
    f'init_from={workdir!r} {problem}. Set the workdir of a single run.'
  )


def layer_of(path: str) -> str:
  """Returns the layer that an array of a state belongs to.

  Args:
    path: for example 'networks/generator/params/Dense_0/kernel', whose layer
      is 'generator/Dense_0'. Statistics, EMA weights and vectors of spectral
      norm belong to the same layer.
  """
  kind, *names = path.split('/')
  player, names = names[0], names[1:]
  if kind == 'networks':
    names = names[1 if names[0] == 'params' else 2 :]
  names = [name for name in names[:-1] if name not in ('module', 'kernel')]
  # Statistics may be one level deeper than the parameters of their norm.
  return '/'.join(
    [player, *(n for n in names if not n.startswith('BatchNorm'))]
  )


def _is_taken(path: str) -> bool:
  kind = path.split('/')
  return kind[0] == 'ema' or (
    kind[0] == 'networks' and kind[2] in ('params', 'stats')
  )


def adopt(workdir, state):
  """Returns a fresh state with weights, statistics and EMA of another run.

  Layers that differ stay fresh and are named in a line of the log. Vectors of
  spectral norm are fresh if a run of an older format kept others.

  Args:
    workdir: the workdir of the other run.
    state: a state at step 0.

  Raises:
    UserError: if all layers of a network differ.
  """
  saved, _ = checkpoint.load(workdir, None)
  saved, wanted = (
    {path: x for path, x in digests.paths(tree).items() if _is_taken(path)}
    for tree in (saved, state)
  )
  vectors = [{p for p in tree if _SPECTRAL in p} for tree in (saved, wanted)]
  if vectors[0] and vectors[1] and vectors[0] != vectors[1]:
    saved, wanted = (
      {path: leaf for path, leaf in tree.items() if _SPECTRAL not in path}
      for tree in (saved, wanted)
    )
  differ = digests.mismatches(saved, wanted)
  fresh = {layer_of(line.partition(':')[0]) for line in differ}
  players = {path: layer_of(path).partition('/')[0] for path in wanted}
  kept = {path for path in wanted if layer_of(path) not in fresh}
  if set(players.values()) - {players[path] for path in kept}:
    digests.refuse(workdir, differ)
  if fresh:
    _logger.warning(
      'init_from=%s: %d layers differ and are fresh: %s',
      workdir,
      len(fresh),
      ', '.join(sorted(fresh)[:MOST_NAMED])
      + ', ...' * (len(fresh) > MOST_NAMED),
    )

  def pick(path, leaf):
    path = jax.tree_util.keystr(path, simple=True, separator='/')
    return np.asarray(saved[path] if path in kept else leaf)

  return jax.tree_util.tree_map_with_path(pick, state)
