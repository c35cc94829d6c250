"""Parts that methods with an encoder and a decoder share.

The method is a frozen dataclass with the fields `encoder`, `decoder`,
`encoder_optimizer`, `decoder_optimizer`, `shape`, `ema_halflife` and
`ema_rampup`. Both networks have EMA weights.
"""

import math

import jax
import jax.numpy as jnp

from jaxgan.core import ema as ema_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import TrainState

NETWORKS = ('encoder', 'decoder')
MANIFOLD_SIDE = 20


def init(method, modules, key: jax.Array) -> TrainState:
  """Returns the state before the first round.

  Args:
    method: the networks and settings.
    modules: {name: (module, examples of its inputs)} of both networks.
    key: key of the run.
  """
  networks = state_lib.create_all(method, modules, key)
  ema, extra = ema_lib.start(networks, NETWORKS)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def step(method, state: TrainState, loss, local: int, *inputs):
  """Returns the state after one update of both networks, and metrics.

  Args:
    method: the networks and settings.
    state: the state before.
    loss: loss function for `state.gradient_step`.
    local: number of images on this device.
    *inputs: inputs of the loss.
  """
  state, metrics = state_lib.gradient_step(
    method, state, NETWORKS, loss, *inputs
  )
  state = ema_lib.follow(method, state, local)
  return state.replace(step=state.step + 1), metrics


def averaged(method, state: TrainState, name: str, *inputs: jax.Array):
  """Returns the output of the network `name` with EMA weights."""
  network = state_lib.inference(getattr(method, name))
  return network(ema_lib.variables(state, name), *inputs)


def encode(method, state: TrainState, images: jax.Array) -> jax.Array:
  """Returns codes [N, ...] of images [N, ...] in [-1, 1], with EMA weights.

  Codes of a VAE are means [N, Z] of the posterior.
  """
  code = averaged(method, state, 'encoder', to_pixels(images))
  if not hasattr(method, 'latents'):
    return code
  return code[..., : method.latents.size]


def decode(method, state: TrainState, code: jax.Array) -> jax.Array:
  """Returns images [N, ...] in [-1, 1] of an autoencoder's codes [N, ...]."""
  return to_images(jax.nn.sigmoid(averaged(method, state, 'decoder', code)))


def code_pictures(code: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Returns codes [B, ...] as pictures [B, *shape] in [-1, 1].

  The numbers of a flat code, or the channels of a code [B, h, w, C], fill a
  square, row by row. The smallest number of all codes is black, the largest is
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


def corrupt(method, pixels: jax.Array, key) -> jax.Array:
  """Returns pixels with noise, the inputs of the encoder.

  Args:
    method: has the field `corruption`, the standard deviation; 0 is off.
    pixels: [B, ...] in [0, 1]; noisy pixels are clipped to this range.
    key: key of the noise.
  """
  if not method.corruption:
    return pixels
  draw = noise.normal(key, len(pixels), pixels.shape[1:])
  return jnp.clip(pixels + method.corruption * draw, 0.0, 1.0)


def manifold(decode) -> jax.Array:
  """Returns images [20, 20, ...] in [-1, 1] at quantiles of two latents.

  Kingma and Welling 2013, figure 4: the first latent grows to the right, the
  second upwards.

  Args:
    decode: maps latents [N, 2] to images [N, ...].
  """
  side = MANIFOLD_SIDE
  line = jax.scipy.special.ndtri((jnp.arange(side) + 0.5) / side)
  x, y = jnp.meshgrid(line, line[::-1])
  images = decode(jnp.stack([x, y], axis=-1).reshape(-1, 2))
  return images.reshape(side, side, *images.shape[1:])
