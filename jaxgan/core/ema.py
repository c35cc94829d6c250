"""Exponential moving averages of weights and their statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import axis, switches
from jaxgan.core.state import Network, TrainState


def start(
  networks: dict[str, Network], names, with_stats: bool = False, widths=()
):
  """Returns first averages, the parts 'ema' and 'extra' of a state.

  Args:
    networks: fresh networks by name.
    names: networks to average.
    with_stats: True to average running statistics as well. Networks that see
      one image at a time need them. The averages are in 'extra', as
      'NAME_stats'.
    widths: widths of power averages, see `average`. 'ema' has the average of
      the first one, and 'extra' has those of all others, as 'NAME_widths'.
  """
  # Copies: the state is donated, and a buffer can be donated only once.
  copy = lambda tree: jax.tree.map(jnp.copy, tree)
  extra = {}
  if with_stats:
    extra = {_stats_name(n): copy(_batch_stats(networks[n])) for n in names}
  for name in names if widths[1:] else ():
    extra[widths_name(name)] = [copy(networks[name].params) for _ in widths[1:]]
  return {name: copy(networks[name].params) for name in names}, extra


def _stats_name(name: str) -> str:
  return f'{name}_stats'


def widths_name(name: str) -> str:
  """Returns the name in 'extra' of further averages of a network."""
  return f'{name}_widths'


def _batch_stats(network: Network):
  return network.stats.get('batch_stats', {})


def follow(method, state: TrainState, local: int) -> TrainState:
  """Returns the state with all its averages after a round.

  Args:
    method: has the fields `ema_halflife` and `ema_rampup`, and may have
      `ema_counts_round` and `ema_widths`, see `average`.
    state: after the gradient steps of a round, before `step` is increased.
    local: images of the round on this device.
  """
  stats = {
    name: state.extra[_stats_name(name)]
    for name in state.ema
    if _stats_name(name) in state.extra
  }
  params = {name: state.networks[name].params for name in state.ema}
  first, *others = getattr(method, 'ema_widths', ()) or (0.0,)

  def averages(old, new, width: float):
    return average(
      old,
      new,
      state.step,
      local * axis.size(),
      method.ema_halflife,
      method.ema_rampup,
      getattr(method, 'ema_counts_round', False),
      width,
    )

  extra = {
    widths_name(name): [
      averages(old, params[name], width)
      for old, width in zip(state.extra[widths_name(name)], others, strict=True)
    ]
    for name in (params if others else ())
  }
  new = {name: _batch_stats(state.networks[name]) for name in stats}
  params, stats = averages((state.ema, stats), (params, new), first)
  extra |= {_stats_name(name): value for name, value in stats.items()}
  return state.replace(ema=params, extra=state.extra | extra)


def use_width(state: TrainState, name: str, index: int) -> TrainState:
  """Returns a state whose average is that of another width.

  Args:
    state: a state of a method with `ema_widths`.
    name: name of the network.
    index: index of the width; 0 returns the state as it is.
  """
  if not index:
    return state
  chosen = state.extra[widths_name(name)][index - 1]
  return state.replace(ema=state.ema | {name: chosen})


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
  width: float = 0.0,
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
    width: standard deviation of the rounds that a power average sees, as a
      share of all rounds (Karras et al. 2024, https://arxiv.org/abs/2312.02696,
      equation 127). It replaces the half-life; 0 is off.

  Returns:
    The average after this round.
  """
  if width:
    rounds = step.astype(jnp.float32)
    decay = (rounds / (rounds + 1.0)) ** (power(width) + 1.0)
    return jax.tree.map(lambda a, p: p + decay * (a - p), ema, params)
  if not switches.is_on(halflife):  # A traced half-life of 0 decays at once.
    return params
  horizon = jnp.float32(halflife)
  if switches.is_on(rampup):
    images = (step + counts_round).astype(jnp.float32) * batch_size
    early = jnp.minimum(horizon, rampup * images)
    horizon = jnp.where(jnp.asarray(rampup) > 0, early, horizon)
  decay = 0.5 ** (batch_size / jnp.maximum(horizon, 1e-8))
  return jax.tree.map(lambda a, p: p + decay * (a - p), ema, params)


def power(width: float) -> float:
  """Returns the power of round t in the weights of an average of a width.

  The width w of weights t^p in [0, 1] satisfies
  w^2 = (p + 1) / ((p + 2)^2 (p + 3)).

  Args:
    width: standard deviation in (0, 0.288], see `average`.
  """
  inverse = width**-2
  roots = np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse])
  return float(max(roots.real))


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
