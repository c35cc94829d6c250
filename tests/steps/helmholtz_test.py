"""Helmholtz machines: probabilities, both phases, bounds, exact nats."""

import dataclasses
import itertools

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from benchmarks import bars_machines
from jaxgan import errors, helmholtz
from jaxgan.core import latents as latents_lib
from jaxgan.core.networks import BoundNetwork
from jaxgan.data.dataset import Spec
from jaxgan.metrics import partition
from jaxgan.models import boltzmann

compiled_helmholtz = compiled.Compiled(helmholtz)
SHAPE, WIDTHS = (1, 2, 1), (2, 1)
IMAGES = jnp.array([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]).reshape(3, *SHAPE)


@pytest.fixture(scope='module')
def method():
  return helmholtz.Helmholtz(
    boltzmann.Generative(SHAPE, WIDTHS),
    boltzmann.Recognition(WIDTHS),
    shape=SHAPE,
    latents=latents_lib.single('uniform', 3),
    held_out_samples=400,
  )


@pytest.fixture(scope='module')
def state(method):
  """Weights of order 1."""
  key = jax.random.key(3)
  state = compiled_helmholtz.init(method, key)
  networks = {
    name: network.replace(
      params=jax.tree.map(
        lambda x: jax.random.normal(key, x.shape), network.params
      )
    )
    for name, network in state.networks.items()
  }
  ema = {name: network.params for name, network in networks.items()}
  return state.replace(networks=networks, ema=ema)


def bound_networks(method, state):
  return [
    BoundNetwork(getattr(method, name), state.networks[name].params, {})
    for name in helmholtz.NETWORKS
  ]


def states():
  """All pairs of images [32, 1, 2, 1] and hidden units [32, 3]."""
  both = partition.all_states(5)
  return both[:, :2].reshape(-1, *SHAPE), both[:, 2:]


def test_probabilities_are_those_of_sigmoid_belief_networks(method, state):
  """By hand, unit by unit."""
  p, q = state.networks['generative'].params, state.networks['recognition']
  q = q.params
  sigmoid = lambda x: 1.0 / (1.0 + np.exp(-np.asarray(x)))
  dense = lambda params, x: sigmoid(x @ params['kernel'] + params['bias'])
  log = lambda p, x: np.sum(np.where(x, np.log(p), np.log(1.0 - p)))
  joint, posterior = [], []
  for v, h in zip(*map(np.asarray, states()), strict=True):
    v, low, top = v.ravel(), h[:2], h[2:]
    joint.append(
      log(sigmoid(p['top']), top)
      + log(dense(p['layers_1'], top), low)
      + log(dense(p['layers_0'], low), v)
    )
    posterior.append(
      log(dense(q['layers_0'], v), low) + log(dense(q['layers_1'], low), top)
    )
  generative, recognition = bound_networks(method, state)
  found = helmholtz.log_probability(generative, *states())
  np.testing.assert_allclose(found, joint, rtol=1e-4)
  np.testing.assert_allclose(np.exp(found).sum(), 1.0, rtol=1e-5)
  found = helmholtz.log_probability(recognition, *states())
  np.testing.assert_allclose(found, posterior, rtol=1e-4)
  np.testing.assert_allclose(np.exp(found).sum(), 4.0, rtol=1e-5)


def test_draws_have_these_probabilities(method, state, key):
  generative, recognition = bound_networks(method, state)
  u = jax.random.uniform(key, (4_000, 3))
  h, logits = generative(u, train=False, method='dream').value
  rows = (h @ (2.0 ** jnp.arange(3))).astype(int)
  found = np.bincount(rows, minlength=8) / 4_000
  v, all_h = states()
  joint = np.exp(helmholtz.log_probability(generative, v, all_h))
  want = np.zeros(8)
  np.add.at(want, np.asarray(all_h @ (2.0 ** jnp.arange(3))).astype(int), joint)
  np.testing.assert_allclose(found, want, atol=0.03)
  np.testing.assert_allclose(
    jax.nn.sigmoid(logits).mean(axis=0).ravel(),
    (joint[:, None] * np.asarray(v).reshape(-1, 2)).sum(axis=0),
    atol=0.03,
  )
  image = jnp.broadcast_to(v[:1], (4_000, *SHAPE))
  h = recognition(image, u, train=False).value
  found = h.mean(axis=0)
  each = jnp.exp(
    helmholtz.log_probability(recognition, image[:8], partition.all_states(3))
  )
  np.testing.assert_allclose(found, each @ partition.all_states(3), atol=0.03)


def test_each_loss_reaches_its_network_alone(method, state, key):
  v, keys = (IMAGES + 1.0) / 2.0, jax.random.split(key, 3)

  def loss(params, name):
    networks = {
      n: BoundNetwork(getattr(method, n), params[n], {})
      for n in helmholtz.NETWORKS
    }
    _, aux = helmholtz.loss(method, networks, state, v, keys)
    return aux.metrics[name]['loss']

  params = {n: state.networks[n].params for n in helmholtz.NETWORKS}
  slope = jax.jit(jax.grad(loss), static_argnums=1)
  for name, other in itertools.permutations(helmholtz.NETWORKS):
    slopes = slope(params, name)
    size = {
      n: sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(slopes[n]))
      for n in slopes
    }
    assert size[name] > 0.1
    assert size[other] == 0.0


def test_bound_is_below_the_exact_likelihood(method, state):
  scores = compiled_helmholtz.evaluate(method, state, {'image': IMAGES})
  exact = float(scores['generative/held_out_nats'])
  generative, _ = bound_networks(method, state)
  v, h = states()
  joint = np.exp(helmholtz.log_probability(generative, v, h))
  wanted = (np.asarray(IMAGES).reshape(3, 2) + 1.0) / 2.0
  pixels = np.asarray(v).reshape(-1, 2)
  likelihood = [joint[(pixels == x).all(axis=1)].sum() for x in wanted]
  np.testing.assert_allclose(exact, -np.mean(np.log(likelihood)), rtol=1e-4)
  bound = float(scores['generative/held_out_bound_k400'])
  np.testing.assert_allclose(bound, exact, atol=0.2)
  one = dataclasses.replace(method, held_out_samples=1)
  scores = compiled_helmholtz.evaluate(one, state, {'image': IMAGES})
  assert float(scores['generative/held_out_bound_k1']) > exact


def test_widths_that_differ_are_refused():
  config = module(ROOT / 'configs' / 'helmholtz_mnist.py').get_config()
  config.recognition.widths = (5,)
  with pytest.raises(errors.UserError, match=r'recognition.widths=\(5,\)'):
    helmholtz.from_config(config, Spec((28, 28, 1)))


@pytest.mark.slow
def test_bars_and_stripes_are_learned():
  """The best value is log 14 = 2.64; independent pixels have 6.24."""
  rows = bars_machines.machines(5_000)
  (name,) = (name for name in rows if 'Helmholtz' in name)
  assert bars_machines.nats(*rows[name], 5_000) < 3.6
