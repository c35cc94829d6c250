"""R3GAN2: counts, variances, noise, sizes and errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import errors
from jaxgan import steps as steps_lib
from jaxgan.config import networks
from jaxgan.core import unit_weights
from jaxgan.data import Spec
from jaxgan.models import r3gan2
from jaxgan.models.layers import unit_layers
from jaxgan.training import summary

NARROW = dict(width=8, blocks=(1, 2), group_width=4)
CONFIG = module(ROOT / 'configs' / 'r3gan2_cifar10.py')


@pytest.mark.parametrize(
  ('player', 'size', 'count'),
  [
    ('generator', (64,), 17_335_425),
    ('discriminator', (32, 32, 3), 17_720_832),
  ],
)
def test_paper_variant_has_the_authors_parameters(player, size, count):
  """With labels; arithmetic of the authors' code, not a published number."""
  network, _ = networks.build_network(
    CONFIG.get_config('paper'),
    player,
    1.0,
    shape=(32, 32, 3),
    num_classes=10,
  )
  inputs = (jnp.zeros((1, *size)), jnp.zeros(1, int))
  assert summary.parameter_counts(network, *inputs)[1] == count


def test_activate_keeps_the_variance_of_normal_numbers(key):
  x = jax.random.normal(key, (200_000,))
  assert np.std(unit_layers.activate(x)) == pytest.approx(1.0, abs=0.01)


def test_product_has_a_constant_and_noise_as_inputs(key):
  x, draw = (
    jax.random.normal(jax.random.fold_in(key, k), (7, 5, size))
    for k, size in enumerate((6, 1))
  )
  gain = jnp.arange(1.0, 7.0)
  layer = unit_layers.Product(9, has_bias=True, has_noise=True)
  found, variables = layer.init_with_output(key, x, gain, draw)
  w = unit_weights.unit(variables['params'][unit_weights.CENTRED])
  inputs = [x * gain.reshape(1, 1, 6), jnp.ones((7, 5, 1)), draw]
  expected = jnp.concatenate(inputs, axis=-1) @ w / np.sqrt(8)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fresh_products_keep_the_variance(key):
  x = jax.random.normal(key, (1000, 64))
  for is_centred in (True, False):
    y, _ = unit_layers.Product(64, is_centred).init_with_output(key, x)
    assert np.std(y) == pytest.approx(1.0, abs=0.02)


def test_fresh_blocks_return_their_input(key):
  x = jax.random.normal(key, (2, 4, 4, 8))
  (y, gain), _ = unit_layers.Block(2, 4, 3, False).init_with_output(
    key, x, jnp.ones(8), None
  )
  np.testing.assert_array_equal(x, y)
  np.testing.assert_array_equal(gain, np.zeros(8))


@pytest.mark.slow
def test_gains_of_residual_sums_keep_the_variance(key):
  """Gains are tanh(a); the next input is divided by sqrt(1 + sum gain^2)."""
  a = (0.3, -0.7)
  network = r3gan2.Generator((8, 8, 1), width=8, blocks=(2,), group_width=4)
  params = network.init(key, jnp.ones((1, 6)), train=False)['params']
  blocks = [n for n in params if n.startswith('Block')]
  seen = []

  def record(call, args, kwargs, context):
    if context.module.name == 'image' or (
      context.module.name in blocks and context.method_name == '__call__'
    ):
      seen.append(args[1])
    return call(*args, **kwargs)

  for name, value in zip(sorted(blocks), a, strict=True):
    params[name]['gain'] = jnp.full(8, value)
  with jax.disable_jit(), r3gan2.nn.intercept_methods(record):
    network.apply({'params': params}, jnp.ones((1, 6)), train=False)
  gains = np.tanh(a)
  sums = 1 + np.array([0.0, gains[0] ** 2, gains[0] ** 2 + gains[1] ** 2])
  for gain, total in zip(seen, sums, strict=True):
    np.testing.assert_allclose(gain, np.full(8, total**-0.5), rtol=1e-5)


@pytest.mark.parametrize('equation', ['bgi,hwigo->bhwgo', 'bhwgi,hwigo->bgo'])
def test_grouped_mixes_channels_of_one_group(equation, key):
  shape = (2, 8) if equation.startswith('bgi') else (2, 3, 3, 8)
  x = jax.random.normal(key, shape)
  w = jax.random.normal(jax.random.fold_in(key, 1), (3, 3, 4, 8))
  found = unit_layers.grouped(x, w, equation, 4)
  parts = []
  for k in (0, 1):
    own = x[..., 4 * k : 4 * k + 4]
    rule = {2: 'bi,hwio->bhwo', 4: 'bhwi,hwio->bo'}[x.ndim]
    parts.append(np.einsum(rule, own, w[..., 4 * k : 4 * k + 4]))
  np.testing.assert_allclose(found, np.concatenate(parts, -1), atol=1e-5)


def test_noise_belongs_to_key_and_example(key):
  network = r3gan2.Generator((8, 8, 1), **NARROW)
  z = jax.random.normal(key, (4, 6))
  params = network.init(key, z, train=False)['params']
  # Fresh blocks add nothing; noise is seen through gains.
  for name in params:
    if name.startswith('Block'):
      params[name]['gain'] += 1.0
  call = lambda z, seed: network.apply(
    {'params': params}, z, train=True, rngs={'dropout': jax.random.key(seed)}
  )
  first = call(z, 0)
  np.testing.assert_array_equal(first, call(z, 0))
  assert np.abs(first - call(z, 1)).max() > 1e-3
  np.testing.assert_allclose(first[:2], call(z[:2], 0), atol=1e-5)


@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 1)])
def test_networks_take_any_size(shape, key):
  generator = r3gan2.Generator(shape, **NARROW)
  images = jax.eval_shape(
    lambda: generator.init_with_output(key, jnp.ones((2, 6)), train=False)[0]
  )
  assert images.shape == (2, *shape)
  discriminator = r3gan2.Discriminator(**NARROW)
  logits = jax.eval_shape(
    lambda: discriminator.init_with_output(
      key, jnp.zeros((2, *shape)), train=False
    )[0]
  )
  assert logits.shape == (2,)


@pytest.mark.parametrize('conditioning', ['projection', 'class_logit'])
def test_labels_are_equal_at_first(conditioning, key):
  """All embeddings start equal, so a fresh logit ignores the label."""
  network = r3gan2.Discriminator(
    **NARROW, embedding=6, num_classes=3, conditioning=conditioning
  )
  x, label = jax.random.normal(key, (3, 8, 8, 1)), jnp.arange(3)
  logits, variables = network.init_with_output(key, x, label, train=False)
  others = network.apply(variables, x, label[::-1], train=False)
  assert np.allclose(logits, others, atol=1e-5) == (
    conditioning == 'projection'
  )


def test_groups_that_do_not_divide_the_channels_are_refused(key):
  network = r3gan2.Discriminator(**(NARROW | {'group_width': 5}))
  with pytest.raises(
    errors.UserError, match=r'discriminator\.group_width=5 does not divide'
  ):
    jax.eval_shape(
      lambda: network.init(key, jnp.zeros((1, 8, 8, 1)), train=False)
    )


@pytest.mark.slow
def test_a_round_keeps_unit_weights(key):
  config = CONFIG.get_config()
  for player in ('generator', 'discriminator'):
    config[player].update(NARROW)
  config.batch_size = 4
  gan = steps_lib.find('gan')
  method = gan.from_config(config, Spec((8, 8, 1), 0, ()))
  state = gan.init(method, key)
  batch = {'image': jax.random.normal(key, (4, 8, 8, 1))}
  step = jax.jit(functools.partial(gan.train_step, method))
  state, metrics = step(state, batch, key)
  assert all(np.isfinite(value) for value in metrics.values())
  for network in state.networks.values():
    for path, leaf in jax.tree_util.tree_leaves_with_path(network.params):
      if path[-1].key == unit_weights.CENTRED:
        kernel = np.asarray(leaf).reshape(-1, leaf.shape[-1])
        np.testing.assert_allclose((kernel**2).mean(0), 1.0, atol=1e-3)
        np.testing.assert_allclose(kernel.mean(0), 0.0, atol=1e-5)
