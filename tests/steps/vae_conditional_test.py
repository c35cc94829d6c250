"""Conditional and denoising VAEs: what each network sees, and the bound."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import data, errors, trainer, vae
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec
from jaxgan.models import autoencoder

compiled_vae = compiled.Compiled(vae)
SHAPE = (3, 2, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)
LABELS = jnp.array([0, 1, 2, 2])


def make(**fields):
  return vae.VAE(
    autoencoder.DenseEncoder(4, (8,), num_classes=3),
    autoencoder.DenseDecoder(SHAPE, (8,), num_classes=3),
    shape=SHAPE,
    latent_size=2,
    num_classes=3,
    **fields,
  )


def test_bound_of_noisy_inputs_is_that_of_clean_pixels(key):
  """The mean is the mean input, the variance is 1, and all logits are 2."""
  seen, given = [], []

  def encoder(x, *labels, key):
    seen.append((x, *labels))
    mean = jnp.mean(x, axis=(1, 2, 3))[:, None]
    return Output(jnp.concatenate([mean, jnp.zeros((4, 1))], axis=1), {}, {})

  def decoder(z, *labels, key):
    given.append(labels)
    return Output(jnp.full((len(z), *SHAPE), 2.0), {}, {})

  method = make(importance_samples=0)
  networks = {'encoder': encoder, 'decoder': decoder}
  clean, noisy = (IMAGES + 1.0) / 2.0, jnp.full((4, *SHAPE), 0.75)
  method = vae.VAE(None, None, SHAPE, 1)
  keys = jax.random.split(key, 3)
  loss, _ = vae.loss(method, networks, None, clean, noisy, (LABELS,), keys)
  pixels = np.asarray(clean).reshape(4, 6)
  reconstruction = (np.log1p(np.exp(2.0)) - 2.0 * pixels).sum(axis=1).mean()
  np.testing.assert_allclose(loss, reconstruction + 0.5 * 0.75**2, rtol=1e-5)
  np.testing.assert_array_equal(seen[0][0], noisy)
  np.testing.assert_array_equal(seen[0][1], LABELS)
  np.testing.assert_array_equal(given[0][0], LABELS)


def test_the_encoder_sees_noise_in_training_and_in_scores(key):
  batch = {'image': IMAGES, 'label': LABELS}
  losses, scores = [], []
  for corruption in (0.0, 0.5):
    method = make(corruption=corruption)
    state = compiled_vae.init(method, key)
    _, metrics = compiled_vae.train_step(method, state, batch, key)
    losses.append(float(metrics['vae/loss']))
    held_out = compiled_vae.evaluate(method, state, batch)
    scores.append(float(held_out['vae/held_out_loss']))
  assert losses[0] != losses[1]
  assert scores[0] != scores[1]


def test_labels_change_images_and_take_turns(key):
  method = make()
  state = compiled_vae.init(method, key)
  z = jnp.zeros((3, 2))
  images = vae.decode(method, state, z)
  assert float(jnp.abs(images[0] - images[1]).max()) > 1e-3
  np.testing.assert_allclose(
    images, vae.decode(method, state, z, jnp.arange(3)), atol=1e-6
  )
  function, weights, inputs = vae.export_functions(method, state)['generator']
  assert list(inputs) == ['latent', 'label']
  np.testing.assert_allclose(function(weights, z, jnp.arange(3)), images)


def test_several_draws_have_the_label_of_their_image(key):
  """A decoder that repeats labels in another order would mix them."""
  code, draw = jnp.zeros((4, 2)), jnp.zeros((4, 3, 1))
  seen = []

  def run(z, label):
    seen.append(label)
    return jnp.zeros((len(z), *SHAPE))

  pixels = (IMAGES + 1.0) / 2.0
  vae.terms(vae.VAE(None, None, SHAPE, 1), code, run, pixels, draw, (LABELS,))
  np.testing.assert_array_equal(seen[0], np.repeat(LABELS, 3))


@pytest.mark.parametrize(
  ('variant', 'changed', 'spec', 'message'),
  [
    ('conditional', {}, Spec((28, 28, 1)), 'conditional=True needs labels'),
    (
      'convolutional',
      {'conditional': True},
      Spec((28, 28, 1), 10),
      "encoder.name='autoencoder.ConvEncoder' takes no labels",
    ),
    ('', {'corruption': -1.0}, Spec((28, 28, 1)), 'corruption=-1.0'),
  ],
)
def test_settings_that_do_not_fit_are_refused(variant, changed, spec, message):
  config = module(ROOT / 'configs' / 'vae_mnist.py').get_config(variant)
  config.update(changed)
  with pytest.raises(errors.UserError, match=message):
    vae.from_config(config, spec)


@pytest.mark.slow
@pytest.mark.trains_long
def test_labels_of_digits_lower_the_divergence(key):
  """The code need not say the class: about log 10 = 2.3 nats less."""
  kl = []
  for variant in ('', 'conditional'):
    config = module(ROOT / 'configs' / 'vae_mnist.py').get_config(variant)
    config.held_out_samples = 0
    dataset = data.load(config.data)
    method = vae.from_config(config, dataset.spec)
    advance = trainer(
      *(vae, method, dataset.arrays()), batch_size=128, rounds_per_call=50
    )
    state, _ = advance(compiled_vae.init(method, key), 1_000)
    test = dict(data.load(config.data, 'test').arrays())
    test['image'] = test['image'].astype(np.float32) / 127.5 - 1.0
    scores = compiled_vae.evaluate(method, state, test)
    kl.append(float(scores['vae/held_out_kl']))
  assert kl[0] - kl[1] > 1.0
