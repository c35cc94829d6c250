"""DINOv2 equals the authors' code and Pillow, and wrong files are refused.

The public weights were not available. The names and shapes of all tensors are
those of the authors' network, whose arrays `tests/golden/make_dinov2.py` makes.
"""

import ast
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan import errors
from jaxgan.metrics import dinov2, dinov2_network
from jaxgan.modes import features as features_lib
from tests.golden import make_dinov2
from tests.golden.make_residual import thin
from tests.metrics.inception_test import dictionary, tensor, write


@pytest.fixture(scope='module')
def golden():
  with np.load(make_dinov2.FOLDER / 'dinov2.npz') as arrays:
    return dict(arrays)


@pytest.fixture(scope='module')
def tensors(golden):
  """Returns the state dict of the golden network, float64."""
  shapes = dict(str(name).split(' ', 1) for name in golden['names'])
  return {
    name: make_dinov2.tensor(name, ast.literal_eval(shape))
    for name, shape in shapes.items()
  }


@pytest.mark.parametrize(
  'tolerance',
  [
    pytest.param(1e-5, id='f64'),
    pytest.param(1e-4, id='f32', marks=pytest.mark.slow),
  ],
)
def test_network_equals_the_reference(tolerance, golden, tensors):
  kind = np.float64 if tolerance == 1e-5 else np.float32
  network, variables = dinov2.convert(tensors)
  assert (network.width, network.depth) == (128, 3)
  with jax.enable_x64(kind == np.float64):
    variables = jax.tree.map(lambda x: jnp.asarray(x, kind), variables)
    found = jax.jit(network.apply)(
      variables, jnp.asarray(make_dinov2.images(), kind)
    )
    assert found.dtype == kind
  expected = golden['features']
  error = np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()
  print(f'{error:.1e}')
  assert error <= tolerance


def test_positions_equal_the_reference(golden, tensors):
  embedding = tensors['pos_embed']
  found = dinov2.positions(embedding)
  assert found.shape == (1, 257, 128)
  # The authors interpolate in float32.
  np.testing.assert_allclose(thin(found), golden['positions'], atol=1e-5)
  np.testing.assert_array_equal(dinov2.positions(found), found)


@pytest.mark.parametrize(
  ('width', 'depth', 'count'),
  [(384, 12, 22_056_576), (768, 12, 86_580_480), (1024, 24, 304_368_640)],
  ids=['vits14', 'vitb14', 'vitl14'],
)
def test_parameter_counts(width, depth, count):
  """Counts of the published networks, less the token of masks."""
  network = dinov2_network.VisionTransformer(width, depth)
  images = jax.ShapeDtypeStruct((1, 518, 518, 3), jnp.float32)
  variables = jax.eval_shape(network.init, jax.random.key(0), images)
  assert sum(x.size for x in jax.tree.leaves(variables)) == count - width


@pytest.mark.parametrize(
  'shape', [(28, 28, 1), (32, 32, 3), (224, 90, 3), (300, 410, 3)]
)
def test_prepare_equals_pillow(shape):
  """Stein et al. resize with Pillow before they normalise."""
  image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  colour = Image.fromarray(np.broadcast_to(image, (*shape[:2], 3)).copy())
  pixels = np.asarray(colour.resize((224, 224), Image.Resampling.BICUBIC))
  expected = (pixels / 255.0 - np.array(dinov2.MEAN)) / dinov2.DEVIATION
  found = np.asarray(dinov2.prepare(image[None])[0])
  levels = np.abs(found - expected) * dinov2.DEVIATION * 255.0
  # Pillow's weights have 22 bits, so that few halves are rounded otherwise.
  assert levels.max() < 1.01
  assert (levels > 0.5).mean() < 1e-3


def test_prepare_refuses_transparent_images():
  with pytest.raises(errors.UserError, match=r'shape \(1, 4, 4, 4\)'):
    dinov2.prepare(jnp.zeros((1, 4, 4, 4)))


def file_of(path, tensors):
  """Writes constant tensors of the shapes, as Meta's file has them."""
  items = {
    name: tensor('a', 1, x.shape, [0] * x.ndim) for name, x in tensors.items()
  }
  return write(path, dictionary(items), a=np.ones(1, np.float32))


def test_features_of_a_file(tensors, tmp_path):
  path = file_of(tmp_path / 'x.pth', tensors)
  judge = features_lib.find(f'dinov2:{path}', None)
  assert re.fullmatch('dinov2-128x3', judge.name)
  images = np.zeros((3, 8, 8, 1), np.uint8)
  seen = judge.see(images)
  assert seen.features.shape == (3, 128)
  assert seen.logits is None
  assert np.isfinite(seen.features).all()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'norm.bias': None}, 'norm.bias is missing'),
    ({'blocks.1.ls2.gamma': None}, 'blocks.1.ls2.gamma is missing'),
    ({'register_tokens': (1, 4, 128)}, 'register_tokens is no part'),
    ({'cls_token': (1, 1, 100)}, 'width 100, 3 blocks and 1369 positions'),
    ({'cls_token': (1, 1, 2**30)}, 'width 1073741824'),
    ({'pos_embed': (1, 1 + 36 * 37, 128)}, '1332 positions'),
    ({'pos_embed': (1, 257, 64)}, r'pos_embed has shape \(1, 257, 64\)'),
    ({'norm.weight': (64,)}, r'norm.weight has shape \(64,\) instead'),
    ({'patch_embed.proj.weight': (128, 3, 16, 16)}, r'\(128, 3, 16, 16\)'),
    ({'blocks.3.x': (1,)}, 'blocks.3.attn'),
  ],
)
def test_load_refuses_other_networks(change, message, tensors, tmp_path):
  changed = dict(tensors)
  for name, shape in change.items():
    changed.pop(name, None)
    if shape:
      changed[name] = np.broadcast_to(np.float32(0), shape)
  path = file_of(tmp_path / 'x.pth', changed)
  with pytest.raises(errors.UserError, match=message) as caught:
    dinov2.load(path)
  assert f"dinov2='{path}'" in str(caught.value)
  assert '\n' not in str(caught.value)
