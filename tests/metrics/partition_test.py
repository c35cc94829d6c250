"""Partition functions: sums over either layer, and the estimate."""

import itertools

import jax
import numpy as np

from jaxgan.metrics import partition


def machine(visible, hidden, deviation=0.5):
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = (visible, hidden), (visible,), (hidden,)
  return [
    np.asarray(deviation * jax.random.normal(key, shape))
    for key, shape in zip(keys, shapes, strict=True)
  ]


def by_hand(w, b, c):
  """Sums over all states of both layers."""
  total = 0.0
  for v in itertools.product((0.0, 1.0), repeat=len(b)):
    for h in itertools.product((0.0, 1.0), repeat=len(c)):
      total += np.exp(np.dot(b, v) + np.dot(c, h) + np.dot(np.dot(v, w), h))
  return np.log(total)


def test_sums_over_the_smaller_layer_are_the_same():
  for sizes in ((2, 4), (4, 2)):
    weights = machine(*sizes)
    np.testing.assert_allclose(
      partition.summed(*weights), by_hand(*weights), rtol=1e-5
    )


def test_states_are_all_different():
  states = np.asarray(partition.all_states(3))
  assert sorted(map(tuple, states)) == sorted(
    itertools.product((0.0, 1.0), repeat=3)
  )


def test_annealing_estimates_the_sum():
  weights = machine(12, 8)
  estimate = partition.annealed(
    *weights, np.full(12, 0.3, np.float32), jax.random.key(1), 300
  )
  np.testing.assert_allclose(estimate, partition.summed(*weights), atol=0.05)
