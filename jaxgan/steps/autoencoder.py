"""Autoencoders, plain and denoising: images through a narrow code and back.

The loss is the cross-entropy between pixels in [0, 1] and the decoder's
logits, a mean over pixels (Hinton and Salakhutdinov 2006,
https://doi.org/10.1126/science.1127647). With `corruption`, the encoder sees
noisy pixels and the target stays clean (Vincent et al. 2010,
https://jmlr.org/papers/v11/vincent10a.html, section 3).

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
from jaxgan.config.networks import NETWORKS
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics.likelihood import cross_entropy, flat
from jaxgan.steps import _encoder_decoder
from jaxgan.steps._encoder_decoder import averaged

SHOWN_IMAGES = 10  # in the grid
SMALLEST_ERROR = 1e-10  # of an image, 100 dB


@dataclasses.dataclass(frozen=True)
class Autoencoder:
  """The parts that never change.

  Attributes:
    encoder: pixels [B, *shape] in [0, 1] to codes [B, ...].
    decoder: codes to logits of pixels [B, *shape].
    shape: (height, width, channels) of an image.
    encoder_optimizer: moves the encoder.
    decoder_optimizer: moves the decoder.
    corruption: standard deviation of the noise on pixels in [0, 1] that the
      encoder sees, clipped to [0, 1] again; 0 is off.
    ema_halflife: of both networks' averages, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
  """

  encoder: nn.Module
  decoder: nn.Module
  shape: tuple[int, ...]
  encoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  decoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  corruption: float = 0.0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


def from_config(config, spec: Spec, axis_name: str | None = None):
  """Builds the method; the only reader of the config for this algorithm."""
  if config.corruption < 0:
    raise errors.UserError(
      f'corruption={config.corruption} must not be negative; 0 is off'
    )
  method = Autoencoder(
    **networks_lib.networks(config, spec, axis_name),
    corruption=config.corruption,
  )
  code, _ = _code(method)
  made = jax.eval_shape(_untrained(method.decoder), code).shape[1:]
  if made != spec.shape:
    raise errors.UserError(
      f'decoder.name={config.decoder.name!r} makes images of shape {made} and '
      f'the data have {spec.shape}; choose another network'
    )
  return method


def _untrained(module: nn.Module):
  key = jax.random.key(0)
  return lambda x: module.init_with_output(key, x, train=False)[0]


def _code(method: Autoencoder):
  """Shape of a code, and an image for it, [1, ...] each."""
  image = jnp.zeros((1, *method.shape))
  return jax.eval_shape(_untrained(method.encoder), image), image


def modules(method: Autoencoder):
  """Both networks with an example of their inputs, for tables."""
  code, image = _code(method)
  return {
    'encoder': (method.encoder, (image,)),
    'decoder': (method.decoder, (jnp.zeros(code.shape, code.dtype),)),
  }


def expected(method: Autoencoder) -> dict[str, float]:
  """Nothing: where the loss ends depends on the entropy of the pixels."""
  del method
  return {}


def draws(method: Autoencoder) -> int:
  """Batches of images that a round takes."""
  del method
  return 1


def init(method: Autoencoder, key: jax.Array) -> TrainState:
  """The state before the first round."""
  return _encoder_decoder.create(method, modules(method), key)


def corrupt(method: Autoencoder, pixels: jax.Array, key, axis_name=None):
  """Pixels as the encoder sees them."""
  if not method.corruption:
    return pixels
  draw = noise.normal(key, len(pixels), pixels.shape[1:], axis_name)
  return jnp.clip(pixels + method.corruption * draw, 0.0, 1.0)


def train_step(method: Autoencoder, state: TrainState, batch, key):
  """One update of both networks.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'image' [B, ...] in [-1, 1].
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics; 'mse' is the mean
    square error of pixels in [0, 1].
  """
  key = jax.random.fold_in(key, state.step)
  noise_key, encoder_key, decoder_key = jax.random.split(key, 3)
  pixels = to_pixels(batch['image'])
  seen = corrupt(method, pixels, noise_key, method.axis_name)
  old = {name: state.networks[name].stats for name in NETWORKS}

  def loss_fn(params):
    stats = {}
    code, stats['encoder'] = state_lib.apply(
      method.encoder,
      params['encoder'],
      old['encoder'],
      seen,
      train=True,
      key=encoder_key,
    )
    logits, stats['decoder'] = state_lib.apply(
      method.decoder,
      params['decoder'],
      old['decoder'],
      code,
      train=True,
      key=decoder_key,
    )
    loss = jnp.mean(cross_entropy(logits, pixels))
    mse = jnp.mean(flat(jax.nn.sigmoid(logits) - pixels) ** 2)
    metrics = {'autoencoder/loss': loss, 'autoencoder/mse': mse}
    return loss, (stats, metrics)

  params = {name: state.networks[name].params for name in NETWORKS}
  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(params)
  return _encoder_decoder.move(
    method, state, grads, stats, metrics, len(pixels)
  )


def served(method: Autoencoder, state: TrainState):
  """Images [B, ...] to their reconstructions; see `jaxgan.steps`."""
  encode, decode = (
    state_lib.inference(getattr(method, name)) for name in NETWORKS
  )

  def function(weights, images):
    code = encode(weights['encoder'], to_pixels(images))
    return to_images(jax.nn.sigmoid(decode(weights['decoder'], code)))

  weights = {name: _encoder_decoder.weights(state, name) for name in NETWORKS}
  example = jnp.zeros((1, *method.shape))
  return {'autoencoder': (function, weights, {'image': example})}


def sample(method: Autoencoder, state: TrainState, key, num: int):
  """Refuses: an autoencoder says nothing of how codes are distributed.

  Raises:
    UserError: always.
  """
  del method, state, key, num
  raise errors.UserError(
    "method='autoencoder' has no distribution of codes to draw samples from; "
    'train configs/vae_mnist.py for that'
  )


def evaluate(method: Autoencoder, state: TrainState, batch):
  """Reconstruction of images that were never trained on, averaged weights.

  With `corruption`, of images under the same noise every time.

  Args:
    method: the parts that never change.
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


def preview(method: Autoencoder, state: TrainState, batch, key):
  """Rows of images, what the encoder sees, codes and reconstructions.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1], the same ones every time.
    key: the same key gives the same corruption.

  Returns:
    'reconstructions' [rows, N, ...] in [-1, 1]. What the encoder sees has a row
    of its own only with `corruption`.
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
