"""Closed forms of LeCam, consistency, frozen layers, flips and accumulation."""

import dataclasses
import types

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import errors, gan
from jaxgan.adversarial import ada, adaptive, augment, losses, penalties
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial.regularisers import Consistency, LeCam, first_sums
from jaxgan.adversarial.terms import Output
from jaxgan.config import game as game_config
from jaxgan.config import presets
from jaxgan.core import axis, noise
from jaxgan.core import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.models import mlp

gan = compiled.Compiled(gan)

SHAPE = (8, 6, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (64, *SHAPE), minval=-1.0)


def make(generator=None, **fields) -> gan.GAN:
  networks = {
    'generator': generator or mlp.Generator(SHAPE, (8,), norm='none'),
    'discriminator': mlp.Discriminator((8, 8), dropout=0.3),
    'generator_optimizer': optax.sgd(0.1),
    'discriminator_optimizer': optax.sgd(0.1),
  }
  return gan.GAN(**networks | games.fields(**{'latent_size': 4} | fields))


def test_lecam_is_the_distance_to_averages_of_earlier_updates():
  term, sums, values = LeCam(0.75), first_sums(None), []
  for real, fake in (
    ([1.0, 3.0], [0.0, -2.0]),
    ([4.0, 2.0], [1.0, 1.0]),
    ([0.0], [0.0]),
  ):
    scene = types.SimpleNamespace(
      on_real=Output(jnp.array(real)), on_fake=Output(jnp.array(fake))
    )
    value, sums = term(scene, sums)
    values.append(float(value))
  # Averages: (2, -1) after one update; (0.75 2 + 3) / 1.75 and (-0.75 + 1) /
  # 1.75 after two.
  second = (25 + 9) / 2 + (1 + 1) / 2
  third = (0.25 / 1.75) ** 2 + (4.5 / 1.75) ** 2
  np.testing.assert_allclose(values, [0.0, second, third], rtol=1e-5)


@pytest.mark.parametrize('kind', ['real', 'fake'])
def test_consistency_is_the_squared_change_of_the_output(kind, key):
  weights = jnp.arange(48.0).reshape(SHAPE) / 48

  def critic(x, key):
    del key
    return Output(jnp.sum(x * weights[None], (1, 2, 3)))

  inputs = {'real': (IMAGES[:8],), 'fake': (IMAGES[8:16],)}
  scene = types.SimpleNamespace(
    discriminator=critic,
    keys=noise.keys(key, 'real', 'fake'),
    **inputs,
    **{f'on_{k}': critic(*x, key=None) for k, x in inputs.items()},
  )
  mirror = lambda x, key: x[:, :, ::-1]
  value = Consistency(kind, (mirror, mirror))(scene)
  assert float(value) == 0.0
  value = Consistency(kind, (mirror,))(scene)
  (x,) = inputs[kind]
  change = jnp.sum((x - x[:, :, ::-1]) * weights[None], (1, 2, 3))
  np.testing.assert_allclose(value, jnp.mean(change**2), rtol=1e-5)


def test_flips_mirror_half_of_the_images(key):
  x = jnp.broadcast_to(IMAGES[:1], (400, *SHAPE))
  found = augment.flip(x, key)
  is_mirrored = (found == x[:, :, ::-1]).all((1, 2, 3))
  is_kept = (found == x).all((1, 2, 3))
  assert (is_mirrored ^ is_kept).all()
  assert 0.4 < float(is_mirrored.mean()) < 0.6


def test_flips_of_reals_leave_fakes(key):
  tricks = make(flip_reals=True).tricks
  keys = noise.keys(key, 'real_show', 'fake_show')
  real, fake = tricks.augment_both(None, IMAGES, IMAGES, keys)
  np.testing.assert_array_equal(fake, IMAGES)
  is_mirrored = (real == IMAGES[:, :, ::-1]).all((1, 2, 3))
  np.testing.assert_array_equal(real[~is_mirrored], IMAGES[~is_mirrored])
  assert 0.2 < float(is_mirrored.mean()) < 0.8


@pytest.mark.parametrize('name', ['r1', 'r2'])
def test_penalties_of_a_pipe_are_slopes_of_images_before_it(name, key):
  """The squared slope of D(pipe(x)) at reals, or at fakes."""
  config = presets.game()
  config.update(presets.mlp())
  config.generator.update(widths=(4,), norm='none')
  config.discriminator.widths = (4,)
  config.update(batch_size=8, latent_size=4)
  config.ada.update(pipe='c', target=0.0, p=1.0)
  config.penalties[name] = 1.0
  method = gan.from_config(config, Spec(SHAPE))
  state, z = gan.init(method, key), jnp.ones((8, 4))
  batch = {'image': IMAGES[:8]}
  _, metrics = gan.discriminator_step(method, state, batch, z, key)
  networks = state_lib.bind(method, state)
  keys = discriminator_lib.update_keys(key)
  x = {
    'r1': IMAGES[:8],
    'r2': networks['generator'](z, key=keys['dropout']).images,
  }[name]
  show = keys['real_show' if name == 'r1' else 'fake_show']

  @jax.jit
  def slope(x):
    shown = method.tricks.augment_inputs(state, x, show)
    logits = networks['discriminator'](shown, key=keys['real']).logits
    return jnp.sum(logits)

  expected = jnp.sum(jax.grad(slope)(x) ** 2) / 8
  np.testing.assert_allclose(
    metrics[f'discriminator/{name}'], expected, rtol=1e-4
  )


OPTIMIZERS = {
  'adam': {},
  'rmsprop': {'name': 'rmsprop'},
  'history': {'historical_averaging': 0.1},
  'clipped': {'clip_weights': 10.0},
}


@pytest.mark.parametrize(
  ('name', 'spectral_norm'),
  [
    pytest.param(
      *(name, spectral),
      marks=[] if name == 'adam' and not spectral else pytest.mark.slow,
    )
    for name in OPTIMIZERS
    for spectral in (False, True)
  ],
)
def test_frozen_layers_keep_their_weights(name, spectral_norm, key):
  config = presets.game()
  config.update(presets.mlp())
  config.generator.widths = config.discriminator.widths = (4, 4)
  config.update(frozen_layers=('Dense_0', 'Dense_2'), batch_size=8)
  config.update(penalties_every=2)  # R1 has steps of its own.
  config.penalties.r1 = 1.0
  config.discriminator.spectral_norm = spectral_norm
  config.discriminator.optimizer.update(OPTIMIZERS[name])
  method = gan.from_config(config, Spec(SHAPE))
  state = first = gan.init(method, key)
  for _ in range(2):
    state, _ = gan.train_step(method, state, {'image': IMAGES[:8]}, key)
  before, after = (
    jax.tree_util.tree_leaves_with_path(s.networks['discriminator'].params)
    for s in (first, state)
  )
  for (path, old), (_, new) in zip(before, after, strict=True):
    is_frozen = any(f'Dense_{k}' in jax.tree_util.keystr(path) for k in (0, 2))
    assert is_frozen == bool((old == new).all()), path


def test_gradients_of_frozen_layers_are_zero(key):
  method = make(frozen_layers=('Dense_0',))
  network = state_lib.bind(method, gan.init(method, key))['discriminator']

  def loss(params):
    own = dataclasses.replace(network, params=params)
    return jnp.sum(method.tricks.freeze(own)(IMAGES, key=key).logits ** 2)

  grads = jax.jit(jax.grad(loss))(network.params)
  norms = {name: float(state_lib.global_norm(g)) for name, g in grads.items()}
  assert norms.pop('Dense_0') == 0.0
  assert min(norms.values()) > 0


def test_unknown_frozen_layer_is_refused(key):
  method = make(frozen_layers=('Conv_7',))
  state = gan.init(method, key)
  with pytest.raises(errors.UserError, match=r'frozen_layers.*Dense_0'):
    gan.train_step(method, state, {'image': IMAGES}, key)


ACCUMULATED = {
  'plain': {},
  'noise': dict(
    augment=tuple(augment.AUGMENTATIONS.values()),
    instance_noise=0.1,
    label_noise=0.2,
    flip_reals=True,
  ),
  'penalties': dict(
    penalties=((penalties.r1, 1.0), (penalties.gradient_penalty, 1.0))
  ),
  'terms': dict(lecam=1.0, consistency={'real': 1.0, 'fake': 1.0}),
  'adaptive': dict(
    pipe=ada.PIPES['c'], strength=adaptive.Adaptive(-1.0, 256.0, 1)
  ),
  'pairing': dict(
    loss=losses.PAIRS['relativistic_pairing'], discriminator_steps=1
  ),
  'apart': dict(discriminator_batches='apart'),
}


def after_two_rounds(method, key, step=gan.train_step, shape=(64,)):
  state = gan.init(method, key)
  batch = {'image': IMAGES.reshape(*shape, *SHAPE)}
  for _ in range(2):
    state, metrics = step(method, state, batch, key)
  metrics = {k: v for k, v in metrics.items() if not k.endswith('variance')}
  return jax.device_get((state, metrics))


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(n, marks=[] if n == 'noise' else pytest.mark.slow)
    for n in ACCUMULATED
  ],
)
def test_accumulating_4_x_16_equals_64(name, key):
  method = make(**ACCUMULATED[name])
  parts = dataclasses.replace(method, accumulate=4)
  whole, divided = (after_two_rounds(m, key) for m in (method, parts))
  chex.assert_trees_all_close(whole, divided, rtol=1e-4, atol=2e-6)
  if name == 'adaptive':
    assert float(divided[0].extra[adaptive.NAME]['p']) == 0.25


@pytest.mark.slow
@pytest.mark.eight_devices
def test_accumulating_on_eight_devices_equals_one(key):
  method = make(**ACCUMULATED['noise'] | ACCUMULATED['terms'])
  parts = dataclasses.replace(method, accumulate=4)
  mapped = jax.pmap(
    gan.train_step,
    axis_name='data',
    static_broadcasted_argnums=0,
    in_axes=(None, None, 0, None),
    out_axes=None,
  )
  one = after_two_rounds(method, key)
  many = after_two_rounds(parts, key, mapped, (8, 8))
  chex.assert_trees_all_close(one, many, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(
  'fields',
  [
    {'generator': mlp.Generator(SHAPE, (8,), norm='batch')},
    {'replay_size': 8, 'replay_share': 0.5},
    {'top_k': 0.5},
    {'feature_matching': 1.0},
    {'loss': losses.PAIRS['relativistic_average']},
    {'penalties': ((penalties.dragan, 1.0),)},
  ],
  ids=lambda fields: next(iter(fields)),
)
def test_accumulation_refuses_values_of_the_whole_batch(fields, key):
  method = make(**fields, accumulate=2)
  state = gan.init(method, key)
  with pytest.raises(errors.UserError, match='Set accumulate=1'):
    jax.eval_shape(
      lambda *args: gan.train_step(method, *args), state, {'image': IMAGES}, key
    )


def test_accumulation_must_divide_the_batch(key):
  with pytest.raises(errors.UserError, match='does not divide the 64 examples'):
    state_lib.accumulated(jnp.mean, 7, IMAGES)
  assert axis.size() == 1


def test_lecam_needs_both_kinds():
  config = presets.game()
  config.update(presets.mlp())
  config.update(lecam=0.1, discriminator_batches='apart')
  with pytest.raises(errors.UserError, match=r'lecam=0\.1 compares'):
    game_config.fields(config, Spec(SHAPE))
