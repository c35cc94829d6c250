"""ONNX models: the images of the network, for any batch."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
import runs

from jaxgan import errors, steps
from jaxgan.data import Spec
from jaxgan.modes import export_page, onnx_graph
from tests.modes import export_test

CONFIGS = sorted(
  path
  for path in (runs.ROOT / 'configs').glob('*.py')
  if path.stem not in ('classifier_mnist', 'folder')  # No images; no size.
)
# Their dropout masks, or maps of noise, depend on the batch.
ALONE = ('pix2pix_cifar10', 'pix2pix_faces', 'dualgan_faces', 'r3gan2_cifar10')
# Many convolutions in a row add up more rounding errors.
TOLERANCE = {'srgan_faces': 3e-5}
HOLE = slice(8, 24)


def answers(model: bytes, inputs) -> np.ndarray:
  session = onnxruntime.InferenceSession(model)
  assert [node.name for node in session.get_inputs()] == list(inputs)
  return session.run(None, {k: np.asarray(v) for k, v in inputs.items()})[0]


def example(name: str, like, count: int):
  """Inputs of a function: latents and images, labels, or known pixels."""
  if name == 'label':
    return np.arange(count, dtype=np.int32) % 3
  if name == 'known':
    known = np.ones((count, *like.shape[1:]), bool)
    known[:, HOLE, HOLE] = False
    return known
  rng = np.random.default_rng(1)
  return rng.standard_normal((count, *like.shape[1:])).astype(like.dtype)


def filled(path, like) -> np.ndarray:
  """Weights of a stated formula that keep the size of what they see."""
  name = jax.tree_util.keystr(path)
  values = np.random.default_rng(len(name)).standard_normal(like.shape)
  if len(like.shape) > 1:
    values /= np.sqrt(np.prod(like.shape[:-1]))
  else:
    values *= 0.1
  if 'scale' in name:
    values = 1.0 + values
  if 'var' in name:
    values = 1.0 + np.abs(values)
  return values.astype(like.dtype)


def functions_of(path: pathlib.Path):
  """The exported functions of a config, with weights that are not trained."""
  config = runs.module(path).get_config()
  algorithm = steps.find(config.method)
  is_digits = 'mnist' in path.stem or path.stem == 'logograms'
  side = config.data.get('image_size') or (28 if is_digits else 32)
  shape = (side, side, config.data.get('channels') or (1 if is_digits else 3))
  spec = Spec(shape, 10, tuple('0123456789'), shape)
  method = algorithm.from_config(config, spec)
  found = {}

  def weights(key):
    state = algorithm.use_ema_weights(method, algorithm.init(method, key))
    found.update(algorithm.export_functions(method, state))
    return {name: weights for name, (_, weights, _) in found.items()}

  shapes = jax.eval_shape(weights, jax.random.key(0))
  for name, (function, _, inputs) in found.items():
    arrays = jax.tree_util.tree_map_with_path(filled, shapes[name])
    yield name, function, arrays, inputs


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_gives_the_images_of_its_network(path):
  for _, function, weights, like in functions_of(path):
    model = onnx_graph.model(function, weights, like, 'a test')
    count = 1 if path.stem in ALONE else 3
    inputs = {k: example(k, x, count) for k, x in like.items()}
    expected = jax.jit(function)(weights, *inputs.values())
    found = answers(model, inputs)
    scale = max(1.0, float(jnp.abs(expected).max()))
    tolerance = TOLERANCE.get(path.stem, 1e-5)
    assert float(jnp.std(expected)) > 1e-3  # The weights say something.
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


@pytest.mark.parametrize(
  'make', [export_test.conditional, export_test.completing_patches]
)
def test_model_gives_the_images_of_the_algorithm(make):
  algorithm, method, state, inputs, expected = make()
  functions = steps.with_defaults(algorithm).export_functions(method, state)
  ((function, weights, like),) = functions.values()
  model = onnx_graph.model(function, jax.device_get(weights), like, 'a test')
  found = answers(model, dict(zip(like, inputs, strict=True)))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  again = onnx_graph.model(function, jax.device_get(weights), like, 'a test')
  assert again == model


@pytest.mark.slow
def test_dropout_of_an_image_does_not_depend_on_its_batch():
  (path,) = (path for path in CONFIGS if path.stem == 'pix2pix_cifar10')
  ((_, function, weights, like),) = functions_of(path)
  model = onnx_graph.model(function, weights, like, 'a test')
  images = example('image', like['image'], 3)
  together = answers(model, {'image': images})
  for one, expected in zip(images, together, strict=True):
    found = answers(model, {'image': one[None]})[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def traced(function, *shape):
  return onnx_graph.model(
    lambda weights, x: function(x), {}, {'latent': np.zeros(shape, 'f4')}, ''
  )


@pytest.mark.parametrize(
  'function',
  [
    lambda x: x[:, ::-1, 1::2],
    lambda x: jnp.split(x, 2, axis=2)[1],
    lambda x: jnp.stack([x, 2.0 * x], axis=1),
    lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=3.0),
    lambda x: jnp.argmin(x, axis=1).astype(jnp.float32),
    lambda x: jnp.all(x > -1.0, axis=1).astype(jnp.float32),
    lambda x: jnp.einsum('bij,bkj->bik', x, x),
    lambda x: jnp.max(x**3, axis=(1, 2)),
    lambda x: jnp.concatenate([x, jnp.ones_like(x)], axis=1),
    lambda x: jnp.where(x > 0.0, jnp.sqrt(jnp.abs(x)), jax.nn.sigmoid(x)),
    lambda x: x.reshape(-1, 6).reshape(-1, 24) @ jnp.ones((24, 2)),
    lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], 5, 4, 6)),
    functools.partial(jnp.transpose, axes=(2, 0, 1)),
  ],
)
def test_operations_equal_those_of_jax(function):
  x = np.random.default_rng(0).standard_normal((3, 4, 6)).astype(np.float32)
  found = answers(traced(function, 1, 4, 6), {'latent': x})
  np.testing.assert_allclose(found, function(x), atol=1e-5)


def test_operation_without_a_rule_is_named():
  with pytest.raises(errors.UserError, match="'sort' of this network"):
    traced(lambda x: jnp.sort(x, axis=1), 1, 4)


def test_half_weights_are_rounded_and_computed_in_float32():
  kernel = np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(4, 3)
  model = traced(lambda x: x @ kernel, 1, 4)
  half = export_page.halved(model)
  x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
  expected = x @ kernel.astype(np.float16).astype(np.float32)
  found = answers(half, {'latent': x})
  np.testing.assert_allclose(found, expected, atol=1e-6)
  assert not np.allclose(found, x @ kernel, atol=1e-6)
  kinds = {t.data_type for t in onnx.load_from_string(half).graph.initializer}
  assert onnx.TensorProto.FLOAT not in kinds
