"""The state of a training run: arrays only, and what moves them.

Modules, optimizers and losses are parts of a `Method` (see `jaxgan.steps`) and
never of the state, so that no hyper-parameter can hide in a checkpoint.
"""

from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import losses


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


def average(ema, params, step, batch_size: int, halflife: float, rampup: float):
  """Exponential moving average of parameters, counted in images.

  Args:
    ema: the average so far.
    params: the newest parameters.
    step: rounds done before this one.
    batch_size: images a round.
    halflife: images after which a contribution has halved; 0 keeps the newest.
    rampup: the half-life is at most this share of the images seen, so that the
      random start is forgotten early (Karras et al. 2020,
      https://arxiv.org/abs/2006.06676); 0 is off.

  Returns:
    The average after this round.
  """
  if not losses.is_on(halflife):  # A traced one of 0 gives a decay of 0.
    return params
  horizon = jnp.float32(halflife)
  if losses.is_on(rampup):
    images = (step + 1).astype(jnp.float32) * batch_size
    early = jnp.minimum(horizon, rampup * images)
    horizon = jnp.where(jnp.asarray(rampup) > 0, early, horizon)
  decay = 0.5 ** (batch_size / horizon)
  return jax.tree.map(lambda a, p: p + decay * (a - p), ema, params)


def standing_stats(module: nn.Module, params, stats, batches):
  """Normaliser statistics that belong to `params`.

  Running statistics follow the newest parameters; averaged parameters need
  their own. Running averages are affine in their old value, new = m * old +
  (1 - m) * batch, so a call from 0 and one from 1 give the batch's own
  statistics whatever the momentum m is.

  Args:
    module: the network.
    params: the parameters to find statistics for.
    stats: its mutable collections; all but 'batch_stats' are kept.
    batches: tuple of inputs, each [n, B, ...]: n batches to average over.

  Returns:
    The collections with 'batch_stats' replaced.
  """
  if 'batch_stats' not in stats:
    return stats

  def one(inputs):
    def after(value):
      old = jax.tree.map(
        lambda s: jnp.full_like(s, value), stats['batch_stats']
      )
      new = apply(
        module,
        params,
        {**stats, 'batch_stats': old},
        *inputs,
        train=True,
        key=jax.random.key(0),  # Of dropout, which is part of the statistics.
      )[1]
      return new['batch_stats']

    return jax.tree.map(
      lambda zero, one: zero / (1.0 - (one - zero)), after(0.0), after(1.0)
    )

  found = jax.tree.map(lambda s: s.mean(axis=0), jax.lax.map(one, batches))
  return {**stats, 'batch_stats': found}
