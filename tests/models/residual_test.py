"""Residual networks beside their references: arrays, counts and errors."""

import functools
import re

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
from jaxgan.data import Spec
from jaxgan.models import resnet
from jaxgan.models.layers import residual
from jaxgan.models.layers.spectral_norm import SPECTRAL, SpectralNorm
from jaxgan.training import summary
from tests.golden import make_residual
from tests.golden.make_residual import BATCH, CASES, CLASSES, LABELS, value

SLOW = pytest.mark.slow


def network(case, player, draw):
  """Returns a network, and its inputs and first variables as NumPy arrays."""
  classes = CLASSES if case.conditional else 0
  if player == 'generator':
    shape = (case.side, case.side, 3)
    module = resnet.Generator(shape, **case.generator, num_classes=classes)
    size = (case.latents,)
  else:
    module = resnet.Discriminator(**case.discriminator, num_classes=classes)
    size = (case.side, case.side, 3)
  if case.spectral or player == 'discriminator':
    module = SpectralNorm(module)
  inputs = value(f'{player} {draw}', (BATCH, *size))
  label = (np.array(LABELS),) if classes else ()
  init = functools.partial(module.init, train=False)
  shapes = jax.eval_shape(init, jax.random.key(0), inputs, *label)
  filled = {
    path: first('/'.join(path), leaf.shape)
    for path, leaf in traverse_util.flatten_dict(shapes).items()
  }
  return module, inputs, label, traverse_util.unflatten_dict(filled)


def first(name, shape):
  collection, _, path = name.replace('/module/', '/').partition('/')
  if collection == 'params':
    return value(path, shape)
  if collection == SPECTRAL and path.endswith('/u'):
    return make_residual.start_vector(path[:-2], *shape)
  return np.full(shape, float(path.endswith('/var')))


def outcome(case, player, draw):
  """Returns our arrays by the names of the golden ones."""
  module, inputs, label, variables = network(case, player, draw)
  params = variables.pop('params')
  is_wide = jax.config.jax_enable_x64
  kind = jnp.float64 if is_wide else jnp.float32
  cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, kind), tree)

  def run(params, inputs):
    output, stats = module.apply(
      {'params': params, **cast(variables)},
      inputs,
      *label,
      train=True,
      mutable=list(variables),
    )
    probe = jnp.asarray(value('probe', output.shape), kind)
    return jnp.sum(output * probe), (output, stats)

  @jax.jit
  def both(params, inputs):
    grads, (output, stats) = jax.grad(run, (0, 1), has_aux=True)(params, inputs)
    after = module.apply(
      {'params': params, **stats}, inputs, *label, train=False
    )
    return grads, output, stats, after

  (grads, slope), output, stats, after = both(cast(params), cast(inputs))
  found = {'output': output, 'gradient': slope, 'evaluated': after}
  for collection, tree in {'params': grads, **stats}.items():
    for names, leaf in traverse_util.flatten_dict(tree).items():
      path = '/'.join(names).removeprefix('module/')
      owner, _, kind = path.rpartition('/')
      if collection == 'params':
        found[f'params {path}'] = leaf
      else:
        found[f'{kind} {owner.removesuffix("/BatchNorm_0")}'] = leaf
  return found


@pytest.mark.parametrize('player', ['generator', 'discriminator'])
@pytest.mark.parametrize(
  ('name', 'tolerance'), golden_arrays.cases(CASES, 'sngan_32')
)
def test_networks_equal_their_references(name, tolerance, player):
  """Outputs, gradients, running statistics and vectors of spectral norm."""
  _, golden = golden_arrays.compare(
    make_residual.FOLDER / f'residual_{name}.npz',
    player,
    tolerance,
    functools.partial(outcome, CASES[name], player),
    lambda key: 200 if key.startswith('params ') else 1000,
  )
  assert {'output', 'gradient'} <= golden.keys()


# Trained parameters, config:variant -> (side, classes, G, D). The first counts
# are arithmetic from the references' code, the others their own logs.
COUNTS = {
  'sngan:paper': (32, 0, 4_276_739, 1_053_825),
  'sngan:paper, conditional': (32, 10, 4_304_387, 1_055_105),
  'sngan:paper_64': (64, 0, 12_220_675, 10_141_441),
  'sagan:paper': (32, 10, 4_386_308, 1_075_586),
  'biggan:paper': (32, 10, 9_416_196, 2_415_170),
  'biggan:ajbrock': (32, 10, 4_304_387, 4_207_361),
}


def config_of(name, classes=10):
  family, _, variant = name.partition(',')[0].partition(':')
  path = ROOT / 'configs' / f'{family}_cifar10.py'
  config = module(path).get_config(variant)
  config.conditional = classes > 0
  return config


@pytest.mark.parametrize('name', COUNTS)
def test_parameter_counts_of_paper_variants(name):
  side, classes, *counts = COUNTS[name]
  config, shape = config_of(name, classes), (side, side, 3)
  label = (jnp.zeros(1, int),) if classes else ()
  found = []
  for player, size in (
    ('generator', (config.latent_size,)),
    ('discriminator', shape),
  ):
    config[player].spectral_norm = False
    network, _ = networks.build_network(
      config, player, 1.0, shape=shape, num_classes=classes
    )
    inputs = (jnp.zeros((1, *size)), *label)
    found.append(summary.parameter_counts(network, *inputs)[1])
  assert found == counts


@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 1)])
@pytest.mark.parametrize('upsampling', residual.UPSAMPLINGS)
def test_networks_take_any_size(shape, upsampling, key):
  generator = resnet.Generator(
    shape, widths=(4,) * 4, upsampling=upsampling, attention=(2,)
  )
  images = jax.eval_shape(
    lambda: generator.init_with_output(key, jnp.ones((2, 6)), train=False)[0]
  )
  assert images.shape == (2, *shape)
  discriminator = resnet.Discriminator(widths=(4,) * 4, attention=(1,))
  x = jnp.zeros((2, *shape))
  logits = jax.eval_shape(
    lambda: discriminator.init_with_output(key, x, train=False)[0]
  )
  assert logits.shape == (2,)


@pytest.mark.parametrize('size', [(4, 6), (5, 3), (1, 1)])
def test_pools_see_the_pixels_that_exist(size, key):
  """Squares at the border of odd sizes have fewer pixels."""
  x = np.asarray(jax.random.normal(key, (2, *size, 3)))
  for pool, reduce in (
    (residual.mean_pool, np.mean),
    (residual.max_pool, np.max),
  ):
    found = pool(x)
    for i in range(found.shape[1]):
      for j in range(found.shape[2]):
        square = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        expected = reduce(square, axis=(1, 2))
        np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-5)


def test_bilinear_enlarging_weights_neighbours_by_three_to_one():
  x = jnp.asarray([0.0, 4.0, 8.0]).reshape(1, 1, 3, 1)
  found = residual.enlarge(x, (2, 6), 'bilinear')[0, :, :, 0]
  expected = [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]
  np.testing.assert_allclose(found, [expected, expected], atol=1e-6)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(attention=(4,)), r'generator\.attention=\(4,\).*1\.\.3'),
    (dict(hierarchical=True), r'multiple of 4'),
  ],
)
def test_generator_refuses_what_does_not_fit(fields, message, key):
  generator = resnet.Generator((8, 8, 1), widths=(4,) * 4, **fields)
  with pytest.raises(errors.UserError, match=message):
    jax.eval_shape(lambda: generator.init(key, jnp.zeros((1, 6)), train=False))


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(attention=(5,)), r'discriminator\.attention=\(5,\).*1\.\.4'),
    (dict(strides=(2,)), r'discriminator\.strides.*one entry for each'),
  ],
)
def test_discriminator_refuses_what_does_not_fit(fields, message, key):
  discriminator = resnet.Discriminator(widths=(4,) * 4, **fields)
  x = jnp.zeros((1, 8, 8, 1))
  with pytest.raises(errors.UserError, match=message):
    jax.eval_shape(lambda: discriminator.init(key, x, train=False))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['sngan:', 'sagan:', 'biggan:'])
def test_rounds_lower_for_accelerators_with_plain_convolutions(name):
  gan, classes = steps_lib.find('gan'), 0 if name == 'sngan:' else 10
  spec = Spec((32, 32, 3), classes, tuple('abcdefghij'[:classes]))
  method = gan.from_config(config_of(name, classes), spec)
  init = functools.partial(gan.init, method)
  state = jax.eval_shape(init, jax.random.key(0))
  batch = {
    'image': jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32),
    'label': jax.ShapeDtypeStruct((4,), jnp.int32),
  }
  step = jax.jit(functools.partial(gan.train_step, method))
  traced = step.trace(state, batch, jax.eval_shape(lambda: jax.random.key(0)))
  for platform in ('cuda', 'tpu'):
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert 'stablehlo.convolution' in text
    assert not re.findall(r'custom_call @(?!Sharding|annotate)\w+', text)
    assert 'stablehlo.fft' not in text
