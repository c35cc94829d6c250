"""A trained state with what it takes to use it."""

import dataclasses
from typing import Any

import ml_collections

from jaxgan import steps
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec


@dataclasses.dataclass(frozen=True)
class Run:
  """A trained state with the parts that belong to it.

  Attributes:
    algorithm: an algorithm of `jaxgan.steps`.
    method: the parts of the algorithm that never change.
    state: the state.
    spec: shape and classes of the data.
    config: the config; of a member, the config of the same run trained alone.
    member: number of the member of a population, or None.
  """

  algorithm: steps.Algorithm
  method: Any
  state: TrainState
  spec: Spec
  config: ml_collections.ConfigDict
  member: int | None = None

  @property
  def name(self) -> str:
    return self.algorithm.name

  @property
  def has_latents(self) -> bool:
    return self.algorithm.has_latents

  @property
  def classes(self) -> tuple[str, ...]:
    """Names of the classes that images can be drawn from; () for none."""
    num = getattr(self.method, 'num_classes', 0) if self.has_latents else 0
    return (self.spec.classes or tuple(map(str, range(num))))[:num]
