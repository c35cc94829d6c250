"""The discriminator's side, with what GANs and completion do not ask of it."""

import dataclasses

import chex
import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import losses, penalties, terms, tricks
from jaxgan.adversarial.game import Game
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState

REAL, FAKE, CONDITION = (
  jax.random.normal(key, (8, 6, 4, 2))
  for key in jax.random.split(jax.random.key(1), 3)
)
REAL_INPUTS, FAKE_INPUTS = (REAL, CONDITION), (FAKE, CONDITION)


class Conditional(nn.Module):
  """Logits [B, 3, 2] of an image and of what it was made from."""

  @nn.compact
  def __call__(self, x, condition, *, train):
    del train
    both = jnp.concatenate([x, condition], axis=-1)
    return nn.Conv(1, (3, 3), (2, 2))(nn.tanh(nn.Conv(4, (3, 3))(both)))[..., 0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Game):
  """A method with discriminators alone."""

  one: nn.Module = Conditional()
  two: nn.Module = Conditional()
  one_optimizer: optax.GradientTransformation = optax.sgd(0.1)
  two_optimizer: optax.GradientTransformation = optax.sgd(0.1)


def start(key):
  modules = {name: (Conditional(), REAL_INPUTS) for name in ('one', 'two')}
  networks = state_lib.create_all(Method(), modules, key)
  return TrainState(jnp.zeros((), jnp.int32), networks, {}, {})


def loss(method, networks, state, key, apply):
  keys = discriminator_lib.loss_keys(key)
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, {'image': REAL}, 'one'),
    *(REAL_INPUTS, FAKE_INPUTS, keys, apply, {}),
  )


def update(method, state, key):
  return discriminator_lib.update(method, state, 'one', loss, key)


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
  """Ten updates separate images that differ in the first input alone."""
  method, state = Method(**games.fields(**FIELDS[name])), start(key)
  step = jax.jit(lambda state: update(method, state, key))
  first = None
  for _ in range(10):
    state, metrics = step(state)
    first = first or metrics
  chex.assert_tree_all_finite((state, metrics))
  assert all(value.shape == () for value in metrics.values())
  assert metrics['one/loss'] < first['one/loss']


def test_update_moves_one_discriminator_alone(key):
  method, state = Method(), start(key)
  after, metrics = update(method, state, key)
  chex.assert_trees_all_equal(after.networks['two'], state.networks['two'])
  with pytest.raises(AssertionError):
    chex.assert_trees_all_equal(after.networks['one'], state.networks['one'])
  assert all(name.startswith('one/') for name in metrics)
  names = discriminator_lib.equilibrium_metrics(method.loss, 'one', 'maker')
  assert set(names) == {'one/loss', 'one/real', 'one/fake', 'maker/loss'}


@pytest.mark.parametrize('batches', ['separate', 'apart'])
@pytest.mark.parametrize('name', ['non_saturating', 'least_squares'])
def test_deviations_are_over_images(name, batches, key):
  """Patches of an image count as their mean."""
  fields = games.fields(discriminator_batches=batches)
  method, state = Method(**fields, loss=losses.PAIRS[name]), start(key)
  _, metrics = update(method, state, key)
  before = state_lib.bind(method, state)['one']
  shown = method.loss.output(before(*REAL_INPUTS).logits)
  expected = np.std(np.mean(shown, axis=(1, 2)))
  np.testing.assert_allclose(metrics['one/real_std'], expected, rtol=1e-3)
  assert metrics['one/fake_std'] > 0
  assert not any(name.endswith(terms.SQUARE) for name in metrics)


@pytest.mark.parametrize('batches', ['separate', 'joint', 'apart'])
def test_terms_add_up_by_their_weight(batches, key):
  """Plain descent on a small weight is linear in it, on either kind."""

  def level(scene):
    outputs = (scene.on_real, scene.on_fake)
    value = sum(jnp.mean(x.logits) for x in outputs if x.logits is not None)
    further = scene.discriminator(*scene.real, key=scene.keys['further'])
    return value + jnp.mean(further.logits)

  def moved(weight):
    fields = games.fields(discriminator_batches=batches)
    fields['discriminator_terms'] = (terms.Term('level', level, weight),)
    state, metrics = update(Method(**fields), start(key), key)
    return state.networks['one'].params, metrics

  (none, metrics), (one, _), (two, _) = (moved(w) for w in (0.0, 1e-3, 2e-3))
  once = jax.tree.map(jnp.subtract, one, none)
  twice = jax.tree.map(jnp.subtract, two, none)
  chex.assert_trees_all_close(
    jax.tree.map(lambda x: 2.0 * x, once), twice, rtol=0.05, atol=2e-6
  )
  assert float(state_lib.global_norm(once)) > 1e-5
  assert 'one/level' in metrics


@pytest.mark.parametrize('name', losses.PAIRS)
def test_map_of_one_logit_counts_as_the_logit(name):
  real, fake = jnp.array([2.0, -1.0]), jnp.array([0.5, 3.0])
  method = Method(**games.fields(loss=losses.PAIRS[name], top_k=0.5))
  values = []
  for shape in ((2,), (2, 4, 3)):
    outputs = [
      state_lib.Output(
        jnp.broadcast_to(x.reshape(2, *(1,) * (len(shape) - 1)), shape)
      )
      for x in (real, fake)
    ]
    apply = lambda x, key, outputs=outputs: outputs[x]
    value, *_ = discriminator_lib.generator_loss(
      method, None, apply, (0,), (1,), {'real': None, 'fake': None}
    )
    values.append(value)
  np.testing.assert_allclose(*values, rtol=1e-6)


def test_pools_have_names(key):
  replay = tricks.ReplayFakes(8, 1.0)
  pools = replay.init((6, 4, 2), 'a') | replay.init((6, 4, 2), 'b')
  state = start(key).replace(extra=pools)
  shown, changed = replay(state, FAKE, key, 'a')
  np.testing.assert_array_equal(shown, FAKE)
  np.testing.assert_array_equal(changed['a']['images'], FAKE)
  assert set(changed) == {'a'}
