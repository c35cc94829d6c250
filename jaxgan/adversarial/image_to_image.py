"""Averages of networks that turn images into images, and how they are shown.

Running statistics are averaged with the weights, so that one image can be
translated by itself. Whatever else a layer keeps is that of the newest.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import tricks
from jaxgan.adversarial.tricks import Adversary
from jaxgan.core import state as state_lib
from jaxgan.core.state import Network, TrainState

CHUNK = 50  # held-out images at a time


def _averaged(network: Network):
  return network.params, network.stats.get('batch_stats', {})


def _stats_name(name: str) -> str:
  return f'{name}_stats'


def start(
  networks: Mapping[str, Network], names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Averages of fresh networks: a state's 'ema', and a part of its 'extra'."""
  # A copy: the state is donated, and a buffer can be given away only once.
  found = {
    name: jax.tree.map(jnp.copy, _averaged(networks[name])) for name in names
  }
  return (
    {name: params for name, (params, _) in found.items()},
    {_stats_name(name): stats for name, (_, stats) in found.items()},
  )


def follow(
  method: Adversary, state: TrainState, names: Sequence[str], local: int
) -> TrainState:
  """The state with averages after this round; `local` images a device."""
  old = {
    name: (state.ema[name], state.extra[_stats_name(name)]) for name in names
  }
  new = {name: _averaged(state.networks[name]) for name in names}
  new = discriminator_lib.average(method, state, old, new, local)
  return state.replace(
    ema=state.ema | {name: params for name, (params, _) in new.items()},
    extra=state.extra
    | {_stats_name(name): stats for name, (_, stats) in new.items()},
  )


def weights(state: TrainState, name: str):
  """Variables of the network `name`: averages, where there are some."""
  stats = state.networks[name].stats
  if 'batch_stats' in stats:
    stats = {**stats, 'batch_stats': state.extra[_stats_name(name)]}
  return {'params': state.ema[name], **stats}


def served(method: Adversary, state: TrainState, name: str, shape):
  """The network `name` for images of a shape; see `jaxgan.steps`."""
  function = state_lib.inference(state_lib.player(method, name).module)
  return function, weights(state, name), {'image': jnp.zeros((1, *shape))}


def translate(method: Adversary, state: TrainState, name: str, image, key):
  """What the averaged network `name` makes of images [N, H, W, C].

  Args:
    method: the parts that never change.
    state: a state.
    name: of the network.
    image: images in [-1, 1].
    key: of dropout, which is a network's noise where it stays on.
  """
  stats = weights(state, name)
  params = stats.pop('params')
  module = state_lib.player(method, name).module
  return state_lib.apply(module, params, stats, image, train=False, key=key)[0]


def mean_of_each(function: Callable, batch):
  """Means of scores over pairs that were never trained on.

  Args:
    function: (key, image, source), of one pair, -> a tree of scalars.
    batch: 'image' and 'source' [N, ...], of which some at a time are seen.
  """
  pairs = {name: batch[name] for name in ('image', 'source')}
  keys = jax.random.split(jax.random.key(0), len(batch['image']))
  found = jax.lax.map(
    lambda row: function(row[0], **row[1]), (keys, pairs), batch_size=CHUNK
  )
  return jax.tree.map(jnp.mean, found)


def refuse_shape(config, generator, inputs, shape: tuple[int, ...]) -> None:
  """Raises a UserError for a generator that makes images of another shape."""
  made = tricks.made_shape(generator, *inputs)
  if made != shape:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes {made} and the images '
      f'are {shape}; choose another network'
    )


def rows(*images):
  """Rows [rows, N, H, W, C] for a grid; grey images get as many channels."""
  channels = max(x.shape[-1] for x in images)
  return jnp.stack(
    [jnp.broadcast_to(x, (*x.shape[:-1], channels)) for x in images]
  )
