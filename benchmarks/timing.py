"""What benchmarks of speed share: training without files, and turns.

Sides take turns (A B A B ...), so that a change in the machine's speed meets
all of them, and ratios are taken turn by turn.
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
  """One that is timed.

  Attributes:
    granularity: rounds of one call; others are rounded up to whole calls.
  """

  granularity: int

  def run(self, rounds: int) -> float:
    """Seconds that rounds took, to their very end."""


class Trainer:
  """A run, or a population, with the training loop's own calls.

  Attributes:
    built: what the loop holds: data, method, engine and state.
    granularity: see `Side`.
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
    """Seconds of so many rounds; those of the first call compile, too."""
    built, size = self.built, self.granularity
    began = time.perf_counter()
    for _ in range(-(-rounds // size)):
      built.advance(size)
    jax.block_until_ready(built.states.arrays)
    return time.perf_counter() - began


def rounds_for(side: Side, seconds: float) -> int:
  """Whole calls that take about so long; what is compiled is so before."""
  least = side.granularity
  side.run(least)
  took = side.run(least)
  return max(round(seconds / took), 1) * least


def take_turns(
  sides: Mapping[str, Side], turns: int, seconds: float
) -> dict[str, list[float]]:
  """Rounds per second by side and turn.

  Args:
    sides: by name.
    turns: of each side.
    seconds: about how long one lasts.
  """
  rounds = {name: rounds_for(side, seconds) for name, side in sides.items()}
  rates = {name: [] for name in sides}
  for _ in range(turns):
    for name, side in sides.items():
      rates[name].append(rounds[name] / side.run(rounds[name]))
  return rates


def spread(values: Sequence[float], form: str = '.1f') -> str:
  """A cell, 'median (lowest to highest)'."""
  low, high = min(values), max(values)
  return f'{statistics.median(values):{form}} ({low:{form}} to {high:{form}})'


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
  """Turn by turn."""
  return [a / b for a, b in zip(over, under, strict=True)]
