"""Adversarial variational Bayes: losses, noise of the encoder, pictures."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import avb, errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec
from jaxgan.models import autoencoder

compiled_steps = compiled.Compiled(avb)
SHAPE = (8, 8, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)


def config(variant='', **changed):
  made = module(ROOT / 'configs' / 'avb_mnist.py').get_config(variant)
  made.latent_size = 3
  for name in ('generator', 'encoder', 'discriminator'):
    made[name].widths = (4,)
  made.update_from_flattened_dict(changed)
  return made


def build(*args, **changed):
  return avb.from_config(config(*args, **changed), Spec(SHAPE, 10))


class Discriminator:
  """T is the mean of an image plus the sum of its code."""

  def __init__(self):
    self.codes = []

  def __call__(self, pair, key, train=True):
    self.codes.append(pair[:, 64:])
    return Output(pair[:, :64].mean(axis=1) + pair[:, 64:].sum(axis=1), {}, {})

  def after(self, output):
    return self


def networks(discriminator):
  """Returns networks whose codes are 0.5, and whose pixels have logit -1."""
  return {
    'generator': lambda z, key, train=True: Output(-jnp.ones((4, *SHAPE))),
    'encoder': lambda x, key, train=True: Output(jnp.full((4, 3), 0.5)),
    'discriminator': discriminator,
  }


def softplus(x):
  return np.log1p(np.exp(x))


def test_losses_are_those_of_the_paper(key):
  method, discriminator = build(adversarial=2.0), Discriminator()
  inputs = (method, networks(discriminator), None, {'image': IMAGES}, key)
  images = np.asarray(IMAGES)
  mean = images.mean((1, 2, 3))

  loss, _ = avb.discriminator_loss(*inputs, discriminator_lib.separate)
  code, z = map(np.asarray, discriminator.codes)
  np.testing.assert_array_equal(code, 0.5)
  assert 0.0 < np.std(z) < 5.0
  on_code, on_prior = mean + 1.5, mean + z.sum(axis=1)
  want = np.mean(softplus(-on_code)) + np.mean(softplus(on_prior))
  np.testing.assert_allclose(loss, want, rtol=1e-5)

  total, aux = avb.joint_loss(*inputs)
  pixels, p = (images + 1.0) / 2.0, 1.0 / (1.0 + np.exp(1.0))
  nats = -(pixels * np.log(p) + (1.0 - pixels) * np.log(1.0 - p))
  nats = nats.sum((1, 2, 3)).mean()
  np.testing.assert_allclose(total, 2.0 * on_code.mean() + nats, rtol=1e-5)
  np.testing.assert_allclose(aux.metrics['encoder']['kl'], on_code.mean(), 1e-5)


def test_encoder_has_noise_that_follows_examples():
  encoder = autoencoder.DenseEncoder(code_size=2, widths=(8,), noise_size=4)
  x = jnp.ones((3, 5))
  keys = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}
  params = encoder.init(keys, x, train=True)

  def run(x, seed):
    rngs = {'dropout': jax.random.key(seed)}
    return encoder.apply(params, x, train=True, rngs=rngs)

  code = run(x, 0)
  assert float(jnp.std(code, axis=0).min()) > 0.0  # Rows differ,
  assert not np.allclose(code, run(x, 1))  # and so do keys.
  np.testing.assert_allclose(code[:2], run(x[:2], 0), rtol=1e-5)


def test_round_updates_all_networks(key):
  method, batch = build(), {'image': IMAGES}
  state = compiled_steps.init(method, key)
  after, metrics = compiled_steps.train_step(method, state, batch, key)
  assert all(np.isfinite(x) for x in metrics.values())
  for name, network in state.networks.items():
    pairs = zip(
      *map(jax.tree.leaves, (network.params, after.networks[name].params)),
      strict=True,
    )
    assert max(float(jnp.abs(a - b).max()) for a, b in pairs) > 0.0, name
  scores = compiled_steps.evaluate(method, after, batch)
  np.testing.assert_allclose(
    scores['avb/held_out_loss'],
    scores['avb/held_out_kl'] + scores['avb/held_out_reconstruction'],
    rtol=1e-5,
  )
  pictures = jax.jit(avb.preview, static_argnums=0)(method, after, batch, key)
  assert pictures['samples'].shape == (100, *SHAPE)
  assert jnp.abs(pictures['samples']).max() <= 1.0


def test_encoders_without_noise_are_refused():
  with pytest.raises(errors.UserError, match='noise_size=32'):
    build(**{'encoder.noise_size': 0})


def test_other_losses_are_refused():
  with pytest.raises(errors.UserError, match='non_saturating'):
    build(loss='hinge')


def test_points_are_refused():
  with pytest.raises(errors.UserError, match='needs images'):
    avb.from_config(config(), Spec((2,)))
