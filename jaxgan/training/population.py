"""The training loop's view of a population: the same loop, every member in it.

`train` runs a `Members` where it else runs one run. Checkpoints hold stacked
states [members, ...]; a metric has a value for each member, a mean and a
deviation; a grid of samples has a row for each.
"""

import functools

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import summary, sweeps
from jaxgan.training.run import Training, preview_key
from jaxgan.visual import grid

ROW = 10  # images of a member in the grid


class Members(Training):
  """A population as `train` sees it."""

  def __init__(self, config, workdir, make_scorer=None):
    super().__init__(config, workdir, make_scorer)
    self.population = sweeps.of(config)
    self.own = self.population.members[0]

  def make_engine(self) -> devices_lib.Engine:
    config = self.config
    if config.engine == 'pmap':
      raise errors.UserError(
        "engine='pmap' divides batches over devices and a population is "
        "divided by members; set engine='auto'"
      )
    return devices_lib.make_for_members(
      len(self.population), config.members_at_once
    )

  def build(self) -> None:
    super().build()
    if not self.resident:
      raise errors.UserError(
        f'data.resident_bytes={self.config.data.resident_bytes} is less than '
        f'the {self.dataset.num_bytes} of the data, and members of a '
        'population draw from data on the device; raise it, or start runs by '
        'themselves with launch/sweep.py'
      )
    sweeps.refuse(self.population, self.algorithm, self.dataset)
    spec = self.dataset.spec
    self.methods = [
      self.algorithm.from_config(member, spec)
      for member in self.population.members
    ]
    if not self.population.fields:  # Equal ones are compiled for once.
      self.methods = self.methods[:1] * len(self.population)

  def describe(self) -> None:
    super().describe()
    column = self.population.column
    rows = [
      (f'{place:02d}', *(f'{value:g}' for value in values))
      for place, values in enumerate(zip(*column.values(), strict=True))
    ]
    print(summary.table(('member', *column), rows), end='\n\n', flush=True)

  def _bind(self, name: str):
    return sweeps.bind(self.algorithm, name, self.config, self.dataset.spec)

  @functools.cached_property
  def _alone(self) -> list:
    """Seed and values of swept fields of each member, on the devices."""
    values, seeds = self.population.values, self.population.seeds
    return [
      self.engine.replicate(
        (seeds[place], {name: x[place] for name, x in values.items()})
      )
      for place in range(len(self.population))
    ]

  @property
  def _group(self) -> int:
    """Members that are trained by one call."""
    return self.engine.num_devices * self.engine.at_once

  def _groups(self, stacked) -> list:
    """Arrays [members, ...] of the host in parts, on the devices."""
    size = self._group
    return [
      jax.device_put(
        jax.tree.map(lambda x, start=start: x[start : start + size], stacked),
        self.engine.by_member,
      )
      for start in range(0, len(self.population), size)
    ]

  def like(self):
    sharding = self.engine.by_member
    return jax.tree.map(
      lambda x: x.update(sharding=sharding),
      sweeps.like(self.population, self.algorithm, self.dataset.spec),
    )

  def restored(self, state):
    return self._groups(jax.device_get(state))

  def first(self):
    init = self._bind('init')
    each = compile_lib.jit_once(
      lambda seed, values: init(values, jax.random.key(seed)),
      out_shardings=self.engine.replicated,
    )
    # One by one: the program that initialises a lone run.
    states = [
      jax.device_get(self.adopted(each(*alone))) for alone in self._alone
    ]
    return self._groups(jax.tree.map(lambda *parts: np.stack(parts), *states))

  def train_step(self):
    return self._bind('train_step')

  def compile_steps(self) -> None:
    compiled = self.rounds()
    self.call = lambda rounds: _in_turn(compiled(rounds))
    self.seed = self._groups((self.population.seeds, self.population.values))
    self._places = [
      self.engine.replicate(np.int32(k)) for k in range(self._group)
    ]
    whole = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    self._take = whole(
      lambda states, place: jax.tree.map(lambda x: x[place], states)
    )
    key = whole(preview_key)
    self._preview_keys = [key(seed) for seed, _ in self._alone]
    self.preview = whole(self._bind('preview'))
    self.evaluate = whole(self._bind('evaluate'))

  def _each(self):
    """(number, state, values of swept fields) of the members, in turn."""
    for number, (_, values) in enumerate(self._alone):
      group, place = divmod(number, self._group)
      yield number, self._take(self.state[group], self._places[place]), values

  def means(self) -> dict[str, float]:
    return sweeps.with_spread(super().means())

  def scores(self) -> dict[str, float]:
    found = {}
    for number, state, values in self._each():
      own = self.evaluate(values, state, self.held_out)
      own = self.with_samples(own, self.methods[number], state)
      found |= {sweeps.named(k, number): v for k, v in own.items()}
    return sweeps.with_spread(found)

  def previewed(self) -> dict[str, np.ndarray]:
    shown = [
      jax.device_get(
        self.preview(values, state, self.shown, self._preview_keys[number])
      )
      for number, state, values in self._each()
    ]
    return {name: _rows([own[name] for own in shown]) for name in shown[0]}

  def is_averaged(self) -> bool:
    return all(m.get('ema_halflife') for m in self.population.members)

  def saved_state(self):
    return jax.tree.map(
      lambda *parts: np.concatenate(parts), *jax.device_get(self.state)
    )

  def states(self) -> dict[str, object]:
    return {
      f'member {number:02d}': jax.device_get(state)
      for number, state, _ in self._each()
    }

  def seeds(self) -> dict[str, int]:
    return {
      f'member {number:02d}': int(seed)
      for number, seed in enumerate(self.population.seeds)
    }

  def equilibrium_metrics(self) -> dict[str, float]:
    first, *others = map(self.algorithm.equilibrium_metrics, self.methods)
    return {
      name: value
      for name, value in first.items()
      if all(other.get(name) == value for other in others)
    }


def _in_turn(call):
  """A call for one group -> one for all: (states, data, runs), lists."""

  def each(states, data, runs):
    done = [
      call(state, data, run) for state, run in zip(states, runs, strict=True)
    ]
    return [state for state, _ in done], [metrics for _, metrics in done]

  return each


def _rows(pictures) -> np.ndarray:
  """The first images of each member, [members, ROW, ...]; or its cloud.

  Where the pictures of one are rows already, [rows, N, ...], all of them:
  [members * rows, N, ...].
  """
  if pictures[0].ndim == 2:
    return pixels_lib.to_float(np.stack([grid.cloud(x) for x in pictures]))
  if pictures[0].ndim == 5:
    return np.concatenate(pictures)
  return np.stack([x[:ROW] for x in pictures])
