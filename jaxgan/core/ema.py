"""Exponential moving averages of weights and their statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core import axis, switches
from jaxgan.core.state import Network, TrainState


def start(networks: dict[str, Network], names, with_stats: bool = False):
  """Returns first averages, the parts 'ema' and 'extra' of a state.

  Args:
    networks: fresh networks by name.
    names: networks to average.
    with_stats: True to average running statistics as well. Networks that see
      one image at a time need them. The averages are in 'extra', as
      'NAME_stats'.
  """
  # Copies: the state is donated, and a buffer can be donated only once.
  copy = lambda tree: jax.tree.map(jnp.copy, tree)
  extra = {}
  if with_stats:
    extra = {_stats_name(n): copy(_batch_stats(networks[n])) for n in names}
  return {name: copy(networks[name].params) for name in names}, extra


def _stats_name(name: str) -> str:
  return f'{name}_stats'


def _batch_stats(network: Network):
  return network.stats.get('batch_stats', {})


def follow(method, state: TrainState, local: int) -> TrainState:
  """Returns the state with all its averages after a round.

  Args:
    method: has the fields `ema_halflife` and `ema_rampup`, and may have
      `ema_counts_round`, see `average`.
    state: after the gradient steps of a round, before `step` is increased.
    local: images of the round on this device.
  """
  stats = {
    name: state.extra[_stats_name(name)]
    for name in state.ema
    if _stats_name(name) in state.extra
  }
  params = {name: state.networks[name].params for name in state.ema}
  params, stats = average(
    (state.ema, stats),
    (params, {name: _batch_stats(state.networks[name]) for name in stats}),
    state.step,
    local * axis.size(),
    method.ema_halflife,
    method.ema_rampup,
    getattr(method, 'ema_counts_round', False),
  )
  stats = {_stats_name(name): value for name, value in stats.items()}
  return state.replace(ema=params, extra=state.extra | stats)


def use_averages(method, state: TrainState, name: str, batches) -> TrainState:
  """Returns a state whose network has averaged weights.

  Args:
    method: has the module in the field `name`, and may have
      `running_statistics`: True to keep the running statistics.
    state: a state.
    name: name of the network.
    batches: inputs for its batch statistics, see `standing_stats`.
  """
  network, params = state.networks[name], state.ema[name]
  stats = network.stats
  if not getattr(method, 'running_statistics', False):
    stats = standing_stats(getattr(method, name), params, stats, batches)
  network = network.replace(params=params, stats=stats)
  return state.replace(networks=state.networks | {name: network})


def variables(state: TrainState, name: str):
  """Returns the variables of a network with averaged weights.

  Running statistics are averages too where the state has them.
  """
  stats = state.networks[name].stats
  averaged = state.extra.get(_stats_name(name))
  if averaged is not None and 'batch_stats' in stats:
    stats = {**stats, 'batch_stats': averaged}
  return {'params': state.ema[name], **stats}


def average(
  ema,
  params,
  step,
  batch_size: int,
  halflife: float,
  rampup: float,
  counts_round: bool = False,
):
  """Returns the exponential moving average of parameters, counted in images.

  Args:
    ema: the average so far.
    params: the newest parameters.
    step: rounds done before this one.
    batch_size: images a round.
    halflife: images after which a contribution has halved; 0 keeps the newest.
    rampup: the half-life is at most this share of the images of earlier rounds,
      so that the random start is forgotten early; 0 is off. The rule is that of
      the authors' code (Karras et al. 2020, https://arxiv.org/abs/2006.06676).
      The average after the first round is `params`.
    counts_round: True to count the images of this round too, as runs of formats
      before 3.

  Returns:
    The average after this round.
  """
  if not switches.is_on(halflife):  # A traced half-life of 0 decays at once.
    return params
  horizon = jnp.float32(halflife)
  if switches.is_on(rampup):
    images = (step + counts_round).astype(jnp.float32) * batch_size
    early = jnp.minimum(horizon, rampup * images)
    horizon = jnp.where(jnp.asarray(rampup) > 0, early, horizon)
  decay = 0.5 ** (batch_size / jnp.maximum(horizon, 1e-8))
  return jax.tree.map(lambda a, p: p + decay * (a - p), ema, params)


def standing_stats(module: nn.Module, params, stats, batches):
  """Computes the statistics of norms that belong to `params`.

  Running statistics follow the newest parameters; averaged parameters need
  statistics of their own. A running average with momentum m is affine in its
  old value: `new = m * old + (1 - m) * batch`. So a call from 0 and a call from
  1 give the statistics of the batch, for any momentum.

  Args:
    module: the network.
    params: the parameters to find statistics for.
    stats: mutable collections of the network; only 'batch_stats' changes.
    batches: tuple of inputs, each [n, B, ...]: n batches to average over.

  Returns:
    The collections with 'batch_stats' replaced.
  """
  if 'batch_stats' not in stats:
    return stats

  def of_batch(inputs):
    def after(value):
      old = jax.tree.map(
        lambda s: jnp.full_like(s, value), stats['batch_stats']
      )
      _, new = module.apply(
        {'params': params, **stats, 'batch_stats': old},
        *inputs,
        train=True,
        rngs={'dropout': jax.random.key(0)},  # The statistics include dropout.
        mutable=['batch_stats'],  # Spectral norm is that of sampling.
      )
      return new['batch_stats']

    return jax.tree.map(
      lambda zero, one: zero / (1.0 - (one - zero)), after(0.0), after(1.0)
    )

  averages = jax.tree.map(
    lambda s: s.mean(axis=0), jax.lax.map(of_batch, batches)
  )
  return {**stats, 'batch_stats': averages}
