"""Spectral norm beside the formulas of its sources, and which calls iterate."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.adversarial import terms, tricks
from jaxgan.core import ema as ema_lib
from jaxgan.core import latents, optim
from jaxgan.models import mlp
from jaxgan.models.layers import layers, spectral_norm
from jaxgan.steps import gan as gan_lib


def unit(x):
  return x / max(np.linalg.norm(x), 1e-12)


def iterated(kernel, u, times):
  """`compute_weight` of `torch.nn.utils.spectral_norm`; W is [out, inputs]."""
  matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]).T
  for _ in range(times):
    v = unit(matrix.T @ u)
    u = unit(matrix @ v)
  return {'u': u, 'v': v}


class Layer(nn.Module):
  """One convolution or one dense layer."""

  is_conv: bool

  @nn.compact
  def __call__(self, x, *, train):
    x = layers.Conv(4, 3)(x) if self.is_conv else nn.Dense(4)(x)
    return jnp.sum(x**2)


@pytest.mark.parametrize('is_conv', [False, True])
def test_calls_that_train_equal_pytorch(is_conv, key):
  """Value, gradient and both vectors, over three calls."""
  module = spectral_norm.SpectralNorm(Layer(is_conv))
  x = jax.random.normal(key, (2, 5, 5, 3) if is_conv else (2, 3))
  variables = module.init(key, x, train=False)
  (name,) = variables['spectral']
  layer = name.partition('/')[0]
  kernel = variables['params']['module'][layer]['kernel']
  start = variables['spectral'][name]
  for times in (1, 2, 3):

    def loss(params, variables=variables):
      return module.apply(
        {**variables, 'params': params}, x, train=True, mutable=['spectral']
      )

    (value, found), grads = jax.value_and_grad(loss, has_aux=True)(
      variables['params']
    )
    expected = iterated(kernel, start['u'], times)
    chex.assert_trees_all_close(found['spectral'][name], expected, atol=1e-6)
    u, v = expected['u'], expected['v']
    matrix = np.asarray(kernel, np.float64).reshape(-1, 4)
    sigma = v @ matrix @ u
    plain = {
      'params': {layer: {'kernel': kernel / sigma, 'bias': jnp.zeros(4)}}
    }
    output, slope = jax.value_and_grad(
      lambda p: Layer(is_conv).apply(p, x, train=True)
    )(plain)
    slope = np.asarray(slope['params'][layer]['kernel'], np.float64)
    np.testing.assert_allclose(value, output, rtol=1e-5)
    # u and v are constants: dW = G / sigma - <G, W> / sigma^2 v u^T.
    slope = slope.reshape(matrix.shape)
    slope = slope / sigma - np.sum(slope * matrix) / sigma**2 * np.outer(v, u)
    actual = grads['module'][layer]['kernel'].reshape(matrix.shape)
    np.testing.assert_allclose(actual, slope, rtol=1e-4, atol=1e-4)
    variables = {**variables, **found}


def test_initial_kernels_stay_as_they_are(key):
  x = jnp.ones((2, 3))
  initial = spectral_norm.SpectralNorm(Layer(False)).init(key, x, train=False)
  kernel = initial['params']['module']['Dense_0']['kernel']
  # The initializer of Flax, and no kernel of norm one.
  np.testing.assert_allclose(kernel.std(), 3**-0.5, rtol=0.5)
  assert abs(np.linalg.svd(kernel, compute_uv=False)[0] - 1.0) > 0.01
  (vectors,) = initial['spectral'].values()
  chex.assert_trees_all_close(
    vectors, {'u': unit(vectors['v'] @ kernel), 'v': vectors['v']}, atol=1e-6
  )


def test_calls_that_do_not_train_take_the_vectors_as_they_are(key):
  module = spectral_norm.SpectralNorm(Layer(False))
  x = jax.random.normal(key, (2, 3))
  variables = module.init(key, x, train=False)
  (name,) = variables['spectral']
  kernel = 3.0 * jax.random.normal(key, (3, 4))
  params = {'module': {'Dense_0': {'kernel': kernel, 'bias': jnp.zeros(4)}}}
  variables = {**variables, 'params': params}
  vectors = variables['spectral'][name]
  sigma = vectors['v'] @ kernel @ vectors['u']
  expected = jnp.sum((x @ kernel / sigma) ** 2)
  for train in (False, True):  # Without a collection to write to.
    found = module.apply(variables, x, train=train)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
  _, kept = module.apply(variables, x, train=False, mutable=['spectral'])
  chex.assert_trees_all_equal(kept['spectral'], variables['spectral'])


def test_a_kernel_of_zeros_stays_zero(key):
  module, x = spectral_norm.SpectralNorm(Layer(False)), jnp.ones((2, 3))
  variables = module.init(key, x, train=False)
  variables |= {'params': jax.tree.map(jnp.zeros_like, variables['params'])}
  for train in (False, True):
    value, _ = module.apply(variables, x, train=train, mutable=['spectral'])
    assert value == 0.0


def game(batches, **fields):
  return gan_lib.GAN(
    spectral_norm.SpectralNorm(mlp.Generator(shape=(4, 4, 1), widths=(8,))),
    spectral_norm.SpectralNorm(mlp.Discriminator(widths=(8,))),
    latents=latents.single('normal', 4),
    tricks=tricks.build(discriminator_batches=batches),
    discriminator_terms=terms.of_weights(
      (
        'r1',
        terms.Penalty(lambda critic, x, fake, key: critic(x) ** 2),
        1.0,
        (),
      )
    ),
    ema_halflife=100.0,
    **fields,
  )


def largest_error(network):
  """Largest share by which an estimate is below the largest singular value."""
  gaps = []
  for name, vectors in network.stats['spectral'].items():
    layer, kernel = name.split('/')
    matrix = np.asarray(network.params['module'][layer][kernel])
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    gaps.append(1.0 - vectors['v'] @ matrix @ vectors['u'] / exact)
  return max(gaps)


@pytest.mark.parametrize(
  ('batches', 'steps', 'times'),
  [('separate', 1, 2), ('joint', 3, 3)],
)
def test_an_update_keeps_the_iterations_of_its_own_network(
  batches, steps, times, key
):
  """One iteration for each call; updates of others and penalties keep none."""
  still = optax.set_to_zero()
  method = game(
    batches,
    discriminator_steps=steps,
    real_reuse=True,
    discriminator_optimizer=still,
    generator_optimizer=still,
  )
  state = gan_lib.init(method, key)
  batch = {'image': jax.random.normal(key, (6, 4, 4, 1))}
  step = jax.jit(gan_lib.train_step, static_argnums=0)
  after, _ = step(method, state, batch, key)
  for player, count in (('discriminator', times), ('generator', 1)):
    network = state.networks[player]
    for name, vectors in network.stats['spectral'].items():
      kernel = network.params['module'][name.split('/')[0]]['kernel']
      expected = iterated(kernel, vectors['u'], count)
      found = after.networks[player].stats['spectral'][name]
      chex.assert_trees_all_close(found, expected, atol=1e-5)


def test_statistics_of_averaged_weights_have_the_estimate_of_sampling(key):
  """In one batch they are statistics of that batch, so both modes agree."""
  module = spectral_norm.SpectralNorm(
    mlp.Generator(shape=(4, 4, 1), widths=(8,))
  )
  z = jax.random.normal(key, (64, 4))
  stats = module.init(key, z, train=False)
  params = jax.tree.map(lambda p: p + 0.3, stats.pop('params'))
  stats = ema_lib.standing_stats(module, params, stats, (z[None],))
  variables = {'params': params, **stats}
  sampled = module.apply(variables, z, train=False)
  trained, _ = module.apply(variables, z, train=True, mutable=['batch_stats'])
  np.testing.assert_allclose(sampled, trained, atol=1e-5)


def test_estimates_stay_near_the_exact_norm(key):
  """The printed difference is that of docs/tricks.md."""
  optimizer = optim.Optimizer(learning_rate=2e-3)
  players = ('discriminator_optimizer', 'generator_optimizer')
  method = game('separate', **dict.fromkeys(players, optimizer))
  state = gan_lib.init(method, key)
  images = jax.random.normal(key, (16, 4, 4, 1))
  step = jax.jit(gan_lib.train_step, static_argnums=0)
  for _ in range(100):
    state, _ = step(method, state, {'image': images}, key)
  for name, network in state.networks.items():
    gap = largest_error(network)
    print(f'{name}: estimates at most {gap:.2%} below the norm')
    assert -1e-6 < gap < 0.05


def test_runs_of_older_formats_iterate_in_every_call(key):
  module = spectral_norm.SpectralNorm(Layer(False), always=True)
  x = jax.random.normal(key, (2, 3))
  variables = module.init(key, x, train=False)
  kernel = variables['params']['module']['Dense_0']['kernel']
  u = variables['spectral']['SpectralNorm_0']['module/Dense_0/kernel/u'][0]
  vectors = iterated(kernel, u, 1)
  sigma = vectors['v'] @ kernel @ vectors['u']
  found = module.apply(variables, x, train=False)
  np.testing.assert_allclose(
    found, ((x @ kernel / sigma) ** 2).sum(), rtol=1e-5
  )
