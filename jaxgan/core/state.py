"""The state of a training run, and gradient steps on it.

The state holds arrays only. Modules, optimizers and losses are fields of a
method (see `jaxgan.steps`), so that no hyper-parameter hides in a checkpoint.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan.core import axis


@struct.dataclass
class Network:
  """The moving part of one network.

  Attributes:
    params: what the optimizer moves.
    stats: mutable collections (running statistics and the like), by name.
    opt_state: the optimizer's state.
  """

  params: Any
  stats: Any
  opt_state: Any


@struct.dataclass
class TrainState:
  """Everything that a training step changes.

  Attributes:
    step: int32 scalar, rounds done.
    networks: the networks by name.
    ema: averaged parameters, by the name of the network.
    extra: whatever else an algorithm carries from step to step.
  """

  step: jax.Array
  networks: dict[str, Network]
  ema: dict[str, Any]
  extra: dict[str, Any]


def create(
  module: nn.Module,
  optimizer: optax.GradientTransformation,
  key: jax.Array,
  *inputs,
) -> Network:
  """A network with fresh parameters; `inputs` are examples of its inputs."""
  stats = module.init({'params': key, 'dropout': key}, *inputs, train=False)
  params = stats.pop('params')
  return Network(params, stats, optimizer.init(params))


def create_all(method, modules, key: jax.Array) -> dict[str, Network]:
  """Returns fresh networks by name.

  Args:
    method: has an optimizer in the field `NAME_optimizer` of each network.
    modules: {name: (module, examples of its inputs)}, in order.
    key: of the run; each network has a key of its own.
  """
  return {
    name: create(
      module,
      getattr(method, f'{name}_optimizer'),
      jax.random.fold_in(key, index),
      *inputs,
    )
    for index, (name, (module, inputs)) in enumerate(modules.items())
  }


def output_shapes(module: nn.Module, *inputs):
  """Returns shapes of the output of an untrained module."""

  def run(key):
    return module.init_with_output(key, *inputs, train=False)[0]

  return jax.eval_shape(run, jax.random.key(0))


def made_shape(generator: nn.Module, *inputs) -> tuple[int, ...]:
  """Returns the shape of one image of an untrained generator.

  Of several scales this is the last and largest one.
  """
  return jax.tree.leaves(output_shapes(generator, *inputs))[-1].shape[1:]


def apply(module: nn.Module, params, stats, *inputs, train: bool, key=None):
  """Runs a module.

  Args:
    module: a module with `__call__(*inputs, train)`.
    params: its parameters.
    stats: its mutable collections.
    *inputs: its inputs.
    train: whether statistics come from the batch and are updated.
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
  """A module as a function of its variables and inputs, as one serves it.

  Dropout that never stops draws the same every time.

  Args:
    module: a module with `__call__(*inputs, train)`.

  Returns:
    ({'params': ..., and its mutable collections}, *inputs) -> output.
  """

  def call(variables, *inputs):
    rngs = {'dropout': jax.random.key(0)}
    return module.apply(variables, *inputs, train=False, rngs=rngs)

  return call


def apply_and_look(
  module: nn.Module, params, stats, *inputs, train: bool = True, key=None
):
  """Runs a module, and looks at what it sows.

  Args:
    module: a module with `__call__(*inputs, train)`.
    params: its parameters.
    stats: its mutable collections.
    *inputs: its inputs.
    train: as in `apply`.
    key: for dropout.

  Returns:
    The output; what it sowed into 'intermediates', by name, as float32; and
    the mutable collections after the call.
  """
  output, found = module.apply(
    {'params': params, **stats},
    *inputs,
    train=train,
    rngs=None if key is None else {'dropout': key},
    mutable=[*stats, 'intermediates'] if train else ['intermediates'],
  )
  flat = flax.traverse_util.flatten_dict(found.pop('intermediates', {}))
  sown = {
    path[-1]: values[-1].astype(jnp.float32) for path, values in flat.items()
  }
  return output, sown, found if train else stats


def global_norm(tree) -> jax.Array:
  """Returns the Euclidean norm of all leaves together."""
  # Dot products: XLA:CPU is slow at reductions.
  return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(tree)))


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
    params: its parameters.
    stats: its mutable collections.
  """

  module: nn.Module
  params: Any
  stats: Any

  def __call__(self, *inputs, key=None, train: bool = True) -> Output:
    """Applies the module.

    Args:
      *inputs: the module's inputs.
      key: for dropout.
      train: True to use and update statistics of the batch.
    """
    return Output(
      *apply_and_look(
        self.module, self.params, self.stats, *inputs, train=train, key=key
      )
    )

  def after(self, output: Output) -> 'BoundNetwork':
    """Returns the network with the statistics that a call left."""
    return dataclasses.replace(self, stats=output.stats)


def bind(method, state: TrainState, params=None) -> dict[str, BoundNetwork]:
  """Returns all networks of a state as functions.

  Args:
    method: has a field for the module of each network, by its name.
    state: a state.
    params: {name: parameters} that replace those of the state.
  """
  params = params or {}
  return {
    name: BoundNetwork(
      getattr(method, name), params.get(name, network.params), network.stats
    )
    for name, network in state.networks.items()
  }


class Aux(NamedTuple):
  """What a loss returns beside its value.

  Attributes:
    stats: {network: mutable collections} after the forward pass.
    metrics: {network: {name: scalar}}; '' for metrics of no network.
    extra: parts of the state's 'extra' that changed.
  """

  stats: dict[str, Any]
  metrics: dict[str, dict[str, jax.Array]]
  extra: Mapping[str, Any] = types.MappingProxyType({})


def apply_gradients(
  method, state: TrainState, name: str, grads
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Moves one network.

  Args:
    method: has an optimizer in the field `NAME_optimizer`.
    state: the state before.
    name: of the network.
    grads: gradients over the global batch.

  Returns:
    The state after it, and the norms of gradient, parameters and update.
  """
  network = state.networks[name]
  optimizer = getattr(method, f'{name}_optimizer')
  updates, opt_state = optimizer.update(
    grads, network.opt_state, network.params
  )
  params = optax.apply_updates(network.params, updates)
  # The norms are of arrays that exist: XLA:CPU would compute the squares again
  # from the operations that made the arrays.
  grads = jax.lax.optimization_barrier(grads)
  change = jax.tree.map(jnp.subtract, params, network.params)
  norms = {
    f'{name}/grad_norm': global_norm(grads),
    f'{name}/param_norm': global_norm(params),
    f'{name}/update_norm': global_norm(change),
  }
  network = network.replace(params=params, opt_state=opt_state)
  return state.replace(networks=state.networks | {name: network}), norms


def gradient_step(
  method, state: TrainState, names: tuple[str, ...], loss: Callable, *inputs
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Moves networks along the gradient of one loss.

  Args:
    method: the parts of the algorithm that never change.
    state: the state before.
    names: of the networks that learn; all others are frozen.
    loss: (method, networks, state, *inputs) -> (scalar, `Aux`), where networks
      are those of `bind`.
    *inputs: further inputs of the loss.

  Returns:
    The state after it, and metrics by full name, 'NETWORK/NAME'.
  """

  def loss_of(params):
    return loss(method, bind(method, state, params), state, *inputs)

  params = {name: state.networks[name].params for name in names}
  grads, aux = jax.grad(loss_of, has_aux=True)(params)
  metrics = {
    f'{network}/{name}': value
    for network, values in aux.metrics.items()
    for name, value in values.items()
  }
  grads, metrics = axis.mean((grads, metrics))
  for name in names:
    state, norms = apply_gradients(method, state, name, grads[name])
    metrics |= norms
  networks = {
    name: state.networks[name].replace(stats=stats)
    for name, stats in aux.stats.items()
  }
  state = state.replace(
    networks=state.networks | networks, extra=state.extra | aux.extra
  )
  return state, metrics
