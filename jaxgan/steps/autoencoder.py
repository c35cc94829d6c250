"""Autoencoders, plain and denoising: images through a narrow code and back.

Hinton and Salakhutdinov 2006 (https://doi.org/10.1126/science.1127647). The
loss is the cross-entropy between pixels x in [0, 1] and the decoder's logits,

  mean over pixels of  -x log p - (1 - x) log(1 - p),  p = sigmoid(logits).

With `corruption`, the encoder sees noisy pixels and the target stays clean
(Vincent et al. 2010, https://jmlr.org/papers/v11/vincent10a.html, section 3).

  method = autoencoder.Autoencoder(encoder, decoder, shape=(28, 28, 1))
  state = autoencoder.init(method, key)
  state, metrics = jax.jit(autoencoder.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics.likelihood import cross_entropy, flat
from jaxgan.steps import _encoder_decoder
from jaxgan.steps._encoder_decoder import NETWORKS, averaged
from jaxgan.steps._encoder_decoder import corrupt as corrupt


def loss(method, networks, state, pixels, keys):
  """Returns the mean cross-entropy of pixels [B, ...] in [0, 1]."""
  del state
  noise_key, encoder_key, decoder_key = keys
  seen = corrupt(method, pixels, noise_key)
  code = networks['encoder'](seen, key=encoder_key)
  decoded = networks['decoder'](code.value, key=decoder_key)
  value = jnp.mean(cross_entropy(decoded.logits, pixels))
  error = flat(jax.nn.sigmoid(decoded.logits) - pixels)
  metrics = {'loss': value, 'mse': jnp.mean(error**2)}
  stats = {'encoder': code.stats, 'decoder': decoded.stats}
  return value, Aux(stats, {'autoencoder': metrics})


def train_step(method, state, batch, key):
  """Updates both networks.

  Args:
    method: an `Autoencoder`.
    state: the state before the round.
    batch: 'image' [B, ...] in [-1, 1].
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics; 'mse' is the mean
    square error of pixels in [0, 1].
  """
  keys = jax.random.split(jax.random.fold_in(key, state.step), 3)
  pixels = to_pixels(batch['image'])
  return _encoder_decoder.step(method, state, loss, len(pixels), pixels, keys)


SHOWN_IMAGES = 10  # in the grid
SMALLEST_ERROR = 1e-10  # of an image, 100 dB


@dataclasses.dataclass(frozen=True)
class Autoencoder:
  """Networks and settings of an autoencoder.

  Attributes:
    encoder: maps pixels [B, *shape] in [0, 1] to codes [B, ...].
    decoder: maps codes to logits of pixels [B, *shape].
    shape: (height, width, channels) of an image.
    encoder_optimizer: optimizer of the encoder.
    decoder_optimizer: optimizer of the decoder.
    corruption: standard deviation of noise on the pixels in [0, 1] that the
      encoder sees; noisy pixels are clipped to [0, 1]. 0 is off.
    ema_halflife: half-life of the EMA weights, in images; 0 is off.
    ema_rampup: upper limit of the half-life, as a share of the images seen.
    ema_counts_round: see `ema.average`.
  """

  encoder: nn.Module
  decoder: nn.Module
  shape: tuple[int, ...]
  encoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  decoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  corruption: float = 0.0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False


def _code(method):
  """Returns the shape of a code, and an example image, [1, ...] each."""
  image = jnp.zeros((1, *method.shape))
  return state_lib.output_shapes(method.encoder, image), image


def modules(method):
  """Returns both networks with an example of their inputs."""
  code, image = _code(method)
  return {
    'encoder': (method.encoder, (image,)),
    'decoder': (method.decoder, (jnp.zeros(code.shape, code.dtype),)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _encoder_decoder.init(method, modules(method), key)


def export_functions(method, state: TrainState):
  """Returns the autoencoder for export; see `jaxgan.steps`."""
  encode, decode = (
    state_lib.inference(getattr(method, name)) for name in NETWORKS
  )

  def function(weights, images):
    code = encode(weights['encoder'], to_pixels(images))
    return to_images(jax.nn.sigmoid(decode(weights['decoder'], code)))

  weights = {name: ema_lib.variables(state, name) for name in NETWORKS}
  example = jnp.zeros((1, *method.shape))
  return {'autoencoder': (function, weights, {'image': example})}


def evaluate(method, state: TrainState, batch):
  """Returns reconstruction errors of held-out images with EMA weights.

  With `corruption`, the noise on the images is the same each time.

  Args:
    method: an `Autoencoder`.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1].

  Returns:
    'held_out_loss' and 'held_out_mse' as in training, and 'held_out_psnr' in
    dB, the mean over images of 10 log10(1 / mse).
  """
  pixels = to_pixels(batch['image'])
  seen = corrupt(method, pixels, jax.random.key(0))
  code = averaged(method, state, 'encoder', seen)
  logits = averaged(method, state, 'decoder', code)
  error = jnp.mean(flat(jax.nn.sigmoid(logits) - pixels) ** 2, axis=1)  # [N]
  loss = jnp.mean(cross_entropy(logits, pixels))
  psnr = -10.0 * jnp.log10(jnp.maximum(error, SMALLEST_ERROR))
  return {
    'autoencoder/held_out_loss': loss,
    'autoencoder/held_out_mse': jnp.mean(error),
    'autoencoder/held_out_psnr': jnp.mean(psnr),
  }


def preview(method, state: TrainState, batch, key):
  """Returns rows of images, noisy images, codes and reconstructions.

  Args:
    method: an `Autoencoder`.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1].
    key: key of the corruption.

  Returns:
    'reconstructions' [rows, N, ...] in [-1, 1]. The row of noisy images is
    present only with `corruption`.
  """
  images = batch['image']
  seen = corrupt(method, to_pixels(images), key)
  code = averaged(method, state, 'encoder', seen)
  logits = averaged(method, state, 'decoder', code)
  rows = [images, _encoder_decoder.code_pictures(code, method.shape)]
  if method.corruption:
    rows.insert(1, to_images(seen))
  rows.append(to_images(jax.nn.sigmoid(logits)))
  return {'reconstructions': jnp.stack(rows)}


def from_config(config, spec: Spec) -> Autoencoder:
  """Builds the method; the only reader of the config for this algorithm."""
  if config.corruption < 0:
    raise errors.UserError(
      f'corruption={config.corruption} is negative. Set corruption=0 for none.'
    )
  method = Autoencoder(
    **networks_lib.encoder_and_decoder(config, spec),
    corruption=config.corruption,
  )
  code, _ = _code(method)
  example = jnp.zeros(code.shape, code.dtype)
  output_shape = state_lib.made_shape(method.decoder, example)
  if output_shape != spec.shape:
    raise errors.UserError(
      f'decoder.name={config.decoder.name!r} makes images of shape '
      f'{output_shape} and the data have shape {spec.shape}. Choose another '
      'network, or change its fields.'
    )
  return method
