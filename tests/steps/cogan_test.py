"""CoGAN: shared layers, two domains in one image, refused settings."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import thresholds
from runs import ROOT, module

from jaxgan import cogan, errors
from jaxgan.data.dataset import Spec
from jaxgan.models import cogan as networks

cogan = compiled.Compiled(cogan)
SPEC = Spec((8, 8, 1), source_shape=(8, 8, 1))


def config(**changed):
  config = module(ROOT / 'configs' / 'cogan_mnist.py').get_config()
  config.batch_size = 8
  config.latent_size = 4
  config.generator.widths = config.discriminator.widths = (4, 4)
  config.update_from_flattened_dict(changed)
  return config


def make(**changed):
  return cogan.from_config(config(**changed), SPEC)


def test_loss_is_the_mean_of_both_domains(key):
  """Equation 2, with weights of both parts of 1 / 2."""
  method = make()
  state = cogan.init(method, key)
  network = method.discriminator
  images = jax.random.uniform(key, (4, 8, 8, 2), minval=-1.0)
  params = {'params': state.networks['discriminator'].params}
  logits = network.apply(params, images, train=True)
  assert logits.shape == (4, 2)
  x = np.asarray(logits, np.float64)
  wanted = np.mean(np.log1p(np.exp(-x[:, 0])) + np.log1p(np.exp(-x[:, 1]))) / 2
  found = jnp.mean(method.loss.as_real(logits))
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_each_logit_depends_on_its_domain(key):
  network = networks.Discriminator(1, (4, 4))
  images = jax.random.normal(key, (3, 8, 8, 2))
  params = network.init(key, images, train=True)

  def total(images, domain):
    return jnp.sum(network.apply(params, images, train=True)[:, domain])

  for domain in (0, 1):
    slope = jax.grad(total)(images, domain)
    assert float(jnp.abs(slope[..., domain]).max()) > 0
    assert float(jnp.abs(slope[..., 1 - domain]).max()) == 0


def test_domains_have_a_layer_of_their_own(key):
  network = networks.Generator((8, 8, 2), widths=(4, 4), shared=2)
  with pytest.raises(errors.UserError, match=r'generator\.shared=2 .* most 1'):
    network.init(key, jnp.zeros((1, 4)), train=True)


@pytest.mark.parametrize('shared', [0, 1])
def test_shared_layers_have_one_set_of_weights(shared, key):
  """Three doublings 8-4-2-1: a shared one has one kernel, others have two."""
  network = networks.Generator((8, 8, 2), widths=(4, 4, 4), shared=shared)
  params = network.init(key, jnp.zeros((2, 5)), train=True)['params']
  kernels = [name for name in params if name.startswith('ConvTranspose')]
  assert len(kernels) == 2 * 3 - shared


def test_rounds_train_and_show_pairs(key):
  method = make()
  state = cogan.init(method, key)
  keys = jax.random.split(key)
  batch = {
    name: jax.random.uniform(k, (8, 8, 8, 1), minval=-1.0)
    for name, k in zip(('image', 'source'), keys, strict=True)
  }
  for _ in range(2):
    state, metrics = cogan.train_step(method, state, batch, key)
  assert all(np.isfinite(value) for value in metrics.values())
  assert cogan.sample(method, state, key, 3).shape == (3, 8, 8, 1)
  shown = jax.eval_shape(
    lambda state: cogan.preview(method, state, batch, key), state
  )
  assert shown['samples'].shape == (6, 20, 8, 8, 1)
  assert shown['domains'].shape == (2, 8, 8, 8, 1)


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('data.unpaired', '', 'two domains'),
    ('conditional', True, 'conditional=False'),
    ('pack', 2, 'pack=1'),
    ('replay_size', 8, 'replay_size=0'),
    ('generator.name', 'dcgan.Generator', r"'cogan\.Generator'"),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    make(**{field: value})


@pytest.mark.slow
@pytest.mark.parametrize(
  ('shared', 'low', 'high'), [(1, 0.5, 1.0), (0, 0, 0.4)]
)
@pytest.mark.trains_long
def test_shared_layers_tie_the_domains(shared, low, high):
  """The number of the config's docstring, of small networks."""
  _, method, state, _ = thresholds.train(
    'cogan_mnist',
    500,
    **{
      'data.source': 'embedded',
      'generator.shared': shared,
      'generator.widths': (32, 32),
      'discriminator.shared': shared,
      'discriminator.widths': (16, 32),
    },
  )

  @jax.jit
  def both(state):
    z = method.latents.sample(jax.random.key(1), 500)
    return cogan.decode_both(method, cogan.use_ema_weights(method, state), z)

  assert low < thresholds.agreement(*both(state)) < high
