"""The states of a population, with the methods of one state.

A checkpoint holds stacked states [members, ...]. A metric has a value for each
member, a mean and a standard deviation. A grid of samples has a row for each
member. The training loop is the same as for one run.
"""

import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import metric_window, summary, sweeps, traced
from jaxgan.training.states import on_host, preview_key
from jaxgan.visual import grid

ROW = 10  # images of a member in the grid


class ManyStates:
  """The states of a population; see `jaxgan.training.states.OneState`.

  Groups of members are trained by one call: one group after the other.

  Attributes:
    config: the config of the first member, whose networks are described.
    population: the members.
    methods: the method of each member.
    arrays: the states of each group on the devices.
    seed: seeds and values of swept fields of each group, on the devices.
  """

  def __init__(self, population: sweeps.Population):
    self.population = population
    self.config = population.members[0]

  @property
  def num_members(self) -> int:
    return len(self.population)

  @property
  def configs(self) -> list:
    """Configs of all members, each of the same run trained alone."""
    return list(self.population.members)

  def make_engine(self) -> devices_lib.Engine:
    config = self.population.config
    if config.engine == 'pmap':
      raise errors.UserError(
        "engine='pmap' splits batches over devices, and a population splits "
        "its members. Set engine='auto'."
      )
    if config.get('shard_parameters', False):
      raise errors.UserError(
        'shard_parameters=True splits the state of one run, and a population '
        'has whole members on each device. Set shard_parameters=False.'
      )
    self.engine = devices_lib.make_for_members(
      len(self.population), config.members_at_once
    )
    return self.engine

  def build(self, algorithm, method, dataset) -> None:
    config = self.population.config
    if dataset.num_bytes > config.data.resident_bytes:
      raise errors.UserError(
        f'data.resident_bytes={config.data.resident_bytes} is less than the '
        f'{dataset.num_bytes} bytes of the data, and a population needs its '
        'data on the device. Raise data.resident_bytes, or start single runs '
        'with launch/sweep.py.'
      )
    sweeps.refuse(self.population, algorithm, dataset)
    self.algorithm, self._spec = algorithm, dataset.spec
    if self.population.fields:
      self.methods = [
        algorithm.from_config(member, dataset.spec)
        for member in self.population.members
      ]
    else:
      # Equal methods are compiled once.
      self.methods = [method] * len(self.population)

  def tables(self) -> list[str]:
    column = self.population.column
    rows = [
      (f'{index:02d}', *(f'{value:g}' for value in values))
      for index, values in enumerate(zip(*column.values(), strict=True))
    ]
    return [summary.table(('member', *column), rows)]

  def _bind(self, name: str) -> Callable:
    return traced.bind(self.algorithm, name, self.population.config, self._spec)

  @functools.cached_property
  def _single(self) -> list:
    """Seed and values of swept fields of each member, on the devices."""
    values, seeds = self.population.values, self.population.seeds
    return [
      self.engine.replicate(
        (seeds[index], {name: x[index] for name, x in values.items()})
      )
      for index in range(len(self.population))
    ]

  @property
  def _group_size(self) -> int:
    """Number of members that one call trains."""
    return self.engine.num_devices * self.engine.at_once

  def _groups(self, stacked) -> list:
    """Splits host arrays [members, ...] and puts the groups on the devices."""
    size = self._group_size
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
      sweeps.like(self.population, self.algorithm, self._spec),
    )

  def restore(self, saved) -> None:
    self.arrays = self._groups(jax.device_get(saved))

  def initialize(self, adopt: Callable) -> None:
    init = self._bind('init')
    init_one = compile_lib.jit_once(
      lambda seed, values: init(values, jax.random.key(seed)),
      out_shardings=self.engine.replicated,
    )
    # The program of a single run, called for each member.
    states = [
      jax.device_get(adopt(init_one(*single))) for single in self._single
    ]
    self.arrays = self._groups(
      jax.tree.map(lambda *parts: np.stack(parts), *states)
    )

  def train_step(self) -> Callable:
    return self._bind('train_step')

  def compile(self) -> None:
    jit = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    self.seed = self._groups((self.population.seeds, self.population.values))
    self._indices = [
      self.engine.replicate(np.int32(k)) for k in range(self._group_size)
    ]
    self._take = jit(
      lambda states, index: jax.tree.map(lambda x: x[index], states)
    )
    key = jit(preview_key)
    self._preview_keys = [key(seed) for seed, _ in self._single]
    self._preview = jit(self._bind('preview'))
    self._evaluate = jit(self._bind('evaluate'))

  def for_all(self, call: Callable) -> Callable:
    def call_in_turn(states, data, runs):
      results = [
        call(state, data, run) for state, run in zip(states, runs, strict=True)
      ]
      states, metrics = zip(*results, strict=True)
      return list(states), list(metrics)

    return call_in_turn

  def _members(self) -> Iterator[tuple]:
    """Yields number, state and values of swept fields of each member."""
    for number, (_, values) in enumerate(self._single):
      group, index = divmod(number, self._group_size)
      state = self._take(self.arrays[group], self._indices[index])
      yield number, state, values

  def scores(self, batch, score_samples: Callable) -> dict[str, float]:
    all_scores = {}
    for number, state, values in self._members():
      scores = on_host(self._evaluate(values, state, batch))
      scores |= score_samples(self.methods[number], state)
      for name, value in scores.items():
        all_scores[metric_window.member_name(name, number)] = value
    return self.with_spread(all_scores)

  def with_spread(self, values: dict[str, float]) -> dict[str, float]:
    return metric_window.with_spread(values)

  def preview(self, batch) -> dict[str, np.ndarray]:
    previews = [
      jax.device_get(
        self._preview(values, state, batch, self._preview_keys[number])
      )
      for number, state, values in self._members()
    ]
    return {
      name: rows([preview[name] for preview in previews])
      for name in previews[0]
    }

  def is_averaged(self) -> bool:
    return all(
      m.get('ema_halflife') or m.get('ema_widths')
      for m in self.population.members
    )

  def to_save(self):
    return jax.tree.map(
      lambda *parts: np.concatenate(parts), *jax.device_get(self.arrays)
    )

  def by_name(self) -> dict[str, object]:
    return {
      f'member {number:02d}': jax.device_get(state)
      for number, state, _ in self._members()
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


def rows(pictures) -> np.ndarray:
  """Arranges the pictures of all members as rows.

  Args:
    pictures: for each member images [N, ...], rows of images [rows, N, ...], or
      points [N, 2].

  Returns:
    The first images of each member, [members, ROW, ...]; all rows of images,
    [members * rows, N, ...]; or a picture of the points of each member.
  """
  if pictures[0].ndim == 2:
    return pixels_lib.to_float(np.stack([grid.cloud(x) for x in pictures]))
  if pictures[0].ndim == 5:
    return np.concatenate(pictures)
  return np.stack([x[:ROW] for x in pictures])
