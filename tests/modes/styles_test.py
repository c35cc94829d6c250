"""Styles of StyleGAN2: inversion in w and w+, and noise maps."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from runs import ROOT, module

from jaxgan import errors, gan
from jaxgan.core import directions
from jaxgan.core import latents as latents_lib
from jaxgan.core import pixels as pixels_lib
from jaxgan.models import stylegan2
from jaxgan.modes import complete, sample, style_search, styles
from jaxgan.modes import restore as restore_lib
from jaxgan.training import loop
from tests.modes.sample_test import cells, close, finished_run, read

SHAPE, LATENTS, LAYERS = (12, 10, 3), 6, 4


def with_noise(params):
  """Parameters in which the noise has an effect."""
  return traverse_util.path_aware_map(
    lambda path, x: x + 0.03 if path[-1] == 'strength' else x, params
  )


@pytest.fixture(scope='module')
def method():
  return gan.GAN(
    stylegan2.Generator(
      SHAPE, widths=(8, 8), style_size=7, mapping_layers=2, multiplier=0.5
    ),
    stylegan2.Discriminator(widths=(4, 4), mapping_layers=1),
    latents=latents_lib.single('normal', LATENTS),
  )


@pytest.fixture(scope='module')
def state(method):
  state = jax.jit(gan.init, static_argnums=0)(method, jax.random.key(1))
  network = state.networks['generator']
  network = network.replace(params=with_noise(network.params))
  return state.replace(networks=state.networks | {'generator': network})


def test_map_latents_and_synthesize_are_the_generator(method, state, key):
  z = method.latents.sample(key, 3)
  w = styles.map_latents(method, state, z)
  assert w.shape == (3, LAYERS, 7)
  synthesize = jax.jit(functools.partial(styles.synthesize, method))
  images = jax.jit(functools.partial(gan.decode, method))(state, z)
  np.testing.assert_allclose(synthesize(state, w), images, atol=1e-5)
  np.testing.assert_allclose(synthesize(state, w[:, :1]), images, atol=1e-5)
  maps = jax.tree.map(
    jnp.zeros_like, state.networks['generator'].stats['noise']
  )
  found = synthesize(state, w, maps)
  assert np.abs(found - images).max() > 0.01


def test_moments_are_those_without_truncation(method, state, key):
  truncated, _ = latents_lib.truncate(method, None, 0.1)
  mean, w = jax.jit(styles.moments, static_argnums=(0, 3))(
    truncated, state, key, 200
  )
  expected = styles.map_latents(method, state, method.latents.sample(key, 200))
  np.testing.assert_allclose(w, expected[:, 0], atol=1e-5)
  np.testing.assert_allclose(mean, expected[:, 0].mean(axis=0), atol=1e-5)


def test_inversion_finds_images_of_the_generator(method, state, key):
  """Far better than the mean of w, and at least as well with more freedom."""
  mean, w = jax.jit(styles.moments, static_argnums=(0, 3))(
    method, state, key, 500
  )
  spread = jnp.sqrt(jnp.mean(jnp.sum((w - mean[None]) ** 2, axis=1)))
  synthesize = jax.jit(functools.partial(styles.synthesize, method, state))
  images = synthesize(w[:3, None])
  at_start = jnp.mean((synthesize(mean[None, None]) - images) ** 2, (1, 2, 3))
  maps = state.networks['generator'].stats['noise']
  keys = jax.random.split(key, 3)

  @functools.partial(jax.jit, static_argnums=1)
  def search(images, count, keys, weight=style_search.NOISE_WEIGHT):
    start = jnp.broadcast_to(mean[None], (count, len(mean)))
    return style_search.search(
      *(synthesize, images, start, spread, maps, keys),
      iterations=150,
      noise_weight=weight,
    )

  one, each = search(images, 1, keys), search(images, LAYERS, keys)
  assert (one.loss < 0.1 * at_start).all()
  assert each.loss.mean() <= one.loss.mean()
  distances = [
    np.linalg.norm(x - w[:3], axis=1) for x in (one.latents[:, 0], mean[None])
  ]
  assert (distances[0] < 0.2 * distances[1]).all()
  assert one.latents.shape == (3, 1, 7)
  assert each.latents.shape == (3, LAYERS, 7)
  for row in range(3):
    own = jax.tree.map(lambda x, row=row: x[row], one.maps)
    for x in jax.tree.leaves(own):
      assert abs(float(x.mean())) < 1e-4
      assert float(x.std()) == pytest.approx(1.0, abs=1e-3)
    found = synthesize(one.latents[row][None], own)[0]
    np.testing.assert_allclose(found, one.images[row], atol=1e-4)
  of_maps = jax.vmap(style_search.regulariser)
  assert of_maps(one.maps).max() < 1e-5
  assert of_maps(search(images, 1, keys, 0.0).maps).min() > 0.01
  alone = search(images[1:2], 1, keys[1:2])
  np.testing.assert_allclose(alone.loss[0], one.loss[1], rtol=0.05)


@pytest.mark.parametrize('side', [4, 8, 16, 64])
def test_regulariser_of_constant_maps_is_exact(side):
  """At each scale, means times two double the constant c."""
  scales = max(int(np.log2(side / 8)), 0) + 1
  c = 0.7
  expected = sum(2.0 * (c * 2.0**scale) ** 4 for scale in range(scales))
  found = style_search.regulariser({'a': jnp.full((side, side, 1), c)})
  assert float(found) == pytest.approx(expected, rel=1e-5)


def test_regulariser_of_white_noise_is_near_zero(key):
  """Products of neighbours have the variance 1 / pixels at every scale."""
  maps = jax.random.normal(key, (400, 32, 32, 1))
  found = jax.vmap(style_search.regulariser)(maps)
  expected = sum(2.0 / side**2 for side in (32, 16, 8))
  assert float(found.mean()) == pytest.approx(expected, rel=0.2)
  stripes = jnp.tile(jnp.array([1.0, -1.0]), (16, 8))[..., None]
  assert float(style_search.regulariser(stripes)) == pytest.approx(2.0)


def test_regulariser_sums_over_maps_of_odd_sizes(key):
  maps = [
    jax.random.normal(key, (17, 12, 1)),
    jax.random.normal(key, (5, 3, 1)),
  ]
  parts = [float(style_search.regulariser(x)) for x in maps]
  assert float(style_search.regulariser(maps)) == pytest.approx(sum(parts))
  x = np.asarray(maps[0])[..., 0]
  small = 2.0 * x[:16].reshape(8, 2, 6, 2).mean(axis=(1, 3))
  expected = sum(
    np.mean(y * np.roll(y, 1, axis)) ** 2 for y in (x, small) for axis in (0, 1)
  )
  assert parts[0] == pytest.approx(expected, rel=1e-4)


def test_schedule_rises_and_falls():
  rate = style_search.schedule(1000, 0.1)
  values = [float(rate(k)) for k in (0, 24, 49, 500, 750, 875, 1000)]
  expected = [0.002, 0.05, 0.1, 0.1, 0.1, 0.05, 0.0]
  np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  config = module(ROOT / 'configs' / 'stylegan2_cifar10.py').get_config()
  config.update_from_flattened_dict(
    {
      'data.source': 'toy',
      'data.name': 'random',
      'data.channels': 3,
      'data.image_size': 8,
      'generator.widths': (8, 8),
      'discriminator.widths': (8, 8),
      'generator.style_size': 8,
      'latent_size': 8,
      'num_steps': 0,
      'sample_every': 0,
    }
  )
  folder = tmp_path_factory.mktemp('stylegan2') / 'run'
  loop.train(config, folder)
  return folder


def loaded(workdir):
  """Returns the method, its state, and three compiled functions of both."""
  run = restore_lib.restore(workdir)
  state = run.algorithm.use_ema_weights(run.method, run.state)
  functions = (gan.decode, styles.map_latents, styles.synthesize)
  return (
    run.method,
    state,
    *(jax.jit(functools.partial(f, run.method, state)) for f in functions),
  )


FEW = dict(num=2, iterations=3)


@pytest.mark.parametrize(
  'space', ['w', pytest.param('w+', marks=pytest.mark.slow)]
)
def test_invert_writes_styles_and_noise_of_its_images(workdir, space):
  summary = complete.invert(workdir, space=space, **FEW)
  folder = pathlib.Path(summary['path'])
  assert f'_{space}_' in folder.name
  w = np.load(folder / 'latents.npy')
  assert w.shape == (2, 1 if space == 'w' else LAYERS, 8)
  *_, synthesize = loaded(workdir)
  with np.load(folder / 'noise.npz') as file:
    maps = {name: file[name] for name in file.files}
  for row in range(2):
    own = traverse_util.unflatten_dict(
      {name: x[row] for name, x in maps.items()}, sep='/'
    )
    image = synthesize(w[row][None], own)[0]
    found = pixels_lib.to_uint8(jnp.clip(image, -1.0, 1.0)).astype(int)
    assert np.abs(found - read(folder / f'{row:04d}.png')).max() <= 1


def test_mix_of_one_source_is_a_plain_sample(key):
  """And all layers before the crossover are those of the first source."""
  first, second = jax.random.normal(key, (2, 3, LAYERS, 5))
  second = second[:2]
  mixed = [styles.mix(first, second, k) for k in range(LAYERS + 1)]
  assert mixed[0].shape == (3, 2, LAYERS, 5)
  for row in range(3):
    for column in range(2):
      np.testing.assert_array_equal(mixed[0][row, column], second[column])
      np.testing.assert_array_equal(mixed[-1][row, column], first[row])
      half = mixed[1][row, column]
      np.testing.assert_array_equal(half[:1], first[row, :1])
      np.testing.assert_array_equal(half[1:], second[column, 1:])


def test_mixing_grid_shows_sources_and_mixtures(workdir):
  path = sample.sample(workdir, 2, 5, mixing=2)
  assert path.name.endswith('num2_seed5_mixing2.png')
  shown = cells(path, 3, 3, 8)
  method, _, decode, map_latents, synthesize = loaded(workdir)
  z = method.latents.sample(jax.random.key(5), 4)
  images = pixels_lib.to_uint8(decode(z))
  close(shown[1:, 0], images[:2])
  close(shown[0, 1:], images[2:])
  assert not shown[0, 0].any()
  w = map_latents(z)
  w = jnp.concatenate([w[0, :2], w[3, 2:]])
  found = pixels_lib.to_uint8(synthesize(w[None]))
  close(shown[1, 2], found[0])


@pytest.mark.parametrize(('mixing', 'rows'), [(0, False), (LAYERS, True)])
def test_mixing_at_the_ends_shows_one_source(workdir, mixing, rows):
  shown = cells(sample.sample(workdir, 2, mixing=mixing), 3, 3, 8)
  for k in (1, 2):
    expected = shown[1:, 0] if rows else shown[0, 1:]
    close(shown[1:, k] if rows else shown[k, 1:], expected)


def test_directions_of_styles_are_eigenvectors_over_all_layers(method, state):
  params = state.networks['generator'].params
  layers = ('conv_0', 'up_1', 'conv_1', 'image_0', 'image_1')
  total = 0.0
  for layer in layers:
    kernel = params['synthesis'][layer]['style']['kernel']
    kernel = np.asarray(kernel, np.float64)  # [D, C]
    total = total + kernel @ kernel.T
  values, vectors = np.linalg.eigh(total)
  found, lengths = directions.factorize(directions.style_kernel(params))
  np.testing.assert_allclose(lengths**2, values[::-1], rtol=1e-6)
  cosines = np.abs(found @ vectors[:, ::-1])
  np.testing.assert_allclose(cosines, np.eye(7), atol=1e-4)


def test_direction_of_a_run_with_styles_moves_w(workdir):
  path = sample.sample(workdir, 2, direction=1)
  shown = cells(path, 2, 13, 8)
  method, state, _, map_latents, synthesize = loaded(workdir)
  key = jax.random.key(0)
  w = map_latents(method.latents.sample(key, 2))
  kernel = directions.style_kernel(state.networks['generator'].params)
  direction = directions.factorize(kernel)[0][1]
  _, others = styles.moments(method, state, key)
  end = w + 3.0 * np.float32(np.std(others @ direction) * direction)[None, None]
  for column, expected in ((6, w), (12, end)):
    close(shown[:, column], pixels_lib.to_uint8(synthesize(expected)))


@pytest.mark.parametrize('name', ['direction', 'mixing'])
def test_numbers_out_of_range_are_refused(workdir, name):
  last = dict(direction=7, mixing=LAYERS)[name]
  with pytest.raises(errors.UserError, match=rf'--{name}=8 .*0\.\.{last}'):
    sample.sample(workdir, 2, **{name: 8})


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(space='v'), "--space='v'"),
    (dict(space='w', restarts=2), r'--space=w .*--restarts'),
    (dict(space='w+', labels='3'), r'--space=w\+ .*--labels'),
  ],
)
def test_requests_that_styles_do_not_take_are_refused(workdir, fields, message):
  with pytest.raises(errors.UserError, match=message) as found:
    complete.invert(workdir, **FEW | fields)
  assert '\n' not in str(found.value)


def test_networks_without_a_mapping_are_refused(tmp_path):
  workdir = finished_run(tmp_path / 'run')
  with pytest.raises(errors.UserError, match=r'--space=w needs.*mapping'):
    complete.invert(workdir, space='w', **FEW)
