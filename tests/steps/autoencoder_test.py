"""Autoencoders: the networks of the tutorials, the loss, and what is shown."""

import dataclasses
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import ROOT, module

from jaxgan import autoencoder, data, errors, steps
from jaxgan.core.pixels import to_pixels
from jaxgan.models import autoencoder as networks
from jaxgan.training import summary
from jaxgan.visual import grid

# Minutes of compilation: `./launch/test.sh -m slow` runs these.
pytestmark = pytest.mark.slow

PATH = ROOT / 'configs' / 'autoencoder_mnist.py'
SHAPE = (7, 5, 3)  # odd, not square, in colour
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)


def get_config(variant=''):
  return module(PATH).get_config(variant)


def dense(shape=SHAPE):
  return {
    'encoder': networks.DenseEncoder(code_size=4, widths=(8,)),
    'decoder': networks.DenseDecoder(shape, widths=(8,)),
    'shape': shape,
  }


def convolutional(shape=SHAPE):
  return {
    'encoder': networks.ConvEncoder(widths=(4, 2)),
    'decoder': networks.ConvDecoder(shape, widths=(2, 4)),
    'shape': shape,
  }


def make(parts=dense, **fields):
  return autoencoder.Autoencoder(**parts() | fields)


def jit(function, method):
  return jax.jit(functools.partial(function, method))


def run(method, rounds, key, images=IMAGES):
  state = jit(autoencoder.init, method)(key)
  step = jit(autoencoder.train_step, method)
  for _ in range(rounds):
    state, metrics = step(state, {'image': images}, key)
  return state, metrics


@pytest.mark.parametrize(
  ('variant', 'encoder', 'decoder', 'code'),
  [
    ('simple', 25_120, 25_872, (32,)),
    ('tutorial', 25_120, 25_872, (32,)),
    ('convolutional', 1_904, 2_481, (4, 4, 8)),
    ('denoising', 14_192, 16_497, (4, 4, 16)),
  ],
)
def test_networks_are_those_of_the_tutorials(variant, encoder, decoder, code):
  """784-32-784; 28, 14, 7, 4 and back with 16-8-8 or 32-32-16 channels."""
  method = steps.find('autoencoder').from_config(
    get_config(variant), data.Spec((28, 28, 1))
  )
  found = autoencoder.modules(method)
  counts = {
    name: summary.parameter_counts(module, *inputs)[1]
    for name, (module, inputs) in found.items()
  }
  assert counts == {'encoder': encoder, 'decoder': decoder}
  assert found['decoder'][1][0].shape[1:] == code
  assert method.corruption == (0.5 if variant == 'denoising' else 0.0)


@pytest.mark.parametrize('parts', [dense, convolutional])
@pytest.mark.parametrize('shape', [SHAPE, (1, 3, 1)])
def test_any_shape_comes_back(parts, shape, key):
  images = jnp.zeros((2, *shape))
  method = autoencoder.Autoencoder(**parts(shape), corruption=0.5)
  state, metrics = run(method, 2, key, images)
  chex.assert_tree_all_finite((state, metrics))
  shown = jit(autoencoder.preview, method)(state, {'image': images}, key)
  assert shown['reconstructions'].shape == (4, 2, *shape)


def test_pooling_is_that_of_flax():
  """Max-pooling with 'same'."""
  x = jax.random.normal(jax.random.key(0), (2, 7, 5, 3))
  want = nn.max_pool(x, (2, 2), strides=(2, 2), padding='SAME')
  np.testing.assert_array_equal(networks._halve(x), want)


def test_loss_is_the_cross_entropy_of_pixels(key):
  method = make()
  state = autoencoder.init(method, key)
  _, metrics = run(method, 1, key)
  x = np.asarray(IMAGES + 1.0) / 2.0
  code = method.encoder.apply(
    {'params': state.networks['encoder'].params}, x, train=True
  )
  logits = method.decoder.apply(
    {'params': state.networks['decoder'].params}, code, train=True
  )
  p = 1.0 / (1.0 + np.exp(-np.asarray(logits)))
  loss = -np.mean(x * np.log(p) + (1.0 - x) * np.log(1.0 - p))
  np.testing.assert_allclose(metrics['autoencoder/loss'], loss, rtol=1e-5)
  mse = np.mean((p - x) ** 2)
  np.testing.assert_allclose(metrics['autoencoder/mse'], mse, rtol=1e-5)


def test_networks_of_one_rate_move_as_under_one_adam(key):
  method = make()
  state, _ = run(method, 3, key)
  first = autoencoder.init(method, key)
  params = {name: n.params for name, n in first.networks.items()}
  adam = optax.adam(1e-3)
  moments = adam.init(params)
  x = to_pixels(IMAGES)

  @jax.jit
  def update(params, moments):
    def loss(params):
      code = method.encoder.apply({'params': params['encoder']}, x, train=True)
      logits = method.decoder.apply(
        {'params': params['decoder']}, code, train=True
      )
      return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, x))

    updates, moments = adam.update(jax.grad(loss)(params), moments)
    return optax.apply_updates(params, updates), moments

  for _ in range(3):
    params, moments = update(params, moments)
  found = {name: n.params for name, n in state.networks.items()}
  chex.assert_trees_all_close(found, params, atol=1e-6)


def test_corruption_is_noise_that_is_clipped(key):
  method = make(corruption=0.5)
  seen = autoencoder.corrupt(method, jnp.full((200, *SHAPE), 0.5), key)
  assert seen.min() == 0.0
  assert seen.max() == 1.0
  # Of N(0.5, 0.5), 68.3 % lie in between.
  inside = (seen > 0.0) & (seen < 1.0)
  np.testing.assert_allclose(inside.mean(), 0.683, atol=0.02)
  np.testing.assert_allclose(seen.mean(), 0.5, atol=0.01)
  clean = autoencoder.corrupt(make(), jnp.full((2, *SHAPE), 0.5), key)
  np.testing.assert_array_equal(clean, 0.5)


def test_the_target_of_a_corrupted_image_is_the_clean_one(key):
  """A decoder that ignores its code can only learn the clean pixels."""
  images = jnp.broadcast_to(jnp.where(IMAGES[:1] > 0.0, 1.0, -1.0), (8, *SHAPE))
  still = optax.sgd(0.0)
  method = make(
    corruption=5.0, encoder_optimizer=still, decoder_optimizer=optax.adam(0.05)
  )
  state, _ = run(method, 150, key, images)
  found = autoencoder.evaluate(method, state, {'image': images})
  assert found['autoencoder/held_out_mse'] < 0.01


def test_rounds_and_examples_have_noise_of_their_own(key):
  method = make(corruption=0.5, encoder_optimizer=optax.sgd(0.0))
  method = dataclasses.replace(method, decoder_optimizer=optax.sgd(0.0))
  images = jnp.zeros((2, *SHAPE))
  _, first = run(method, 1, key, images)
  _, second = run(method, 2, key, images)
  assert first['autoencoder/loss'] != second['autoencoder/loss']
  both = autoencoder.corrupt(method, jnp.full((2, *SHAPE), 0.5), key)
  alone = autoencoder.corrupt(method, jnp.full((1, *SHAPE), 0.5), key)
  np.testing.assert_array_equal(both[:1], alone)
  assert jnp.abs(both[0] - both[1]).max() > 0.1


def test_scores_are_of_averaged_weights_and_in_decibels(key):
  method = make(ema_halflife=100.0)
  state, _ = run(method, 3, key)
  batch = {'image': IMAGES}
  found = autoencoder.evaluate(method, state, batch)
  other = autoencoder.init(method, jax.random.fold_in(key, 1))
  mixed = state.replace(ema=other.ema)
  chex.assert_trees_all_close(
    autoencoder.evaluate(method, mixed, batch),
    autoencoder.evaluate(method, other, batch),
  )
  one = autoencoder.evaluate(method, state, {'image': IMAGES[:1]})
  np.testing.assert_allclose(
    one['autoencoder/held_out_psnr'],
    -10.0 * np.log10(one['autoencoder/held_out_mse']),
    rtol=1e-5,
  )
  assert found.keys() == one.keys()


def test_the_grid_has_a_row_of_each_kind(key):
  method = make()
  state = autoencoder.init(method, key)
  batch = {'image': IMAGES}
  shown = autoencoder.preview(method, state, batch, key)['reconstructions']
  assert shown.shape == (3, 8, *SHAPE)
  np.testing.assert_array_equal(shown[0], IMAGES)
  assert jnp.abs(shown).max() <= 1.0
  assert grid.draw(shown, 'rows').shape[-1] == 3


def test_there_are_no_samples(key):
  method = make()
  with pytest.raises(errors.UserError, match='no images from latents'):
    autoencoder.sample(method, autoencoder.init(method, key), key, 4)


@pytest.mark.parametrize(
  ('changed', 'match'),
  [
    ({'corruption': -0.1}, 'corruption=-0.1'),
    ({'decoder.widths': (8, 16)}, 'the same length'),
    ({'encoder.widths': (8, 8)}, 'the same length'),
  ],
)
def test_what_does_not_fit_is_one_line(changed, match):
  config = get_config('convolutional')
  config.update_from_flattened_dict(changed)
  with pytest.raises(errors.UserError, match=match) as caught:
    autoencoder.from_config(config, data.Spec((28, 28, 1)))
  assert '\n' not in str(caught.value)
