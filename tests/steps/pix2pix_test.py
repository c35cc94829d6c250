"""Networks of image to image, and what the players of pix2pix learn from."""

import dataclasses
import functools

import chex
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import ROOT, module

from jaxgan import config as config_lib
from jaxgan import data, errors, pix2pix
from jaxgan.adversarial import losses, penalties
from jaxgan.core import state as state_lib
from jaxgan.models import translate
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import summary

slow = pytest.mark.slow

SHAPE, SOURCE = (16, 12, 3), (16, 12, 1)
KEYS = jax.random.split(jax.random.key(1))
BATCH = {
  'image': jax.random.uniform(KEYS[0], (8, *SHAPE), minval=-1.0),
  'source': jax.random.uniform(KEYS[1], (8, *SOURCE), minval=-1.0),
}
IMAGES = BATCH['image']


@functools.cache
def make(norm='instance', shape=SHAPE, **fields):
  """Tiny networks, moved by plain descent."""
  shared = {'norm': norm}
  method = pix2pix.Pix2Pix(
    generator=translate.UNet(shape, widths=(4, 6, 4), **shared),
    discriminator=translate.PatchDiscriminator((4, 6), **shared),
    shape=shape,
    source_shape=(*shape[:2], 1),
    generator_optimizer=optax.sgd(0.05),
    discriminator_optimizer=optax.sgd(0.05),
    ema_halflife=50.0,
  )
  return dataclasses.replace(method, **games.fields(**fields))


# Compiled with the method as a static argument, once for each.
init = jax.jit(pix2pix.init, static_argnums=0)
train_step = jax.jit(pix2pix.train_step, static_argnums=0)


def moved(method, player, key, batch=BATCH):
  """How far one update moves a player's parameters, and the state after it."""
  state = init(method, key)
  step = jax.jit(getattr(pix2pix, f'{player}_step'), static_argnums=0)
  after, _ = step(method, state, batch, key)
  change = jax.tree.map(
    jnp.subtract, after.networks[player].params, state.networks[player].params
  )
  return change, state, after


# Networks.

IMAGE = jnp.zeros((1, 256, 256, 3))
WHOLE = (64, 128, 256, 512, 512, 512)
COUNTS = [
  (translate.UNet((256, 256, 3)), 1, 54_413_955),
  (translate.ResNet((256, 256, 3)), 1, 11_378_179),
  (translate.ResNet((128, 128, 3), blocks=6), 1, 7_837_699),
  (translate.PatchDiscriminator(), 2, 2_768_705),
  (translate.PatchDiscriminator(norm='instance'), 1, 2_764_737),
  (translate.PatchDiscriminator((64, 128), kernel=1), 2, 9_025),
  (translate.PatchDiscriminator((64, 128)), 2, 139_585),
  (translate.PatchDiscriminator((64, 128, 256)), 2, 666_433),
  (translate.PatchDiscriminator(WHOLE), 2, 11_159_361),
]


@pytest.mark.parametrize(('network', 'images', 'count'), COUNTS)
def test_networks_have_the_papers_parameters(network, images, count):
  """The counts of the authors' PyTorch code, see the docstrings."""
  found = summary.parameter_counts(network, *[IMAGE] * images)[1]
  assert found == count


def test_patches_of_70_make_a_map_of_30(key):
  run = functools.partial(
    translate.PatchDiscriminator().init_with_output, train=False
  )
  assert jax.eval_shape(run, key, IMAGE)[0].shape == (1, 30, 30)


@pytest.mark.parametrize(
  ('side', 'levels', 'kernel'), [(1, 2, 1), (16, 2, 4), (34, 3, 4), (70, 4, 4)]
)
def test_a_logit_sees_a_patch_and_nothing_else(side, levels, kernel, key):
  """By the gradient; norms are off, as instance norm sees whole images."""
  network = translate.PatchDiscriminator((4,) * levels, kernel, norm='none')
  size = side + 17
  x = jax.random.normal(key, (1, size, size, 2))
  params = jax.jit(functools.partial(network.init, train=False))(key, x)

  @jax.jit
  def seen(x):
    def logit(x):
      logits = network.apply(params, x, train=False)
      return logits[0, logits.shape[1] // 2, logits.shape[2] // 2]

    return jnp.abs(jax.grad(logit)(x)).max(axis=(0, 3)) > 0

  rows, columns = (np.flatnonzero(seen(x).any(axis)) for axis in (1, 0))
  np.testing.assert_array_equal(rows, np.arange(side) + rows[0])
  np.testing.assert_array_equal(columns, np.arange(side) + columns[0])


def test_the_whole_image_is_286_pixels():
  """Backwards from one logit, with the strides of that many layers."""
  side = 1
  for stride in (1, 1, 2, 2, 2, 2, 2):
    side = (side - 1) * stride + 4
  assert side == 286
  assert len(WHOLE) == 6


@pytest.mark.parametrize('size', [(32, 32), (7, 10), (9, 33), (64, 64)])
@pytest.mark.parametrize('norm', ['batch', 'instance'])
def test_generators_take_all_sizes(size, norm, key):
  x = jnp.zeros((2, *size, 1))
  for network in (
    translate.UNet((*size, 3), widths=(2, 3, 4, 2), norm=norm),
    translate.UNet((*size, 3), widths=(2, 3), skips=False, norm=norm),
    translate.ResNet((*size, 3), widths=(2, 3, 4), blocks=1, norm=norm),
  ):
    run = functools.partial(network.init_with_output, train=False)
    assert jax.eval_shape(run, key, x)[0].shape == (2, *size, 3)


def test_without_skips_detail_has_to_pass_the_bottleneck(key):
  """Two levels down, one place sees the whole; skips see single pixels."""
  x = jax.random.normal(key, (1, 8, 8, 1))

  def coupled(skips):
    network = translate.UNet(
      (8, 8, 1), (4, 4), skips=skips, norm='none', dropout=0.0
    )
    params = network.init(key, x, train=False)
    return params['params']['ConvTranspose_1']['kernel'].shape[2]

  assert coupled(True) == 2 * coupled(False)


def test_too_many_halvings_are_refused(key):
  network = translate.PatchDiscriminator((2,) * 6)
  with pytest.raises(errors.UserError, match='images of 16 x 12'):
    jax.eval_shape(functools.partial(network.init, train=False), key, IMAGES)


def test_dropout_is_noise_after_training_too(key):
  method = make()
  state = init(method, key)
  preview = jax.jit(pix2pix.preview, static_argnums=0)
  first, again, other = (
    preview(method, state, BATCH, k)['translations']
    for k in (key, key, jax.random.key(9))
  )
  np.testing.assert_array_equal(first, again)
  assert first.shape == (3, 8, *SHAPE)
  np.testing.assert_array_equal(
    first[0], jnp.broadcast_to(BATCH['source'], IMAGES.shape)
  )
  np.testing.assert_array_equal(first[2], IMAGES)
  assert jnp.abs(first[1] - other[1]).max() > 1e-4


# The game.


@pytest.mark.slow
def test_each_player_moves_alone_and_the_sum_is_weighted(key):
  """A change by plain descent is linear in both weights."""

  def change(adversarial, reconstruction):
    method = make(adversarial=adversarial, reconstruction=reconstruction)
    found, before, after = moved(method, 'generator', key)
    chex.assert_trees_all_equal(
      before.networks['discriminator'], after.networks['discriminator']
    )
    return found

  a, r, both = change(1.0, 0.0), change(0.0, 1.0), change(0.5, 2.0)
  wanted = jax.tree.map(lambda a, r: 0.5 * a + 2.0 * r, a, r)
  chex.assert_trees_all_close(both, wanted, atol=1e-5)
  assert all(state_lib.global_norm(x) > 1e-4 for x in (a, r))
  found, before, after = moved(make(), 'discriminator', key)
  assert state_lib.global_norm(found) > 1e-4
  chex.assert_trees_all_equal(
    before.networks['generator'], after.networks['generator']
  )


def test_without_the_game_the_discriminator_rests(key):
  method = make(adversarial=0.0)
  state = init(method, key)
  after, metrics = train_step(method, state, BATCH, key)
  chex.assert_trees_all_equal(
    state.networks['discriminator'], after.networks['discriminator']
  )
  assert not any(name.startswith('discriminator') for name in metrics)
  assert pix2pix.equilibrium_metrics(method) == {}


@pytest.mark.parametrize('conditional', [True, False])
def test_only_a_conditional_discriminator_sees_the_source(conditional, key):
  method = make(conditional=conditional)
  state = init(method, key)
  player = state.networks['discriminator']
  inputs = (BATCH['image'], BATCH['source'])[: 1 + method.conditional]
  assert len(inputs) == 1 + conditional
  kernel = player.params['Conv_0']['kernel']
  assert kernel.shape[2] == SHAPE[2] + conditional * SOURCE[2]


def test_both_players_see_the_same_output(key):
  """The reals' and fakes' logits are those of one translation."""
  method = make()
  state = init(method, key)
  still = dataclasses.replace(method, discriminator_optimizer=optax.sgd(0.0))
  _, metrics = train_step(still, state, BATCH, key)
  # -log D(G), as the generator sees it, and D(G), as the discriminator does.
  np.testing.assert_allclose(
    np.log(metrics['discriminator/fake']),
    -metrics['generator/loss'],
    rtol=0.05,
  )


FIELDS = {
  'plain': {},
  'batch norm': {'norm': 'batch', 'fakes': 'running'},
  'tricks': {
    'conditional': True,
    'penalties': ((penalties.r1, 0.5),),
    'discriminator_batches': 'apart',
    'label_noise': 0.3,
    'instance_noise': 0.1,
    'pack': 2,
    'top_k': 0.5,
    'replay_size': 16,
    'replay_share': 0.5,
  },
  'relativistic': {
    'conditional': False,
    'discriminator_batches': 'joint',
    'loss': losses.PAIRS['relativistic_average'],
  },
}


@slow
@pytest.mark.parametrize('name', FIELDS)
def test_all_settings_train(name, key):
  method = make(**FIELDS[name])
  state = init(method, key)
  for _ in range(2):
    state, metrics = train_step(method, state, BATCH, key)
  chex.assert_tree_all_finite((state, metrics))
  assert int(state.step) == 2
  assert all(value.shape == () for value in metrics.values())


def test_replayed_outputs_keep_their_sources(key):
  method = make(replay_size=8, replay_share=1.0)
  state = init(method, key)
  _, _, state = moved(method, 'discriminator', key)
  held = state.extra['replay']['images']
  np.testing.assert_array_equal(held[..., SHAPE[2] :], BATCH['source'])


def test_scores_are_means_over_held_out_pairs(key):
  method = make()
  method = dataclasses.replace(
    method, generator=method.generator.clone(dropout=0.0)
  )
  state = init(method, key)
  batch = {name: jnp.tile(x, (7, 1, 1, 1)) for name, x in BATCH.items()}
  scores = jax.jit(pix2pix.evaluate, static_argnums=0)(method, state, batch)
  shown = pix2pix.preview(method, state, BATCH, key)['translations']
  error = np.asarray(shown[1] - shown[2])
  square = (error**2).mean(axis=(1, 2, 3))
  np.testing.assert_allclose(
    scores['generator/held_out_l1'], np.abs(error).mean(), rtol=1e-4
  )
  np.testing.assert_allclose(
    scores['generator/held_out_psnr'],
    (10.0 * np.log10(4.0 / square)).mean(),
    rtol=1e-4,
  )
  with pytest.raises(errors.UserError, match='makes no images from latents'):
    pix2pix.sample(method, state, key, 4)


@slow
def test_it_learns_to_colour(key):
  """Sources say how bright, the data how red; the held-out error falls."""
  method = make(
    adversarial=0.0,
    reconstruction=1.0,
    generator_optimizer=optax.adam(3e-3, b1=0.5),
    ema_halflife=0.0,
  )
  colour = jnp.array([1.0, -0.5, 0.2])

  def pairs(key):
    source = jax.random.uniform(key, (32, 4, 3, 1), minval=-1.0)
    source = jnp.repeat(jnp.repeat(source, 4, axis=1), 4, axis=2)
    return {'source': source, 'image': source * colour.reshape(1, 1, 1, 3)}

  state, test = init(method, key), pairs(jax.random.key(7))
  evaluate = jax.jit(pix2pix.evaluate, static_argnums=0)
  before = evaluate(method, state, test)['generator/held_out_l1']
  for k in range(150):
    batch = pairs(jax.random.fold_in(key, k))
    state, _ = train_step(method, state, batch, key)
  after = evaluate(method, state, test)['generator/held_out_l1']
  assert after < 0.4 * before


@slow
@pytest.mark.eight_devices
@pytest.mark.parametrize('norm', ['batch', 'instance'])
def test_eight_devices_equal_one(norm):
  settings = config_lib.defaults().data
  settings.update(source='toy', name='random', channels=3, pair='edges')
  settings.image_size = 16
  dataset = data.load(settings)
  fields = {'norm': norm, 'shape': dataset.spec.shape, 'replay_size': 32}

  def train(engine):
    method = make(**fields)
    call = compile_lib.compile_rounds(
      engine,
      functools.partial(pix2pix.train_step, method),
      rounds=1,
      draws=pix2pix.batches_per_round(method),
      batch_size=16,
      resident=True,
    )
    state = engine.replicate(init(make(**fields), jax.random.key(3)))
    arrays = engine.replicate(dataset.arrays())
    for _ in range(2):
      state, metrics = call(state, arrays, engine.replicate(np.uint32(3)))
    return jax.device_get((state, metrics))

  one = train(devices_lib.make_alone(16))
  many = train(devices_lib.make('pmap', 16))
  chex.assert_trees_all_close(many, one, atol=1e-4, rtol=1e-3)


SPEC = data.Spec(SHAPE, source_shape=SOURCE)


def load():
  config = module(ROOT / 'configs' / 'pix2pix_faces.py').get_config()
  config.discriminator.widths = (4, 4)
  return config


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('data.pair', '', 'Set data.pair to the source'),
    ('loss', 'lsq', 'least_squares'),
    ('fakes', 'frozen', 'running'),
    ('generator.name', 'translate.Unet', r'translate\.UNet'),
    ('generator.norm', 'group', 'instance'),
    ('generator.name', 'mlp.Generator', 'dropout'),
  ],
)
def test_what_a_user_can_get_wrong_is_one_line(field, value, message):
  config = load()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message) as caught:
    pix2pix.from_config(config, SPEC)
  assert '\n' not in str(caught.value)


def test_weights_are_at_least_zero_and_not_both_zero():
  config = load()
  config.reconstruction = -1.0
  with pytest.raises(errors.UserError, match='reconstruction=-1'):
    config_lib.validate(config)
  config.reconstruction = config.adversarial = 0.0
  with pytest.raises(errors.UserError, match='nothing to learn'):
    pix2pix.from_config(config, SPEC)
