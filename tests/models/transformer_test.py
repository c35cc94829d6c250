"""GAT and CAT: arrays of the source, published counts, and what each sees."""

import functools
import itertools
import math

import golden_arrays
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax import export
from runs import ROOT, module

from jaxgan import errors
from jaxgan import steps as steps_lib
from jaxgan.adversarial import regularisers, terms
from jaxgan.config import transformers
from jaxgan.core.state import Output
from jaxgan.data import Spec
from jaxgan.models import transformer
from jaxgan.models.layers import transformer as parts
from jaxgan.training import summary
from tests.golden import make_gat
from tests.golden.make_gat import CASES, LATENTS, LEVELS, PARAMS
from tests.golden.make_residual import BATCH, CLASSES, LABELS, value

SLOW = pytest.mark.slow
PLAYERS = ('generator', 'discriminator')
SMALL = dict(depth=4, width=16, heads=2, patch=4)


def outcome(case, player, draw):
  """Returns our arrays by the names of the golden ones."""
  del draw
  side, channels, depth, width, heads, patch = CASES[case]
  fields = dict(depth=depth, width=width, heads=heads, patch=patch)
  is_wide = jax.config.jax_enable_x64
  cast = lambda x: jnp.asarray(x, jnp.float64 if is_wide else jnp.float32)
  shape, label = (side, side, channels), np.array(LABELS)
  if player == 'generator':
    network = transformer.Generator(
      shape, **fields, embedding=LATENTS, num_classes=CLASSES
    )
    inputs = cast(value('z', (BATCH, LATENTS)))
    pack = lambda x: x
  else:
    network = transformer.NoiseDiscriminator(
      **fields, embedding=make_gat.EMBEDDING, num_classes=CLASSES
    )
    inputs = cast(value('images', (LEVELS, BATCH, *shape)))
    pack = tuple
  init = functools.partial(network.init, train=False)
  shapes = jax.eval_shape(init, jax.random.key(0), pack(inputs), label)
  params = {
    path: cast(value('/'.join(path), leaf.shape))
    for path, leaf in traverse_util.flatten_dict(shapes['params']).items()
  }
  params = traverse_util.unflatten_dict(params)

  @jax.jit
  def all_of(params, inputs):
    def loss(params, inputs):
      made = network.apply({'params': params}, pack(inputs), label, train=True)
      made = jnp.stack(made) if isinstance(made, tuple) else made
      return jnp.sum(made * cast(value('probe', made.shape))), made

    return jax.grad(loss, (0, 1), has_aux=True)(params, inputs)

  (first, slope), output = all_of(params, inputs)
  found = {'output': output, 'gradient': slope}
  for path, leaf in traverse_util.flatten_dict(first).items():
    found[f'params {"/".join(path)}'] = leaf
  return found


@pytest.mark.parametrize('player', PLAYERS)
@pytest.mark.parametrize(('name', 'tolerance'), golden_arrays.cases(CASES, '8'))
def test_networks_equal_the_reference(name, tolerance, player, monkeypatch):
  """Outputs, and gradients with respect to inputs and all parameters."""
  monkeypatch.setattr(transformer, 'noisy', lambda images, key: images)
  found, golden = golden_arrays.compare(
    make_gat.FOLDER / f'gat_{name}.npz',
    player,
    tolerance,
    functools.partial(outcome, name, player),
    lambda key: PARAMS if ' ' in key else 1000,
  )
  assert found.keys() == golden.keys()


Z, LATENTS_OF_PAPER = jnp.zeros((1, 64)), (32, 32, 4)
# Published parameters of generators of ImageNet. They count positions and the
# embedding of an image that is multiplied by zero, 273 for each channel.
PUBLISHED = {
  ('gat', 'S'): 29_361_344,
  ('gat', 'B'): 116_754_752,
  ('gat', 'L'): 408_748_576,
  ('gat', 'XL'): 602_251_136,
  ('cat', 'M'): 260_845_376,
  ('cat', 'H'): 959_769_216,
}
UNUSED = 273


def named(kind, family, size, **fields):
  depth, width, heads = transformers.SIZES[family][size]
  return kind(depth=depth, width=width, heads=heads, num_classes=1000, **fields)


def count(network, *inputs):
  return summary.parameter_counts(network, *inputs, jnp.zeros(1, int))[1]


@pytest.mark.parametrize(('family', 'size'), PUBLISHED)
def test_generators_have_the_published_parameters(family, size):
  network = named(
    functools.partial(transformer.Generator, LATENTS_OF_PAPER),
    *(family, size),
    modulation={'gat': 'scale', 'cat': 'shift'}[family],
  )
  total = count(network, Z) + UNUSED * network.width
  assert total == PUBLISHED[family, size]
  if size == 'XL':
    assert count(network, Z) == 601_936_640


@pytest.mark.parametrize(
  ('kind', 'family', 'size', 'expected'),
  [
    (transformer.NoiseDiscriminator, 'gat', 'S', 39_114_624),
    (transformer.NoiseDiscriminator, 'gat', 'B', 104_480_256),
    (transformer.NoiseDiscriminator, 'gat', 'L', 322_773_728),
    (transformer.NoiseDiscriminator, 'gat', 'XL', 467_383_872),
    (transformer.ScaleDiscriminator, 'cat', 'B', 104_448_768),
  ],
)
def test_discriminators_with_the_head_for_features(
  kind, family, size, expected
):
  network = named(kind, family, size, representation=768)
  images = (jnp.zeros((1, *LATENTS_OF_PAPER)),) * 4
  assert count(network, images) == expected


def made(network, *inputs):
  """Returns the abstract output of a fresh network."""
  run = lambda: network.init_with_output(
    jax.random.key(0), *inputs, train=False
  )[0]
  return jax.eval_shape(run)


@pytest.mark.parametrize('classes', [0, 3])
@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 2)])
def test_networks_take_any_size(shape, classes):
  label = (jnp.array([0, 2]),) if classes else ()
  fields = SMALL | {'num_classes': classes}
  generator = transformer.Generator(shape, **fields)
  images = made(generator, jnp.ones((2, 6)), *label)
  assert [x.shape for x in images] == [(2, *shape)] * 4
  images = tuple(jnp.zeros(x.shape) for x in images)
  for kind, logits in (
    (transformer.NoiseDiscriminator, (2,)),
    (transformer.ScaleDiscriminator, (2, 4)),
  ):
    assert made(kind(**fields), images, *label).shape == logits


@pytest.mark.parametrize('side', transformers.SIDES)
def test_sizes_of_small_images_divide_them(side):
  depth, width, heads, patch = transformers.SIDES[side]
  assert side % patch == 0
  assert width % (4 * heads) == 0
  network = transformer.Generator((side, side, 3), depth, width, heads, patch)
  assert made(network, Z)[-1].shape == (1, side, side, 3)


def test_one_output_is_an_image():
  network = transformer.Generator((8, 8, 1), **SMALL, outputs=1)
  assert made(network, Z).shape == (1, 8, 8, 1)


def test_patches_are_joined_again(key):
  for shape in ((8, 12, 3), (5, 7, 2)):
    x = jax.random.normal(key, (2, *shape))
    rows = parts.patches(x, 4)
    assert rows.shape == (
      2,
      math.prod(parts.grid_of(shape[:2], 4)),
      16 * shape[2],
    )
    np.testing.assert_array_equal(parts.image_of(rows, shape, 4), x)
  np.testing.assert_array_equal(  # A patch is a square of the image.
    parts.patches(x, 4)[0, 0].reshape(4, 4, 2), x[0, :4, :4]
  )


def test_rotations_leave_the_distance_of_patches(key):
  """Products of queries and keys depend on rows and columns apart."""
  query, other = jax.random.normal(key, (2, 8))
  turn = parts.angles((5, 4), 8)
  both = (jnp.broadcast_to(x, (1, 20, 1, 8)) for x in (query, other))
  q, k = (parts.rotate(x, turn)[0, :, 0] for x in both)
  products = (q @ k.T).reshape(5, 4, 5, 4)
  by_distance = {}
  for r, c, s, d in np.ndindex(5, 4, 5, 4):
    by_distance.setdefault((r - s, c - d), []).append(
      float(products[r, c, s, d])
    )
  assert max(np.ptp(values) for values in by_distance.values()) < 1e-4
  assert abs(by_distance[1, 0][0] - by_distance[0, 1][0]) > 1e-3
  np.testing.assert_allclose(by_distance[0, 0][0], query @ other, rtol=1e-4)


def test_a_class_token_is_not_turned(key):
  x = jax.random.normal(key, (1, 5, 1, 8))
  turned = parts.rotate(x, parts.angles((2, 2), 8, before=1))
  np.testing.assert_array_equal(turned[:, :2], x[:, :2])  # and patch (0, 0)
  assert float(jnp.abs(turned[:, 2:] - x[:, 2:]).max()) > 0.1


def test_levels_of_noise_are_those_of_the_paper():
  expected = 1.01 - 0.125 ** (1 - np.arange(4) / 3)
  np.testing.assert_allclose(transformer.levels(4), expected)
  np.testing.assert_allclose(expected, [0.885, 0.76, 0.51, 0.01])
  np.testing.assert_allclose(transformer.levels(1), [0.01])


def test_noises_of_an_example_are_a_chain(key):
  """Deviations are the levels; a level is the next one, shrunk, and noise."""
  images = tuple(jnp.full((4_000, 2, 2, 1), k + 1.0) for k in range(4))
  shares = transformer.levels(4)
  found = transformer.noisy(images, key)
  rests = [
    np.ravel(x - (1 - t) * image)
    for x, t, image in zip(found, shares, images, strict=True)
  ]
  for rest, share in zip(rests, shares, strict=True):
    assert abs(rest.mean()) < 4 * share / len(rest) ** 0.5
    np.testing.assert_allclose(rest.std(), share, rtol=0.03)
  for k in range(3):
    kept = (1 - shares[k]) / (1 - shares[k + 1])
    slope = (rests[k] @ rests[k + 1]) / (rests[k + 1] @ rests[k + 1])
    error = 4 * shares[k] / shares[k + 1] / len(rests[k]) ** 0.5
    assert abs(slope - kept) < error


def test_outputs_accumulate(key):
  """Without weights a head adds nothing to the image before it."""
  network = transformer.Generator((8, 8, 1), **SMALL)
  z = jax.random.normal(key, (2, 6))
  run = functools.partial(network.init_with_output, train=False)
  images, variables = jax.jit(run)(key, z)
  assert (
    min(float(jnp.abs(a - b).max()) for a, b in itertools.pairwise(images))
    > 1e-3
  )
  params = dict(variables['params'])
  params['head_2'] = jax.tree.map(jnp.zeros_like, params['head_2'])
  apply = jax.jit(functools.partial(network.apply, train=False))
  images = apply({'params': params}, z)
  np.testing.assert_array_equal(images[2], images[1])
  assert float(jnp.abs(images[3] - images[2]).max()) > 1e-3


def test_gates_are_near_zero_at_first(key):
  x, w = jax.random.normal(key, (2, 4, 32)), jax.random.normal(key, (2, 32))
  for shift in (False, True):
    block = parts.GatedBlock(2, shift)
    y, _ = jax.jit(lambda b=block: b.init_with_output(key, x, w, None))()
    assert 1e-4 < float(jnp.std(y - x)) < 0.15


def fresh(kind, key, **fields):
  """Returns a discriminator as a function of images, and four images."""
  network = kind(**SMALL | fields)
  images = tuple(jax.random.normal(key, (4, 2, 16, 16, 1)))
  params = jax.jit(functools.partial(network.init, train=False))(key, images)
  apply = functools.partial(network.apply, params, train=False)
  return jax.jit(apply), images


def test_scales_are_judged_apart(key):
  judge, images = fresh(transformer.ScaleDiscriminator, key)
  plain = judge(images)
  for index in range(4):
    moved = [*images]
    moved[index] = -moved[index]
    change = np.abs(judge(tuple(moved)) - plain).max(0) > 1e-6
    assert change.tolist() == [k == index for k in range(4)]


def test_scales_have_half_of_the_sides():
  sizes = [
    transformer.scaled(jnp.zeros((1, 32, 32, 4)), 2**k, 2)[0].shape[1:3]
    for k in range(4)
  ]
  assert sizes == [(32, 32), (16, 16), (8, 8), (4, 4)]
  image, grid = transformer.scaled(jnp.zeros((1, 28, 28, 1)), 8, 4)
  assert (image.shape, grid) == ((1, 4, 4, 1), (1, 1))


def test_the_logit_of_gat_depends_on_all_images_and_their_noise(key):
  judge, images = fresh(transformer.NoiseDiscriminator, key)
  rngs = {'dropout': key}
  plain = judge(images, rngs=rngs)
  for index in range(4):
    moved = [*images]
    moved[index] = -moved[index]
    assert np.abs(judge(tuple(moved), rngs=rngs) - plain).min() > 1e-6
  assert (
    np.abs(judge(images, rngs={'dropout': jax.random.key(7)}) - plain).min() > 0
  )
  np.testing.assert_array_equal(judge(images), judge(images))


def test_recomputed_activations_change_nothing(key):
  judges = [
    fresh(transformer.NoiseDiscriminator, key, recompute=flag)
    for flag in (False, True)
  ]
  slopes = [jax.jit(jax.grad(lambda x, f=f: f(x).sum()))(x) for f, x in judges]
  for one, other in zip(*slopes, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'heads': 3}, r'generator\.width=16 must be a multiple of 4 times'),
    ({'outputs': 3}, r'generator\.depth=4 must be a multiple of'),
  ],
)
def test_generator_refuses_what_does_not_fit(fields, message):
  with pytest.raises(errors.UserError, match=message):
    made(transformer.Generator((8, 8, 1), **SMALL | fields), Z)


def scene_of(images):
  return terms.Scene(*[None] * 11, generated=Output(images))


def test_alignment_weighs_images_by_their_distance_to_the_last():
  images = tuple(jnp.full((2, 4, 4, 1), x) for x in (4.0, 3.0, 2.0, 1.0))
  expected = (9 / 3 + 4 / 2 + 1) / 3
  assert float(regularisers.alignment(scene_of(images))) == expected
  slopes = jax.grad(lambda x: regularisers.alignment(scene_of(x)))(images)
  assert all(float(jnp.abs(slope).min()) > 0 for slope in slopes)
  with pytest.raises(errors.UserError, match='scale_alignment compares'):
    regularisers.alignment(scene_of(images[0]))


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize('platform', ['cuda', 'tpu'])
def test_attention_is_exported_for_accelerators(platform, dtype):
  """No part runs on the host, and sums of products are wide."""
  attention = parts.Attention(2, dtype)
  x, turn = jnp.zeros((1, 4, 16), dtype), parts.angles((2, 2), 8)
  params = attention.init(jax.random.key(0), x, turn)
  function = jax.jit(lambda x: attention.apply(params, x, turn))
  exported = export.export(function, platforms=[platform])(x)
  text = exported.mlir_module()
  assert text.count('stablehlo.dot_general') == 4
  assert 'custom_call' not in text
  assert exported.out_avals[0].dtype == dtype


@SLOW
@pytest.mark.parametrize('name', ['gat_mnist', 'cat_cifar10'])
@pytest.mark.parametrize('precision', ['f32', 'bf16'])
def test_rounds_lower_for_accelerators(name, precision):
  config = module(ROOT / 'configs' / f'{name}.py').get_config()
  config.precision = precision
  for player in PLAYERS:
    config[player].update(width=16, heads=2)
  gan, shape = steps_lib.find('gan'), (16, 16, 1)
  method = gan.from_config(config, Spec(shape))
  init = functools.partial(gan.init, method)
  state = jax.eval_shape(init, jax.random.key(0))
  batch = {'image': jax.ShapeDtypeStruct((32, *shape), jnp.float32)}
  step = jax.jit(functools.partial(gan.train_step, method))
  traced = step.trace(state, batch, jax.eval_shape(lambda: jax.random.key(0)))
  for platform in ('cuda', 'tpu'):
    traced.lower(lowering_platforms=(platform,)).as_text()
