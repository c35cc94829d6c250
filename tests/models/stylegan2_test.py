"""StyleGAN2 beside its reference: arrays, counts, sizes, styles and noise."""

import dataclasses
import functools
import re

import chex
import golden_arrays
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from runs import ROOT, module

from jaxgan import errors
from jaxgan import steps as steps_lib
from jaxgan.adversarial import path_length
from jaxgan.config import networks, presets
from jaxgan.core import latents as latents_lib
from jaxgan.data import Spec
from jaxgan.models import stylegan2
from jaxgan.models.layers import equalized, modulated, norms, resampling
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import summary
from tests.golden import make_stylegan2
from tests.golden.make_residual import BATCH, CLASSES, LABELS, value
from tests.golden.make_stylegan2 import (
  CASES,
  MULTIPLIER,
  PARAMS,
  PATH_MEAN,
  PSI,
  weight,
)

SLOW = pytest.mark.slow
PLAYERS = ('generator', 'discriminator')


def build(case, player, **fields):
  """Returns a network and the shape of its inputs."""
  classes = CLASSES if case.conditional else 0
  fields |= dict(num_classes=classes, multiplier=MULTIPLIER)
  fields |= dict(mapping_layers=case.mapping)
  side = (case.side, case.side, 3)
  if player == 'generator':
    fields |= dict(widths=case.widths) | case.generator
    return stylegan2.Generator(side, **fields), (case.latents,)
  fields |= dict(widths=case.widths[::-1]) | case.discriminator
  return stylegan2.Discriminator(**fields), side


def cast(x):
  is_wide = jax.config.jax_enable_x64
  return jnp.asarray(x, jnp.float64 if is_wide else jnp.float32)


def filled(network, inputs):
  """Returns the variables of a network with the weights of the reference."""
  init = functools.partial(network.init, train=False)
  shapes = jax.eval_shape(init, jax.random.key(0), *inputs)
  return {
    kind: traverse_util.path_aware_map(
      lambda path, leaf: cast(weight('/'.join(path), leaf.shape)), tree
    )
    for kind, tree in shapes.items()
  }


def flat(kind, tree):
  leaves = traverse_util.flatten_dict(tree).items()
  return {f'{kind} {"/".join(path)}': leaf for path, leaf in leaves}


def outcome(case, player, draw):
  """Returns our arrays by the names of the golden ones."""
  network, size = build(case, player)
  label = (np.array(LABELS),) if case.conditional else ()
  x = cast(value(f'{player} {draw}', (BATCH, *size)))
  variables = filled(network, (x, *label))
  params = variables.pop('params')

  def apply(params, x, **fields):
    variables_ = {'params': params, **variables}
    return network.apply(variables_, x, *label, train=False, **fields)

  def loss(params, x):
    output = apply(params, x)
    return jnp.sum(output * cast(value('probe', output.shape))), output

  @jax.jit
  def common(params, x):
    slope, output = jax.grad(loss, 1, has_aux=True)(params, x)
    first, _ = jax.grad(loss, has_aux=True)(params, x)
    return {'output': output, 'gradient': slope} | flat('params', first)

  @jax.jit
  def second(params, x):
    def squared(params):
      return jnp.sum(jax.grad(loss, 1, has_aux=True)(params, x)[0] ** 2)

    return flat('second', jax.grad(squared)(params))

  found = common(params, x)
  if player == 'discriminator':
    return found | second(params, x)

  @jax.jit
  def of_styles(params, x):
    pixels = cast(value('path', (BATCH // 2, *network.shape)))
    mean = cast(PATH_MEAN)
    half = slice(BATCH // 2)

    def lengths(params):
      kept = {'params': params, **variables}
      fields = dict(train=False, method='map_latents')
      w = network.apply(kept, x[half], *(y[half] for y in label), **fields)
      fields = dict(train=False, method='synthesize')
      draw = lambda w: network.apply(kept, w, **fields)
      return path_length.lengths(draw, w, pixels)

    def penalty(params):
      return path_length.penalty(lengths(params), mean)

    path, mean = jax.grad(penalty, has_aux=True)(params)
    w = apply(params, x, method='map_latents')
    truncated = network.clone(truncation=PSI).apply(
      {'params': params, **variables}, x, *label, train=False
    )
    _, kept = network.apply(
      {'params': params, **variables},
      x,
      *label,
      train=True,
      method='map_latents',
      mutable=['averages'],
    )
    return {
      'w': w[:, 0],
      'truncated': truncated,
      'lengths': lengths(params),
      'path_mean': mean,
      'average': kept['averages']['w'],
    } | flat('path', path)

  return found | of_styles(params, x)


@pytest.mark.parametrize('player', PLAYERS)
@pytest.mark.parametrize(
  ('name', 'tolerance'), golden_arrays.cases(CASES, '32')
)
def test_networks_equal_the_reference(name, tolerance, player):
  """Outputs, gradients of two orders, w, path lengths and their penalty."""
  found, golden = golden_arrays.compare(
    make_stylegan2.FOLDER / f'stylegan2_{name}.npz',
    player,
    tolerance,
    functools.partial(outcome, CASES[name], player),
    lambda key: PARAMS if ' ' in key else 1000,
  )
  zero = {key for key in found.keys() - golden.keys() if not found[key].any()}
  unread = found.keys() - golden.keys() - zero
  assert all(key.startswith('second ') for key in unread), unread


# config -> (side, classes, G, D), as the reference has them.
COUNTS = {
  'stylegan2_cifar10:paper': (32, 0, 19_947_539, 20_720_641),
  'stylegan2_cifar10:paper, conditional': (32, 10, 20_215_315, 23_089_664),
  'stylegan2_faces:paper': (64, 0, 22_243_608, 23_407_361),
  'stylegan2_faces:f256, 1024': (1024, 0, 30_370_060, 29_012_513),
}
WIDTHS_1024 = (512,) * 5 + (256, 128, 64, 32)


def config_of(name):
  file, _, variant = name.partition(':')
  return module(ROOT / 'configs' / f'{file}.py').get_config(variant)


@pytest.mark.parametrize('name', COUNTS)
def test_parameter_counts_of_paper_variants(name):
  side, classes, *counts = COUNTS[name]
  config, shape = config_of(name.partition(',')[0]), (side, side, 3)
  if side == 1024:
    presets.stylegan2_widths(config, WIDTHS_1024)
  label = (jnp.zeros(1, int),) if classes else ()
  found = []
  for player, size in zip(PLAYERS, ((config.latent_size,), shape), strict=True):
    network, _ = networks.build_network(
      config, player, 1.0, shape=shape, num_classes=classes
    )
    inputs = (jnp.zeros((1, *size)), *label)
    found.append(summary.parameter_counts(network, *inputs)[1])
  assert found == counts


SHAPE = (8, 8, 1)
NARROW = dict(widths=(4, 3, 2))
SMALL = NARROW | dict(mapping_layers=2, style_size=5)


@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 1)])
@pytest.mark.parametrize('architecture', ['residual', 'plain'])
def test_networks_take_any_size(shape, architecture, key):
  skip, orig = (
    ('skip', 'orig') if architecture == 'plain' else 2 * ('residual',)
  )
  generator = stylegan2.Generator(shape, architecture=skip, **SMALL)
  images = jax.eval_shape(
    lambda: generator.init_with_output(key, jnp.ones((2, 6)), train=False)[0]
  )
  assert images.shape == (2, *shape)
  discriminator = stylegan2.Discriminator(architecture=orig, **NARROW)
  x = jnp.zeros((2, *shape))
  logits = jax.eval_shape(
    lambda: discriminator.init_with_output(key, x, train=False)[0]
  )
  assert logits.shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize('size', [None, (6, 8), (5, 7)])
@pytest.mark.parametrize('demodulate', [True, False])
def test_forms_of_modulated_convolutions_are_equal(size, demodulate, key):
  """With first and second derivatives."""
  keys = jax.random.split(key, 3)
  x = jax.random.normal(keys[0], (3, 3, 4, 5))
  w = jax.random.normal(keys[1], (3, 3, 5, 6))
  styles = jax.random.normal(keys[2], (3, 5))

  def derivatives(form):
    apply = functools.partial(
      modulated.modulated_conv, demodulate=demodulate, size=size, form=form
    )
    loss = lambda *inputs: jnp.sum(jnp.sin(apply(*inputs)))
    every = (0, 1, 2)
    squares = lambda *inputs: sum(
      jnp.sum(g**2) for g in jax.grad(loss, every)(*inputs)
    )
    inputs = (x, w, styles)
    return (
      apply(*inputs),
      jax.grad(loss, every)(*inputs),
      jax.grad(squares, every)(*inputs),
    )

  with jax.enable_x64(True):
    x, w, styles = (a.astype(jnp.float64) for a in (x, w, styles))
    ours, expected = map(
      derivatives, (modulated.of_kernels, modulated.of_activations)
    )
    chex.assert_trees_all_close(ours, expected, rtol=1e-9, atol=1e-9)


@functools.cache
def generated(**fields):
  """Returns a small generator, its variables with random noise, and latents."""
  fields = SMALL | dict(widths=(3, 2)) | fields
  generator = stylegan2.Generator(SHAPE, **fields)
  z = jax.random.normal(jax.random.key(1), (16, 6))
  init = jax.jit(functools.partial(generator.init, train=False))
  variables = init(jax.random.key(0), z)
  variables = traverse_util.path_aware_map(
    lambda path, x: jnp.full_like(x, 0.3) if path[-1] == 'strength' else x,
    variables,
  )
  average = jnp.linspace(-0.5, 0.5, generator.style_size)
  return generator, {**variables, 'averages': {'w': average}}, z


def test_truncation_is_the_identity_or_gives_the_mean_image():
  generator, variables, z = generated()
  average = variables['averages']['w']

  def w_of(psi, train=False):
    truncated = generator.clone(truncation=psi)
    return truncated.apply(variables, z, train=train, method='map_latents')

  w = w_of(1.0)
  full = jnp.broadcast_to(average, w.shape)
  same = stylegan2.truncate(w, average, 1.0)
  np.testing.assert_allclose(same, w, atol=1e-6)
  np.testing.assert_array_equal(w_of(0.0, train=True), w)
  np.testing.assert_allclose(w_of(0.5), (w + full) / 2, atol=1e-6)
  np.testing.assert_allclose(w_of(0.0), full, atol=1e-6)
  draw = jax.jit(functools.partial(generator.apply, train=False))
  mean = generator.clone(truncation=0.0)
  images = jax.jit(functools.partial(mean.apply, train=False))(variables, z)
  np.testing.assert_allclose(images[:-1], images[1:], rtol=1e-4, atol=1e-6)
  layers = functools.partial(generator.apply, train=False, method='synthesize')
  np.testing.assert_allclose(
    images, jax.jit(layers)(variables, full), atol=1e-6
  )
  assert np.std(draw(variables, z), axis=0).min() > 0


def test_mixing_replaces_late_layers_with_the_probability():
  generator, variables, z = generated()
  z = jax.random.normal(jax.random.key(2), (2_000, 6))
  layers = generator.layers

  def mixed(probability, **fields):
    mixing = generator.clone(mixing=probability, **fields)
    return mixing.apply(
      variables,
      z,
      train=True,
      method='map_latents',
      rngs={'dropout': jax.random.key(3)},
    )

  plain, w = mixed(0.0), mixed(0.4)
  is_own = np.all(np.asarray(w == plain), axis=-1)  # [B, layers]
  assert is_own[:, 0].all()
  assert (np.diff(is_own.astype(int), axis=1) <= 0).all()
  assert abs(1 - is_own[:, -1].mean() - 0.4) < 4 * (0.24 / len(z)) ** 0.5
  counts = np.bincount(is_own.sum(1), minlength=layers + 1)[1:layers]
  assert len(counts) == layers - 1
  assert counts.min() > 0.7 * counts.max()  # Every layer is equally likely.
  constant = latents_lib.Latents((latents_lib.Part('z', 'categorical', 6),))
  w = mixed(1.0, latents=constant)
  assert len(np.unique(np.asarray(w[:, -1]).round(4), axis=0)) == 6


def test_average_of_w_follows_training_calls():
  generator, variables, z = generated(decay=0.9)
  average = variables['averages']['w']
  for train, share in ((True, 0.9), (False, 1.0)):
    w, kept = generator.apply(
      variables, z, train=train, method='map_latents', mutable=['averages']
    )
    expected = share * average + (1 - share) * w[:, 0].mean(0)
    np.testing.assert_allclose(kept['averages']['w'], expected, atol=1e-6)


def test_noise_is_new_in_training_and_fixed_elsewhere():
  generator, variables, z = generated()
  z = jnp.broadcast_to(z[:1], z.shape)
  fixed = jax.jit(functools.partial(generator.apply, train=False))
  fixed = fixed(variables, z)
  chex.assert_trees_all_close(fixed, jnp.broadcast_to(fixed[:1], fixed.shape))
  new = jax.jit(functools.partial(generator.apply, train=True))
  one, same, other = (
    new(variables, z, rngs={'dropout': jax.random.key(k)}) for k in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, same)
  assert np.abs(one - other).min() > 0
  assert np.abs(one[0] - one[1]).min() > 0
  assert np.abs(one - fixed).min() > 0


@pytest.mark.parametrize(
  ('batch', 'most', 'size'),
  [(8, 4, 4), (6, 4, 3), (12, 32, 12), (7, 4, 7), (1, 4, 1), (16, 8, 8)],
)
def test_minibatch_deviation_of_groups(batch, most, size, key):
  """Members of a group are as far apart in the batch as possible."""
  x = jax.random.normal(key, (batch, 2, 3, 4))
  found = norms.MinibatchStddev(most).apply({}, x)
  np.testing.assert_array_equal(found[..., :-1], x)
  assert norms.group_size(batch, most) == size
  groups, values = batch // size, np.asarray(x, np.float64)
  for index in range(batch):
    members = values[index % groups :: groups]
    assert len(members) == size
    expected = np.sqrt(members.var(0) + 1e-8).mean()
    np.testing.assert_allclose(found[index, ..., -1], expected, rtol=1e-5)


@pytest.mark.parametrize('parts', [2, 8])
def test_minibatch_deviation_does_not_depend_on_devices(parts, key):
  x = jax.random.normal(key, (8, 2, 2, 3))
  apply = functools.partial(norms.MinibatchStddev(4).apply, {})
  split = jax.vmap(apply, axis_name='data')(x.reshape(parts, -1, *x.shape[1:]))
  np.testing.assert_allclose(split.reshape(8, 2, 2, -1), apply(x), rtol=1e-6)


@pytest.mark.parametrize('size', [(4, 6), (5, 3), (1, 1)])
def test_filters_keep_constant_images_inside(size):
  """And a reduction is a quarter of the adjoint of an enlargement."""
  x = jnp.ones((1, 8, 8, 1))
  for y in (
    resampling.enlarge(x, (16, 16), equalized.FILTER),
    resampling.reduce(x, equalized.FILTER),
    resampling.smooth(x, ((2, 1), (1, 2)), equalized.FILTER),
  ):
    np.testing.assert_allclose(y[:, 2:-2, 2:-2], 1.0, rtol=1e-6)
  small = tuple(-(-n // 2) for n in size)
  x = jnp.asarray(value('x', (2, *small, 3)))
  y = jnp.asarray(value('y', (2, *size, 3)))
  large = resampling.enlarge(x, size, equalized.FILTER)
  reduced = resampling.reduce(y, equalized.FILTER)
  np.testing.assert_allclose(
    jnp.vdot(large, y), 4 * jnp.vdot(x, reduced), rtol=1e-3
  )


def test_fresh_kernels_have_deviation_one_over_the_multiplier(key):
  layer = equalized.Linear(200, multiplier=0.01)
  kernel = layer.init(key, jnp.ones((1, 100)))['params']['kernel']
  np.testing.assert_allclose(np.std(kernel), 100.0, rtol=0.02)


@pytest.mark.parametrize('player', PLAYERS)
def test_networks_in_bfloat16_return_float32(player, key):
  fields = dict(dtype=jnp.bfloat16)
  if player == 'generator':
    network, x = stylegan2.Generator(SHAPE, **SMALL, **fields), jnp.ones((2, 6))
  else:
    network, x = (
      stylegan2.Discriminator(**NARROW, **fields),
      jnp.ones((2, *SHAPE)),
    )

  def run():
    return network.init_with_output(key, x, train=False)

  output, variables = jax.eval_shape(run)
  assert {leaf.dtype for leaf in jax.tree.leaves((output, variables))} == {
    jnp.dtype('float32')
  }
  assert 'bf16[' in str(jax.make_jaxpr(run)())


def small(shape=SHAPE, **changed):
  """Returns the method of a small config with all terms."""
  config = config_of('stylegan2_faces:')
  presets.stylegan2_widths(config, (4, 4), units=6)
  config.generator.mapping_layers = 1
  config.update(path_length_every=2, penalties_every=2, batch_size=16)
  config.update_from_flattened_dict(changed)
  return steps_lib.find('gan').from_config(config, Spec(shape, 0, ()))


@pytest.mark.slow
def test_generator_updates_alone_move_the_average_of_w(key):
  gan, method = steps_lib.find('gan'), small()
  state = jax.jit(gan.init, static_argnums=0)(method, key)
  batch = {'image': jax.random.uniform(key, (16, *SHAPE))}
  z = method.latents.sample(key, 16)
  average = lambda state: state.networks['generator'].stats['averages']['w']
  step = lambda name: jax.jit(getattr(gan, name), static_argnums=0)
  after, _ = step('discriminator_step')(method, state, batch, z, key)
  assert not average(after).any()
  after, metrics = step('generator_step')(method, state, batch, z, key)
  network = state.networks['generator']
  w = method.generator.clone(mixing=0.0).apply(
    {'params': network.params, **network.stats},
    z,
    train=True,
    method='map_latents',
  )
  np.testing.assert_allclose(
    average(after), 0.005 * w[:, 0].mean(0), rtol=1e-4, atol=1e-7
  )
  assert metrics['generator/path_length'] > 0
  assert after.extra['path_length'] > 0


def test_path_lengths_without_styles_are_refused():
  config = config_of('dcgan_mnist:')
  config.path_length = 2.0
  with pytest.raises(errors.UserError, match=r'path_length=2\.0.*styles'):
    steps_lib.find('gan').from_config(config, Spec((28, 28, 1), 0, ()))


@pytest.mark.slow
def test_conditional_rounds_keep_shapes_of_the_state():
  """Path lengths take the labels of the fakes. A round is traced, not run."""
  gan, config = steps_lib.find('gan'), config_of('stylegan2_faces:')
  presets.stylegan2_widths(config, (4, 4), units=6)
  config.conditional = True
  method = gan.from_config(config, Spec(SHAPE, 3, ('a', 'b', 'c')))
  before = jax.eval_shape(
    functools.partial(gan.init, method), jax.random.key(0)
  )
  batch = {'image': jnp.zeros((16, *SHAPE)), 'label': jnp.zeros(16, int)}
  step = functools.partial(gan.train_step, method)
  after, _ = jax.eval_shape(step, before, batch, jax.random.key(0))
  chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
  mapping = before.networks['generator'].params['mapping']
  assert mapping['labels']['kernel'].shape == (3, 6)


@pytest.mark.slow
def test_mixing_takes_the_latents_of_the_run():
  method = small(latent='uniform')
  assert method.generator.latents == method.latents
  z = method.generator.latents.sample(jax.random.key(0), 100)
  assert float(jnp.abs(z).max()) <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['f32', 'bf16'])
@pytest.mark.parametrize('fused', [False, True])
def test_rounds_lower_for_accelerators_with_plain_convolutions(
  precision, fused
):
  gan, method = (
    steps_lib.find('gan'),
    small(**{'precision': precision, 'generator.fused': fused}),
  )
  state = jax.eval_shape(functools.partial(gan.init, method), jax.random.key(0))
  batch = {'image': jax.ShapeDtypeStruct((16, *SHAPE), jnp.float32)}
  step = jax.jit(functools.partial(gan.train_step, method))
  traced = step.trace(state, batch, jax.eval_shape(lambda: jax.random.key(0)))
  for platform in ('cuda', 'tpu'):
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    groups = set(re.findall(r'feature_group_count = (\d+)', text))
    assert groups == ({'1', '8', '16'} if fused else {'1'})
    assert not re.findall(r'custom_call @(?!Sharding|annotate)\w+', text)


@pytest.mark.slow
@pytest.mark.eight_devices
def test_eight_devices_equal_one():
  """Mixing, noise, groups, the average of w, path lengths and R1."""
  gan, shape = steps_lib.find('gan'), (4, 4, 1)
  method = dataclasses.replace(
    small(shape),
    generator_optimizer=optax.sgd(1e-3),
    discriminator_optimizer=optax.sgd(1e-3),
  )
  images = jax.random.uniform(jax.random.key(1), (16, *shape))
  first = jax.jit(functools.partial(gan.init, method))(jax.random.key(0))
  first = jax.device_get(first)

  def train(engine):
    state = engine.replicate(first)
    call = compile_lib.compile_rounds(
      engine,
      functools.partial(gan.train_step, method),
      rounds=1,
      draws=1,
      batch_size=16,
      resident=False,
    )
    metrics = []
    for _ in range(3):
      batch = engine.split({'image': np.asarray(images)[None, None]})
      state, values = call(state, batch, engine.replicate(np.uint32(0)))
      metrics.append(jax.device_get(values))
    return jax.device_get(state), metrics

  one = train(devices_lib.make_alone(16))
  engine = devices_lib.make('pmap', 16)
  assert engine.num_devices == 8
  many = train(engine)
  chex.assert_trees_all_close(many[0], one[0], rtol=1e-3, atol=1e-5)
  chex.assert_trees_all_close(many[1], one[1], rtol=1e-3, atol=1e-4)
