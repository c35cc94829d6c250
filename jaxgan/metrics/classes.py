"""Metrics of a classifier's output: Inception Score, accuracy, histograms."""

import functools
import itertools

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.metrics import check


def inception(probabilities, splits: int = 10):
  """Inception Score: exp of the mean KL(p(y|x) || p(y)).

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 4. Name the
  classifier beside the score if it is not Inception. The score is 1 if all
  images have equal probabilities. It is K for certain predictions and equally
  frequent classes. O(N K).

  Splits are consecutive rows, as in the authors' code. Images sorted by class
  must be shuffled first.

  Args:
    probabilities: [N, K], such as jax.nn.softmax(logits).
    splits: number of parts that are scored, each with its own p(y).

  Returns:
    (mean, deviation) over the splits, scalars.

  Raises:
    UserError: for rows that are no probabilities, or fewer rows than splits.
  """
  probabilities = check.probabilities('probabilities', probabilities)
  check.at_least('splits', splits, 1)
  if splits > len(probabilities):
    raise errors.UserError(
      f'splits={splits} is more than the {len(probabilities)} rows. Pass fewer '
      'splits or more rows.'
    )
  return _inception(jnp.asarray(probabilities, jnp.float32), splits)


@functools.partial(jax.jit, static_argnames='splits')
def _inception(probabilities, splits):
  def score(part):
    marginal = jnp.mean(part, axis=0, keepdims=True)
    return jnp.exp(
      jnp.mean(jnp.sum(jax.scipy.special.rel_entr(part, marginal), 1))
    )

  edges = [i * len(probabilities) // splits for i in range(splits + 1)]
  parts = itertools.pairwise(edges)
  scores = jnp.stack([score(probabilities[a:b]) for a, b in parts])
  return jnp.mean(scores), jnp.std(scores)


def accuracy(logits, labels) -> jax.Array:
  """Share in [0, 1] of rows whose largest logit is at their label.

  Args:
    logits: [N, K], or probabilities.
    labels: int [N].

  Raises:
    UserError: for different N, labels outside of 0..K - 1, or NaN.
  """
  (logits,) = check.features(least=1, logits=logits)
  labels = check.labels('labels', labels, logits.shape[1])
  check.paired(logits=logits, labels=labels)
  return jnp.mean(jnp.argmax(jnp.asarray(logits), axis=1) == labels)


def histogram(labels, classes: int) -> jax.Array:
  """Counts integer labels [...] by class: int [classes].

  Raises:
    UserError: for labels outside of 0..classes - 1.
  """
  labels = check.labels('labels', labels, classes)
  return jnp.bincount(jnp.ravel(jnp.asarray(labels)), length=classes)


def shares(counts) -> jax.Array:
  """Divides counts [K] by their sum; NaN if all counts are 0."""
  counts = jnp.asarray(counts, jnp.float32)
  return counts / jnp.sum(counts)


@jax.jit
def entropy(counts) -> jax.Array:
  """Entropy of the shares of counts [K], in nats: from 0 to log K."""
  return jnp.sum(jax.scipy.special.entr(shares(counts)))


@jax.jit
def rarest(counts) -> jax.Array:
  """Share of the rarest class of counts [K]: from 0 to 1/K."""
  return jnp.min(shares(counts))
