"""Partition functions of restricted Boltzmann machines.

The machine gives binary rows v [V] the probability exp(-F(v)) / Z, with the
free energy F(v) = -b.v - sum_j log(1 + exp(c_j + (v W)_j)).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import noise

MOST_SUMMED = 12  # units whose states are enumerated
CHAINS = 100  # of the estimate


def all_states(count: int) -> jax.Array:
  """Returns all states [2^count, count] of binary units."""
  states = np.arange(2**count)[:, None] >> np.arange(count)[None]
  return jnp.asarray(states % 2, jnp.float32)


def summed(kernel, visible_bias, hidden_bias) -> jax.Array:
  """Returns log Z, summed over all states of the smaller layer.

  Args:
    kernel: W [V, H].
    visible_bias: b [V].
    hidden_bias: c [H].
  """
  w, b, c = kernel, visible_bias, hidden_bias
  if len(c) < len(b):
    w, b, c = w.T, c, b
  states = all_states(len(b))
  others = jnp.sum(jax.nn.softplus(states @ w + c[None]), axis=1)
  return jax.nn.logsumexp(states @ b + others)


def annealed(kernel, visible_bias, hidden_bias, mean, key, steps: int):
  """Returns an estimate of log Z by annealed importance sampling.

  Salakhutdinov and Murray 2008 (https://doi.org/10.1145/1390156.1390266),
  section 4.1: from independent pixels to the machine. The estimate is too low
  on average, so likelihoods look too high.

  Args:
    kernel: W [V, H].
    visible_bias: b [V].
    hidden_bias: c [H].
    mean: mean pixels [V] of the data, in [0, 1].
    key: random key.
    steps: distributions between the first and the last.
  """
  w, b, c = kernel, visible_bias, hidden_bias
  base = jax.scipy.special.logit(0.05 + 0.9 * mean)

  def log_density(v, beta):
    hidden = jax.nn.softplus(beta * (v @ w + c[None]))
    return v @ ((1.0 - beta) * base + beta * b) + jnp.sum(hidden, axis=1)

  def step(index, chains):
    v, log_weight = chains
    beta, before = (index + 1.0) / steps, index / steps
    log_weight += log_density(v, beta) - log_density(v, before)
    keys = jax.random.split(jax.random.fold_in(key, index))
    h = noise.binary(keys[0], jax.nn.sigmoid(beta * (v @ w + c[None])))
    logits = (1.0 - beta) * base + beta * b
    v = noise.binary(keys[1], jax.nn.sigmoid(logits[None] + beta * (h @ w.T)))
    return v, log_weight

  rows = jnp.broadcast_to(jax.nn.sigmoid(base), (CHAINS, len(base)))
  first = noise.binary(jax.random.fold_in(key, steps), rows)
  chains = (first, jnp.zeros(CHAINS))
  _, log_weight = jax.lax.fori_loop(0, steps, step, chains)
  start = len(c) * math.log(2.0) + jnp.sum(jax.nn.softplus(base))
  return start + jax.nn.logsumexp(log_weight) - math.log(CHAINS)
