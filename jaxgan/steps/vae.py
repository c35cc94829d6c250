"""Variational autoencoders: VAE, beta-VAE and the importance-weighted one.

Kingma and Welling 2013 (https://arxiv.org/abs/1312.6114), equation 10 with the
networks of appendix C: q(z|x) is a Gaussian with diagonal covariance, p(z) the
standard one, and

  ELBO = E_q log p(x|z) - beta KL(q(z|x) || p(z)),

with one z = mean + deviation * noise an image, the divergence in closed form
(appendix B), and beta as in Higgins et al. 2017
(https://openreview.net/forum?id=Sy2fzU9gl). With `importance_samples` = k, the
bound of Burda et al. 2015 (https://arxiv.org/abs/1509.00519, equation 8) takes
its place.

  method = vae.VAE(encoder, decoder, shape=(28, 28, 1), latent_size=20)
  state = vae.init(method, key)
  state, metrics = jax.jit(vae.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.config import networks as networks_lib
from jaxgan.config.networks import NETWORKS
from jaxgan.core import noise, switches
from jaxgan.core import state as state_lib
from jaxgan.core.latents import bound
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics.likelihood import cross_entropy, flat
from jaxgan.steps import _encoder_decoder
from jaxgan.steps._encoder_decoder import averaged

SHOWN_IMAGES = 10  # of which reconstructions are shown
PREVIEW_SIZE = 100
MANIFOLD_SIDE = 20
ACTIVE_VARIANCE = 0.01


class Likelihood(NamedTuple):
  """p(x|z) of pixels in [0, 1], given the decoder's outputs.

  Attributes:
    log_density: (outputs, pixels), both [B, ...], to nats [B].
    mean: outputs to mean pixels.
  """

  log_density: Callable
  mean: Callable


def bernoulli(deviation: float = 0.0) -> Likelihood:
  """Outputs are logits; for grey pixels the cross-entropy, no density."""
  del deviation
  return Likelihood(
    lambda logits, pixels: -cross_entropy(logits, pixels).sum(axis=1),
    jax.nn.sigmoid,
  )


def gaussian(deviation: float) -> Likelihood:
  """Outputs are means of pixels that have one standard deviation."""
  constant = math.log(deviation) + 0.5 * math.log(2.0 * math.pi)
  return Likelihood(
    lambda mean, pixels: (
      -jnp.sum(0.5 * (flat(pixels - mean) / deviation) ** 2 + constant, axis=1)
    ),
    lambda mean: mean,
  )


# name -> (decoder_deviation) -> Likelihood.
LIKELIHOODS = {'bernoulli': bernoulli, 'gaussian': gaussian}


@dataclasses.dataclass(frozen=True)
class VAE:
  """The parts that never change.

  Attributes:
    encoder: pixels [B, *shape] in [0, 1] to [B, 2 Z], mean and log-variance.
    decoder: latents [B, Z] to what the likelihood takes, [B, *shape].
    shape: (height, width, channels) of an image.
    latent_size: Z.
    encoder_optimizer: moves the encoder.
    decoder_optimizer: moves the decoder.
    likelihood: p(x|z).
    beta: weight of the divergence.
    importance_samples: k of the importance-weighted bound; 0 for the ELBO with
      the divergence in closed form.
    held_out_samples: k of the bound on held-out images; 0 leaves it out.
    binarised: pixels are drawn as 0 or 1, see `observe`.
    ema_halflife: of both networks' averages, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
  """

  encoder: nn.Module
  decoder: nn.Module
  shape: tuple[int, ...]
  latent_size: int
  encoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  decoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  likelihood: Likelihood = bernoulli()
  beta: float = 1.0
  importance_samples: int = 0
  held_out_samples: int = 0
  binarised: bool = False
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


def from_config(config, spec: Spec, axis_name: str | None = None) -> VAE:
  """Builds the method; the only reader of the config for this algorithm."""
  if config.likelihood not in LIKELIHOODS:
    raise errors.unknown('likelihood', config.likelihood, LIKELIHOODS)
  if config.decoder_deviation <= 0:
    raise errors.UserError(
      f'decoder_deviation={config.decoder_deviation} must be positive'
    )
  for name in ('beta', 'importance_samples', 'held_out_samples'):
    if switches.is_known(config[name]) and config[name] < 0:
      raise errors.UserError(f'{name}={config[name]} must not be negative')
  is_weighed = not switches.is_known(config.beta) or config.beta != 1.0
  if config.importance_samples and is_weighed:
    raise errors.UserError(
      f'beta={config.beta} weighs a divergence that the importance-weighted '
      'bound does not have; set beta=1.0 or importance_samples=0'
    )
  if config.binarised and config.likelihood != 'bernoulli':
    raise errors.UserError(
      f'binarised=True makes pixels of 0 and 1, of which likelihood='
      f"{config.likelihood!r} has no density; set likelihood='bernoulli' or "
      'binarised=False'
    )
  size = config.latent_size
  return VAE(
    **networks_lib.networks(config, spec, axis_name, code_size=2 * size),
    latent_size=size,
    likelihood=LIKELIHOODS[config.likelihood](config.decoder_deviation),
    beta=config.beta,
    importance_samples=config.importance_samples,
    held_out_samples=config.held_out_samples,
    binarised=config.binarised,
  )


def modules(method: VAE):
  """Both networks with an example of their inputs, for tables."""
  return {
    'encoder': (method.encoder, (jnp.zeros((1, *method.shape)),)),
    'decoder': (method.decoder, (jnp.zeros((1, method.latent_size)),)),
  }


def expected(method: VAE) -> dict[str, float]:
  """Nothing: where the bound ends depends on the entropy of the images."""
  del method
  return {}


def draws(method: VAE) -> int:
  """Batches of images that a round takes."""
  del method
  return 1


def init(method: VAE, key: jax.Array) -> TrainState:
  """The state before the first round."""
  return _encoder_decoder.create(method, modules(method), key)


def observe(method: VAE, images: jax.Array, key) -> jax.Array:
  """Images [B, ...] in [-1, 1] as the pixels in [0, 1] that the bounds are of.

  Where they are `binarised`, each is 1 with its grey value as probability, and
  drawn again with every key (Burda et al. 2015, section 5; Salakhutdinov and
  Murray 2008, https://doi.org/10.1145/1390156.1390266).
  """
  pixels = to_pixels(images)
  if not method.binarised:
    return pixels
  draw = noise.uniform(key, len(pixels), pixels.shape[1:], method.axis_name)
  return (draw < pixels).astype(pixels.dtype)


def divergence(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """KL(N(mean, variance) || N(0, 1)) in nats, [B, Z] each, to [B].

  Kingma and Welling 2013, appendix B.
  """
  return 0.5 * jnp.sum(
    mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=-1
  )


def terms(method: VAE, code, run, pixels: jax.Array, draw: jax.Array):
  """What the bounds are made of.

  Args:
    method: the parts that never change.
    code: what the encoder makes of the pixels, [B, 2 Z].
    run: the decoder, latents [B * k, Z] to outputs.
    pixels: [B, ...] in [0, 1].
    draw: standard normal noise [B, k, Z].

  Returns:
    Posterior mean [B, Z], divergence [B], and for every draw the log-likelihood
    [B, k] and the log-weight [B, k].
  """
  mean, log_variance = jnp.split(code, 2, axis=-1)
  deviation = jnp.exp(0.5 * log_variance)
  z = mean[:, None] + deviation[:, None] * draw
  batch, k, size = z.shape
  outputs = run(z.reshape(-1, size))
  likelihood = method.likelihood.log_density(
    outputs, jnp.repeat(pixels, k, axis=0)
  ).reshape(batch, k)
  # log p(z) - log q(z|x); their constants cancel.
  ratio = 0.5 * jnp.sum(draw**2 + log_variance[:, None] - z**2, axis=-1)
  return mean, divergence(mean, log_variance), likelihood, likelihood + ratio


def train_step(method: VAE, state: TrainState, batch, key):
  """One update of both networks.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'image' [B, ...] in [-1, 1].
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics, nats an image:
    'loss' is the negative bound, 'reconstruction' -log p(x|z), 'kl' the
    divergence.
  """
  key = jax.random.fold_in(key, state.step)
  noise_key, encoder_key, decoder_key, pixel_key = jax.random.split(key, 4)
  pixels = observe(method, batch['image'], pixel_key)
  shape = (max(method.importance_samples, 1), method.latent_size)
  draw = noise.normal(noise_key, len(pixels), shape, method.axis_name)
  keys = {'encoder': encoder_key, 'decoder': decoder_key}

  def loss_fn(params):
    stats = {}

    def run(name):
      def call(x):
        output, stats[name] = state_lib.apply(
          getattr(method, name),
          params[name],
          state.networks[name].stats,
          x,
          train=True,
          key=keys[name],
        )
        return output

      return call

    _, kl, likelihood, log_weights = terms(
      method, run('encoder')(pixels), run('decoder'), pixels, draw
    )
    reconstruction, kl = -jnp.mean(likelihood), jnp.mean(kl)
    if method.importance_samples:
      loss = -jnp.mean(bound(log_weights))
    else:
      loss = reconstruction + method.beta * kl
    metrics = {'loss': loss, 'reconstruction': reconstruction, 'kl': kl}
    return loss, (stats, {f'vae/{k}': v for k, v in metrics.items()})

  params = {name: state.networks[name].params for name in NETWORKS}
  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(params)
  return _encoder_decoder.move(
    method, state, grads, stats, metrics, len(pixels)
  )


def latent_space(method: VAE) -> tuple[str, int]:
  """What latents are drawn from, a key of `noise.LATENTS`, and their size."""
  return 'normal', method.latent_size


def latents(method: VAE, key, num: int):
  """Latents [num, Z] of the prior; row i depends on the key and on i alone."""
  return noise.normal(key, num, (method.latent_size,))


def settle(method: VAE, state: TrainState) -> TrainState:
  """The state as it is: the networks have no statistics of batches."""
  del method
  return state


def decode(method: VAE, state: TrainState, z, label=None):
  """Latents [N, Z] to mean images [N, ...] in [-1, 1], averaged weights."""
  del label  # There are no conditional VAEs here.
  outputs = averaged(method, state, 'decoder', z)
  return to_images(method.likelihood.mean(outputs))


def served(method: VAE, state: TrainState):
  """Latents [B, Z] to mean images; see `jaxgan.steps`."""
  run = state_lib.inference(method.decoder)

  def function(weights, z):
    return to_images(method.likelihood.mean(run(weights, z)))

  weights = _encoder_decoder.weights(state, 'decoder')
  example = jnp.zeros((1, method.latent_size))
  return {'generator': (function, weights, {'latent': example})}


def sample(method: VAE, state: TrainState, key, num: int):
  """Mean images [num, ...] in [-1, 1] of latents from the prior."""
  return decode(method, state, latents(method, key, num))


def evaluate(method: VAE, state: TrainState, batch):
  """Bounds on images that were never trained on, averaged weights.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1]. The noise is the same every time, and
      so are binarised pixels.

  Returns:
    Nats an image: 'held_out_loss' the negative ELBO (beta = 1), its parts
    'held_out_reconstruction' and 'held_out_kl', and 'held_out_bound_kK', the
    negative importance-weighted bound of K = `held_out_samples`. And
    'active_latents', those whose posterior mean has a variance over the images
    above 0.01 (Burda et al. 2015, section 5.2).
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  code = averaged(method, state, 'encoder', pixels)
  samples = max(method.held_out_samples, 1)
  shape = (samples, 1, method.latent_size)
  draw = noise.normal(jax.random.key(0), len(pixels), shape)  # [N, K, 1, Z]

  def one(draw):
    run = lambda z: averaged(method, state, 'decoder', z)
    return terms(method, code, run, pixels, draw)

  # One by one: all at once would hold K times the images.
  mean, kl, likelihood, log_weights = jax.lax.map(one, jnp.moveaxis(draw, 1, 0))
  reconstruction, kl = -jnp.mean(likelihood), jnp.mean(kl[0])
  active = jnp.var(mean[0], axis=0) > ACTIVE_VARIANCE
  scores = {
    'held_out_loss': reconstruction + kl,
    'held_out_reconstruction': reconstruction,
    'held_out_kl': kl,
    'active_latents': jnp.sum(active).astype(jnp.float32),
  }
  if method.held_out_samples:
    tightest = bound(log_weights[..., 0].T)
    scores[f'held_out_bound_k{samples}'] = -jnp.mean(tightest)
  return {f'vae/{name}': value for name, value in scores.items()}


def manifold(method: VAE, state: TrainState) -> jax.Array:
  """Images [20, 20, ...] in [-1, 1] at the quantiles of both latents.

  Kingma and Welling 2013, figure 4: the first latent grows to the right, the
  second upwards.
  """
  side = MANIFOLD_SIDE
  line = jax.scipy.special.ndtri((jnp.arange(side) + 0.5) / side)
  x, y = jnp.meshgrid(line, line[::-1])
  images = decode(method, state, jnp.stack([x, y], axis=-1).reshape(-1, 2))
  return images.reshape(side, side, *method.shape)


def preview(method: VAE, state: TrainState, batch, key):
  """Samples, reconstructions, and the manifold of two latents.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1], the same ones every time.
    key: the same key gives the same samples.

  Returns:
    'samples' [100, ...] from the prior; 'reconstructions' [3, N, ...], rows of
    images, posterior means and decoded means; with two latents 'manifold', see
    there. All in [-1, 1].
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  code = averaged(method, state, 'encoder', pixels)
  mean, _ = jnp.split(code, 2, axis=-1)
  rows = [
    to_images(pixels),
    _encoder_decoder.code_pictures(mean, method.shape),
    decode(method, state, mean),
  ]
  found = collections.OrderedDict(
    samples=sample(method, state, key, PREVIEW_SIZE),
    reconstructions=jnp.stack(rows),
  )
  if method.latent_size == 2:
    found['manifold'] = manifold(method, state)
  return found
