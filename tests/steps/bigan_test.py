"""Bidirectional GANs: pairs, swapped labels, scores of reconstructions."""

import types

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import bigan, data, errors, trainer
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import losses
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec

compiled_bigan = compiled.Compiled(bigan)
SHAPE = (8, 8, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)


def config(variant='', **changed):
  made = module(ROOT / 'configs' / 'bigan_mnist.py').get_config(variant)
  made.latent_size = 3
  for name in ('generator', 'encoder', 'discriminator'):
    made[name].widths = (4,)
  made.update_from_flattened_dict(changed)
  return made


@pytest.fixture(scope='module')
def method():
  made = config()
  made.penalties.r1 = 0.0
  return bigan.from_config(made, Spec(SHAPE, 10))


def networks(seen):
  """Returns networks whose logits are the sum of the pixels of a pair."""
  made, code = jnp.full((4, *SHAPE), 0.01), jnp.full((4, 3), 7.0)

  class Discriminator:
    def __call__(self, pair, key):
      seen.append(pair)
      return Output(pair[:, :64].sum(axis=1), {}, {})

    def after(self, output):
      return self

  return {
    'generator': lambda z, key, train: Output(made, {}, {}),
    'encoder': lambda x, key, train: Output(code, {}, {}),
    'discriminator': Discriminator(),
  }


def softplus(x):
  return np.log1p(np.exp(x))


def test_losses_are_those_of_the_paper(method, key):
  """Encoder and generator have the loss of D with swapped labels."""
  seen = []
  inputs = (method, networks(seen), None, {'image': IMAGES}, key)
  real, fake = np.asarray(IMAGES).sum((1, 2, 3)), 0.64
  loss, _ = bigan.discriminator_loss(*inputs, discriminator_lib.separate)
  want = np.mean(softplus(-real) + softplus(fake))
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  loss, _ = bigan.joint_loss(*inputs)
  want = np.mean(softplus(real) + softplus(-fake))
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  on_real, on_fake = seen[-2:]
  np.testing.assert_allclose(on_real[:, :64], IMAGES.reshape(4, 64))
  np.testing.assert_array_equal(on_real[:, 64:], 7.0)
  np.testing.assert_allclose(on_fake[:, :64], 0.01)
  z = on_fake[:, 64:]
  assert jnp.abs(z).max() < 1.0 < 50 * jnp.std(z)


def test_round_updates_all_networks(key):
  method = bigan.from_config(config('ali'), Spec(SHAPE, 10))
  state = compiled_bigan.init(method, key)
  after, metrics = compiled_bigan.train_step(
    method, state, {'image': IMAGES}, key
  )
  assert all(np.isfinite(x) for x in metrics.values())
  for name, network in state.networks.items():
    old, new = map(
      jax.tree.leaves, (network.params, after.networks[name].params)
    )
    moved = [float(jnp.abs(a - b).max()) for a, b in zip(old, new, strict=True)]
    assert max(moved) > 0.0, name


def test_codes_of_a_stochastic_encoder_are_gaussian(key):
  method = bigan.from_config(config('ali'), Spec(SHAPE, 10))
  output = jnp.concatenate([jnp.ones((5_000, 3)), jnp.zeros((5_000, 3))], 1)
  code = bigan.codes_of(method, output - jnp.log(4.0) * (output == 0), key)
  np.testing.assert_allclose(code.mean(axis=0), 1.0, atol=0.03)
  np.testing.assert_allclose(code.std(axis=0), 0.5, atol=0.03)


def test_errors_of_neighbours(monkeypatch, method, key):
  """The codes of classes 0, 0, 1, 1 lie in pairs; one reconstruction fails."""
  code = jnp.array([[0.0], [0.1], [5.0], [5.1]])
  made = IMAGES.at[3].set(IMAGES[0])
  monkeypatch.setattr(bigan.module, 'reconstruct', lambda *_: (code, made))
  batch = {'image': IMAGES, 'label': jnp.array([0, 0, 1, 1])}
  scores = bigan.evaluate(method, None, batch)
  assert float(scores['encoder/neighbour_error']) == 0.0
  assert float(scores['generator/reconstruction_error']) == 0.25
  error = (np.asarray(IMAGES[3] - IMAGES[0]) / 2.0) ** 2
  np.testing.assert_allclose(
    scores['generator/held_out_mse'], error.mean() / 4.0, rtol=1e-5
  )


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('latent', 'gauss', 'normal'),
    ('latent_size', 0, 'latent_size=0'),
    ('loss', 'hing', 'hinge'),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    bigan.from_config(config(**{field: value}), Spec(SHAPE, 10))


@pytest.mark.slow
@pytest.mark.trains_long
def test_reconstructions_of_digits_have_their_class(key):
  """The default, for fewer rounds; by chance the error is 90 %."""
  settings = module(ROOT / 'configs' / 'bigan_mnist.py').get_config()
  dataset = data.load(settings.data)
  method = bigan.from_config(settings, dataset.spec)
  advance = trainer(
    *(bigan, method, dataset.arrays()), batch_size=128, rounds_per_call=50
  )
  state, _ = advance(compiled_bigan.init(method, key), 1_000)
  test = dict(data.load(settings.data, 'test').arrays())
  test['image'] = test['image'].astype(np.float32) / 127.5 - 1.0
  scores = compiled_bigan.evaluate(method, state, test)
  assert float(scores['generator/reconstruction_error']) < 0.7
  assert float(scores['encoder/neighbour_error']) < 0.3


def test_both_losses_are_that_of_the_discriminator_at_the_equilibrium():
  """D is 1/2 everywhere, so both losses are log 4."""
  method = types.SimpleNamespace(loss=losses.PAIRS['non_saturating'])
  values = bigan.equilibrium_metrics(method)
  for name in ('discriminator/loss', 'generator/loss'):
    np.testing.assert_allclose(values[name], np.log(4.0), rtol=1e-6)
