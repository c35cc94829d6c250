"""Adaptive augmentation: the reference's arrays, and the path of p."""

import types

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
from jax import test_util

from jaxgan import errors, gan
from jaxgan.adversarial import ada, adaptive, warp
from jaxgan.adversarial.terms import Output
from jaxgan.config import game as game_config
from jaxgan.config import presets, schedules
from jaxgan.data.dataset import Spec
from jaxgan.models import mlp
from jaxgan.training import checkpoint, loop
from tests.golden import make_ada

gan = compiled.Compiled(gan)

SHAPE = (6, 7, 3)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)
PIPE = ada.PIPES['r3gan']  # all operations
BY_NAME = {name: (name,) for name in make_ada.OPERATIONS} | make_ada.PIPES


def at_percentile(q, operations) -> ada.Values:
  """Returns the numbers of the reference with `debug_percentile`.

  They have no factor sqrt(2) in the percentiles of normal numbers.
  """
  normal = jax.scipy.special.erfinv(2 * q - 1)
  numbers = {
    'xflip': jnp.floor(2 * q),
    'rotate90': jnp.floor(4 * q),
    'lumaflip': jnp.floor(2 * q),
    'cutout': jnp.ones_like(q),
    'hole': q,
    **dict.fromkeys(('xint', 'rotate', 'hue'), 2 * q - 1),
  }
  return ada.Values(
    *(
      jnp.broadcast_to(
        (name in {'hole', *operations}) * numbers.get(name, normal),
        (2, 2) if name in ('xint', 'xfrac', 'hole') else (2,),
      )
      for name in ada.Values._fields
    )
  )


FAST = [('rgb', 'r3gan', 1e-5), ('grey', 'r3gan', 1e-4)]


@pytest.mark.parametrize(
  ('kind', 'name', 'tolerance'),
  [
    pytest.param(*c, marks=[] if c in FAST else [pytest.mark.slow])
    for c in (
      (kind, name, tolerance)
      for kind in make_ada.SHAPES
      for name in BY_NAME
      for tolerance in (1e-5, 1e-4)
      if (kind, name) not in (('grey', 'hue'), ('grey', 'saturation'))
    )
  ],
)
def test_operations_equal_the_reference(kind, name, tolerance):
  """Images and, of whole pipes, gradients."""
  pipe = ada.Pipe(**dict.fromkeys(BY_NAME[name], 1.0))
  dtype = 'd' if tolerance == 1e-5 else 'f'

  @jax.jit
  def both(x, q, weights):
    values = at_percentile(q, BY_NAME[name])
    y, back = jax.vjp(lambda x: pipe.apply(x, values), x)
    return y, back(weights)[0]

  arrays = [make_ada.images(kind), make_ada.probe(kind)]
  x, weights = (array.astype(dtype) for array in arrays)
  with np.load(make_ada.FOLDER / 'ada.npz') as golden:
    for percentile in make_ada.PERCENTILES:
      with jax.enable_x64(tolerance == 1e-5):
        found = both(x, np.array(percentile, dtype), weights)
      key = f'{kind} {name} {percentile}'
      keys = (key, f'{key} gradient') if name in make_ada.PIPES else (key,)
      for key, ours in zip(keys, found, strict=False):
        expected = golden[key]
        error = np.abs(np.asarray(ours)[: len(expected)] - expected).max()
        assert error <= tolerance * np.abs(expected).max(), key


@pytest.mark.parametrize('channels', [1, 3])
def test_without_probability_images_stay(channels, key):
  x = IMAGES[..., :channels]
  found = jax.jit(PIPE.__call__)(x, key, 0.0)
  np.testing.assert_allclose(found, x, atol=2e-6)


def test_operations_have_their_probability(key):
  """Half of the flips are none, and so is a quarter of the turns."""
  values = jax.jit(ada.PIPES['bgc'].draw, static_argnums=1)(key, 4000, 0.5)
  values = {k: np.asarray(v) for k, v in values._asdict().items()}
  expected = dict.fromkeys(values, 0.5)
  expected |= {'xflip': 0.25, 'lumaflip': 0.25, 'rotate90': 0.375, 'hole': 1.0}
  expected |= dict.fromkeys(('rotate', 'rotate_after'), 1 - 0.5**0.5)
  expected['cutout'] = 0.0
  for name, x in values.items():
    is_on = x.reshape(4000, -1)[:, 0] != 0
    np.testing.assert_allclose(is_on.mean(), expected[name], atol=0.03)
  is_turned = (values['rotate'] != 0) | (values['rotate_after'] != 0)
  np.testing.assert_allclose(is_turned.mean(), 0.5, atol=0.03)
  for name in ('scale', 'aniso', 'brightness', 'contrast', 'saturation'):
    x = values[name][values[name] != 0]
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=0.07)


@pytest.mark.eight_devices
def test_images_follow_the_example_on_every_device_and_in_vmap(key):
  change = jax.jit(PIPE.__call__)
  found = change(IMAGES, key, 0.8)
  assert float(jnp.abs(found - IMAGES).max()) > 0.1
  np.testing.assert_allclose(change(IMAGES[:3], key, 0.8), found[:3], atol=1e-6)
  mapped = jax.pmap(
    PIPE.__call__, axis_name='data', in_axes=(0, None, None), out_axes=0
  )
  many = mapped(IMAGES[:, None], key, 0.8)
  np.testing.assert_allclose(many[:, 0], found, atol=1e-6)
  p = jnp.array([0.0, 0.8])
  members = jax.jit(jax.vmap(PIPE.__call__, (None, None, 0)))(IMAGES, key, p)
  np.testing.assert_allclose(members[1], found, atol=1e-6)


def test_second_derivatives_of_images(key):
  """The gradient of a squared slope, as of R1, equals finite differences."""
  with jax.enable_x64():
    x = jnp.asarray(IMAGES[:2, :4, :5], 'd')
    weights = jnp.asarray(IMAGES[2:4, :4, :5], 'd')

    def squared_slope(x):
      critic = lambda x: jnp.sum(jnp.sin(weights * PIPE(x, key, 0.9)))
      return jnp.sum(jax.grad(critic)(x) ** 2)

    test_util.check_grads(jax.jit(squared_slope), (x,), 1, ['rev'])


@pytest.mark.parametrize('platform', ['cuda', 'tpu'])
def test_pipes_lower_for_accelerators(platform, key):
  slope = jax.grad(lambda x: jnp.sum(PIPE(x, key, 0.5) ** 2))
  lowered = jax.jit(slope).trace(IMAGES.astype(jnp.bfloat16))
  text = lowered.lower(lowering_platforms=(platform,)).as_text()
  assert 'tensor<8x6x7x3xbf16>' in text


def test_margins_are_those_of_the_corners():
  """A turn by 45 degrees needs sqrt(2) of the half side, and the filter."""
  turned = ada.inverse_matrix(
    at_percentile(jnp.array(0.625), ('rotate',)), 9, 9
  )
  half = 4.0
  expected = np.ceil(half * (2**0.5 - 1) + 6)
  np.testing.assert_array_equal(warp.margins(turned, 9, 9), expected)
  np.testing.assert_array_equal(warp.margins(turned, 3, 3), 2.0)


def test_pipes_refuse_other_channels(key):
  with pytest.raises(errors.UserError, match='have 2 channels'):
    jax.eval_shape(ada.PIPES['bgc'], jnp.zeros((2, 4, 4, 2)), key, 1.0)
  shape = jax.eval_shape(ada.PIPES['bg'], jnp.zeros((2, 4, 4, 2)), key, 1.0)
  assert shape.shape == (2, 4, 4, 2)


def test_p_follows_the_signs():
  """Eight reals per update, a move every two updates: 16 / 160 = 0.1."""
  strength = adaptive.Adaptive(0.5, 160.0, 2)
  numbers, path = adaptive.first_numbers(), []
  state = lambda: types.SimpleNamespace(extra={adaptive.NAME: numbers})
  # Mean signs of two updates: 1, 0.75, 0.5 (no move), 0, -1.
  for negatives in (0, 0, 0, 2, 2, 2, 4, 4, 8, 8):
    logits = jnp.where(jnp.arange(8) < negatives, -1.0, 3.0)
    scene = types.SimpleNamespace(
      on_real=Output(logits), batch={'image': logits}
    )
    shown, numbers = strength(scene, numbers)
    path += [float(shown), float(strength.at(state()))]
  expected = [0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
  expected += [0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.0]
  np.testing.assert_allclose(path, expected, atol=1e-6)


def method_with(strength):
  return gan.GAN(
    mlp.Generator(SHAPE, (8,)),
    mlp.Discriminator((8,)),
    **games.fields(latent_size=4, pipe=ada.PIPES['c'], strength=strength),
  )


def test_p_is_in_the_state_and_among_the_metrics(key):
  """Two moves of 8 / 80 a round; D(x) of fresh networks has some sign."""
  method = method_with(adaptive.Adaptive(-1.0, 80.0, 1))
  state, shown = gan.init(method, key), []
  for _ in range(3):
    state, metrics = gan.train_step(method, state, {'image': IMAGES}, key)
    shown.append(float(metrics['discriminator/augment_p']))
  np.testing.assert_allclose(shown, [0.0, 0.1, 0.2], atol=1e-6)
  np.testing.assert_allclose(
    method.tricks.augment_inputs.strength.at(state), 0.3
  )
  _, metrics = gan.train_step(
    method_with(adaptive.Fixed(0.4)),
    gan.init(method, key),
    {'image': IMAGES},
    key,
  )
  np.testing.assert_allclose(metrics['discriminator/augment_p'], 0.4)


@pytest.mark.slow
@pytest.mark.eight_devices
def test_p_is_that_of_the_global_batch(key):
  method = method_with(adaptive.Adaptive(0.1, 80.0, 1))
  mapped = jax.pmap(
    gan.train_step,
    axis_name='data',
    static_broadcasted_argnums=0,
    in_axes=(None, None, 0, None),
    out_axes=None,
  )
  states = [gan.init(method, key)] * 2
  batch = {'image': IMAGES[:, None]}
  for _ in range(2):
    one, _ = gan.train_step(method, states[0], {'image': IMAGES}, key)
    many, _ = mapped(method, states[1], batch, key)
    states = [one, many]
  numbers = [state.extra[adaptive.NAME] for state in jax.device_get(states)]
  chex.assert_trees_all_close(*numbers, atol=1e-6)
  assert numbers[0]['count'] == 1


def config_with(**fields):
  config = presets.game()
  config.update(presets.mlp())
  config.batch_size = 8
  config.ada.pipe = 'bgc'
  config.update_from_flattened_dict(fields)
  return config


def test_config_has_adaptive_and_fixed_probabilities():
  build = lambda **fields: (
    game_config.fields(config_with(**fields), Spec(SHAPE))[
      'tricks'
    ].augment_inputs
  )
  assert build().pipe == ada.PIPES['bgc']
  assert build().strength == adaptive.Adaptive(0.6, 500_000.0, 4)
  fixed = build(**{'ada.target': 0.0, 'ada.p': 0.3})
  assert fixed.strength == adaptive.Fixed(0.3)
  assert build(**{'ada.pipe': ''}).pipe is None


@pytest.mark.parametrize(
  ('name', 'p', 'flips'),
  [
    ('r3gan_cifar10', 0.55, True),
    ('r3gan_faces', 0.3, True),
    ('r3gan_mnist', 0.55, False),
  ],
)
def test_paper_variants_of_r3gan_augment_as_its_authors(name, p, flips):
  file = runs.module(runs.ROOT / 'configs' / f'{name}.py')
  config = file.get_config('paper')
  assert schedules.read(config)['ada.p'][:4] == ('cosine', 0.0, p, 2e7)
  assert (config.flip_reals, config.ada.pipe) == (flips, 'r3gan')
  assert config.ada.target == 0
  assert file.get_config().ada.pipe == ''


@pytest.mark.parametrize(
  ('fields', 'shape', 'message'),
  [
    ({'loss': 'relativistic_pairing'}, SHAPE, 'Set ada.target=0'),
    ({'loss': 'wasserstein'}, SHAPE, 'Set ada.target=0'),
    ({}, (2,), "Set ada.pipe=''"),
    ({'ada.p': 0.3}, SHAPE, 'ada.p=0.3 has no effect'),
    ({'pack': 2, 'penalties.r1': 1.0}, SHAPE, 'Set pack=1'),
    ({'ada.pipe': '', 'flip_reals': True}, (2,), 'Set flip_reals=False'),
    (
      {'ada.pipe': '', 'consistency.real': 1.0},
      *((2,), r'Set consistency.real=0\.0'),
    ),
    ({'pack': 2, 'consistency.fake': 1.0}, SHAPE, 'Set pack=1'),
  ],
)
def test_settings_without_signs_or_images_are_refused(fields, shape, message):
  with pytest.raises(errors.UserError, match=message):
    game_config.fields(config_with(**fields), Spec(shape))


@pytest.mark.slow
def test_resumed_run_has_the_same_p_as_an_unbroken_run(tmp_path):
  fields = {
    'ada.pipe': 'b',
    'ada.images': 320.0,
    'ada.target': 0.1,
    'ada.interval': 3,
    'sample_every': 0,
  }
  states = []
  for name, stops in (('unbroken', (12,)), ('resumed', (5, 12))):
    for steps in stops:
      loop.train(runs.small(**fields, num_steps=steps), tmp_path / name)
    saved, _ = checkpoint.load(tmp_path / name, None)
    states.append(saved)
  chex.assert_trees_all_equal(*states)
  assert 0 < float(states[0]['extra'][adaptive.NAME]['p']) < 1
