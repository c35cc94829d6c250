"""R3GAN beside its reference: arrays, counts, sizes, start and errors."""

import functools
import re

import chex
import golden_arrays
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from runs import ROOT, module

from jaxgan import errors
from jaxgan import steps as steps_lib
from jaxgan.config import networks
from jaxgan.core import ranges
from jaxgan.data import Spec
from jaxgan.models import r3gan
from jaxgan.models.layers import grouped_conv, resampling, resnext
from jaxgan.training import summary
from tests.golden import make_r3gan
from tests.golden.make_r3gan import CASES, PARAMS
from tests.golden.make_residual import BATCH, CLASSES, LABELS, value

SLOW = pytest.mark.slow
PLAYERS = ('generator', 'discriminator')


def outcome(case, player, draw):
  """Returns our arrays by the names of the golden ones."""
  classes = CLASSES if case.conditional else 0
  label = (np.array(LABELS),) if classes else ()
  shape = size = (case.side, case.side, 3)
  if player == 'generator':
    network = r3gan.Generator(shape, **case.generator, num_classes=classes)
    size = (case.latents,)
  else:
    network = r3gan.Discriminator(**case.discriminator, num_classes=classes)
  is_wide = jax.config.jax_enable_x64
  cast = lambda x: jnp.asarray(x, jnp.float64 if is_wide else jnp.float32)
  inputs = cast(value(f'{player} {draw}', (BATCH, *size)))
  init = functools.partial(network.init, train=False)
  shapes = jax.eval_shape(init, jax.random.key(0), inputs, *label)
  params = {
    path: cast(value('/'.join(path), leaf.shape))
    for path, leaf in traverse_util.flatten_dict(shapes['params']).items()
  }
  params = traverse_util.unflatten_dict(params)

  def loss(params, inputs):
    output = network.apply({'params': params}, inputs, *label, train=True)
    return jnp.sum(output * cast(value('probe', output.shape))), output

  def squared_slope(params, inputs):
    slope, output = jax.grad(loss, 1, has_aux=True)(params, inputs)
    return jnp.sum(slope**2), (slope, output)

  @jax.jit
  def all_of(params, inputs):
    if player == 'discriminator':
      grad = jax.grad(squared_slope, has_aux=True)
      second, (slope, output) = grad(params, inputs)
    else:
      second = {}
      slope, output = jax.grad(loss, 1, has_aux=True)(params, inputs)
    return (
      output,
      slope,
      jax.grad(loss, has_aux=True)(params, inputs)[0],
      second,
    )

  output, slope, first, second = all_of(params, inputs)
  found = {'output': output, 'gradient': slope}
  for kind, tree in (('params', first), ('second', second)):
    for path, leaf in traverse_util.flatten_dict(tree).items():
      found[f'{kind} {"/".join(path)}'] = leaf
  return found


@pytest.mark.parametrize('player', PLAYERS)
@pytest.mark.parametrize(
  ('name', 'tolerance'), golden_arrays.cases(CASES, '32')
)
def test_networks_equal_the_reference(name, tolerance, player):
  """Outputs, and gradients with respect to inputs and all parameters."""
  found, golden = golden_arrays.compare(
    make_r3gan.FOLDER / f'r3gan_{name}.npz',
    player,
    tolerance,
    functools.partial(outcome, CASES[name], player),
    lambda key: PARAMS if ' ' in key else 1000,
  )
  names = {key for key in found if not key.startswith('second ')}
  assert names == {key for key in golden if not key.startswith('second ')}


# config -> (side, classes, G, D), as the reference has them.
COUNTS = {
  'r3gan_cifar10:paper': (32, 0, 20_732_160, 20_683_776),
  'r3gan_cifar10:paper, conditional': (32, 10, 20_781_952, 21_280_512),
}


def config_of(name):
  file, _, variant = name.partition(':')
  return module(ROOT / 'configs' / f'{file}.py').get_config(variant)


@pytest.mark.parametrize('name', COUNTS)
def test_parameter_counts_of_paper_variants(name):
  side, classes, *counts = COUNTS[name]
  config, shape = config_of(name.partition(',')[0]), (side, side, 3)
  label = (jnp.zeros(1, int),) if classes else ()
  found = []
  for player, size in zip(PLAYERS, ((config.latent_size,), shape), strict=True):
    network, _ = networks.build_network(
      config, player, 1.0, shape=shape, num_classes=classes
    )
    inputs = (jnp.zeros((1, *size)), *label)
    found.append(summary.parameter_counts(network, *inputs)[1])
  assert found == counts


NARROW = dict(widths=(4,) * 3, blocks=(1,) * 3, cardinality=(2,) * 3)


@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 1)])
def test_networks_take_any_size(shape, key):
  generator = r3gan.Generator(shape, **NARROW)
  images = jax.eval_shape(
    lambda: generator.init_with_output(key, jnp.ones((2, 6)), train=False)[0]
  )
  assert images.shape == (2, *shape)
  discriminator = r3gan.Discriminator(**NARROW)
  x = jnp.zeros((2, *shape))
  logits = jax.eval_shape(
    lambda: discriminator.init_with_output(key, x, train=False)[0]
  )
  assert logits.shape == (2,)


@pytest.mark.slow
def test_fresh_blocks_return_their_input(key):
  x = jax.random.normal(key, (2, 4, 4, 8))
  block = resnext.Block(2, 2, 3, 1.0)
  y, variables = block.init_with_output(key, x)
  np.testing.assert_array_equal(x, y)
  kernels = variables['params']
  assert kernels['GroupedConv_0']['kernel'].shape == (3, 3, 8, 16)


@pytest.mark.slow
def test_initial_kernels_have_the_deviation_of_the_paper(key):
  """With n blocks, gain * n^(-1/4) / sqrt(inputs), and 1 / sqrt(inputs)."""
  network = r3gan.Discriminator(
    widths=(64, 64), blocks=(8, 8), cardinality=(2, 2)
  )
  x = jnp.zeros((1, 8, 8, 64))
  init = jax.jit(functools.partial(network.init, train=False))
  params = init(key, x)['params']
  gain = (2 / 1.04) ** 0.5 / 2
  for kernel, inputs, expected in (
    (params['Block_0']['Dense_0']['kernel'], 64, gain),
    (params['Block_9']['GroupedConv_0']['kernel'], 9 * 64, gain),
    (params['image']['kernel'], 64, 1.0),
    (params['basis'], 16, 1.0),
    (params['logits']['kernel'], 64, 1.0),
  ):
    deviation = np.std(kernel) * inputs**0.5
    assert abs(deviation / expected - 1) < 4 / kernel.size**0.5


@pytest.mark.parametrize('weights', [(1.0,), (1.0, 2.0, 1.0)])
def test_resampling_weights_neighbours(weights):
  """Repeats pixels, or weights neighbours by three to one."""
  x = jnp.asarray([4.0, 8.0]).reshape(1, 1, 2, 1)
  rows = {1: [4.0, 4.0, 8.0, 8.0], 3: [3.0, 5.0, 7.0, 6.0]}[len(weights)]
  found = resnext.enlarge(x, (1, 4), weights)[0, 0, :, 0]
  height = {1: 1.0, 3: 0.75}[len(weights)]  # Rows beyond the border are zero.
  np.testing.assert_allclose(found, height * np.array(rows), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('size', [(4, 6), (5, 3), (1, 1)])
@pytest.mark.parametrize(
  'weights', [(1.0, 2.0, 1.0), (1.0, 4.0, 6.0, 4.0, 1.0)]
)
def test_reducing_is_a_quarter_of_the_adjoint_of_enlarging(size, weights, key):
  small = tuple(-(-n // 2) for n in size)
  x = jax.random.normal(key, (2, *small, 3))
  y = jax.random.normal(jax.random.fold_in(key, 1), (2, *size, 3))
  large = resnext.enlarge(x, size, weights)
  reduced = resnext.reduce(y, weights)
  np.testing.assert_allclose(
    jnp.vdot(large, y), 4 * jnp.vdot(x, reduced), rtol=1e-4
  )
  # Gradients are the adjoints, whose gradients are the filters again.
  enlarge = lambda x: resnext.enlarge(x, size, weights)
  reduce = lambda y: resnext.reduce(y, weights)
  for function, inputs, outputs in ((enlarge, x, y), (reduce, y, x)):
    back = lambda z, f=function, x=inputs: jax.vjp(f, x)[1](z)[0]
    np.testing.assert_allclose(
      jnp.vdot(function(inputs), outputs),
      jnp.vdot(inputs, back(outputs)),
      rtol=1e-4,
    )
    again = jax.vjp(back, outputs)[1](inputs)[0]
    np.testing.assert_allclose(again, function(inputs), rtol=1e-4, atol=1e-5)


def test_filters_of_different_ends_are_refused():
  with pytest.raises(ValueError, match='same from both ends'):
    resampling.enlarge(jnp.zeros((1, 2, 2, 1)), (4, 4), (1.0, 2.0, 3.0, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize('form', ['block_diagonal', 'in_parts', 'of_patches'])
@pytest.mark.parametrize(
  'kernel', [3, *(pytest.param(k, marks=SLOW) for k in (1, 2))]
)
def test_forms_of_grouped_convolutions_equal_the_plain_one(
  form, kernel, key, monkeypatch
):
  """With first and second derivatives."""
  monkeypatch.setattr(grouped_conv, 'PART_CHANNELS', 2)  # three parts
  x = jax.random.normal(key, (2, 5, 4, 6))
  w = jax.random.normal(jax.random.fold_in(key, 1), (kernel, kernel, 2, 9))

  def derivatives(convolve):
    loss = lambda x, w: jnp.sum(jnp.sin(convolve(x, w, 3)))
    squares = lambda x, w: sum(
      jnp.sum(g**2) for g in jax.grad(loss, (0, 1))(x, w)
    )
    return (
      convolve(x, w, 3),
      jax.grad(loss, (0, 1))(x, w),
      jax.grad(squares, (0, 1))(x, w),
    )

  ours, expected = map(
    derivatives, (getattr(grouped_conv, form), grouped_conv.plain)
  )
  chex.assert_trees_all_close(ours, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(blocks=(1,)), r'generator\.blocks=\(1,\).*one entry for each'),
    (dict(cardinality=(1, 1)), r'generator\.cardinality.*one entry for each'),
    (dict(cardinality=(3, 1, 1)), r'cardinality=3 does not divide the 8'),
  ],
)
def test_networks_refuse_what_does_not_fit(fields, message, key):
  generator = r3gan.Generator((8, 8, 1), **(NARROW | fields))
  with pytest.raises(errors.UserError, match=message):
    jax.eval_shape(lambda: generator.init(key, jnp.zeros((1, 6)), train=False))


@pytest.mark.parametrize('weights', [(1.0, 1.0), (1.0, 2.0, 3.0), (0.0,)])
def test_filters_that_are_not_symmetric_are_refused(weights):
  limits = ranges.of_dataclass(r3gan.Generator)['resampling']
  assert 'odd length' in limits.problem(weights)


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['f32', pytest.param('bf16', marks=SLOW)])
def test_rounds_lower_for_accelerators_with_grouped_convolutions(precision):
  gan, config = steps_lib.find('gan'), config_of('r3gan_cifar10:')
  config.precision = precision
  method = gan.from_config(config, Spec((32, 32, 3), 0, ()))
  init = functools.partial(gan.init, method)
  state = jax.eval_shape(init, jax.random.key(0))
  batch = {'image': jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)}
  step = jax.jit(functools.partial(gan.train_step, method))
  traced = step.trace(state, batch, jax.eval_shape(lambda: jax.random.key(0)))
  for platform in ('cuda', 'tpu'):
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    groups = set(re.findall(r'feature_group_count = (\d+)', text))
    assert {'2', '4', '8'} <= groups
    assert not re.findall(r'custom_call @(?!Sharding|annotate)\w+', text)
