"""Boltzmann machines: the exact gradient, Gibbs sampling, chains, nats."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import ROOT, module

from benchmarks import bars_machines
from jaxgan import errors, rbm
from jaxgan.core import state as state_lib
from jaxgan.core.networks import BoundNetwork
from jaxgan.data.dataset import Spec
from jaxgan.metrics import partition
from jaxgan.models import boltzmann

compiled_rbm = compiled.Compiled(rbm)
SHAPE, WIDTH = (2, 2, 1), 3
STATES = partition.all_states(4).reshape(-1, *SHAPE)
IMAGES = 2.0 * STATES[jnp.array([3, 3, 5, 9])] - 1.0


def make(**fields):
  machine = boltzmann.Restricted(SHAPE, WIDTH)
  return rbm.RBM(machine, shape=SHAPE, **fields)


def random_state(method, key):
  """Returns a state with weights of order 1."""
  state = rbm.init(method, key)
  params = jax.tree.map(
    lambda x: jax.random.normal(key, x.shape), state.networks['machine'].params
  )
  network = state.networks['machine'].replace(params=params)
  return state.replace(networks={'machine': network}, ema={'machine': params})


def exact_loss(params, v):
  """Returns -log p(v) by the joint energy, summed over all 128 states."""
  w, b, c = (params[name] for name in rbm.PARAMETERS)
  visible, hidden = partition.all_states(4), partition.all_states(WIDTH)
  negative = (
    visible @ b[:, None] + (hidden @ c)[None] + visible @ w @ hidden.T
  )  # [16, 8]
  rows = v.reshape(len(v), -1) @ (2 ** jnp.arange(4.0))
  log_p = jax.nn.logsumexp(negative, axis=1) - jax.nn.logsumexp(negative)
  return -jnp.mean(log_p[rows.astype(int)])


def test_mean_gradient_under_the_model_is_exact(key):
  method = make()
  state = random_state(method, key)
  params = state.networks['machine'].params
  data = (IMAGES + 1.0) / 2.0
  machine = BoundNetwork(method.machine, params, {})
  energy = machine(STATES).value
  np.testing.assert_allclose(
    jax.nn.logsumexp(-energy),
    partition.summed(*(params[n] for n in rbm.PARAMETERS)),
    rtol=1e-5,
  )
  weights = jax.nn.softmax(-energy)  # p(v)

  def expected(params):
    networks = {'machine': BoundNetwork(method.machine, params, {})}

    def of(v):
      return rbm.loss(method, networks, state, data, v[None])[0]

    return weights @ jax.vmap(of)(STATES)

  found, want = jax.grad(expected)(params), jax.grad(exact_loss)(params, data)
  for name in rbm.PARAMETERS:
    np.testing.assert_allclose(found[name], want[name], atol=1e-5)


def test_nats_are_exact(key):
  method = make()
  state = random_state(method, key)
  scores = rbm.evaluate(method, state, {'image': IMAGES})
  want = exact_loss(state.ema['machine'], (IMAGES + 1.0) / 2.0)
  np.testing.assert_allclose(scores['machine/held_out_nats'], want, rtol=1e-5)


def test_gibbs_sampling_ends_in_the_distribution_of_the_machine(key):
  method = make()
  machine = state_lib.bind(method, random_state(method, key))['machine']
  v = rbm.gibbs(machine, jnp.zeros((4_000, *SHAPE)), key, 30)
  rows = (v.reshape(-1, 4) @ (2.0 ** jnp.arange(4))).astype(int)
  found = jnp.bincount(rows, length=16) / 4_000
  want = jax.nn.softmax(-machine(STATES).value)
  np.testing.assert_allclose(found, want, atol=0.03)


def test_persistent_chains_continue(key):
  method = make(chains=4, machine_optimizer=optax.sgd(0.0))
  first = compiled_rbm.init(method, key)
  second, _ = compiled_rbm.train_step(method, first, {'image': IMAGES}, key)
  third, _ = compiled_rbm.train_step(method, second, {'image': IMAGES}, key)
  chains = [x.extra['chains'] for x in (first, second, third)]
  assert all(set(np.unique(x)) <= {0.0, 1.0} for x in chains)
  assert not np.array_equal(chains[0], chains[1])
  assert 'chains' not in rbm.init(make(), key).extra


def test_pictures_are_samples_chains_and_filters(key):
  method = make(chains=4)
  state = compiled_rbm.init(method, key)
  preview = jax.jit(rbm.preview, static_argnums=0)
  shown = preview(method, state, {'image': IMAGES}, key)
  assert {k: v.shape for k, v in shown.items()} == {
    'samples': (100, *SHAPE),
    'chains': (4, 5, *SHAPE),
    'filters': (WIDTH, *SHAPE),
  }
  np.testing.assert_array_equal(shown['chains'][:, 0], IMAGES)


@pytest.mark.parametrize('field', ['gibbs_steps', 'annealing'])
def test_settings_that_do_not_fit_are_refused(field):
  config = module(ROOT / 'configs' / 'rbm_mnist.py').get_config()
  config[field] = 0
  with pytest.raises(errors.UserError, match=f'{field}=0'):
    rbm.from_config(config, Spec((28, 28, 1)))


@pytest.mark.slow
def test_bars_and_stripes_are_learned():
  """The best value is log 14 = 2.64; independent pixels have 6.24."""
  rows = bars_machines.machines(5_000)
  (name,) = (name for name in rows if 'CD-10' in name)
  assert bars_machines.nats(*rows[name], 5_000) < 3.0
