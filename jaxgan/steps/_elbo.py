"""Parts of the evidence lower bound of a VAE."""

import jax
import jax.numpy as jnp

from jaxgan.core import noise
from jaxgan.core.pixels import to_pixels


def observe(method, images: jax.Array, key) -> jax.Array:
  """Images [B, ...] in [-1, 1] as the pixels in [0, 1] that the bounds are of.

  Where they are `binarised`, each is 1 with its grey value as probability, and
  drawn again with every key (Burda et al. 2015, section 5; Salakhutdinov and
  Murray 2008, https://doi.org/10.1145/1390156.1390266).
  """
  pixels = to_pixels(images)
  if not method.binarised:
    return pixels
  draw = noise.uniform(key, len(pixels), pixels.shape[1:])
  return (draw < pixels).astype(pixels.dtype)


def divergence(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """KL(N(mean, variance) || N(0, 1)) in nats, [B, Z] each, to [B].

  Kingma and Welling 2013, appendix B.
  """
  return 0.5 * jnp.sum(
    mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=-1
  )


def terms(method, code, run, pixels: jax.Array, draw: jax.Array):
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
