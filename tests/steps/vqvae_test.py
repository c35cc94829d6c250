"""VQ-VAE: the loss of the paper, straight-through gradients, the prior."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import thresholds
from runs import ROOT, module

from jaxgan import errors, vqvae
from jaxgan.core.networks import BoundNetwork, Output
from jaxgan.data.dataset import Spec
from jaxgan.models import vq

vqvae = compiled.Compiled(vqvae)
SPEC = Spec((8, 8, 1))


def config(**changed):
  config = module(ROOT / 'configs' / 'vqvae_mnist.py').get_config()
  config.batch_size = 4
  config.codes, config.code_channels = 5, 3
  config.encoder.widths = config.decoder.widths = (4, 4)
  config.prior.update(width=8, blocks=1, heads=2)
  config.update_from_flattened_dict(changed)
  return config


def test_codebook_finds_the_nearest_code():
  table = jnp.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 2.0]])
  book = vq.Codebook(3, 2)
  features = jnp.array([[[[0.9, 0.6], [-0.4, 0.9]]]])
  code, index = book.apply({'params': {'table': table}}, features, train=False)
  # Squared distances of the second: 0.97, 1.97, 1.57.
  assert index.tolist() == [[[1, 0]]]
  np.testing.assert_allclose(code[0, 0], table[jnp.array([1, 0])])


class Identity:
  """Networks of features that are pixels, to compute the loss by hand."""

  @staticmethod
  def networks(table):
    keep = Output
    book = BoundNetwork(vq.Codebook(*table.shape), {'table': table}, {})
    uniform = lambda i: jnp.zeros((*i.shape, len(table)))
    return {
      'encoder': keep,
      'decoder': keep,
      'codebook': book,
      'prior': lambda i: keep(uniform(i)),
    }


def test_loss_and_gradients_are_equation_3():
  """Features 0.9 and -0.2 have the codes 1 and 0; images equal features."""
  method = vqvae.from_config(
    config(codes=2, code_channels=1, commitment=0.25), SPEC
  )
  x = jnp.array([[[[0.9], [-0.2]]]])

  def value(table, x):
    return vqvae.loss(method, Identity.networks(table), None, x)

  table = jnp.array([[0.0], [1.0]])
  total, aux = value(table, x)
  square = (0.1**2 + 0.2**2) / 2
  metrics = aux.metrics['vqvae']
  assert float(metrics['loss']) == pytest.approx(2.25 * square, rel=1e-5)
  assert float(metrics['prior']) == pytest.approx(np.log(2), rel=1e-5)
  assert float(metrics['perplexity']) == pytest.approx(2.0, rel=1e-5)
  assert float(total) == pytest.approx(2.25 * square + np.log(2), rel=1e-5)
  slope = jax.grad(lambda *a: value(*a)[0])(table, x)
  # Codes move to their features: the decoder's gradient passes them by.
  np.testing.assert_allclose(slope, [[0.2], [0.1]], rtol=1e-5)


def test_reconstruction_gradient_passes_straight_through():
  """D |x - e|^2 / dz = -2 (x - e), as if the decoder had seen z."""
  table = jnp.array([[0.0], [1.0]])
  method = vqvae.from_config(
    config(codes=2, code_channels=1, commitment=0.0), SPEC
  )
  networks = Identity.networks(table)

  def value(z):
    moved = networks | {'encoder': lambda x: Output(z)}
    return vqvae.loss(method, moved, None, jnp.full_like(z, 0.5))[0]

  slope = jax.grad(value)(jnp.array([[[[0.9], [-0.2]]]]))
  wanted = -2.0 * (0.5 - np.array([1.0, 0.0])) / 2
  np.testing.assert_allclose(slope.ravel(), wanted, rtol=1e-5)


def test_prior_sees_only_codes_before(key):
  prior = vq.Prior(5, width=8, blocks=2, heads=2)
  index = jnp.array([[0, 1, 2, 3, 4, 0]])
  params = prior.init(key, index, train=True)
  before = prior.apply(params, index, train=True)
  after = prior.apply(params, index.at[0, 3].set(1), train=True)
  changed = jnp.abs(after - before).max(axis=-1)[0] > 1e-6
  assert changed.tolist() == [False] * 4 + [True] * 2


def test_latents_are_quantiles_of_the_prior(key):
  """With a prior of known probabilities, codes have these shares."""
  method = vqvae.from_config(config(), SPEC)
  state = vqvae.init(method, key)
  prior = jax.tree.map(jnp.zeros_like, state.ema['prior'])
  share = jnp.array([0.5, 0.25, 0.125, 0.0625, 0.0625])
  last = max(name for name in prior if name.startswith('Dense'))
  prior[last]['bias'] = jnp.log(share)
  state = state.replace(ema=state.ema | {'prior': prior})
  z = jnp.linspace(-1.0, 1.0, 64, endpoint=False)[:, None]
  z = jnp.broadcast_to(z, (64, method.latents.size))
  index = vqvae.draw(method, state, z)
  counts = np.bincount(np.asarray(index).ravel(), minlength=5)
  np.testing.assert_allclose(counts / counts.sum(), share, atol=1e-6)


def test_rounds_train_and_show(key):
  method = vqvae.from_config(config(), SPEC)
  state = vqvae.init(method, key)
  batch = {'image': jax.random.uniform(key, (4, 8, 8, 1), minval=-1.0)}
  first = None
  for _ in range(30):
    state, metrics = vqvae.train_step(method, state, batch, key)
    first = first or float(metrics['vqvae/loss'])
  assert float(metrics['vqvae/loss']) < first
  scores = vqvae.evaluate(method, state, batch)
  assert 1.0 <= float(scores['vqvae/held_out_perplexity']) <= 5.0
  assert 0.0 < float(scores['vqvae/held_out_used']) <= 1.0
  shown = jax.eval_shape(
    lambda state: vqvae.preview(method, state, batch, key), state
  )
  assert shown['samples'].shape == (100, 8, 8, 1)
  assert shown['reconstructions'].shape == (2, 4, 8, 8, 1)


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('codes', 1, 'codes=1'),
    ('commitment', -1.0, 'commitment'),
    ('encoder.name', 'vq.Encode', r'vq\.Encoder'),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    vqvae.from_config(config(**{field: value}), SPEC)


def test_heads_that_do_not_divide_the_width_are_refused(key):
  prior = vq.Prior(5, width=8, heads=3)
  with pytest.raises(errors.UserError, match=r'prior\.heads=3 does not divide'):
    prior.init(key, jnp.zeros((1, 4), int), train=True)


@pytest.mark.slow
@pytest.mark.trains_long
def test_digits_are_reconstructed_and_the_prior_learns():
  """The numbers of the config's docstring, after 400 rounds.

  A collapsed codebook has a perplexity of 1, and images of the mean digit an
  error above 0.2. A prior that knew the shares of the codes alone would have
  the logarithm of the perplexity.
  """
  _, method, state, held_out = thresholds.train(
    'vqvae_mnist', 400, **{'data.source': 'embedded'}
  )
  image = jnp.asarray(held_out['image']) / 127.5 - 1.0
  scores = vqvae.evaluate(method, state, {'image': image})
  found = {k.partition('/held_out_')[2]: float(v) for k, v in scores.items()}
  assert found['mse'] < 0.1
  assert found['perplexity'] > 6.0
  assert found['prior'] < 0.9 * np.log(found['perplexity'])
