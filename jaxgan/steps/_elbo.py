"""Parts of the evidence lower bound of a VAE."""

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, switches
from jaxgan.core.pixels import to_pixels
from jaxgan.metrics.likelihood import LIKELIHOODS


def observe(method, images: jax.Array, key) -> jax.Array:
  """Returns images [B, ...] in [-1, 1] as pixels in [0, 1].

  Binarised pixels are 1 with their grey value as probability; each key gives a
  new draw (Burda et al. 2015, https://arxiv.org/abs/1509.00519, section
  5; Salakhutdinov and Murray 2008, https://doi.org/10.1145/1390156.1390266).
  """
  pixels = to_pixels(images)
  if not method.binarised:
    return pixels
  draw = noise.uniform(key, len(pixels), pixels.shape[1:])
  return (draw < pixels).astype(pixels.dtype)


def divergence(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """Returns KL(N(mean, variance) || N(0, 1)) in nats [B] for inputs [B, Z].

  Kingma and Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.
  """
  return 0.5 * jnp.sum(
    mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=-1
  )


def terms(method, code, run, pixels: jax.Array, draw: jax.Array):
  """Returns the parts of the ELBO and of the importance-weighted bound.

  Args:
    method: a `VAE`.
    code: output of the encoder [B, 2 Z].
    run: the decoder; maps latents [B * k, Z] to outputs.
    pixels: [B, ...] in [0, 1].
    draw: standard normal noise [B, k, Z].

  Returns:
    Posterior mean [B, Z], divergence [B], and the log-likelihood [B, k] and
    log-weight [B, k] of each draw.
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


def refuse(config) -> None:
  """Raises a UserError for settings that are wrong or exclude each other."""
  if config.likelihood not in LIKELIHOODS:
    raise errors.unknown('likelihood', config.likelihood, LIKELIHOODS)
  if config.decoder_deviation <= 0:
    raise errors.UserError(
      f'decoder_deviation={config.decoder_deviation} must be positive.'
    )
  for name in ('beta', 'importance_samples', 'held_out_samples'):
    if switches.is_known(config[name]) and config[name] < 0:
      raise errors.UserError(f'{name}={config[name]} must be at least 0.')
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
