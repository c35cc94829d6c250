"""The state of one run on the devices, and the functions of that state.

`OneState` and `jaxgan.training.population.ManyStates` have the same methods.
The training loop calls them and does not know how many runs it trains.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import traced

# Folded into the key of the run for the latents of the grids.
PREVIEW_STREAM = 2**31 - 1


def preview_key(seed):
  """Returns the key of the latents of a run's grids."""
  return jax.random.fold_in(jax.random.key(seed), PREVIEW_STREAM)


def on_host(scores) -> dict[str, float]:
  return {name: float(x) for name, x in jax.device_get(scores).items()}


class OneState:
  """The state of one run.

  Attributes:
    config: the config of the run.
    engine: the devices.
    algorithm: an algorithm of `jaxgan.steps`.
    method: the parts of the algorithm that never change.
    arrays: the state on the devices, as compiled rounds take it.
    seed: the seed on the devices, as compiled rounds take it.
  """

  num_members = 0  # A single run is no population.

  def __init__(self, config):
    self.config = config

  @property
  def configs(self) -> list:
    """Configs of all members; a single run has one."""
    return [self.config]

  @property
  def methods(self) -> list:
    """Methods of all members; a single run has one."""
    return [self.method]

  def make_engine(self) -> devices_lib.Engine:
    self.engine = devices_lib.make(
      self.config.engine,
      self.config.batch_size,
      # Old runs have no field.
      splits_state=self.config.get('shard_parameters', False),
    )
    return self.engine

  def build(self, algorithm, method, dataset) -> None:
    """Takes the algorithm; raises if it does not fit the config.

    Args:
      algorithm: an algorithm of `jaxgan.steps`.
      method: built from `config`.
      dataset: the training images.
    """
    self.algorithm, self.method = algorithm, method
    self._spec = dataset.spec

  def tables(self) -> list[str]:
    """Returns tables for the start of the run."""
    return []

  def like(self):
    """Returns shapes and types of the saved state.

    A state that is split is read on the host, so it may come from any number of
    devices. All others are read to the devices, and have shardings.
    """
    if self.engine.splits_state:
      return self._shapes()
    return jax.tree.map(
      lambda x: x.update(sharding=self.engine.replicated), self._shapes()
    )

  def _shapes(self):
    init = functools.partial(self.algorithm.init, self.method)
    return jax.eval_shape(init, jax.random.key(0))

  def restore(self, saved) -> None:
    """Takes a saved state, of the form of `like`."""
    if self.engine.splits_state:
      saved = jax.device_put(saved, self.engine.shardings(saved))
    self.arrays = saved

  def initialize(self, adopt: Callable) -> None:
    """Makes the state before the first round.

    Args:
      adopt: maps a fresh state to the state to start from.
    """
    init = compile_lib.jit_once(
      functools.partial(self.algorithm.init, self.method),
      out_shardings=self.engine.shardings(self._shapes()),
    )
    self.arrays = adopt(init(jax.random.key(self.config.seed)))

  def train_step(self) -> Callable:
    """Returns the function that `compile_rounds` repeats."""
    return traced.train_step(
      self.algorithm, self.method, self.config, self._spec
    )

  def compile(self) -> None:
    """Compiles previews and scores, and puts the seed on the devices."""
    jit = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    self.seed = self.engine.replicate(np.uint32(self.config.seed))
    self._preview_key = jit(preview_key)(self.seed)
    self._preview = jit(functools.partial(self.algorithm.preview, self.method))
    self._evaluate = jit(
      functools.partial(self.algorithm.evaluate, self.method)
    )

  def for_all(self, call: Callable) -> Callable:
    """Returns compiled rounds as a function of `arrays`, data and `seed`."""
    return call

  def scores(self, batch, score_samples: Callable) -> dict[str, float]:
    """Scores held-out images and samples.

    Args:
      batch: held-out images.
      score_samples: (method, state) -> scores of samples.
    """
    scores = on_host(self._evaluate(self.arrays, batch))
    return scores | score_samples(self.method, self.arrays)

  def with_spread(self, values: dict[str, float]) -> dict[str, float]:
    """Returns the metrics; a population adds means over its members."""
    return values

  def preview(self, batch) -> dict[str, np.ndarray]:
    """Returns images by name, the main images first; see `jaxgan.steps`."""
    return jax.device_get(self._preview(self.arrays, batch, self._preview_key))

  def is_averaged(self) -> bool:
    """Returns True if previews come from EMA weights."""
    names = ('ema_halflife', 'ema_widths')
    return any(self.config.get(name) for name in names)

  def to_save(self):
    """Returns the state that a checkpoint holds; all processes call this."""
    return self.engine.whole(self.arrays)

  def by_name(self) -> dict[str, object]:
    """Returns states on the host by member; '' stands for a single run."""
    return {'': jax.device_get(self.to_save())}

  def seeds(self) -> dict[str, int]:
    """Returns seeds by member, with the names of `by_name`."""
    return {'': self.config.seed}

  def equilibrium_metrics(self) -> dict[str, float]:
    """Returns the metrics that theory predicts for the end of training."""
    return self.algorithm.equilibrium_metrics(self.method)
