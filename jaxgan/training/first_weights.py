"""First weights of a run: `config.init_from` names the workdir of another."""

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.models.layers import spectral_norm
from jaxgan.training import checkpoint, digests, sweeps
from jaxgan.training import workdir as workdir_lib

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


def adopt(workdir, state):
  """Returns a fresh state with weights, statistics and EMA of another run.

  Vectors of spectral norm are fresh if a run of an older format kept others.

  Args:
    workdir: the workdir of the other run.
    state: a state at step 0.

  Raises:
    UserError: if the networks of the two runs have different shapes.
  """
  saved, _ = checkpoint.load(workdir, None)

  def is_taken(path):
    kind = path.split('/')
    return kind[0] == 'ema' or (
      kind[0] == 'networks' and kind[2] in ('params', 'stats')
    )

  saved, wanted = (
    {path: leaf for path, leaf in digests.paths(tree).items() if is_taken(path)}
    for tree in (saved, state)
  )
  vectors = [{p for p in tree if _SPECTRAL in p} for tree in (saved, wanted)]
  if vectors[0] and vectors[1] and vectors[0] != vectors[1]:
    saved, wanted = (
      {path: leaf for path, leaf in tree.items() if _SPECTRAL not in path}
      for tree in (saved, wanted)
    )
  digests.refuse(workdir, digests.mismatches(saved, wanted))

  def pick(path, leaf):
    path = jax.tree_util.keystr(path, simple=True, separator='/')
    return np.asarray(saved.get(path, leaf))

  return jax.tree_util.tree_map_with_path(pick, state)
