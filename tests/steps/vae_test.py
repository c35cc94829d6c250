"""VAEs: bounds against closed forms, and what is drawn from them."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from runs import ROOT, module

from jaxgan import data, errors, vae
from jaxgan.core import latents as latents_lib
from jaxgan.core.pixels import to_pixels
from jaxgan.metrics.likelihood import Bernoulli, Gaussian
from jaxgan.models import autoencoder as networks
from jaxgan.training import summary
from jaxgan.visual import grid

# Minutes of compilation: `./launch/test.sh -m slow` runs these.
pytestmark = pytest.mark.slow

PATH = ROOT / 'configs' / 'vae_mnist.py'
SHAPE = (7, 5, 3)  # odd, not square, in colour
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)
STILL = {
  'encoder_optimizer': optax.sgd(0.0),
  'decoder_optimizer': optax.sgd(0.0),
}


def get_config(variant=''):
  return module(PATH).get_config(variant)


def dense(size):
  return {
    'encoder': networks.DenseEncoder(2 * size, (8,)),
    'decoder': networks.DenseDecoder(SHAPE, (8,)),
  }


def convolutional(size):
  return {
    'encoder': networks.ConvEncoder((4, 4), 2 * size, pooled=False),
    'decoder': networks.ConvDecoder(SHAPE, (4, 4)),
  }


def make(parts=dense, size=3, **fields):
  fields = {'shape': SHAPE, 'latent_size': size} | fields
  return vae.VAE(**parts(size), **fields)


def jit(function, method):
  return jax.jit(functools.partial(function, method))


def run(method, rounds, key):
  state = jit(vae.init, method)(key)
  step = jit(vae.train_step, method)
  for _ in range(rounds):
    state, metrics = step(state, {'image': IMAGES}, key)
  return state, metrics


@pytest.mark.parametrize(
  'fields',
  [
    {},
    {'parts': convolutional, 'importance_samples': 2},
    {'likelihood': Gaussian(0.3), 'beta': 4.0},
    {'binarised': True},
  ],
)
def test_every_kind_trains_and_is_shown(fields, key):
  method = make(held_out_samples=2, **fields)
  state, metrics = run(method, 3, key)
  scores = jit(vae.evaluate, method)(state, {'image': IMAGES})
  chex.assert_tree_all_finite((state, metrics, scores))
  assert all(v.shape == () for v in (*metrics.values(), *scores.values()))
  shown = jit(vae.preview, method)(state, {'image': IMAGES[:3]}, key)
  assert shown['samples'].shape == (100, *SHAPE)
  assert shown['reconstructions'].shape == (3, 3, *SHAPE)
  assert all(jnp.abs(images).max() <= 1.0 for images in shown.values())


def test_training_lowers_the_loss(key):
  method = make(
    encoder_optimizer=optax.adam(0.01), decoder_optimizer=optax.adam(0.01)
  )
  _, first = run(method, 1, key)
  _, last = run(method, 100, key)
  assert last['vae/loss'] < first['vae/loss'] - 2.0


def test_the_tutorial_has_its_networks():
  """784-400-20, two of them, and 20-400-784."""
  method = vae.from_config(get_config('tutorial'), data.Spec((28, 28, 1)))
  counts = {
    name: summary.parameter_counts(module, *inputs)[1]
    for name, (module, inputs) in vae.modules(method).items()
  }
  assert counts == {
    'encoder': 785 * 400 + 401 * 40,
    'decoder': 21 * 400 + 401 * 784,
  }
  assert sum(counts.values()) == 652_824


def test_divergence_is_that_of_many_draws(key):
  mean = jnp.array([[0.5, -1.0, 0.0]])
  log_variance = jnp.array([[-1.0, 0.5, 0.0]])
  deviation = jnp.exp(0.5 * log_variance)
  z = mean + deviation * jax.random.normal(key, (200_000, 3))
  normal = jax.scipy.stats.norm.logpdf
  ratio = normal(z, mean, deviation) - normal(z)
  np.testing.assert_allclose(
    vae.divergence(mean, log_variance)[0], ratio.sum(-1).mean(), rtol=0.01
  )
  zero = jnp.zeros((1, 3))
  np.testing.assert_allclose(vae.divergence(zero, zero), 0.0)


def test_densities_are_those_of_the_library(key):
  pixels = jax.random.uniform(key, (4, *SHAPE))
  outputs = jax.random.normal(key, (4, *SHAPE))
  found = Gaussian(0.3).log_density(outputs, pixels)
  want = jax.scipy.stats.norm.logpdf(pixels, outputs, 0.3).sum((1, 2, 3))
  np.testing.assert_allclose(found, want, rtol=1e-5)
  black_or_white = jnp.round(pixels)
  found = Bernoulli().log_density(outputs, black_or_white)
  want = jax.scipy.stats.bernoulli.logpmf(
    black_or_white, jax.nn.sigmoid(outputs)
  ).sum((1, 2, 3))
  np.testing.assert_allclose(found, want, rtol=1e-4)


DEVIATION = 0.5


def linear(key, exact: bool):
  """A linear Gaussian model, where log p(x) and the posterior are known.

  x = W z + b + noise with W of orthogonal columns, so that the posterior has a
  diagonal covariance, and the encoder can be exact.
  """
  shape, size = (3, 2, 1), 2
  pixels = jax.random.uniform(key, (5, *shape))
  columns = jnp.linalg.qr(jax.random.normal(key, (6, size)))[0]
  w = columns * jnp.array([[1.0, 0.6]])  # [6, 2]
  b = jnp.full(6, 0.4)
  precision = 1.0 + jnp.sum(w**2, axis=0) / DEVIATION**2  # [2]
  to_mean = w / (DEVIATION**2 * precision[None])  # [6, 2]
  shift, log_variance = -b @ to_mean, -jnp.log(precision)
  if not exact:
    shift, log_variance = shift + 0.5, log_variance + 0.7
  encoder = {
    'kernel': jnp.concatenate([to_mean, jnp.zeros((6, size))], axis=1),
    'bias': jnp.concatenate([shift, log_variance]),
  }
  decoder = {'kernel': w.T, 'bias': b}
  method = vae.VAE(
    networks.DenseEncoder(2 * size),
    networks.DenseDecoder(shape),
    shape=shape,
    latent_size=size,
    likelihood=Gaussian(DEVIATION),
  )
  code = method.encoder.apply(
    {'params': {'Dense_0': encoder}}, pixels, train=False
  )

  def decode(z):
    return method.decoder.apply(
      {'params': {'Dense_0': decoder}}, z, train=False
    )

  covariance = w @ w.T + DEVIATION**2 * jnp.eye(6)
  log_density = scipy.stats.multivariate_normal(b, covariance).logpdf(
    pixels.reshape(5, 6)
  )
  return method, code, decode, pixels, log_density


def test_weights_of_the_exact_posterior_are_the_density(key):
  """Then the weight is p(x) whatever z is, and all bounds are tight."""
  method, code, decode, pixels, log_density = linear(key, exact=True)
  draw = jax.random.normal(key, (5, 4, 2))
  weights = vae.terms(method, code, decode, pixels, draw)[3]
  want = np.broadcast_to(log_density[:, None], (5, 4))
  np.testing.assert_allclose(weights, want, atol=1e-4)
  np.testing.assert_allclose(latents_lib.bound(weights), log_density, atol=1e-4)
  draw = jax.random.normal(key, (5, 20_000, 2))
  _, kl, likelihood, _ = vae.terms(method, code, decode, pixels, draw)
  np.testing.assert_allclose(likelihood.mean(1) - kl, log_density, atol=0.05)


def test_bounds_grow_with_k_towards_the_density(key):
  method, code, decode, pixels, log_density = linear(key, exact=False)
  draw = jax.random.normal(key, (5, 64_000, 2))
  _, kl, likelihood, weights = vae.terms(method, code, decode, pixels, draw)
  elbo = likelihood.mean(axis=1) - kl
  bounds = []
  for k in (1, 2, 8, 64):
    grouped = weights.reshape(-1, k)
    bounds.append(latents_lib.bound(grouped).reshape(5, -1).mean(axis=1))
  np.testing.assert_allclose(bounds[0], elbo, atol=0.05)
  for less, more in itertools.pairwise(bounds):
    assert (more > less).all()
  assert (log_density > bounds[-1] - 0.01).all()
  np.testing.assert_allclose(bounds[-1], log_density, atol=0.05)
  assert (log_density - elbo).min() > 0.2


def test_one_importance_sample_is_the_elbo_with_sampled_divergence(key):
  method = make(importance_samples=1)
  state = vae.init(method, key)
  _, metrics = run(method, 1, key)
  folded = jax.random.fold_in(key, 0)
  draw = vae.noise.normal(jax.random.split(folded, 3)[0], 8, (1, 3))
  code = vae.averaged(method, state, 'encoder', to_pixels(IMAGES))
  mean, log_variance = jnp.split(code, 2, axis=-1)
  deviation = jnp.exp(0.5 * log_variance)
  z = mean + deviation * draw[:, 0]
  outputs = vae.averaged(method, state, 'decoder', z)
  likelihood = method.likelihood.log_density(outputs, to_pixels(IMAGES))
  normal = jax.scipy.stats.norm.logpdf
  sampled = (normal(z, mean, deviation) - normal(z)).sum(-1)
  want = -jnp.mean(likelihood - sampled)
  np.testing.assert_allclose(metrics['vae/loss'], want, rtol=1e-5)


def test_binarised_pixels_are_drawn_anew_by_their_grey_value(key):
  method = make(binarised=True)
  images = jnp.broadcast_to(IMAGES[:1], (4_000, *SHAPE))
  drawn = vae.observe(method, images, key)
  assert set(np.unique(drawn)) == {0.0, 1.0}
  grey = to_pixels(IMAGES[0])
  np.testing.assert_allclose(drawn.mean(axis=0), grey, atol=0.05)
  again = vae.observe(method, images, jax.random.fold_in(key, 1))
  assert float((again != drawn).mean()) > 0.1
  np.testing.assert_array_equal(vae.observe(method, images[:3], key), drawn[:3])
  np.testing.assert_array_equal(vae.observe(make(), images[:1], key)[0], grey)


def test_training_sees_binarised_pixels(key):
  """A still network: only the draw of pixels differs from round to round."""
  first, second = (run(make(**STILL, binarised=b), 1, key) for b in (0, 1))
  assert first[1]['vae/kl'] != second[1]['vae/kl']
  scores = jit(vae.evaluate, make(binarised=True))
  one, two = (scores(first[0], {'image': IMAGES}) for _ in range(2))
  chex.assert_trees_all_equal(one, two)


@pytest.mark.parametrize('name', networks.ACTIVATIONS)
def test_hidden_units_have_the_activation_asked_for(name, key):
  for net in (
    networks.DenseEncoder(2, (4,), activation=name),
    networks.DenseDecoder((2,), (4,), activation=name),
  ):
    x = jax.random.normal(key, (3, 5))
    params = net.init(key, x, train=False)['params']
    hidden = networks.ACTIVATIONS[name](x @ params['Dense_0']['kernel'])
    want = hidden @ params['Dense_1']['kernel']
    found = net.apply({'params': params}, x, train=False)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_beta_weighs_the_divergence(key):
  for beta in (0.0, 4.0):
    method = make(beta=beta, **STILL)
    _, metrics = run(method, 1, key)
    want = metrics['vae/reconstruction'] + beta * metrics['vae/kl']
    np.testing.assert_allclose(metrics['vae/loss'], want, rtol=1e-6)


def test_a_large_beta_leaves_no_active_latents(key):
  """The posterior becomes the prior, and no code says anything."""
  adam = optax.adam(0.01)
  method = make(beta=1e3, encoder_optimizer=adam, decoder_optimizer=adam)
  state, metrics = run(method, 400, key)
  scores = jit(vae.evaluate, method)(state, {'image': IMAGES})
  assert scores['vae/active_latents'] == 0.0
  assert metrics['vae/kl'] < 0.01


def test_held_out_bounds_are_in_order(key):
  method = make(held_out_samples=64)
  state, _ = run(method, 30, key)
  scores = jit(vae.evaluate, method)(state, {'image': IMAGES})
  assert scores['vae/held_out_bound_k64'] <= scores['vae/held_out_loss'] + 0.01
  np.testing.assert_allclose(
    scores['vae/held_out_loss'],
    scores['vae/held_out_reconstruction'] + scores['vae/held_out_kl'],
    rtol=1e-6,
  )
  none = jit(vae.evaluate, make())(state, {'image': IMAGES})
  assert not any('bound' in name for name in none)


def test_samples_are_decoded_latents_of_averaged_weights(key):
  method = make(ema_halflife=100.0)
  state, _ = run(method, 5, key)
  assert str(method.latents) == 'normal 3'
  z = method.latents.sample(key, 6)
  np.testing.assert_allclose(
    vae.decode(method, state, z), vae.sample(method, state, key, 6), atol=1e-6
  )
  few = vae.sample(method, state, key, 2)
  many = vae.sample(method, state, key, 6)
  np.testing.assert_allclose(few, many[:2], atol=1e-6)
  other = vae.init(method, jax.random.fold_in(key, 1))
  np.testing.assert_allclose(
    vae.sample(method, state.replace(ema=other.ema), key, 6),
    vae.sample(method, other, key, 6),
    atol=1e-6,
  )


def test_the_manifold_lies_as_its_latents(key):
  method = make(size=2)
  state = jit(vae.init, method)(key)
  shown = jit(vae.preview, method)(state, {'image': IMAGES}, key)['manifold']
  assert shown.shape == (20, 20, *SHAPE)
  edge = jax.scipy.special.ndtri(0.975)
  corners = jnp.array([[-edge, edge], [edge, edge], [-edge, -edge]])
  want = vae.decode(method, state, corners)
  found = jnp.stack([shown[0, 0], shown[0, -1], shown[-1, 0]])
  np.testing.assert_allclose(found, want, atol=1e-5)
  assert grid.draw(shown, 'manifold').ndim == 3


def test_only_two_latents_have_a_manifold(key):
  method = make()
  shown = jit(vae.preview, method)(
    vae.init(method, key), {'image': IMAGES}, key
  )
  assert list(shown) == ['samples', 'reconstructions']


@pytest.mark.parametrize(
  ('changed', 'match'),
  [
    (
      {'binarised': True, 'likelihood': 'gaussian'},
      r"likelihood='gaussian'.*binarised=False",
    ),
    ({'encoder.activation': 'sine'}, "activation.*'sine'.*relu, tanh"),
    ({'likelihood': 'poisson'}, 'bernoulli, gaussian'),
    ({'decoder_deviation': 0.0}, 'decoder_deviation=0.0'),
    ({'beta': -1.0}, 'beta=-1.0'),
    ({'importance_samples': -1}, 'importance_samples=-1'),
    ({'held_out_samples': -1}, 'held_out_samples=-1'),
    (
      {'importance_samples': 5, 'beta': 4.0},
      r'beta=4\.0.*importance_samples=0',
    ),
  ],
)
def test_what_does_not_fit_is_one_line(changed, match):
  config = get_config()
  config.update_from_flattened_dict(changed)
  with pytest.raises(errors.UserError, match=match) as caught:
    vae.init(vae.from_config(config, data.Spec((28, 28, 1))), jax.random.key(0))
  assert '\n' not in str(caught.value)
