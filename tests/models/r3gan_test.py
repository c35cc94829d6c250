"""R3GAN beside its reference: arrays, counts, sizes, start and errors."""

import functools
import re

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
from jaxgan.models import r3gan
from jaxgan.models.layers import resnext
from jaxgan.training import summary
from tests.golden import make_r3gan
from tests.golden.make_r3gan import CASES, PARAMS
from tests.golden.make_residual import BATCH, CLASSES, LABELS, thin, value

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
    return output, slope, jax.grad(loss, has_aux=True)(params, inputs)[0], second

  output, slope, first, second = all_of(params, inputs)
  found = {'output': output, 'gradient': slope}
  for kind, tree in (('params', first), ('second', second)):
    for path, leaf in traverse_util.flatten_dict(tree).items():
      found[f'{kind} {"/".join(path)}'] = leaf
  return found


@pytest.mark.parametrize('player', PLAYERS)
@pytest.mark.parametrize(
  ('name', 'tolerance'),
  [
    pytest.param(
      name,
      tolerance,
      id=f'{name}-{"f64" if tolerance == 1e-5 else "f32"}',
      marks=[] if (name, tolerance) == ('32', 1e-5) else SLOW,
    )
    for name in CASES
    for tolerance in (1e-5, 1e-4)
  ],
)
def test_networks_equal_the_reference(name, tolerance, player):
  """Outputs, and gradients with respect to inputs and all parameters."""
  with np.load(make_r3gan.FOLDER / f'r3gan_{name}.npz') as arrays:
    golden = {
      key.removeprefix(f'{player} '): array
      for key, array in arrays.items()
      if key.startswith(f'{player} ')
    }
  with jax.enable_x64(tolerance == 1e-5):
    found = outcome(CASES[name], player, int(golden.pop('draw')))
  names = {key for key in found if not key.startswith('second ')}
  assert names == {key for key in golden if not key.startswith('second ')}
  worst = {}
  for key, expected in golden.items():
    most = PARAMS if ' ' in key else 1000
    ours = thin(np.asarray(found[key], np.float64), most)
    error = np.abs(ours - expected).max() / np.abs(expected).max()
    worst[key] = error
  print(f'{name} {player}: at most {max(worst.values()):.1e}')
  bad = {k: v for k, v in worst.items() if not v <= tolerance}
  assert not bad, bad
