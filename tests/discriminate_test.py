"""The discriminator's side, with what GANs and completion do not ask of it."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import losses, penalties, tricks
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState

REAL, FAKE, CONDITION = (
  jax.random.normal(key, (8, 6, 4, 2))
  for key in jax.random.split(jax.random.key(1), 3)
)
SHOWN = {'real': (REAL, CONDITION), 'fake': (FAKE, CONDITION)}


class Conditional(nn.Module):
  """Logits [B, 3, 2] of an image and of what it was made from."""

  @nn.compact
  def __call__(self, x, condition, *, train):
    del train
    both = jnp.concatenate([x, condition], axis=-1)
    return nn.Conv(1, (3, 3), (2, 2))(nn.tanh(nn.Conv(4, (3, 3))(both)))[..., 0]


def start(key, *names):
  """Discriminators of these names, in no method's fields."""
  players = [
    state_lib.Player(name, Conditional(), optax.sgd(0.1)) for name in names
  ]
  networks = {
    p.name: state_lib.create(p.module, p.optimizer, key, *SHOWN['real'])
    for p in players
  }
  return players, TrainState(jnp.zeros((), jnp.int32), networks, {}, {})


FIELDS = {
  'separate': {},
  'joint': {'discriminator_batches': 'joint'},
  'apart': {'discriminator_batches': 'apart'},
  'noisy': {'label_noise': 0.3, 'label_flip': 0.1},
  'across': {'loss': losses.PAIRS['relativistic_average']},
  'penalties': {
    'penalties': tuple((p, 1.0) for p in penalties.PENALTIES.values())
  },
}


@pytest.mark.parametrize('name', FIELDS)
def test_several_inputs_and_maps_of_logits_train(name, key):
  """Ten updates part what is told apart by the first input alone."""
  method = tricks.Adversary(**FIELDS[name])
  (player,), state = start(key, 'critic')
  update = jax.jit(
    lambda state: discriminator_lib.update(method, state, player, SHOWN, key)
  )
  first = None
  for _ in range(10):
    state, metrics = update(state)
    first = first or metrics
  chex.assert_tree_all_finite((state, metrics))
  assert all(value.shape == () for value in metrics.values())
  assert metrics['critic/loss'] < first['critic/loss']


def test_two_discriminators_move_alone(key):
  (one, _), state = start(key, 'one', 'two')
  method = tricks.Adversary()
  after, metrics = discriminator_lib.update(method, state, one, SHOWN, key)
  chex.assert_trees_all_equal(after.networks['two'], state.networks['two'])
  with pytest.raises(AssertionError):
    chex.assert_trees_all_equal(after.networks['one'], state.networks['one'])
  assert all(name.startswith('one/') for name in metrics)
  assert set(tricks.expected(method.loss, 'one', 'maker')) == {
    *('one/loss', 'one/real', 'one/fake', 'maker/loss')
  }


@pytest.mark.parametrize('batches', ['separate', 'joint', 'apart'])
def test_terms_add_up_by_their_weight(batches, key):
  """Plain descent on a small weight is linear in it, on either kind."""

  def moved(weight):
    (player,), state = start(key, 'critic')

    def terms(outputs, look):
      value = sum(jnp.mean(x['logits']) for x in outputs.values())
      further = jnp.mean(look(SHOWN['real'])['logits'])
      return {'level': (value + further, weight)}

    method = tricks.Adversary(discriminator_batches=batches)
    state, metrics = discriminator_lib.update(
      method, state, player, SHOWN, key, terms
    )
    return state.networks['critic'].params, metrics

  (none, metrics), (one, _), (two, _) = (moved(w) for w in (0.0, 1e-3, 2e-3))
  once = jax.tree.map(jnp.subtract, one, none)
  twice = jax.tree.map(jnp.subtract, two, none)
  chex.assert_trees_all_close(
    jax.tree.map(lambda x: 2.0 * x, once), twice, rtol=0.05, atol=2e-6
  )
  assert float(state_lib.global_norm(once)) > 1e-5
  assert 'critic/level' in metrics


@pytest.mark.parametrize('name', losses.PAIRS)
def test_a_map_of_one_logit_counts_as_the_logit(name):
  real, fake = jnp.array([2.0, -1.0]), jnp.array([0.5, 3.0])
  method = tricks.Adversary(loss=losses.PAIRS[name], top_k=0.5)
  found = []
  for shape in ((2,), (2, 4, 3)):
    said = [
      {
        'logits': jnp.broadcast_to(
          x.reshape(2, *(1,) * (len(shape) - 1)), shape
        )
      }
      for x in (real, fake)
    ]
    found.append(discriminator_lib.generator_loss(method, None, *said))
  np.testing.assert_allclose(*found, rtol=1e-6)


def test_a_pool_has_the_name_that_it_is_asked_by(key):
  method = tricks.Adversary(replay_size=8, replay_share=1.0)
  pools = tricks.create_pool(method, (6, 4, 2), 'a')
  pools |= tricks.create_pool(method, (6, 4, 2), 'b')
  _, state = start(key, 'critic')
  state = state.replace(extra=pools)
  shown, after = discriminator_lib.recall(method, state, FAKE, key, 'a')
  np.testing.assert_array_equal(shown, FAKE)
  np.testing.assert_array_equal(after.extra['a']['images'], FAKE)
  assert int(after.extra['b']['count']) == 0
