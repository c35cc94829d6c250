"""What methods with an encoder and a decoder have in common.

Such a method is a frozen dataclass with the fields `encoder`, `decoder`, their
optimizers `encoder_optimizer` and `decoder_optimizer`, `shape`, `ema_halflife`,
`ema_rampup` and `axis_name`; both networks have an average.
"""

import math

import jax
import jax.numpy as jnp

from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import pixels as pixels_lib
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState


def create(method, parts, key: jax.Array) -> TrainState:
  """The first state of a method.

  Args:
    method: the parts that never change.
    parts: name -> (module, an example of its inputs).
    key: of the run.
  """
  found = {
    name: state_lib.create(
      parts[name][0],
      getattr(method, f'{name}_optimizer'),
      jax.random.fold_in(key, place),
      *parts[name][1],
    )
    for place, name in enumerate(networks_lib.NETWORKS)
  }
  # A copy: the state is donated, and a buffer can be given away only once.
  averages = {n: jax.tree.map(jnp.copy, v.params) for n, v in found.items()}
  return TrainState(jnp.zeros((), jnp.int32), found, averages, {})


def move(method, state: TrainState, grads, stats, metrics, count: int):
  """The state after a round: both networks and their averages.

  Args:
    method: the parts that never change.
    state: the state before.
    grads: {'encoder': ..., 'decoder': ...} over this device's part.
    stats: mutable collections of both after the forward pass.
    metrics: scalars by full name over this device's part.
    count: images in this device's part.

  Returns:
    The state and metrics of the global batch, norms of both networks included.
  """
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  averages = {}
  for name in networks_lib.NETWORKS:
    optimizer = getattr(method, f'{name}_optimizer')
    state, norms = state_lib.move(
      state, name, optimizer, grads[name], stats[name], {}
    )
    metrics |= norms
    averages[name] = ema_lib.average(
      state.ema[name],
      state.networks[name].params,
      state.step,
      state_lib.global_size(count, method.axis_name),
      method.ema_halflife,
      method.ema_rampup,
    )
  return state.replace(step=state.step + 1, ema=averages), metrics


def weights(state: TrainState, name: str):
  """Variables of the network `name` with averaged parameters."""
  return {'params': state.ema[name], **state.networks[name].stats}


def averaged(method, state: TrainState, name: str, inputs: jax.Array):
  """Output of the network `name` with averaged weights."""
  network = state_lib.inference(getattr(method, name))
  return network(weights(state, name), inputs)


def code_pictures(code: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Codes [B, ...] as pictures [B, *shape] in [-1, 1].

  The numbers of a flat code, or the channels of a code [B, h, w, C], lie in a
  square, row by row. The smallest number of all codes is black, the largest
  white.
  """
  code = code.reshape(len(code), *(1, 1, *code.shape[1:])[-3:])
  low, high = jnp.min(code), jnp.max(code)
  code = (code - low) / jnp.maximum(high - low, 1e-12)  # [0, 1]
  num, height, width, channels = code.shape
  side = math.ceil(math.sqrt(channels))
  rows = -(-channels // side)
  fill = ((0, 0), (0, 0), (0, 0), (0, rows * side - channels))
  code = jnp.pad(code, fill).reshape(num, height, width, rows, side)
  code = code.transpose(0, 3, 1, 4, 2)  # [B, rows, h, side, w]
  code = code.reshape(num, rows * height, side * width, 1)
  picture = jax.image.resize(code, (num, *shape[:2], 1), 'nearest')
  return pixels_lib.to_images(jnp.broadcast_to(picture, (num, *shape)))
