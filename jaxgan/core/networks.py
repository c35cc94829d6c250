"""Modules as functions of their inputs."""

import dataclasses
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp


def output_shapes(module: nn.Module, *inputs):
  """Returns shapes of the output of an untrained module."""

  def run(key):
    return module.init_with_output(key, *inputs, train=False)[0]

  return jax.eval_shape(run, jax.random.key(0))


def made_shape(generator: nn.Module, *inputs) -> tuple[int, ...]:
  """Returns the shape of one image of an untrained generator.

  Among several scales the last one, which is the largest, counts.
  """
  return jax.tree.leaves(output_shapes(generator, *inputs))[-1].shape[1:]


def apply(module: nn.Module, params, stats, *inputs, train: bool, key=None):
  """Runs a module.

  Args:
    module: a module with `__call__(*inputs, train)`.
    params: parameters of the module.
    stats: mutable collections of the module.
    *inputs: inputs of the module.
    train: True to use and update statistics of the batch.
    key: for dropout.

  Returns:
    The output and the mutable collections after the call.
  """
  rngs = None if key is None else {'dropout': key}
  variables = {'params': params, **stats}
  if not train:
    return module.apply(variables, *inputs, train=False, rngs=rngs), stats
  return module.apply(
    variables, *inputs, train=True, rngs=rngs, mutable=list(stats)
  )


def inference(module: nn.Module):
  """Returns a module as a function of its variables and inputs, for serving.

  Dropout that is active at test time draws the same numbers in every call.

  Args:
    module: a module with `__call__(*inputs, train)`.

  Returns:
    ({'params': ..., and the mutable collections}, *inputs) -> output.
  """

  def call(variables, *inputs):
    rngs = {'dropout': jax.random.key(0)}
    return module.apply(variables, *inputs, train=False, rngs=rngs)

  return call


def apply_and_look(
  module: nn.Module,
  params,
  stats,
  *inputs,
  train: bool = True,
  key=None,
  method: str | None = None,
):
  """Runs a module, and returns the values that it sows.

  Args:
    module: a module with `__call__(*inputs, train)`.
    params: parameters of the module.
    stats: mutable collections of the module.
    *inputs: inputs of the module.
    train: see `apply`.
    key: for dropout.
    method: name of a method of the module; by default `__call__`.

  Returns:
    The output; the values sown into 'intermediates', by name, as float32; and
    the mutable collections after the call.
  """
  output, collections = module.apply(
    {'params': params, **stats},
    *inputs,
    train=train,
    rngs=None if key is None else {'dropout': key},
    method=method,
    mutable=[*stats, 'intermediates'] if train else ['intermediates'],
  )
  flat = flax.traverse_util.flatten_dict(collections.pop('intermediates', {}))
  sown = {
    path[-1]: values[-1].astype(jnp.float32) for path, values in flat.items()
  }
  return output, sown, collections if train else stats


class Output(NamedTuple):
  """The result of a network.

  Attributes:
    value: images of a generator, logits of a discriminator.
    sown: float32 arrays that the module sowed, by name.
    stats: the mutable collections after the call.
  """

  value: Any
  sown: Any = None
  stats: Any = None

  @property
  def images(self):
    return self.value

  @property
  def logits(self):
    return self.value


@dataclasses.dataclass(frozen=True)
class BoundNetwork:
  """A module together with its weights: a function of inputs.

  Attributes:
    module: a module with `__call__(*inputs, train)`.
    params: parameters of the module.
    stats: mutable collections of the module.
  """

  module: nn.Module
  params: Any
  stats: Any

  def __call__(
    self, *inputs, key=None, train: bool = True, method: str | None = None
  ) -> Output:
    """Applies the module.

    Args:
      *inputs: inputs of the module.
      key: for dropout.
      train: True to use and update statistics of the batch.
      method: name of a method of the module; by default `__call__`.
    """
    variables = (self.module, self.params, self.stats)
    return Output(
      *apply_and_look(*variables, *inputs, train=train, key=key, method=method)
    )

  def after(self, output: Output) -> 'BoundNetwork':
    """Returns the network with the statistics after a call."""
    return dataclasses.replace(self, stats=output.stats)
