"""Autoencoders and VAEs alike: what is refused, devices, pictures of codes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import rounds
from runs import ROOT, module

from jaxgan import data, errors, steps
from jaxgan.metrics import likelihood as likelihood_lib
from jaxgan.steps import _encoder_decoder
from jaxgan.training import devices as devices_lib

METHODS = ('autoencoder', 'vae')


def get_config(method, variant=''):
  return module(ROOT / 'configs' / f'{method}_mnist.py').get_config(variant)


@pytest.mark.parametrize('name', [*METHODS, 'aae', 'bigan', 'helmholtz', 'rbm'])
def test_points_are_refused(name):
  config = get_config(name)
  with pytest.raises(errors.UserError, match='needs images'):
    steps.find(config.method).from_config(config, data.Spec((2,)))


def test_codes_are_drawn_square_by_square():
  code = jnp.arange(6.0)[None]  # [1, 6]: two rows of three
  picture = _encoder_decoder.code_pictures(code, (4, 6, 3))
  assert picture.shape == (1, 4, 6, 3)
  want = np.linspace(-1.0, 1.0, 6).reshape(2, 3).repeat(2, 0).repeat(2, 1)
  np.testing.assert_allclose(picture[0, ..., 1], want, atol=1e-6)
  maps = jnp.arange(8.0).reshape(1, 2, 2, 2)  # two channels side by side
  picture = _encoder_decoder.code_pictures(maps, (2, 4, 1))[0, ..., 0]
  want = np.array([[0, 2, 1, 3], [4, 6, 5, 7]]) / 3.5 - 1.0
  np.testing.assert_allclose(picture, want, atol=1e-6)


def with_noise(method):
  """Every draw belongs to a place in the global batch."""
  if method == 'autoencoder':
    config = get_config(method)
    config.encoder.code_size = 4
    config.corruption = 0.5
    rate = 0.5
  else:
    config = get_config(method, 'iwae')
    config.latent_size = 3
    rate = 0.01
  config.batch_size = 16
  config.ema_halflife = 50.0
  config.data.update(source='toy', name='random', image_size=8)
  for network in (config.encoder, config.decoder):
    network.widths = (8,)
    # Plain descent: Adam would turn rounding into signs.
    network.optimizer.update(name='sgd', learning_rate=rate, b1=0.0)
  return config


# Minutes of compilation: `./launch/test.sh -m slow` runs it.
@pytest.mark.eight_devices
@pytest.mark.slow
@pytest.mark.parametrize('name', ['jit', 'pmap'])
@pytest.mark.parametrize('method', METHODS)
def test_eight_devices_equal_one(method, name):
  config, algorithm = with_noise(method), steps.find(method)
  dataset = data.load(config.data)
  found = [
    rounds.after_three(engine, config, algorithm, dataset)
    for engine in (devices_lib.make_alone(16), devices_lib.make(name, 16))
  ]
  chex.assert_trees_all_close(*found, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('logit', [-90.0, -3.0, 0.0, 0.5, 90.0])
@pytest.mark.parametrize('pixel', [0.0, 0.3, 1.0])
def test_cross_entropy(logit, pixel):
  args = jnp.full((1, 1), logit), jnp.full((1, 1), pixel)
  found = [
    jax.value_and_grad(lambda *args, loss=loss: loss(*args).sum())(*args)
    for loss in (
      likelihood_lib.cross_entropy,
      optax.sigmoid_binary_cross_entropy,
    )
  ]
  chex.assert_trees_all_close(*found, rtol=1e-5, atol=1e-6)
