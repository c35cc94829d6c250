"""What every adversarial step must honour."""

import dataclasses

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, errors, gan
from jaxgan.adversarial import losses, penalties
from jaxgan.config import presets
from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.models import mlp

gan = compiled.Compiled(gan)

SHAPE = (6, 5, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)
BATCH = {'image': IMAGES}
Z = jax.random.normal(jax.random.key(2), (8, 4))


def make(**fields) -> gan.GAN:
  fields = {'latent_size': 4, 'ema_halflife': 100.0} | fields
  classes = fields.get('num_classes', 0)
  networks = {
    'generator': mlp.Generator(SHAPE, (8, 8), num_classes=classes),
    'discriminator': mlp.Discriminator((8, 8), num_classes=classes),
  }
  return gan.GAN(**networks | games.fields(**fields))


def run(method, rounds, key, batch=None):
  state = gan.init(method, key)
  for _ in range(rounds):
    state, metrics = gan.train_step(
      method, state, batch or {'image': IMAGES}, key
    )
  return state, metrics


@pytest.mark.parametrize('name', losses.PAIRS)
def test_every_loss_trains(name, key):
  state, metrics = run(make(loss=losses.PAIRS[name]), 2, key)
  assert int(state.step) == 2
  chex.assert_tree_all_finite((state, metrics))
  assert all(value.shape == () for value in metrics.values())


@pytest.mark.parametrize('name', penalties.PENALTIES)
def test_every_penalty_trains(name, key):
  method = make(penalties=((penalties.PENALTIES[name], 1.0),))
  state, metrics = run(method, 2, key)
  chex.assert_tree_all_finite(state)
  assert f'discriminator/{name}' in metrics


def test_a_penalty_moves_the_discriminator_by_its_weight(key):
  """SGD on the loss plus w times the penalty is linear in w."""
  moved = []
  for weight in (0.0, 1.0, 2.0):
    method = make(
      discriminator_optimizer=optax.sgd(1.0),
      penalties=((penalties.r1, weight),),
    )
    state = gan.init(method, key)
    state, _ = gan.discriminator_step(method, state, BATCH, Z, key)
    moved.append(state.networks['discriminator'].params)
  once = jax.tree.map(lambda a, b: b - a, moved[0], moved[1])
  twice = jax.tree.map(lambda a, b: b - a, moved[0], moved[2])
  chex.assert_trees_all_close(
    jax.tree.map(lambda x: 2 * x, once), twice, atol=1e-6
  )
  assert state_lib.global_norm(once) > 1e-4


def test_each_player_moves_alone(key):
  method = make()
  state = gan.init(method, key)
  after, _ = gan.discriminator_step(method, state, BATCH, Z, key)
  chex.assert_trees_all_equal(
    after.networks['generator'], state.networks['generator']
  )
  assert _distance(after, state, 'discriminator') > 0
  after, _ = gan.generator_step(method, state, BATCH, Z, key)
  chex.assert_trees_all_equal(
    after.networks['discriminator'], state.networks['discriminator']
  )
  assert _distance(after, state, 'generator') > 0


def _distance(a, b, player):
  return state_lib.global_norm(
    jax.tree.map(
      jnp.subtract, a.networks[player].params, b.networks[player].params
    )
  )


def test_both_players_improve_their_own_loss(key):
  """One small step of gradient descent on the same batch lowers the loss."""
  for player, step in (
    ('discriminator', gan.discriminator_step),
    ('generator', gan.generator_step),
  ):
    method = make(**{f'{player}_optimizer': optax.sgd(1e-2)})
    state = gan.init(method, key)
    after, before = step(method, state, BATCH, Z, key)
    _, later = step(method, after, BATCH, Z, key)
    name = f'{player}/loss'
    assert later[name] < before[name]


def test_a_round_is_its_parts(key):
  """Two updates on the halves of the batch, then one of the generator."""
  method = make(discriminator_steps=2)
  state = gan.init(method, key)
  after, _ = gan.train_step(method, state, {'image': IMAGES}, key)
  folded = jax.random.fold_in(key, 0)
  generator_key, *keys = jax.random.split(folded, 3)
  update = jax.jit(gan.discriminator_step, static_argnums=0)
  for half, part_key in zip(jnp.split(IMAGES, 2), keys, strict=True):
    part, z = method.inputs({'image': half}, part_key)
    state, _ = update(method, state, part, z, part_key)
  part, z = method.inputs(part, generator_key)
  state, _ = gan.generator_step(method, state, part, z, generator_key)
  chex.assert_trees_all_equal(after.networks, state.networks)
  assert int(after.step) == 1


def test_rounds_draw_different_noise_from_one_key(key):
  """With learning rates of zero only the noise changes the metrics."""
  still = optax.sgd(0.0)
  method = make(generator_optimizer=still, discriminator_optimizer=still)
  state = gan.init(method, key)
  batch = {'image': IMAGES}
  state, first = gan.train_step(method, state, batch, key)
  _, second = gan.train_step(method, state, batch, key)
  assert first['generator/loss'] != second['generator/loss']


def test_the_same_seed_gives_the_same_state(key):
  one, _ = run(make(), 3, key)
  other, _ = run(make(), 3, key)
  chex.assert_trees_all_equal(one, other)


def test_scan_and_vmap_agree_with_the_plain_step(key):
  method = make()
  plain, _ = run(method, 3, key)
  state = gan.init(method, key)
  batch = {'image': IMAGES}

  def rounds(state):
    step = lambda s, _: gan.train_step(method, s, batch, key)
    return jax.lax.scan(step, state, None, length=3)[0]

  chex.assert_trees_all_close(rounds(state), plain, atol=1e-5)
  several = jax.tree.map(lambda x: jnp.stack([x, x]), state)
  for member in (0, 1):
    found = jax.vmap(rounds)(several)
    found = jax.tree.map(lambda x, m=member: x[m], found)
    chex.assert_trees_all_close(found, plain, atol=1e-5)


def test_labels_reach_both_networks(key):
  """A conditional sample changes with its label and with nothing else."""
  method = make(num_classes=3)
  labels = jnp.arange(8) % 3
  state, _ = run(method, 3, key, {'image': IMAGES, 'label': labels})
  zeros = gan.sample(method, state, key, 4, jnp.zeros(4, int))
  ones = gan.sample(method, state, key, 4, jnp.ones(4, int))
  assert jnp.abs(zeros - ones).max() > 1e-4
  chex.assert_trees_all_equal(
    zeros, gan.sample(method, state, key, 4, jnp.zeros(4, int))
  )
  first = state.networks['discriminator'].params['Dense_0']['kernel']
  assert first.shape == (6 * 5 + 3, 8)


def test_average_has_the_half_life_that_it_says(key):
  """After as many images as the half-life, half of a jump is there."""
  del key
  old, new = {'w': jnp.zeros(2)}, {'w': jnp.ones(2)}
  for step in range(10):
    old = ema_lib.average(old, new, jnp.int32(step), 8, 80.0, 0.0)
  np.testing.assert_allclose(old['w'], 0.5, rtol=1e-5)


def test_average_forgets_the_start_while_it_ramps_up():
  old, new = {'w': jnp.zeros(2)}, {'w': jnp.ones(2)}
  found = ema_lib.average(old, new, jnp.int32(0), 8, 1e9, 0.05, True)
  assert found['w'].min() > 0.999
  found = ema_lib.average(old, new, jnp.int32(0), 8, 1e9, 0.05)
  assert found['w'].min() == 1.0


@pytest.mark.parametrize('counts_round', [False, True])
def test_ramp_of_averages_is_that_of_the_authors(counts_round):
  """training_loop.py of StyleGAN2-ADA: `cur_nimg` grows after the average."""
  found, expected = {'w': jnp.zeros(2)}, np.zeros(2)
  batch, halflife, rampup, seen = 8, 60.0, 0.5, 0
  for step in range(25):  # The ramp ends after 15 rounds.
    seen += batch * counts_round
    horizon = min(halflife, seen * rampup)
    beta = 0.5 ** (batch / max(horizon, 1e-8))
    expected = step + 1.0 + beta * (expected - (step + 1.0))
    seen += batch * (not counts_round)
    new = {'w': jnp.full(2, step + 1.0)}
    found = ema_lib.average(
      found, new, jnp.int32(step), batch, halflife, rampup, counts_round
    )
    np.testing.assert_allclose(found['w'], expected, rtol=1e-6)


def test_no_half_life_is_no_average(key):
  state, _ = run(make(ema_halflife=0.0), 2, key)
  chex.assert_trees_all_equal(
    state.ema['generator'], state.networks['generator'].params
  )


def test_samples_use_the_average_and_statistics_that_belong_to_it(key):
  """With the average set to other weights, samples are those of a generator.

  Batch statistics of the newest weights must play no part.
  """
  method = make()
  state, _ = run(method, 5, key)
  other = gan.init(method, jax.random.fold_in(key, 1))
  mixed = state.replace(ema=other.ema)
  chex.assert_trees_all_close(
    gan.sample(method, mixed, key, 8),
    gan.sample(method, other, key, 8),
    atol=1e-5,
  )


def test_standing_statistics_are_those_of_the_batches(key):
  module = mlp.Generator(SHAPE, (8,), momentum=0.9)
  z = 3.0 + jax.random.normal(key, (4, 32, 4))
  network = state_lib.create(module, optax.sgd(1.0), key, z[0])
  found = ema_lib.standing_stats(module, network.params, network.stats, (z,))[
    'batch_stats'
  ]['BatchNorm_0']
  dense = network.params['Dense_0']
  hidden = jax.nn.leaky_relu(
    z @ dense['kernel'] + dense['bias'][None, None], 0.2
  )
  np.testing.assert_allclose(
    found['mean'], hidden.mean(axis=(0, 1)), rtol=1e-4, atol=1e-5
  )
  np.testing.assert_allclose(
    found['var'], hidden.var(axis=1).mean(axis=0), rtol=1e-3
  )


def test_a_sample_depends_on_its_place_alone(key):
  method = make()
  state = gan.init(method, key)
  few, many = (gan.sample(method, state, key, n) for n in (3, 9))
  np.testing.assert_allclose(few, many[:3], atol=1e-6)
  assert few.shape == (3, *SHAPE)
  assert jnp.abs(few).max() <= 1.0


def test_batch_norm_in_the_discriminator_keeps_kinds_apart(key):
  """Statistics of reals and of fakes come from separate calls."""
  import flax.linen as nn

  class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
      x = nn.Dense(4)(x.reshape(len(x), -1))
      x = nn.BatchNorm(use_running_average=not train)(x)
      return nn.Dense(1)(x)[:, 0]

  method = make(discriminator=Normed())
  state = gan.init(method, key)
  _real, fake = IMAGES, 0.1 * IMAGES - 0.5
  z = jax.random.normal(key, (8, method.latents.size))
  _, metrics = gan.discriminator_step(method, state, BATCH, z, key)
  network = state.networks['discriminator']
  fake, _ = state_lib.apply(
    method.generator,
    state.networks['generator'].params,
    state.networks['generator'].stats,
    z,
    train=True,
  )
  for kind, images in {'real': IMAGES, 'fake': fake}.items():
    alone, _ = state_lib.apply(
      method.discriminator, network.params, network.stats, images, train=True
    )
    expected = jnp.mean(jax.nn.sigmoid(alone))
    np.testing.assert_allclose(
      metrics[f'discriminator/{kind}'], expected, atol=1e-6
    )
  joint = make(discriminator=Normed(), discriminator_batches='joint')
  _, other = gan.discriminator_step(joint, state, BATCH, z, key)
  gap = other['discriminator/real'] - metrics['discriminator/real']
  assert abs(float(gap)) > 1e-3
  state, metrics = run(method, 2, key)
  chex.assert_tree_all_finite((state, metrics))


def test_methods_are_static_arguments(key):
  """A notebook jits the step with the method as a static argument."""
  method = make()
  # A function of its own: caches belong to functions.
  step = jax.jit(lambda *args: gan.train_step(*args), static_argnums=0)
  state = gan.init(method, key)
  state, _ = step(method, state, {'image': IMAGES}, key)
  state, _ = step(dataclasses.replace(method), state, {'image': IMAGES}, key)
  assert step._cache_size() == 1


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'pack': 2, 'conditional': True}, 'Set pack=1 or conditional=False'),
    ({'replay_size': 8, 'conditional': True}, 'Set replay_size=0'),
    ({'auxiliary': 1.0}, "needs conditional=True and .*'auxiliary'"),
    (
      {'loss': 'relativistic_pairing', 'label_flip': 0.1},
      'label_flip is incompatible with loss=',
    ),
    (
      {'loss': 'relativistic_average', 'discriminator_batches': 'apart'},
      "discriminator_batches='apart' is incompatible",
    ),
  ],
)
def test_tricks_that_exclude_each_other_are_refused(fields, message):
  config = presets.game()
  config.update(presets.mlp())
  config.batch_size = 8
  config.generator.widths = config.discriminator.widths = (4,)
  config.update(fields)
  with pytest.raises(errors.UserError, match=message) as caught:
    gan.from_config(config, data.Spec(SHAPE, 2, ('a', 'b')))
  assert '\n' not in str(caught.value)
