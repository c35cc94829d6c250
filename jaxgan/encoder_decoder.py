"""What methods with an encoder and a decoder have in common.

Such a method is a frozen dataclass with the fields `encoder`, `decoder`, their
optimizers `encoder_optimizer` and `decoder_optimizer`, `shape`, `ema_halflife`,
`ema_rampup` and `axis_name`; both networks have an average.
"""

import math

import jax
import jax.numpy as jnp

from jaxgan import errors, models
from jaxgan import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState

NETWORKS = ('encoder', 'decoder')


def networks(config, spec: Spec, axis_name: str | None, **derived):
  """The fields above, as a config gives them.

  Args:
    config: of the run: 'encoder', 'decoder', 'batch_size', 'ema_halflife',
      'ema_rampup'.
    spec: of the data.
    axis_name: set where the caller maps the step over parts of the batch.
    **derived: fields of networks that follow from others.

  Raises:
    UserError: if the data are points.
  """
  if not spec.is_image:
    raise errors.UserError(
      f'method={config.method!r} needs images and data.name='
      f'{config.data.name!r} has points; set another data.name'
    )
  fields = {
    'shape': spec.shape,
    'ema_halflife': config.ema_halflife,
    'ema_rampup': config.ema_rampup,
    'axis_name': axis_name,
  }
  for name in NETWORKS:
    fields[name], fields[f'{name}_optimizer'] = models.trained(
      config,
      name,
      config.batch_size,
      shape=spec.shape,
      axis_name=axis_name,
      **derived,
    )
  return fields


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
    for place, name in enumerate(NETWORKS)
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
  for name in NETWORKS:
    optimizer = getattr(method, f'{name}_optimizer')
    state, norms = state_lib.move(
      state, name, optimizer, grads[name], stats[name], {}
    )
    metrics |= norms
    averages[name] = state_lib.average(
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


def to_pixels(images: jax.Array) -> jax.Array:
  """[-1, 1] to [0, 1]."""
  return (images + 1.0) / 2.0


def to_images(pixels: jax.Array) -> jax.Array:
  """[0, 1] to [-1, 1]; what lies outside is clipped."""
  return jnp.clip(2.0 * pixels - 1.0, -1.0, 1.0)


def flat(x: jax.Array) -> jax.Array:
  """Images [B, ...] as rows [B, P].

  On CPUs sums of whole images of one channel are slow: a sixth of a round of
  the VAE.
  """
  return x.reshape(len(x), -1)


def cross_entropy(logits: jax.Array, pixels: jax.Array) -> jax.Array:
  """Of Bernoulli pixels in [0, 1], each, in nats, [B, P].

  -x log sigmoid(a) - (1 - x) log sigmoid(-a) is softplus(a) - x a: one
  logarithm for two, which on CPUs take as long as the decoder's products.

  Args:
    logits: what the decoder makes, [B, ...].
    pixels: likewise.
  """
  logits, pixels = flat(logits), flat(pixels)
  return jax.nn.softplus(logits) - pixels * logits


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
  return to_images(jnp.broadcast_to(picture, (num, *shape)))
