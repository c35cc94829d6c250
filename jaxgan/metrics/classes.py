"""What a classifier says of images: Inception Score, accuracy, histograms."""

import functools
import itertools

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.metrics import check


def inception(probabilities, splits: int = 10):
  """Inception Score: exp of the mean KL(p(y|x) || p(y)).

  Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 4; with
  another classifier than Inception, say which. From 1, where all images look
  alike to the classifier, to K, where it is sure and classes are equally
  frequent. O(N K).

  Splits are consecutive rows, as in the authors' code: images sorted by class
  must be shuffled first.

  Args:
    probabilities: [N, K], such as jax.nn.softmax(logits).
    splits: how many parts are scored, each with a p(y) of its own.

  Returns:
    (mean, deviation) over the splits, scalars.

  Raises:
    UserError: for rows that are no probabilities, or fewer rows than splits.
  """
  probabilities = check.probabilities('probabilities', probabilities)
  check.at_least('splits', splits, 1)
  if splits > len(probabilities):
    raise errors.UserError(
      f'splits={splits} is more than the {len(probabilities)} rows; give fewer'
    )
  return _inception(jnp.asarray(probabilities, jnp.float32), splits)


@functools.partial(jax.jit, static_argnames='splits')
def _inception(probabilities, splits):
  def one(part):
    marginal = jnp.mean(part, axis=0, keepdims=True)
    return jnp.exp(
      jnp.mean(jnp.sum(jax.scipy.special.rel_entr(part, marginal), 1))
    )

  edges = [i * len(probabilities) // splits for i in range(splits + 1)]
  parts = itertools.pairwise(edges)
  found = jnp.stack([one(probabilities[a:b]) for a, b in parts])
  return jnp.mean(found), jnp.std(found)


def accuracy(logits, labels) -> jax.Array:
  """Share in [0, 1] of rows whose largest logit is that of their class.

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
  """Counts int [classes] of integer labels [...].

  Raises:
    UserError: for labels outside of 0..classes - 1.
  """
  labels = check.labels('labels', labels, classes)
  return jnp.bincount(jnp.ravel(jnp.asarray(labels)), length=classes)


def shares(counts) -> jax.Array:
  """Counts [K] as shares of their sum; NaN where there is nothing."""
  counts = jnp.asarray(counts, jnp.float32)
  return counts / jnp.sum(counts)


@jax.jit
def entropy(counts) -> jax.Array:
  """Of the shares of counts [K], in nats: from 0 to log K."""
  return jnp.sum(jax.scipy.special.entr(shares(counts)))


@jax.jit
def rarest(counts) -> jax.Array:
  """Share of the rarest class of counts [K]: from 0 to 1/K."""
  return jnp.min(shares(counts))
