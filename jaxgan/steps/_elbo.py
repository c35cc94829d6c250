"""Parts of the evidence lower bound of a VAE."""

import functools

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, switches
from jaxgan.core.latents import bound
from jaxgan.core.pixels import to_pixels
from jaxgan.core.state import TrainState
from jaxgan.metrics.likelihood import LIKELIHOODS
from jaxgan.steps._encoder_decoder import NETWORKS, averaged, corrupt

ACTIVE_VARIANCE = 0.01


def observe(method, images: jax.Array, key) -> jax.Array:
  """Returns images [B, ...] in [-1, 1] as pixels in [0, 1].

  Binarised pixels are 1 with their grey value as probability; each key gives a
  new draw (Burda et al. 2015, https://arxiv.org/abs/1509.00519, section
  5; Salakhutdinov and Murray 2008, https://doi.org/10.1145/1390156.1390266).
  """
  pixels = to_pixels(images)
  if not method.binarised:
    return pixels
  return noise.binary(key, pixels)


def divergence(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """Returns KL(N(mean, variance) || N(0, 1)) in nats [B] for inputs [B, Z].

  Kingma and Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.
  """
  return 0.5 * jnp.sum(
    mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=-1
  )


def labels_of(method, batch) -> tuple:
  """Returns the labels that the networks take, () or ([B],)."""
  return (batch['label'],) if method.num_classes else ()


def terms(method, code, run, pixels: jax.Array, draw: jax.Array, labels=()):
  """Returns the parts of the ELBO and of the importance-weighted bound.

  Args:
    method: a `VAE`.
    code: output of the encoder [B, 2 Z].
    run: the decoder; maps latents [B * k, Z] and labels to outputs.
    pixels: [B, ...] in [0, 1].
    draw: standard normal noise [B, k, Z].
    labels: labels [B] of conditional networks, see `labels_of`.

  Returns:
    Posterior mean [B, Z], divergence [B], and the log-likelihood [B, k] and
    log-weight [B, k] of each draw.
  """
  mean, log_variance = jnp.split(code, 2, axis=-1)
  deviation = jnp.exp(0.5 * log_variance)
  z = mean[:, None] + deviation[:, None] * draw
  batch, k, size = z.shape
  labels = (jnp.repeat(label, k) for label in labels)
  outputs = run(z.reshape(-1, size), *labels)
  likelihood = method.likelihood.log_density(
    outputs, jnp.repeat(pixels, k, axis=0)
  ).reshape(batch, k)
  # log p(z) - log q(z|x); their constants cancel.
  ratio = 0.5 * jnp.sum(draw**2 + log_variance[:, None] - z**2, axis=-1)
  return mean, divergence(mean, log_variance), likelihood, likelihood + ratio


def evaluate(method, state: TrainState, batch):
  """Returns bounds on held-out images with EMA weights.

  The noise and the binarised pixels are the same each time. With `corruption`
  the encoder sees noisy pixels, as in training.

  Returns:
    Nats per image: 'held_out_loss', the negative ELBO with beta = 1, and its
    parts 'held_out_reconstruction' and 'held_out_kl'; 'held_out_bound_kK', the
    negative bound of K = `held_out_samples`. 'active_latents' counts latents
    whose posterior mean has a variance over the images above 0.01 (Burda et
    al. 2015, section 5.2).
  """
  pixels = observe(method, batch['image'], jax.random.key(1))
  labels = labels_of(method, batch)
  seen = corrupt(method, pixels, jax.random.key(2))
  code = averaged(method, state, 'encoder', seen, *labels)
  samples = max(method.held_out_samples, 1)
  shape = (samples, 1, method.latent_size)
  draw = noise.normal(jax.random.key(0), len(pixels), shape)  # [N, K, 1, Z]

  def one(draw):
    run = functools.partial(averaged, method, state, 'decoder')
    return terms(method, code, run, pixels, draw, labels)

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


def refuse(config) -> None:
  """Raises a UserError for settings that are wrong or exclude each other."""
  if config.likelihood not in LIKELIHOODS:
    raise errors.unknown('likelihood', config.likelihood, LIKELIHOODS)
  if config.decoder_deviation <= 0:
    raise errors.UserError(
      f'decoder_deviation={config.decoder_deviation} must be positive.'
    )
  names = ('beta', 'importance_samples', 'held_out_samples', 'corruption')
  for name in names:
    value = config.get(name, 0.0)
    if switches.is_known(value) and value < 0:
      raise errors.UserError(f'{name}={value} must be at least 0.')
  is_weighed = not switches.is_known(config.beta) or config.beta != 1.0
  if config.importance_samples and is_weighed:
    raise errors.UserError(
      f'beta={config.beta} weighs a divergence that the importance-weighted '
      'bound lacks. Set beta=1.0 or importance_samples=0.'
    )
  if config.binarised and config.likelihood != 'bernoulli':
    raise errors.UserError(
      'binarised=True makes pixels of 0 and 1, which have no density under '
      f"likelihood={config.likelihood!r}. Set likelihood='bernoulli' or "
      'binarised=False.'
    )


def refuse_unlabelled(config, method) -> None:
  """Raises a UserError for networks of a conditional VAE that take no label."""
  for name in NETWORKS if method.num_classes else ():
    if not hasattr(getattr(method, name), 'num_classes'):
      raise errors.UserError(
        f'{name}.name={config[name].name!r} takes no labels. Choose a network '
        "with a field 'num_classes', or set conditional=False."
      )
