"""Log-likelihood by importance sampling, for any number of samples.

Burda et al. 2015 (https://arxiv.org/abs/1509.00519), equation 8. The log of the
mean weight p(x, z) / q(z|x) over k samples is a lower bound of log p(x). The
bound approaches log p(x) as k grows; 5,000 samples are usual. Samples are drawn
in chunks, and only the sum of their weights is kept.

  def log_weights(key):  # [N, 100]
    draw = jax.random.normal(key, (N, 100, Z))
    return vae.terms(method, code, run, pixels, draw)[-1]

  likelihood.estimate(log_weights, key, chunks=50)  # k = 5,000: [N]
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.core import latents as latents_lib
from jaxgan.metrics import check


class Weights(NamedTuple):
  """Sum of the weights seen so far; a pytree.

  Attributes:
    log_sum: log of the sum of weights, [N].
    count: k, the number of samples for each image.
  """

  log_sum: jax.Array
  count: jax.Array


def empty(num: int) -> Weights:
  """Returns the weights of `num` images and no samples."""
  return Weights(jnp.full(num, -jnp.inf), jnp.zeros((), int))


def update(seen: Weights, log_weights: jax.Array) -> Weights:
  """Adds log-weights [N, K]; independent of the split up to rounding."""
  k = log_weights.shape[1]
  log_sum = latents_lib.bound(log_weights) + math.log(k)
  return Weights(jnp.logaddexp(seen.log_sum, log_sum), seen.count + k)


def bound(seen: Weights) -> jax.Array:
  """Returns the bound [N] in nats of all samples seen."""
  return seen.log_sum - jnp.log(seen.count)


def estimate(log_weights: Callable, key, chunks: int) -> jax.Array:
  """Returns the bound [N] of `chunks` times K samples.

  Memory is needed for a single chunk.

  Args:
    log_weights: maps a key to log-weights [N, K] of new samples.
    key: random key, folded with the number of the chunk.
    chunks: number of chunks, at least 1.

  Raises:
    UserError: if there are no chunks.
  """
  check.at_least('chunks', chunks, 1)
  num, _ = jax.eval_shape(log_weights, key).shape

  def add(i, seen):
    return update(seen, log_weights(jax.random.fold_in(key, i)))

  return bound(jax.lax.fori_loop(0, chunks, add, empty(num)))


def flat(x: jax.Array) -> jax.Array:
  """Reshapes images [B, ...] to rows [B, P].

  On CPUs sums over rows are faster than sums over images of one channel.
  """
  return x.reshape(len(x), -1)


def cross_entropy(logits: jax.Array, pixels: jax.Array) -> jax.Array:
  """Cross-entropy of each Bernoulli pixel in nats, [B, P].

  -x log sigmoid(a) - (1 - x) log sigmoid(-a) is computed as softplus(a) - x a,
  which needs one logarithm instead of two.

  Args:
    logits: output of the decoder, [B, ...].
    pixels: in [0, 1], of the same shape.
  """
  logits, pixels = flat(logits), flat(pixels)
  return jax.nn.softplus(logits) - pixels * logits


@dataclasses.dataclass(frozen=True)
class Bernoulli:
  """p(x|z) whose outputs are logits; for grey pixels the cross-entropy."""

  def log_density(self, logits, pixels):
    """Returns nats [B] of pixels [B, ...] in [0, 1]."""
    return -cross_entropy(logits, pixels).sum(axis=1)

  def mean(self, logits):
    """Returns mean pixels."""
    return jax.nn.sigmoid(logits)


@dataclasses.dataclass(frozen=True)
class Gaussian:
  """p(x|z) whose outputs are means of pixels.

  Attributes:
    deviation: the standard deviation of every pixel.
  """

  deviation: float

  def log_density(self, mean, pixels):
    """Returns nats [B] of pixels [B, ...] in [0, 1]."""
    constant = math.log(self.deviation) + 0.5 * math.log(2.0 * math.pi)
    error = flat(pixels - mean) / self.deviation
    return -jnp.sum(0.5 * error**2 + constant, axis=1)

  def mean(self, outputs):
    """Returns mean pixels."""
    return outputs


# name -> (decoder_deviation) -> likelihood of pixels.
LIKELIHOODS = {'bernoulli': lambda deviation: Bernoulli(), 'gaussian': Gaussian}
