"""Mode-regularised GANs: both terms, and whose gradients they have."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import errors, mode_regularized
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec

compiled_steps = compiled.Compiled(mode_regularized)
SHAPE = (8, 8, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)


def config(variant='', **changed):
  path = ROOT / 'configs' / 'mode_regularized_mnist.py'
  made = module(path).get_config(variant)
  made.latent_size = 3
  for name in ('generator', 'encoder', 'discriminator'):
    made[name].widths = (4,)
  made.update_from_flattened_dict(changed)
  return made


def build(*args, **changed):
  return mode_regularized.from_config(config(*args, **changed), Spec(SHAPE, 10))


def softplus(x):
  return np.log1p(np.exp(x))


class Discriminator:
  """Its logits are sums of pixels."""

  def __call__(self, images, key):
    return Output(images.reshape(4, 64).sum(axis=1), {}, {})

  def after(self, output):
    return self


def networks():
  """Returns networks; G paints the tenth of a latent's mean, E codes 2."""

  def generator(z, key, train=True):
    return Output(jnp.ones((4, *SHAPE)) * z.mean() / 10.0, {}, {})

  return {
    'generator': generator,
    'encoder': lambda x, key: Output(jnp.full((4, 3), 2.0), {}, {}),
    'discriminator': Discriminator(),
  }


def test_losses_are_those_of_the_paper(key):
  weights = {'reconstruction': 3.0, 'mode_regularizer': 0.5}
  method = build(**weights, **{'penalties.r1': 0.0, 'adversarial': 2.0})
  inputs = (method, networks(), None, {'image': IMAGES}, key)
  images = np.asarray(IMAGES)

  _, aux = mode_regularized.joint_loss(*inputs)
  total, _ = mode_regularized.joint_loss(*inputs)
  coverage = softplus(-64 * 0.2)
  error = np.mean(((images - 0.2) / 2.0) ** 2)
  adversarial = aux.metrics['generator']['loss']
  np.testing.assert_allclose(aux.metrics['encoder']['loss'], coverage, 1e-5)
  np.testing.assert_allclose(aux.metrics['generator']['mse'], error, 1e-5)
  want = 2.0 * adversarial + 3.0 * error + 0.5 * coverage
  np.testing.assert_allclose(total, want, rtol=1e-5)

  loss, aux = mode_regularized.discriminator_loss(
    *inputs, discriminator_lib.separate
  )
  real = np.mean(softplus(-images.sum((1, 2, 3))))
  on_fake = aux.metrics['discriminator']['fake']  # one number for all fakes
  fake = -np.log(1.0 - np.asarray(on_fake))
  np.testing.assert_allclose(loss, real + fake, rtol=1e-4)


def moved(method, key):
  """Returns the largest change of each network in a round."""
  state = compiled_steps.init(method, key)
  after, metrics = compiled_steps.train_step(
    method, state, {'image': IMAGES}, key
  )
  assert all(np.isfinite(x) for x in metrics.values())
  return {
    name: max(
      float(jnp.abs(a - b).max())
      for a, b in zip(
        *map(jax.tree.leaves, (network.params, after.networks[name].params)),
        strict=True,
      )
    )
    for name, network in state.networks.items()
  }


@pytest.mark.parametrize('term', ['reconstruction', 'mode_regularizer'])
def test_each_term_alone_updates_encoder_and_generator(term, key):
  method = build('plain', **{term: 1.0, 'adversarial': 0.0})
  changes = moved(method, key)
  assert min(changes.values()) > 0.0, changes


def test_encoder_learns_nothing_without_the_terms(key):
  changes = moved(build('plain'), key)
  assert changes['encoder'] == 0.0 < changes['generator']


@pytest.mark.parametrize(
  ('field', 'message'),
  [('reconstruction', 'reconstruction=-1'), ('mode_regularizer', 'mode_reg')],
)
def test_negative_weights_are_refused(field, message):
  with pytest.raises(errors.UserError, match=message):
    build(**{field: -1.0})


def test_batch_norm_is_refused():
  with pytest.raises(errors.UserError, match="norm='layer'"):
    build(**{'generator.norm': 'batch'})


def test_points_are_refused():
  with pytest.raises(errors.UserError, match='needs images'):
    mode_regularized.from_config(config(), Spec((2,)))
