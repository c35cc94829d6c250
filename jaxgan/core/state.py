"""The state of a training run: arrays only, and what moves them.

Modules, optimizers and losses are parts of a `Method` (see `jaxgan.steps`) and
never of the state, so that no hyper-parameter can hide in a checkpoint.
"""

from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan.core import state as state_lib


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
  """Euclidean norm of all leaves; dots, as XLA:CPU is slow at reductions."""
  return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(tree)))


def update(
  network: Network, optimizer: optax.GradientTransformation, grads, stats
) -> tuple[Network, dict[str, jax.Array]]:
  """One optimizer update.

  Returns:
    The network after it, and the norms of gradient, parameters and update.
  """
  updates, opt_state = optimizer.update(
    grads, network.opt_state, network.params
  )
  params = optax.apply_updates(network.params, updates)
  # The norms are of arrays that exist: XLA:CPU would compute the squares again
  # out of whatever made them. Updates by themselves do not, and need not.
  grads = jax.lax.optimization_barrier(grads)
  change = jax.tree.map(jnp.subtract, params, network.params)
  norms = {
    'grad_norm': global_norm(grads),
    'param_norm': global_norm(params),
    'update_norm': global_norm(change),
  }
  return Network(params, stats, opt_state), norms


def move(
  state: TrainState,
  name: str,
  optimizer: optax.GradientTransformation,
  grads,
  stats,
  metrics,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """The state after an update of one network, and its metrics by full name.

  Args:
    state: the state before.
    name: of the network.
    optimizer: what moves it.
    grads: over the global batch.
    stats: the network's mutable collections after its forward pass.
    metrics: scalars by short name; norms are added.
  """
  network, norms = update(state.networks[name], optimizer, grads, stats)
  metrics = {f'{name}/{k}': v for k, v in (metrics | norms).items()}
  return state.replace(networks=state.networks | {name: network}), metrics


def mean(tree, axis_name: str | None):
  """Mean over the parts of the global batch that devices hold."""
  if axis_name is None:
    return tree
  return jax.lax.pmean(tree, axis_name)


def global_size(local: int, axis_name: str | None) -> int:
  """Examples in the global batch, of which this device holds `local`."""
  return local * (1 if axis_name is None else jax.lax.axis_size(axis_name))


class Player(NamedTuple):
  """A network that is trained: its name in the state, and what moves it."""

  name: str
  module: nn.Module
  optimizer: optax.GradientTransformation


def player(method, name: str) -> Player:
  """The fields `name` and `name_optimizer` of a method."""
  return Player(
    name, getattr(method, name), getattr(method, f'{name}_optimizer')
  )


def descend(
  state: TrainState, player: Player, loss_fn, axis_name: str | None = None
):
  """One update of one network, and its metrics by full name.

  Args:
    state: the state before.
    player: the network.
    loss_fn: params -> (loss, (mutable collections, metrics by short name)).
    axis_name: mapped axis that splits the batch.
  """
  params = state.networks[player.name].params
  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(params)
  grads, metrics = state_lib.mean((grads, metrics), axis_name)
  return state_lib.move(
    state, player.name, player.optimizer, grads, stats, metrics
  )
