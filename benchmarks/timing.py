"""Training without files, and turns, for benchmarks of speed.

Sides take turns (A B A B ...), so that a change in the machine's speed affects
all of them. Ratios are taken turn by turn.
"""

import pathlib
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax

from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan.training import run as run_lib


class Side(Protocol):
  """Interface of a timed side.

  Attributes:
    granularity: rounds of one call; numbers of rounds are rounded up to it.
  """

  granularity: int

  def run(self, rounds: int) -> float:
    """Returns the seconds of rounds, to the end of the last one."""


class Trainer:
  """A run or a population, trained with the training loop's own calls.

  Attributes:
    built: the built run, with data, method, engine and state.
    granularity: rounds of one call.
  """

  def __init__(self, config):
    never = {'sample_every': 0, 'eval_every': 0}
    config = experiment.changed(config, never)
    config_lib.validate(config)
    with tempfile.TemporaryDirectory() as folder:
      self.built = run_lib.Training(config, pathlib.Path(folder))
      self.built.build()
    self.built.initialize()
    self.built.compile()
    self.granularity = config.steps_per_call

  def run(self, rounds: int) -> float:
    """Trains, and returns the seconds; the first call compiles as well."""
    built, size = self.built, self.granularity
    start = time.perf_counter()
    for _ in range(-(-rounds // size)):
      built.advance(size)
    jax.block_until_ready(built.states.arrays)
    return time.perf_counter() - start


def rounds_for(side: Side, seconds: float) -> int:
  """Returns the rounds of whole calls that take about the given seconds."""
  least = side.granularity
  side.run(least)  # compiles
  took = side.run(least)
  return max(round(seconds / took), 1) * least


def take_turns(
  sides: Mapping[str, Side], turns: int, seconds: float
) -> dict[str, list[float]]:
  """Returns rounds per second by side and turn.

  Args:
    sides: sides by name.
    turns: turns per side.
    seconds: approximate length of a turn.
  """
  rounds = {name: rounds_for(side, seconds) for name, side in sides.items()}
  rates = {name: [] for name in sides}
  for _ in range(turns):
    for name, side in sides.items():
      rates[name].append(rounds[name] / side.run(rounds[name]))
  return rates


def spread(values: Sequence[float], form: str = '.1f') -> str:
  """Returns a cell 'median (lowest to highest)'."""
  low, high = min(values), max(values)
  return f'{statistics.median(values):{form}} ({low:{form}} to {high:{form}})'


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
  """Returns ratios turn by turn."""
  return [a / b for a, b in zip(over, under, strict=True)]
