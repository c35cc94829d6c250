"""Adversarial autoencoders: the two losses, and codes that become a prior."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import ROOT, module

from jaxgan import adversarial_autoencoder, data, errors, trainer
from jaxgan.core import latents as latents_lib
from jaxgan.data.dataset import Spec
from jaxgan.models import autoencoder, mlp

aae = compiled.Compiled(adversarial_autoencoder)
SHAPE = (3, 2, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)


def make(**fields):
  optimizers = {
    f'{name}_optimizer': optax.sgd(1.0)
    for name in ('encoder', 'generator', 'discriminator')
  }
  return aae.AdversarialAutoencoder(
    encoder=autoencoder.DenseEncoder(2),
    generator=mlp.Generator(SHAPE, widths=()),
    discriminator=mlp.Discriminator(widths=()),
    latents=latents_lib.single('normal', 2),
    **optimizers,
    **fields,
  )


def fixed(method, key):
  """Returns a state whose code is (1, -2), with logits 0.5 u - 0.25 v + 0.1."""
  values = {
    'encoder': (jnp.zeros((6, 2)), jnp.array([1.0, -2.0])),
    'generator': (jnp.zeros((2, 6)), jnp.zeros(6)),
    'discriminator': (jnp.array([[0.5], [-0.25]]), jnp.array([0.1])),
  }
  state = aae.init(method, key)
  networks = {
    name: state.networks[name].replace(
      params={'Dense_0': {'kernel': kernel, 'bias': bias}}
    )
    for name, (kernel, bias) in values.items()
  }
  return state.replace(networks=networks)


def test_losses_are_those_of_the_paper(key):
  """D sees the code (1, -2) as fake; the generator's pixels are all 0.5."""
  method = make(adversarial=0.25)
  before = fixed(method, key)
  after, metrics = aae.train_step(method, before, {'image': IMAGES}, key)
  # D is updated first, so the encoder sees its new weights.
  new = after.networks['discriminator'].params['Dense_0']
  slope, bias = np.asarray(new['kernel'])[:, 0], float(new['bias'][0])
  logit = slope @ [1.0, -2.0] + bias
  loss = np.log1p(np.exp(-logit))
  np.testing.assert_allclose(metrics['encoder/loss'], loss, rtol=1e-5)
  pixels = (np.asarray(IMAGES) + 1.0) / 2.0
  want = np.mean((0.5 - pixels) ** 2)
  np.testing.assert_allclose(metrics['generator/mse'], want, rtol=1e-5)
  # The zero generator sends no gradient, so the encoder's bias moves along
  # -adversarial d/dcode -log D(code).
  moved = after.networks['encoder'].params['Dense_0']['bias']
  want = [1.0, -2.0] + 0.25 * slope / (1.0 + np.exp(logit))
  np.testing.assert_allclose(moved, want, rtol=1e-4)
  # -log D(z) - log(1 - D(code)), with the first weights.
  fake = np.log1p(np.exp(0.5 + 0.5 + 0.1))
  rest = float(metrics['discriminator/loss']) - fake
  assert 0.3 < rest < 1.5  # -log D of four draws of the prior
  np.testing.assert_allclose(
    metrics['discriminator/fake'], 1.0 / (1.0 + np.exp(-1.1)), rtol=1e-5
  )


def test_reconstruction_and_adversarial_weights_are_separate(key):
  batch = {'image': IMAGES}
  for weights in ({'reconstruction': 0.0}, {'adversarial': 0.0}):
    method = make(**weights)
    before = fixed(method, key)
    after, _ = aae.train_step(method, before, batch, key)
    moves = {
      name: not np.array_equal(
        before.networks[name].params['Dense_0']['bias'],
        after.networks[name].params['Dense_0']['bias'],
      )
      for name in ('encoder', 'generator')
    }
    is_adversarial = 'reconstruction' in weights
    assert moves == {'encoder': is_adversarial, 'generator': not is_adversarial}


def test_two_latents_are_shown_in_the_plane(key):
  method = make()
  state = aae.init(method, key)
  batch = {'image': IMAGES, 'label': jnp.array([0, 1, 2, 3])}
  preview = jax.jit(adversarial_autoencoder.preview, static_argnums=0)
  shown = preview(method, state, batch, key)
  assert set(shown) == {'samples', 'reconstructions', 'manifold', 'codes'}
  assert shown['reconstructions'].shape == (2, 4, *SHAPE)
  assert shown['codes'].shape == (1, 280, 280, 3)
  assert all(jnp.abs(x).max() <= 1.0 for x in shown.values())


def config(**changed):
  made = module(ROOT / 'configs' / 'aae_mnist.py').get_config()
  made.update_from_flattened_dict(changed)
  return made


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('reconstruction', -1.0, 'reconstruction=-1.0'),
    ('latent', 'gauss', 'normal'),
    ('loss', 'hing', 'hinge'),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    aae.from_config(config(**{field: value}), Spec((28, 28, 1)))


@pytest.mark.slow
@pytest.mark.parametrize('adversarial', [0.001, 0.0])
@pytest.mark.trains_long
def test_codes_of_digits_become_the_prior(adversarial, key):
  """The default, for fewer rounds; without the game codes are anywhere."""
  settings = config(adversarial=adversarial, num_steps=1_000)
  dataset = data.load(settings.data)
  method = aae.from_config(settings, dataset.spec)
  advance = trainer(
    *(adversarial_autoencoder, method, dataset.arrays()),
    batch_size=100,
    rounds_per_call=50,
  )
  state, _ = advance(aae.init(method, key), 1_000)
  test = {'image': data.load(settings.data, 'test').arrays()['image']}
  test['image'] = test['image'].astype(np.float32) / 127.5 - 1.0
  scores = aae.evaluate(method, state, test)
  assert float(scores['generator/held_out_mse']) < 0.03
  distance = float(scores['encoder/held_out_distance'])
  assert (distance < 0.15) == bool(adversarial), distance
