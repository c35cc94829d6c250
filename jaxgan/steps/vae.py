"""Variational autoencoders: VAE, beta-VAE and IWAE (importance-weighted).

Kingma and Welling 2013 (https://arxiv.org/abs/1312.6114), equation 10 with the
networks of appendix C: q(z|x) is a Gaussian with diagonal covariance, p(z) is
standard normal, and training maximises

  ELBO = E_q log p(x|z) - beta KL(q(z|x) || p(z))

with one z = mean + deviation * noise per image, the divergence in closed form
(appendix B), and beta as in Higgins et al. 2017
(https://openreview.net/forum?id=Sy2fzU9gl). With `importance_samples` = k it
maximises the bound of Burda et al. 2015 (https://arxiv.org/abs/1509.00519,
equation 8) instead.

  method = vae.VAE(encoder, decoder, shape=(28, 28, 1), latent_size=20)
  state = vae.init(method, key)
  state, metrics = jax.jit(vae.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import collections
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.latents import Latents, bound
from jaxgan.core.pixels import to_images
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics.likelihood import LIKELIHOODS, Bernoulli, Gaussian
from jaxgan.steps import _encoder_decoder
from jaxgan.steps._elbo import divergence as divergence
from jaxgan.steps._elbo import observe, refuse, terms
from jaxgan.steps._encoder_decoder import averaged


def loss(method, networks, state, pixels, keys):
  """Returns the negative bound, a mean over images [B, ...] in [0, 1]."""
  del state
  noise_key, encoder_key, decoder_key = keys
  shape = (max(method.importance_samples, 1), method.latent_size)
  draw = noise.normal(noise_key, len(pixels), shape)
  code = networks['encoder'](pixels, key=encoder_key)
  stats = {'encoder': code.stats}

  def decoder(z):
    output = networks['decoder'](z, key=decoder_key)
    stats['decoder'] = output.stats
    return output.value

  _, kl, likelihood, log_weights = terms(
    method, code.value, decoder, pixels, draw
  )
  reconstruction, kl = -jnp.mean(likelihood), jnp.mean(kl)
  if method.importance_samples:
    value = -jnp.mean(bound(log_weights))
  else:
    value = reconstruction + method.beta * kl
  metrics = {'loss': value, 'reconstruction': reconstruction, 'kl': kl}
  return value, Aux(stats, {'vae': metrics})


def train_step(method, state, batch, key):
  """Updates both networks.

  Args:
    method: a `VAE`.
    state: the state before the round.
    batch: 'image' [B, ...] in [-1, 1].
    key: the key of the run.

  Returns:
    The state after the round and scalar metrics, nats per image: 'loss' (the
    negative bound), 'reconstruction' (-log p(x|z)), and 'kl'.
  """
  key = jax.random.fold_in(key, state.step)
  *keys, pixel_key = jax.random.split(key, 4)
  pixels = observe(method, batch['image'], pixel_key)
  return _encoder_decoder.step(method, state, loss, len(pixels), pixels, keys)


SHOWN_IMAGES, PREVIEW_SIZE = 10, 100  # reconstructions and samples
MANIFOLD_SIDE = 20
ACTIVE_VARIANCE = 0.01


@dataclasses.dataclass(frozen=True)
class VAE:
  """Networks and settings of a VAE.

  Attributes:
    encoder: maps pixels [B, *shape] in [0, 1] to mean, log-variance [B, 2 Z].
    decoder: maps latents [B, Z] to inputs [B, *shape] of the likelihood.
    shape: (height, width, channels) of an image.
    latent_size: Z.
    encoder_optimizer: optimizer of the encoder.
    decoder_optimizer: optimizer of the decoder.
    likelihood: p(x|z).
    beta: weight of the divergence.
    importance_samples: k of the importance-weighted bound; 0 for the ELBO.
    held_out_samples: k of the bound on held-out images; 0 disables the bound.
    binarised: True to draw pixels as 0 or 1, see `observe`.
    ema_halflife, ema_rampup, ema_counts_round: see `ema.average`.
  """

  encoder: nn.Module
  decoder: nn.Module
  shape: tuple[int, ...]
  latent_size: int
  encoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  decoder_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  likelihood: Bernoulli | Gaussian = Bernoulli()
  beta: float = 1.0
  importance_samples: int = 0
  held_out_samples: int = 0
  binarised: bool = False
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False

  @property
  def latents(self) -> Latents:
    return latents_lib.single('normal', self.latent_size)


def modules(method):
  """Returns both networks with an example of their inputs."""
  return {
    'encoder': (method.encoder, (jnp.zeros((1, *method.shape)),)),
    'decoder': (method.decoder, (jnp.zeros((1, method.latent_size)),)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _encoder_decoder.init(method, modules(method), key)


def decode(method, state: TrainState, z, label=None):
  """Returns mean images [N, ...] in [-1, 1] of latents [N, Z]."""
  del label  # No VAE here is conditional.
  outputs = averaged(method, state, 'decoder', z)
  return to_images(method.likelihood.mean(outputs))


def export_functions(method, state: TrainState):
  """Returns the decoder for export; see `jaxgan.steps`."""
  run = state_lib.inference(method.decoder)

  def function(weights, z):
    return to_images(method.likelihood.mean(run(weights, z)))

  weights = ema_lib.variables(state, 'decoder')
  example = jnp.zeros((1, method.latent_size))
  return {'generator': (function, weights, {'latent': example})}


def evaluate(method, state: TrainState, batch):
  """Returns bounds on held-out images with EMA weights.

  The noise and the binarised pixels are the same each time.

  Returns:
    Nats per image: 'held_out_loss', the negative ELBO with beta = 1, and its
    parts 'held_out_reconstruction' and 'held_out_kl'; 'held_out_bound_kK', the
    negative bound of K = `held_out_samples`. 'active_latents' counts latents
    whose posterior mean has a variance over the images above 0.01 (Burda et
    al. 2015, section 5.2).
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  code = averaged(method, state, 'encoder', pixels)
  samples = max(method.held_out_samples, 1)
  shape = (samples, 1, method.latent_size)
  draw = noise.normal(jax.random.key(0), len(pixels), shape)  # [N, K, 1, Z]

  def one(draw):
    run = lambda z: averaged(method, state, 'decoder', z)
    return terms(method, code, run, pixels, draw)

  # One draw at a time, because all draws together need K times the memory.
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


def manifold(method, state: TrainState) -> jax.Array:
  """Returns images [20, 20, ...] in [-1, 1] at quantiles of two latents.

  Kingma and Welling 2013, figure 4: the first latent grows to the right, the
  second upwards.
  """
  side = MANIFOLD_SIDE
  line = jax.scipy.special.ndtri((jnp.arange(side) + 0.5) / side)
  x, y = jnp.meshgrid(line, line[::-1])
  images = decode(method, state, jnp.stack([x, y], axis=-1).reshape(-1, 2))
  return images.reshape(side, side, *method.shape)


def preview(method, state: TrainState, batch, key):
  """Returns samples, reconstructions, and the manifold of two latents.

  Returns:
    'samples' [100, ...] from the prior; 'reconstructions' [3, N, ...], rows of
    images, posterior means and decoded means; with two latents 'manifold'.
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  code = averaged(method, state, 'encoder', pixels)
  mean, _ = jnp.split(code, 2, axis=-1)
  codes = _encoder_decoder.code_pictures(mean, method.shape)
  rows = [to_images(pixels), codes, decode(method, state, mean)]
  pictures = collections.OrderedDict(
    samples=decode(method, state, method.latents.sample(key, PREVIEW_SIZE)),
    reconstructions=jnp.stack(rows),
  )
  if method.latent_size == 2:
    pictures['manifold'] = manifold(method, state)
  return pictures


def from_config(config, spec: Spec) -> VAE:
  """Builds the method; the only reader of the config for this algorithm."""
  refuse(config)
  size = config.latent_size
  return VAE(
    **networks_lib.encoder_and_decoder(config, spec, code_size=2 * size),
    latent_size=size,
    likelihood=LIKELIHOODS[config.likelihood](config.decoder_deviation),
    beta=config.beta,
    importance_samples=config.importance_samples,
    held_out_samples=config.held_out_samples,
    binarised=config.binarised,
  )
