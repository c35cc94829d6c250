"""The state of a training run, and gradient steps on it.

The state holds arrays only. Modules, optimizers and losses are fields of a
method (see `jaxgan.steps`), so that no hyper-parameter hides in a checkpoint.
"""

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import errors
from jaxgan.core import axis, shards
from jaxgan.core.networks import BoundNetwork
from jaxgan.core.networks import Output as Output
from jaxgan.core.networks import apply as apply
from jaxgan.core.networks import apply_and_look as apply_and_look
from jaxgan.core.networks import inference as inference
from jaxgan.core.networks import made_shape as made_shape
from jaxgan.core.networks import output_shapes as output_shapes


@struct.dataclass
class Network:
  """The arrays of one network.

  Attributes:
    params: parameters, which the optimizer updates.
    stats: mutable collections by name, for example running statistics.
    opt_state: the optimizer's state.
  """

  params: Any
  stats: Any
  opt_state: Any


@struct.dataclass
class TrainState:
  """Everything that a training step changes.

  Attributes:
    step: int32 scalar, number of rounds.
    networks: the networks by name.
    ema: averaged parameters, by the name of the network.
    extra: further arrays that an algorithm keeps between steps.
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
  """Returns a network with fresh parameters.

  Args:
    module: the network.
    optimizer: optimizer of the network.
    key: key for initial parameters.
    *inputs: examples of the inputs.
  """
  stats = module.init({'params': key, 'dropout': key}, *inputs, train=False)
  params = stats.pop('params')
  return Network(params, stats, optimizer.init(params))


def create_all(method, modules, key: jax.Array) -> dict[str, Network]:
  """Returns fresh networks by name.

  Args:
    method: has an optimizer in the field `NAME_optimizer` of each network.
    modules: {name: (module, examples of its inputs)}, in order.
    key: key of the run; each network gets a different key.
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


def global_norm(tree) -> jax.Array:
  """Returns the Euclidean norm of all leaves together."""
  if shards.is_on():  # A dot product would gather arrays that are split.
    return jnp.sqrt(sum(jnp.sum(x * x) for x in jax.tree.leaves(tree)))
  # Dot products: XLA:CPU is slow at reductions.
  return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(tree)))


def bind(method, state: TrainState, params=None) -> dict[str, BoundNetwork]:
  """Returns all networks of a state as functions.

  Args:
    method: has a field for the module of each network, with the same name.
    state: a state.
    params: {name: parameters} that replace parameters of the state.
  """
  params = params or {}
  return {
    name: BoundNetwork(
      getattr(method, name),
      shards.gather(params.get(name, network.params)),
      network.stats,
    )
    for name, network in state.networks.items()
  }


class Aux(NamedTuple):
  """Further results of a loss.

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
  """Updates one network with its optimizer.

  Args:
    method: has an optimizer in the field `NAME_optimizer`.
    state: the state before.
    name: name of the network.
    grads: gradients over the global batch.

  Returns:
    The state after the update, and the norms of gradient, parameters and
    update.
  """
  network = state.networks[name]
  optimizer = getattr(method, f'{name}_optimizer')
  updates, opt_state = optimizer.update(
    grads, network.opt_state, network.params
  )
  params = optax.apply_updates(network.params, updates)
  # Without the barrier, XLA:CPU would compute the gradients again for their
  # norms.
  grads = jax.lax.optimization_barrier(grads)
  change = jax.tree.map(jnp.subtract, params, network.params)
  norms = {
    f'{name}/grad_norm': global_norm(grads),
    f'{name}/param_norm': global_norm(params),
    f'{name}/update_norm': global_norm(change),
  }
  network = network.replace(params=params, opt_state=opt_state)
  return state.replace(networks=state.networks | {name: network}), norms


def is_float(x: jax.Array) -> bool:
  """Returns True for arrays of floating-point numbers."""
  return jnp.issubdtype(x.dtype, jnp.inexact)


def accumulated(function: Callable, count: int, *inputs):
  """Returns the mean result of a function over equal parts of a batch.

  The parts are computed one after the other, so activations of a single part
  are in memory. If the function is a mean over examples, the result equals that
  of the whole batch up to rounding. Integers are those of the last part.

  Args:
    function: function of the inputs; its result is a tree of arrays.
    count: number of parts. With 1, the function is called once.
    *inputs: trees. Arrays [B, ...] are divided, and scalars and functions are
      the same for all parts.

  Raises:
    UserError: if `count` does not divide B.
  """
  if count == 1:
    return function(*inputs)
  leaves, structure = jax.tree.flatten(inputs)
  batched = [i for i, x in enumerate(leaves) if getattr(x, 'ndim', 0)]
  for i in batched:
    if len(leaves[i]) % count:
      raise errors.UserError(
        f'accumulate={count} does not divide the {len(leaves[i])} examples on '
        'a device. Change accumulate or batch_size.'
      )

  def split(x):  # Strided, so that examples stay on their device.
    return jnp.swapaxes(x.reshape(-1, count, *x.shape[1:]), 0, 1)

  def call(index, parts):
    own = list(leaves)
    for i, x in zip(batched, parts, strict=True):
      own[i] = x
    with axis.part(index, count):
      return function(*structure.unflatten(own))

  def add(total, index_and_parts):
    new = call(*index_and_parts)
    return jax.tree.map(
      lambda a, b: a + (b / count).astype(a.dtype) if is_float(a) else b,
      total,
      new,
    ), None

  parts = [split(leaves[i]) for i in batched]
  shapes = jax.eval_shape(call, 0, [x[0] for x in parts])
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  total, _ = jax.lax.scan(add, zeros, (jnp.arange(count), parts))
  return total


def gradient_step(
  method, state: TrainState, names: tuple[str, ...], loss: Callable, *inputs
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Updates networks along the gradient of one loss.

  Args:
    method: the parts of the algorithm that never change. A field `accumulate`
      is the number of parts of the batch, see `accumulated`.
    state: the state before.
    names: networks that learn; all others are frozen.
    loss: (method, networks, state, *inputs) -> (scalar, `Aux`), with networks
      from `bind`.
    *inputs: further inputs of the loss.

  Returns:
    The state after the step, and metrics by full name, 'NETWORK/NAME'.
  """

  def loss_of(params, *inputs):
    return loss(method, bind(method, state, params), state, *inputs)

  params = {name: state.networks[name].params for name in names}
  slope = functools.partial(jax.grad(loss_of, has_aux=True), params)
  grads, aux = accumulated(slope, getattr(method, 'accumulate', 1), *inputs)
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


def images_seen(state: TrainState, local: int) -> jax.Array:
  """Returns the images of all earlier rounds, float32; `local` per device."""
  return state.step.astype(jnp.float32) * (local * axis.size())
