"""Residual networks beside their references: arrays, counts and errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from jaxgan.models import resnet
from jaxgan.models.layers.spectral_norm import SPECTRAL, SpectralNorm
from tests.golden import make_residual
from tests.golden.make_residual import BATCH, CASES, CLASSES, LABELS, value


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


DEFAULT = ('biggan_32', 'sngan_32')


@pytest.mark.parametrize('tolerance', [1e-5, 1e-4], ids=['f64', 'f32'])
@pytest.mark.parametrize('player', ['generator', 'discriminator'])
@pytest.mark.parametrize(
  'name',
  [
    pytest.param(n, marks=[] if n in DEFAULT else [pytest.mark.slow])
    for n in CASES
  ],
)
def test_networks_equal_their_references(name, player, tolerance):
  """Outputs, gradients, running statistics and vectors of spectral norm."""
  path = make_residual.FOLDER / f'residual_{name}.npz'
  with np.load(path) as arrays:
    golden = {
      key.removeprefix(f'{player} '): array
      for key, array in arrays.items()
      if key.startswith(f'{player} ')
    }
  with jax.enable_x64(tolerance == 1e-5):
    found = outcome(CASES[name], player, int(golden.pop('draw')))
  worst = {}
  for key, expected in golden.items():
    most = 200 if key.startswith('params ') else 1000
    ours = make_residual.thin(np.asarray(found[key], np.float64), most)
    error = np.abs(ours - expected).max() / np.abs(expected).max()
    worst[key] = error
  bad = {k: v for k, v in worst.items() if not v <= tolerance}
  assert not bad, bad
  print(f'{name} {player}: at most {max(worst.values()):.1e}')
  assert {'output', 'gradient'} <= golden.keys()
