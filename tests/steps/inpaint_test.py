"""Holes, what fills them, and the weights of what the players learn from."""

import dataclasses
import functools
import importlib.util
import pathlib

import chex
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import config as config_lib
from jaxgan import data, errors, inpaint, steps
from jaxgan.adversarial import augment, completion, losses, penalties, terms
from jaxgan.core import masks
from jaxgan.core import state as state_lib
from jaxgan.data.sources import toy
from jaxgan.models import inpaint as networks
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import summary

# Minutes of compilation: `./launch/test.sh -m slow` runs these.
pytestmark = pytest.mark.slow

SHAPE = (16, 13, 3)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)
BATCH = {'image': IMAGES, 'label': jnp.arange(8) % 4}
CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'


MASK = ('noise_channels', 'channel')
RECONSTRUCTION = ('reconstruction', 'distance', 'region')


@functools.cache
def make(output='image', shape=SHAPE, **fields):
  """Tiny networks of either kind, moved by plain descent."""
  derived = {'shape': shape}
  if output == 'image':
    generator = networks.UNet(widths=(4, 6), **derived)
    discriminator = networks.PatchDiscriminator((4, 6), slopes=(0.2, 0.2))
  else:
    generator = networks.ContextEncoder(
      patch_size=5, widths=(4,), bottleneck=8, decoder_widths=(6,), **derived
    )
    discriminator = networks.Discriminator((4, 6), strides=(2, 2))
  method = inpaint.Inpaint(
    generator=generator,
    discriminator=discriminator,
    mask=completion.Mask(5),
    output=output,
    generator_optimizer=optax.sgd(0.05),
    discriminator_optimizer=optax.sgd(0.05),
    ema_halflife=50.0,
    **derived,
  )
  mask = {k: fields.pop(k) for k in MASK if k in fields}
  distance = {k: fields.pop(k) for k in RECONSTRUCTION if k in fields}
  distance['weight'] = distance.pop('reconstruction', 0.0)
  weight = fields.pop('class_weight', 0.0)
  fields = games.fields(**fields)
  fields['discriminator_terms'] = (
    *terms.of_weights(
      ('class_loss', terms.real_classes, weight, ('real',)),
      ('class_loss', terms.fake_as_class, weight, ('fake',)),
    ),
    *fields['discriminator_terms'],
  )
  method = dataclasses.replace(
    method,
    mask=completion.Mask(5, **mask),
    reconstruction=completion.Reconstruction(**distance),
    **fields,
  )
  if method.num_classes:
    head = method.discriminator.clone(num_classes=method.num_classes)
    method = dataclasses.replace(method, discriminator=head)
  return method


# Compiled with the method as a static argument, once for each.
init = jax.jit(inpaint.init, static_argnums=0)
train_step = jax.jit(inpaint.train_step, static_argnums=0)
fill = jax.jit(inpaint.fill, static_argnums=0)


def moved(method, player, key):
  """How far one update moves a player's parameters."""
  state = init(method, key)
  step = jax.jit(getattr(inpaint, f'{player}_step'), static_argnums=0)
  after, metrics = step(method, state, BATCH, key)
  change = jax.tree.map(
    jnp.subtract, after.networks[player].params, state.networks[player].params
  )
  return change, metrics


@pytest.mark.parametrize('output', ['image', 'patch'])
def test_known_pixels_are_kept_exactly(output, key):
  method = make(output, noise_channels=1)
  state = init(method, key)
  masked, completed, where = fill(method, state, IMAGES, key)
  known = np.broadcast_to(where.known, IMAGES.shape)
  np.testing.assert_array_equal(completed[known], IMAGES[known])
  np.testing.assert_array_equal(masked[known], IMAGES[known])
  np.testing.assert_array_equal(masked[~known], 0.0)
  assert np.abs(completed - IMAGES)[~known].min() > 0.0


@pytest.mark.parametrize('output', ['image', 'patch'])
@pytest.mark.parametrize('compositing', [True, False])
def test_what_the_discriminator_sees(output, compositing, key):
  method = make(output, compositing=compositing)
  where = masks.holes(key, 8, SHAPE, 5)
  made = jnp.zeros((8, *inpaint._output_shape(method)))
  shown = dict(
    zip(
      ('real', 'fake'),
      completion.shown(method, IMAGES, made, where),
      strict=True,
    )
  )
  hole = ~where.known
  if compositing:
    np.testing.assert_array_equal(shown['real'], IMAGES)
    np.testing.assert_array_equal(shown['fake'], jnp.where(hole, 0.0, IMAGES))
  else:
    np.testing.assert_array_equal(shown['fake'], made)
    assert shown['real'].shape == made.shape
  inputs = inpaint.modules(method)['discriminator'][1]
  assert inputs[0].shape[1:] == shown['real'].shape[1:]


def test_noise_changes_the_completion(key):
  """Dropout does not: it is off."""
  method = make('patch', noise_channels=1)
  state = init(method, key)
  where = masks.holes(key, 8, SHAPE, 5)
  network = state.networks['generator']

  @jax.jit
  def run(key):
    seen = masks.inputs(IMAGES, where, key, noise_channels=1)
    variables = {'params': network.params, **network.stats}
    return method.generator.apply(variables, seen, train=False)

  first, second = (run(k) for k in jax.random.split(key))
  assert jnp.abs(first - second).max() > 1e-3
  np.testing.assert_array_equal(first, run(jax.random.split(key)[0]))


FIELDS = {
  'plain': {},
  'relativistic': {'loss': losses.PAIRS['relativistic_average']},
  'all tricks': {
    'compositing': False,
    'reconstruction': 1.0,
    'class_weight': 0.5,
    'num_classes': 4,
    'penalties': ((penalties.r1, 0.5),),
    'discriminator_batches': 'apart',
    'fakes': 'running',
    'channel': True,
  },
  'tricks of every adversary': {
    'discriminator_batches': 'joint',
    'label_noise': 0.3,
    'label_flip': 0.1,
    'augment': tuple(augment.AUGMENTATIONS.values()),
    'instance_noise': 0.1,
    'pack': 2,
    'top_k': 0.5,
    'replay_size': 16,
    'replay_share': 0.5,
  },
}


@pytest.mark.parametrize('output', ['image', 'patch'])
@pytest.mark.parametrize('name', FIELDS)
def test_all_settings_train(output, name, key):
  method = make(output, **FIELDS[name])
  state = init(method, key)
  for _ in range(2):
    state, metrics = train_step(method, state, BATCH, key)
  chex.assert_tree_all_finite((state, metrics))
  assert int(state.step) == 2
  assert all(value.shape == () for value in metrics.values())
  assert set(inpaint.equilibrium_metrics(method)) <= metrics.keys()


@pytest.mark.parametrize('output', ['image', 'patch'])
def test_weights_add_up_the_generators_losses(output, key):
  """The change by plain descent is linear in both weights."""

  def change(adversarial, reconstruction):
    method = make(
      output, adversarial=adversarial, reconstruction=reconstruction
    )
    return moved(method, 'generator', key)[0]

  a, r, both = change(1.0, 0.0), change(0.0, 1.0), change(0.5, 2.0)
  wanted = jax.tree.map(lambda a, r: 0.5 * a + 2.0 * r, a, r)
  chex.assert_trees_all_close(both, wanted, atol=1e-5)
  assert all(state_lib.global_norm(x) > 1e-4 for x in (a, r))
  assert state_lib.global_norm(change(0.0, 0.0)) == 0.0


@pytest.mark.parametrize('distance', completion.DISTANCES)
@pytest.mark.parametrize('region', ['hole', 'all'])
def test_reconstruction_counts_its_region(distance, region, key):
  """An output that is wrong by 0.5 in the hole and by 0.1 outside of it."""
  method = make(distance=distance, region=region)
  where = masks.holes(key, 8, SHAPE, 5)
  output = IMAGES + jnp.where(where.known, 0.1, 0.5)
  found = method.reconstruction(IMAGES, output, where, method.mask.size)
  power = 1 if distance == 'l1' else 2
  share = 25 / (16 * 13) if region == 'all' else 1.0
  wanted = share * 0.5**power + (1.0 - share) * 0.1**power
  np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_class_weight_moves_the_discriminator_and_nobody_else(key):
  def change(weight, player):
    method = make(num_classes=4, class_weight=weight)
    return moved(method, player, key)

  none, one, two = (change(w, 'discriminator')[0] for w in (0.0, 1.0, 2.0))
  chex.assert_trees_all_close(
    jax.tree.map(lambda n, o: 2.0 * o - n, none, one), two, atol=1e-5
  )
  head = one['classes_head']['bias']
  assert head.shape == (5,)
  # Half of all labels are 'fake', a quarter of the others each class.
  assert head[-1] > head[:-1].max()
  chex.assert_trees_all_equal(
    change(0, 'generator')[0], change(9, 'generator')[0]
  )


def test_apart_is_two_updates_on_one_kind_each(key):
  """Plain descent, small steps, no batch statistics: the sum of both."""
  joint, together = moved(make(), 'discriminator', key)
  apart, alone = moved(
    make(discriminator_batches='apart'), 'discriminator', key
  )
  assert joint.keys() == apart.keys()
  chex.assert_trees_all_close(joint, apart, rtol=0.1, atol=2e-3)
  np.testing.assert_allclose(
    together['discriminator/loss'], alone['discriminator/loss'], rtol=0.2
  )


def test_each_player_has_a_hole_of_its_own_in_every_round(key):
  """Nothing is learnt, so that holes alone change what is measured."""
  still = {
    f'{p}_optimizer': optax.sgd(0.0) for p in ('generator', 'discriminator')
  }
  method = make(**still)
  state, first = train_step(method, init(method, key), BATCH, key)
  _, second = train_step(method, state, BATCH, key)
  # Running statistics play no part in training.
  assert first['generator/reconstruction'] != second['generator/reconstruction']
  assert first['discriminator/fake'] != second['discriminator/fake']
  _, again = train_step(method, init(method, key), BATCH, key)
  assert first['generator/loss'] == again['generator/loss']


def test_completions_use_averages_alone(key):
  method = make(ema_halflife=1e9)
  state = init(method, key)
  before = fill(method, state, IMAGES, key)[1]
  state, _ = train_step(method, state, BATCH, key)
  after = fill(method, state, IMAGES, key)[1]
  np.testing.assert_allclose(before, after, atol=1e-5)
  one = fill(method, state, IMAGES[:1], key)[1]
  np.testing.assert_allclose(one, after[:1], atol=1e-5)


def test_previews_and_scores(key):
  method = make('patch', noise_channels=1)
  state = init(method, key)
  preview = jax.jit(inpaint.preview, static_argnums=0)
  shown = preview(method, state, BATCH, key)['completions']
  assert shown.shape == (3, 8, *SHAPE)
  np.testing.assert_array_equal(shown[2], IMAGES)
  evaluate = jax.jit(inpaint.evaluate, static_argnums=0)
  scores = evaluate(method, state, BATCH)
  _, completed, _ = fill(method, state, IMAGES, jax.random.key(0))
  error = np.asarray(completed - IMAGES)
  holes = error.size * 25 / (16 * 13)
  np.testing.assert_allclose(
    scores['generator/held_out_l1'], np.abs(error).sum() / holes, rtol=1e-4
  )
  psnr = -10.0 * np.log10((error**2).sum() / holes / 4.0)
  np.testing.assert_allclose(scores['generator/held_out_psnr'], psnr, rtol=1e-4)
  with pytest.raises(errors.UserError, match='no images from latents'):
    inpaint.sample(method, state, key, 4)


@pytest.mark.eight_devices
@pytest.mark.parametrize('output', ['image', 'patch'])
def test_eight_devices_equal_one(output):
  settings = load('ccgan_mnist').get_config().data
  settings.name, settings.image_size = 'random', 16
  dataset = toy.load(settings, 'train')
  fields = {
    'shape': dataset.spec.shape,
    'noise_channels': 1,
    'reconstruction': 1.0,
    'num_classes': 4,
    'class_weight': 0.5,
  }

  def train(engine):
    method = make(output, **fields)
    call = compile_lib.compile_rounds(
      engine,
      functools.partial(inpaint.train_step, method),
      rounds=1,
      draws=inpaint.batches_per_round(method),
      batch_size=16,
      resident=True,
    )
    state = engine.replicate(init(make(output, **fields), jax.random.key(3)))
    arrays = engine.replicate(dataset.arrays())
    for _ in range(2):
      state, metrics = call(state, arrays, engine.replicate(np.uint32(3)))
    return jax.device_get((state, metrics))

  one = train(devices_lib.make_alone(16))
  many = train(devices_lib.make('pmap', 16))
  chex.assert_trees_all_close(many, one, atol=1e-4, rtol=1e-3)


def load(name):
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


DIGITS = data.Spec((32, 32, 1), 10, tuple('0123456789'))
PETS = data.Spec((32, 32, 3), 2, ('cat', 'dog'))
TUTORIALS = [
  ('ccgan_mnist', DIGITS, (1_545_025, 1_543_681), (705_996, 705_996)),
  ('context_encoder_cifar10', PETS, (826_435, 825_603), (373_377, 372_609)),
]


@pytest.mark.parametrize(
  ('name', 'spec', 'generator', 'discriminator'), TUTORIALS
)
def test_tutorials_have_their_parameters(name, spec, generator, discriminator):
  config = load(name).get_config('tutorial')
  method = steps.find(config.method).from_config(config, spec)
  found = {
    player: summary.parameter_counts(module, *inputs)
    for player, (module, inputs) in inpaint.modules(method).items()
  }
  assert found == {'generator': generator, 'discriminator': discriminator}
  for player, (module, inputs) in inpaint.modules(method).items():
    text = summary.network(player, summary.trace(module, *inputs))
    assert f'{found[player][0]:,}' in text


def test_the_generator_can_share_the_softened_label():
  """Its target is 0.9 then: least squares are flat at 0.9 and not at 1."""
  config = load('ccgan_mnist').get_config('tutorial')
  pair = inpaint.from_config(config, DIGITS).loss
  slope = jax.grad(lambda x: pair.generator(x, x))
  np.testing.assert_allclose([slope(0.9), slope(1.0)], [0.0, 0.1], atol=1e-6)
  config.label_smoothing.generator = False
  pair = inpaint.from_config(config, DIGITS).loss
  slope = jax.grad(lambda x: pair.generator(x, x))
  np.testing.assert_allclose(slope(1.0), 0.0, atol=1e-6)


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('mask.size', 33, r'mask\.size=33 must be in 1\.\.32'),
    ('mask.size', 0, r'mask\.size=0'),
    ('noise_channels', -1, r'noise_channels=-1 must be in 0\.\.'),
    ('reconstruction.weight', -1.0, r'reconstruction\.weight=-1'),
    ('output', 'video', 'image, patch'),
    ('output', 'patch', r"output='patch'.*\(10, 10, 1\)"),
    ('fakes', 'frozen', 'running'),
    ('discriminator_batches', 'both', 'apart'),
    ('reconstruction.distance', 'l3', r'reconstruction\.distance.*mse'),
    ('reconstruction.region', 'edge', r'reconstruction\.region.*hole'),
    ('loss', 'lsq', 'least_squares'),
    ('label_smoothing.real', 0.7, 'label_smoothing'),
    ('generator.name', 'inpaint.Unet', r'inpaint\.UNet'),
    ('discriminator.slopes', (0.1,), r'discriminator\.slopes'),
  ],
)
def test_what_a_user_can_get_wrong_is_one_line(field, value, message, key):
  config = load('ccgan_mnist').get_config()
  config.update_from_flattened_dict({field: value})

  def build():
    config_lib.validate(config)
    method = inpaint.from_config(config, DIGITS)
    jax.eval_shape(functools.partial(inpaint.init, method), key)

  with pytest.raises(errors.UserError, match=message) as caught:
    build()
  assert '\n' not in str(caught.value)


def test_settings_that_exclude_each_other_are_refused():
  config = load('ccgan_mnist').get_config()
  with pytest.raises(errors.UserError, match=r'class_weight=0\.5 needs'):
    inpaint.from_config(config, data.Spec((32, 32, 1)))
  config.loss = 'relativistic_pairing'
  config.discriminator_batches = 'apart'
  with pytest.raises(errors.UserError, match="'apart' is incompatible"):
    inpaint.from_config(config, DIGITS)
  config.discriminator_batches = 'separate'
  config.label_smoothing.generator = True
  with pytest.raises(errors.UserError, match=r'label_smoothing\.generator'):
    inpaint.from_config(config, DIGITS)
  config = load('context_encoder_cifar10').get_config()
  config.reconstruction.region = 'all'
  with pytest.raises(errors.UserError, match="needs output='image'"):
    inpaint.from_config(config, PETS)


def test_networks_take_odd_sizes(key):
  def made_by(module, x):
    run = functools.partial(module.init_with_output, train=False)
    return jax.eval_shape(run, key, x)[0]

  for height, width in ((7, 10), (28, 28), (9, 33)):
    x = jnp.zeros((2, height, width, 3))
    unet = networks.UNet((height, width, 3), widths=(2, 3, 4))
    assert made_by(unet, x).shape == x.shape
    for size in (1, 3, 7):
      encoder = networks.ContextEncoder(
        (height, width, 3), size, (2, 2), 2, (2, 2)
      )
      assert made_by(encoder, x).shape == (2, size, size, 3)
