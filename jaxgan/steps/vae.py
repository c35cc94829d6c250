"""Variational autoencoders: VAE, beta-VAE, IWAE, conditional and denoising.

Kingma and Welling 2013 (https://arxiv.org/abs/1312.6114), equation 10 with the
networks of appendix C: q(z|x) is a Gaussian with diagonal covariance, p(z) is
standard normal, and training maximises

  ELBO = E_q log p(x|z) - beta KL(q(z|x) || p(z))

with one z = mean + deviation * noise per image, the divergence in closed form
(appendix B), and beta as in Higgins et al. 2017
(https://openreview.net/forum?id=Sy2fzU9gl). With `importance_samples` = k it
maximises the bound of Burda et al. 2015 (https://arxiv.org/abs/1509.00519,
equation 8) instead. With `conditional` all distributions but p(z) depend on the
label too (Sohn et al. 2015, https://papers.nips.cc/paper/5775). With
`corruption` the encoder sees noisy pixels, and the bound is that of the clean
ones (Im et al. 2015, https://arxiv.org/abs/1511.06406, equation 7).

  method = vae.VAE(encoder, decoder, shape=(28, 28, 1), latent_size=20)
  state = vae.init(method, key)
  state, metrics = jax.jit(vae.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import collections
import dataclasses
import functools

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
from jaxgan.data.dataset import Spec, refuse_missing_labels
from jaxgan.metrics.likelihood import LIKELIHOODS, Bernoulli, Gaussian
from jaxgan.steps import _encoder_decoder
from jaxgan.steps._elbo import divergence as divergence
from jaxgan.steps._elbo import evaluate as evaluate
from jaxgan.steps._elbo import (
  labels_of,
  observe,
  refuse,
  refuse_unlabelled,
  terms,
)
from jaxgan.steps._encoder_decoder import averaged, corrupt


def loss(method, networks, state, pixels, seen, labels, keys):
  """Returns the negative bound, a mean over images [B, ...] in [0, 1].

  `seen` are the pixels that the encoder sees, and `labels` is () or ([B],).
  """
  del state
  noise_key, encoder_key, decoder_key = keys
  shape = (max(method.importance_samples, 1), method.latent_size)
  draw = noise.normal(noise_key, len(pixels), shape)
  code = networks['encoder'](seen, *labels, key=encoder_key)
  stats = {'encoder': code.stats}

  def decoder(*inputs):
    output = networks['decoder'](*inputs, key=decoder_key)
    stats['decoder'] = output.stats
    return output.value

  _, kl, likelihood, log_weights = terms(
    method, code.value, decoder, pixels, draw, labels
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
    batch: 'image' [B, ...] in [-1, 1], and 'label' [B] if conditional.
    key: the key of the run.

  Returns:
    The state after the round and scalar metrics, nats per image: 'loss' (the
    negative bound), 'reconstruction' (-log p(x|z)), and 'kl'.
  """
  key = jax.random.fold_in(key, state.step)
  *keys, pixel_key = jax.random.split(key, 4)
  pixels = observe(method, batch['image'], pixel_key)
  seen = corrupt(method, pixels, jax.random.fold_in(pixel_key, 1))
  inputs = (pixels, seen, labels_of(method, batch), keys)
  return _encoder_decoder.step(method, state, loss, len(pixels), *inputs)


SHOWN_IMAGES, PREVIEW_SIZE = 10, 100  # reconstructions and samples


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
    num_classes: classes of conditional networks; 0 for none.
    corruption: see `_encoder_decoder.corrupt`.
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
  num_classes: int = 0
  corruption: float = 0.0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False

  @property
  def latents(self) -> Latents:
    return latents_lib.single('normal', self.latent_size)


def modules(method):
  """Returns both networks with an example of their inputs."""
  y = (jnp.zeros(1, int),) if method.num_classes else ()
  return {
    'encoder': (method.encoder, (jnp.zeros((1, *method.shape)), *y)),
    'decoder': (method.decoder, (jnp.zeros((1, method.latent_size)), *y)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _encoder_decoder.init(method, modules(method), key)


def decode(method, state: TrainState, z, label=None):
  """Returns mean images [N, ...] in [-1, 1] of latents [N, Z].

  Without labels [N], classes take turns.
  """
  if label is None:
    label = jnp.arange(len(z)) % max(method.num_classes, 1)
  y = (label,) if method.num_classes else ()
  outputs = averaged(method, state, 'decoder', z, *y)
  return to_images(method.likelihood.mean(outputs))


def export_functions(method, state: TrainState):
  """Returns the decoder for export; see `jaxgan.steps`."""
  run = state_lib.inference(method.decoder)

  def function(weights, *inputs):
    return to_images(method.likelihood.mean(run(weights, *inputs)))

  _, example = modules(method)['decoder']
  inputs = dict(zip(('latent', 'label'), example, strict=False))
  weights = ema_lib.variables(state, 'decoder')
  return {'generator': (function, weights, inputs)}


def manifold(method, state: TrainState) -> jax.Array:
  """Returns images [20, 20, ...] of two latents, see `_encoder_decoder`."""
  return _encoder_decoder.manifold(functools.partial(decode, method, state))


def preview(method, state: TrainState, batch, key):
  """Returns samples, reconstructions, and the manifold of two latents.

  Returns:
    'samples' [100, ...] from the prior, with a column for each of ten classes;
    'reconstructions' [3, N, ...], rows of images, posterior means and decoded
    means. With `corruption` noisy images are the second row. With two latents
    'manifold', see `_encoder_decoder.manifold`.
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  labels = labels_of(method, batch)
  seen = corrupt(method, pixels, jax.random.key(2))
  code = averaged(method, state, 'encoder', seen, *labels)
  mean, _ = jnp.split(code, 2, axis=-1)
  codes = _encoder_decoder.code_pictures(mean, method.shape)
  rows = [to_images(pixels), codes, decode(method, state, mean, *labels)]
  if method.corruption:
    rows.insert(1, to_images(seen))
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
  size, conditional = config.latent_size, config.get('conditional', False)
  refuse_missing_labels(conditional, spec)
  num_classes = spec.num_classes if conditional else 0
  derived = {'code_size': 2 * size, 'num_classes': num_classes}
  method = VAE(
    **networks_lib.encoder_and_decoder(config, spec, **derived),
    latent_size=size,
    likelihood=LIKELIHOODS[config.likelihood](config.decoder_deviation),
    beta=config.beta,
    importance_samples=config.importance_samples,
    held_out_samples=config.held_out_samples,
    binarised=config.binarised,
    num_classes=num_classes,
    corruption=config.get('corruption', 0.0),
  )
  refuse_unlabelled(config, method)
  return method
