"""CycleGAN: who learns from what, the pool, the decay, and a known map."""

import dataclasses
import functools

import chex
import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import ROOT, module

from jaxgan import config as config_lib
from jaxgan import cyclegan, data, errors
from jaxgan.adversarial import image_pool
from jaxgan.core import noise, optim
from jaxgan.core import state as state_lib
from jaxgan.models import mlp, translate
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib

slow = pytest.mark.slow

SHAPE = (16, 12, 1)
KEYS = jax.random.split(jax.random.key(1))
BATCH = {
  'image': jax.random.uniform(KEYS[0], (8, *SHAPE), minval=-1.0),
  'source': jax.random.uniform(KEYS[1], (8, *SHAPE), minval=-1.0),
}
PLAYERS = (
  *cyclegan.GENERATORS,
  *(f'discriminator_{domain}' for domain in 'ab'),
)


@functools.cache
def make(norm='instance', shape=SHAPE, **fields):
  """Tiny networks, moved by plain descent."""
  shared = {'norm': norm}
  generator = translate.ResNet(shape, widths=(4, 6), blocks=1, **shared)
  discriminator = translate.PatchDiscriminator((4, 6), **shared)
  method = cyclegan.CycleGAN(
    generator_ab=generator,
    generator_ba=generator,
    discriminator_a=discriminator,
    discriminator_b=discriminator,
    shape_a=shape,
    shape_b=shape,
    **{f'{name}_optimizer': optax.sgd(0.05) for name in PLAYERS},
    ema_halflife=50.0,
  )
  return dataclasses.replace(method, **games.fields(**fields))


# Compiled with the method as a static argument, once for each.
init = jax.jit(cyclegan.init, static_argnums=0)
train_step = jax.jit(cyclegan.train_step, static_argnums=0)
generators_step = jax.jit(cyclegan.generators_step, static_argnums=0)


@pytest.mark.slow
def test_each_player_moves_alone(key):
  method = make('none')
  state = init(method, key)
  step = jax.jit(cyclegan.discriminator_step, static_argnums=(0, 2))
  after = {
    ('discriminator_b',): step(method, state, 'ab', BATCH, key)[0],
    ('discriminator_a',): step(method, state, 'ba', BATCH, key)[0],
    cyclegan.GENERATORS: generators_step(method, state, BATCH, key)[0],
  }
  for moved, found in after.items():
    for name in PLAYERS:
      change = jax.tree.map(
        jnp.subtract, found.networks[name].params, state.networks[name].params
      )
      assert (state_lib.global_norm(change) > 1e-4) == (name in moved), name


class Shift(nn.Module):
  """Adds the same to all pixels."""

  @nn.compact
  def __call__(self, x, *, train):
    return x + self.param('shift', nn.initializers.constant(0.1), ())


SHIFTS = dict.fromkeys(cyclegan.GENERATORS, Shift())


def test_weights_add_up_the_generators_losses(key):
  """The change by plain descent is linear in all weights."""

  def change(**weights):
    method = make('none', **SHIFTS, **weights)
    state = init(method, key)
    after, _ = generators_step(method, state, BATCH, key)
    return [
      jax.tree.map(
        jnp.subtract, after.networks[name].params, state.networks[name].params
      )
      for name in cyclegan.GENERATORS
    ]

  names = ('adversarial', 'cycle', 'identity')
  none = dict.fromkeys(names, 0.0)
  single = [change(**none | {name: 1.0}) for name in names]
  both = change(adversarial=0.5, cycle=2.0, identity=3.0)
  wanted = jax.tree.map(lambda a, c, i: 0.5 * a + 2.0 * c + 3.0 * i, *single)
  chex.assert_trees_all_close(both, wanted, atol=1e-5)
  assert all(state_lib.global_norm(x) > 1e-5 for x in single)


def test_losses_are_the_papers(key):
  """With generators that add a number, cycle and identity are known."""
  method = make(**SHIFTS)
  state = init(method, key)
  _, metrics = train_step(method, state, BATCH, key)
  for name in cyclegan.GENERATORS:
    np.testing.assert_allclose(metrics[f'{name}/cycle'], 0.2, rtol=1e-5)
    np.testing.assert_allclose(metrics[f'{name}/identity'], 0.1, rtol=1e-5)
  assert set(cyclegan.equilibrium_metrics(method)) <= metrics.keys()


def test_cycle_error_may_be_squared(key):
  """DiscoGAN, equation 3: generators that add 0.1 twice have 0.2 squared."""
  method = make(**SHIFTS, cycle_distance='mse', identity=0.0)
  state = init(method, key)
  _, metrics = generators_step(method, state, BATCH, key)
  for name in cyclegan.GENERATORS:
    np.testing.assert_allclose(metrics[f'{name}/cycle'], 0.04, rtol=1e-4)


def test_pictures_go_there_and_back(key):
  method = make()
  state = init(method, key)
  found = jax.jit(cyclegan.preview, static_argnums=0)(method, state, BATCH, key)
  assert list(found) == ['a_b_a', 'b_a_b']
  np.testing.assert_array_equal(found['a_b_a'][0], BATCH['source'])
  np.testing.assert_array_equal(found['b_a_b'][0], BATCH['image'])
  assert found['a_b_a'].shape == (3, 8, *SHAPE)
  scores = jax.jit(cyclegan.evaluate, static_argnums=0)(method, state, BATCH)
  for name, rows in zip(cyclegan.GENERATORS, found.values(), strict=True):
    np.testing.assert_allclose(
      scores[f'{name}/held_out_cycle'],
      np.abs(rows[2] - rows[0]).mean(),
      rtol=1e-4,
    )
  with pytest.raises(errors.UserError, match='makes no images from latents'):
    cyclegan.sample(method, state, key, 4)


@slow
@pytest.mark.eight_devices
@pytest.mark.parametrize('norm', ['batch', 'instance'])
def test_eight_devices_equal_one(norm):
  settings = config_lib.defaults().data
  settings.update(source='toy', name='random', classes=('nw', 'se'))
  settings.update(unpaired='classes', image_size=16)
  dataset = data.load(settings)
  # Small steps: rounding grows a thousandfold in norms of flat images.
  fields = {f'{name}_optimizer': optax.sgd(1e-3) for name in PLAYERS}
  fields |= {'norm': norm, 'shape': dataset.spec.shape, 'replay_size': 20}

  def train(engine):
    method = make(**fields)
    call = compile_lib.compile_rounds(
      engine,
      functools.partial(cyclegan.train_step, method),
      rounds=1,
      draws=cyclegan.batches_per_round(method),
      batch_size=16,
      resident=True,
    )
    state = engine.replicate(init(make(**fields), jax.random.key(3)))
    arrays = engine.replicate(dataset.arrays())
    for _ in range(3):
      state, metrics = call(state, arrays, engine.replicate(np.uint32(3)))
    return jax.device_get((state, metrics))

  one = train(devices_lib.make_alone(16))
  many = train(devices_lib.make('pmap', 16))
  chex.assert_tree_all_finite(many)
  chex.assert_trees_all_close(many[0], one[0], atol=1e-4, rtol=1e-3)
  # Among the metrics are norms of gradients, which rounding reaches first.
  chex.assert_trees_all_close(many[1], one[1], atol=1e-4, rtol=5e-3)


# The pool.


def pool_of_the_authors(size, images, draws, share=0.5):
  """`ImagePool.query` of the authors' code, with given draws."""
  held, shown = [], []
  for image, (place, chance) in zip(images, draws, strict=True):
    if len(held) < size:
      held.append(image)
      shown.append(image)
    elif chance < share:
      place = int(place * size)
      shown.append(held[place])
      held[place] = image
    else:
      shown.append(image)
  return shown, held


def test_the_pool_is_the_authors(key):
  size, batch = 5, 4
  swap = jax.jit(image_pool.swap, static_argnums=3)
  pool, shown, draws = image_pool.create(size, (1,)), [], []
  images = jnp.arange(1.0, 61.0)[:, None]
  for k in range(15):
    step_key = jax.random.fold_in(key, k)
    found, pool = swap(pool, images[k * batch : (k + 1) * batch], step_key, 0.5)
    shown += found[:, 0].tolist()
    draws += noise.uniform(step_key, batch, (2,)).tolist()
  wanted, held = pool_of_the_authors(size, images[:, 0].tolist(), draws)
  assert shown == wanted
  assert pool['images'][:, 0].tolist() == held
  old = np.array(shown) != images[:, 0]
  assert not old[:size].any()
  assert 0.3 < old[size:].mean() < 0.7


@pytest.mark.eight_devices
def test_a_pool_is_the_same_on_every_device(key):
  fake = jnp.arange(16.0)[:, None]
  pool = {'images': -jnp.ones((6, 1)), 'count': jnp.int32(4)}
  one = image_pool.swap(pool, fake, key, 0.5)
  call = jax.pmap(
    lambda pool, x: image_pool.swap(pool, x, key, 0.5),
    axis_name='data',
    in_axes=(None, 0),
    out_axes=(0, None),
  )
  shown, held = call(pool, fake.reshape(8, 2, 1))
  np.testing.assert_array_equal(shown.reshape(16, 1), one[0])
  chex.assert_trees_all_equal(held, one[1])


# The decay.


def test_the_rate_decays_linearly_in_the_second_half():
  rate = optim.learning_rate(2.0, 'late_linear', 1000)
  found = [float(rate(images)) for images in (0, 250, 500, 750, 1000, 2000)]
  np.testing.assert_allclose(found, [2.0, 2.0, 2.0, 1.0, 0.0, 0.0], atol=1e-6)


def load():
  return module(ROOT / 'configs' / 'cyclegan_faces.py').get_config()


def test_the_decay_ends_with_the_run_whatever_flags_say():
  config = load()
  config.num_steps, config.batch_size = 30, 2
  config = config.copy_and_resolve_references()
  for player in ('generator', 'discriminator'):
    assert config[player].optimizer.schedule_images == 60


# Errors.

SPEC = data.Spec((64, 64, 3), source_shape=(64, 64, 3))


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'data.unpaired': ''}, 'two domains'),
    ({'loss': 'lsq'}, 'least_squares'),
    ({'generator.name': 'translate.Resnet'}, r'translate\.ResNet'),
  ],
)
def test_what_a_user_can_get_wrong_is_one_line(fields, message):
  config = load()
  config.update_from_flattened_dict(fields)
  with pytest.raises(errors.UserError, match=message) as caught:
    cyclegan.from_config(config, SPEC)
  assert '\n' not in str(caught.value)


def test_identity_needs_one_shape():
  config = load()
  config.generator.update(widths=(2, 2), blocks=1)
  config.identity = 5.0
  spec = dataclasses.replace(SPEC, source_shape=(64, 64, 1))
  with pytest.raises(errors.UserError, match=r'identity=5\.0'):
    cyclegan.from_config(config, spec)
  config.identity = 0.0
  method = cyclegan.from_config(config, spec)
  assert method.generator_ba.shape == (64, 64, 1)
  config.cycle = -1.0
  with pytest.raises(errors.UserError, match=r'cycle=-1'):
    config_lib.validate(config)


# A known map.

CENTRES = jnp.array([[0.5, 0.1], [-0.4, 0.45], [-0.1, -0.55]])
SHARES = jnp.array([0.5, 0.3, 0.2])
ANGLE, SCALE = 0.5, 0.7


def to_b(x):
  """A turn by 0.5 radians, to 0.7 of the size, and a shift."""
  turn = jnp.array(
    [
      [np.cos(ANGLE), np.sin(ANGLE)],
      [-np.sin(ANGLE), np.cos(ANGLE)],
    ]
  )
  return SCALE * x @ turn + jnp.array([[0.2, -0.1]])


class Nudge(nn.Module):
  """Points to points, at first to themselves.

  Where generators begin at random, some settle on a map that turns over.
  """

  @nn.compact
  def __call__(self, x, *, train):
    y = nn.leaky_relu(nn.Dense(32)(x), 0.2)
    return x + nn.Dense(2, kernel_init=nn.initializers.zeros)(y)


def draw(key, count):
  """Points of a: three blobs of different weights, so that one map fits."""
  keys = jax.random.split(key)
  blob = jax.random.choice(keys[0], 3, (count,), p=SHARES)
  return CENTRES[blob] + 0.08 * jax.random.normal(keys[1], (count, 2))


@slow
def test_a_known_map_is_learnt(key):
  """From points of a and points of b that do not belong together."""
  generator = Nudge()
  discriminator = mlp.Discriminator(widths=(64, 64))
  method = cyclegan.CycleGAN(
    generator_ab=generator,
    generator_ba=generator,
    discriminator_a=discriminator,
    discriminator_b=discriminator,
    shape_a=(2,),
    shape_b=(2,),
    **{f'{name}_optimizer': optax.adam(1e-3, b1=0.5) for name in PLAYERS},
    cycle=2.0,
    identity=0.1,
    ema_halflife=20_000.0,
  )

  @jax.jit
  def run(state):
    def one(state, _):
      keys = jax.random.split(jax.random.fold_in(key, state.step))
      a, b = draw(keys[0], 128), to_b(draw(keys[1], 128))
      batch = {'source': a, 'image': b}
      return cyclegan.train_step(method, state, batch, key)

    return jax.lax.scan(one, state, length=1_000)

  state = init(method, key)
  test = draw(jax.random.key(7), 1_000)

  def error(state):
    ab, ba = (
      getattr(method, name).apply({'params': state.ema[name]}, x, train=False)
      for name, x in zip(cyclegan.GENERATORS, (test, to_b(test)), strict=True)
    )
    return (
      float(jnp.abs(ab - to_b(test)).mean()),
      float(jnp.abs(ba - test).mean()),
    )

  for _ in range(2):
    state, _ = run(state)
  assert max(error(state)) < 0.05
  # What the nearest wrong map, no change at all, would get.
  assert float(jnp.abs(test - to_b(test)).mean()) > 0.15
