"""--mode=explore: pictures from latents, codes and uploads, without HTTP."""

import base64
import io
import json
import struct
import types
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from runs import ROOT, small

from jaxgan import errors, gan, steps
from jaxgan.core import directions as sefa
from jaxgan.core import latents as latents_lib
from jaxgan.models import stylegan2
from jaxgan.modes.explore import (
  answers,
  directions,
  explorer,
  forms,
  model,
  results,
  searches,
  uploads,
)
from jaxgan.training import loop
from jaxgan.training.trained import Run
from jaxgan.visual import grid

WORKDIRS = ROOT / 'tests' / 'fixtures' / 'workdirs'
SHAPE = (8, 8, 1)


@pytest.fixture(scope='module')
def opened():
  """Returns a function that opens a workdir of the fixtures once."""
  cache = {}

  def find(name):
    if name not in cache:
      path = name if name == 'digits' else WORKDIRS / name
      cache[name] = explorer.Explorer(path)
    return cache[name]

  return find


def of_latents(text, kind=model.LATENTS):
  """A model whose networks are never applied."""
  latents = latents_lib.Latents(latents_lib.parse(text))
  method = types.SimpleNamespace(latents=latents)
  run = types.SimpleNamespace(method=method, classes=())
  return model.Model(run, kind)


def png(pixels):
  return base64.b64encode(uploads.png(pixels)).decode()


def read(data):
  if isinstance(data, str):
    data = base64.b64decode(data.partition(',')[2])
  with Image.open(io.BytesIO(data)) as picture:
    return np.asarray(picture)


def drawn(explored, num, **fields):
  form = answers.sample(explored, {'num': num, **fields})
  return form, forms.latents(form, explored.model({}).size, num)


def test_images_equal_those_of_the_algorithm(opened, key):
  """In batches that are filled up, for any number of latents."""
  explored = opened('vae')
  restored = explored.model({})
  z = restored.run.method.latents.sample(key, 5)
  algorithm, method = restored.run.algorithm, restored.run.method
  expected = jax.jit(algorithm.decode, static_argnums=0)(
    method, restored.state, z
  )
  images = model.decode(restored, np.asarray(z))
  assert images.shape == (5, *SHAPE)
  np.testing.assert_allclose(images, expected, atol=1e-6)
  limited = latents_lib.truncated(z, 0.5)
  images = model.decode(restored, np.asarray(z), psi=0.5)
  expected = model.decode(restored, np.asarray(limited))
  np.testing.assert_allclose(images, expected, atol=1e-5)


def test_codes_are_those_of_the_autoencoder(opened):
  explored = opened('autoencoder')
  restored = explored.model({})
  images = explored.pictures(3, 0)
  made = model.decode(restored, model.encode(restored, images))
  through = model.apply(restored, 'autoencoder', image=images)
  np.testing.assert_allclose(made, through, atol=1e-6)
  assert answers.about(explored, {})['kind'] == model.CODES


def test_posterior_mean_of_a_vae_is_its_latent(opened):
  restored = opened('vae').model({})
  images = opened('vae').pictures(2, 0)
  assert model.encode(restored, images).shape == (2, 4)


@pytest.mark.parametrize(
  ('name', 'kind', 'size', 'functions'),
  [
    ('gan', 'latents', 4, []),
    ('pix2pix', 'pictures', 0, ['generator']),
    ('cyclegan', 'pictures', 0, ['generator_ab', 'generator_ba']),
    ('inpaint', 'pictures', 0, ['generator']),
  ],
)
def test_about_describes_each_kind_of_run(opened, name, kind, size, functions):
  about = answers.about(opened(name), {})
  assert (about['kind'], about['size']) == (kind, size)
  assert [f['name'] for f in about['functions']] == functions
  assert about['steps'] == [4]
  assert json.loads(json.dumps(about)) == about


def test_run_without_images_is_refused():
  with pytest.raises(errors.UserError, match='nothing to show') as error:
    explorer.Explorer(WORKDIRS / 'classifier')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('text', ['normal 4', 'uniform 3', 'sphere 4'])
def test_walk_starts_and_ends_at_its_ends(text, key):
  of_text = of_latents(text)
  a, b = np.asarray(of_text.run.method.latents.sample(key, 2))
  path = model.between(of_text, a, b, 5)
  np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-6)
  if text != 'uniform 3':  # an arc
    halves = np.linalg.norm([path[2] - a, path[2] - b], axis=1)
    sizes = np.linalg.norm(path[[0, 2, 4]], axis=1)
    np.testing.assert_allclose(sizes[1], sizes[[0, 2]].mean(), rtol=1e-5)
    assert halves.max() < np.linalg.norm(a - b)
  else:
    np.testing.assert_allclose(path[2], (a + b) / 2, atol=1e-6)


def test_walk_of_codes_is_straight_and_returns():
  codes = of_latents('normal 2', model.CODES)
  a, b = np.float32([[0, 0], [2, 4]])
  np.testing.assert_allclose(model.between(codes, a, b, 3)[1], [1, 2])
  path = model.there_and_back(codes, np.stack([a, b]), 4)
  np.testing.assert_allclose(path, [[0, 0], [1, 2], [2, 4], [1, 2]])


def test_few_latents_are_moved_one_by_one():
  found = directions.find(of_latents('normal 3'), None)
  np.testing.assert_array_equal(found.vectors, np.eye(3))
  assert found.names == ('latent 0', 'latent 1', 'latent 2')


@pytest.mark.slow
def test_directions_of_a_dense_layer_are_those_of_sefa(opened):
  restored = opened('digits').model({})
  found = opened('digits').directions({})
  assert found.source.startswith('SeFa')
  generator = restored.state.networks['generator'].params
  kernel = next(
    x for x in jax.tree.leaves(generator) if np.shape(x)[:1] == (100,)
  )
  expected, _ = sefa.factorize(kernel)
  np.testing.assert_allclose(found.vectors, expected[:8], atol=1e-5)


def test_uniform_codes_come_before_other_directions(monkeypatch):
  vectors = np.float32(np.eye(15))[::-1]
  monkeypatch.setattr(
    directions.sample_lib, 'directions_of', lambda *_: vectors
  )
  infogan = of_latents('categorical 3 + uniform 2 + normal 10')
  found = directions.find(infogan, None)
  assert found.names[:3] == ('latent 3', 'latent 4', 'direction 0')
  np.testing.assert_array_equal(found.vectors[:2], np.eye(15)[3:5])
  assert len(found.names) == len(found.vectors) == directions.MOST


def test_regression_finds_the_latents_of_the_largest_changes(monkeypatch):
  """Images are linear in the latents, so directions are known."""
  sizes = np.zeros((12, 20), np.float32)
  sizes[3, 0], sizes[7, 1] = 5.0, 2.0

  def refuse(*_):
    raise errors.UserError('no layer')

  monkeypatch.setattr(directions.sample_lib, 'directions_of', refuse)
  monkeypatch.setattr(
    directions.model_lib, 'decode', lambda _, z, label: z @ sizes
  )
  linear = of_latents('normal 12')
  linear.run.spec = types.SimpleNamespace(shape=(4, 5, 1))
  found = directions.find(linear, None)
  assert len(found.vectors) == 2
  np.testing.assert_array_less(0.98, np.abs(found.vectors[[0, 1], [3, 7]]))


def test_components_of_codes_are_as_long_as_deviations(monkeypatch, key):
  """The slider of a code counts in standard deviations."""
  spread = np.float32([3.0, 0.1, 1.0])
  z = np.asarray(jax.random.normal(key, (2000, 3))) * spread
  monkeypatch.setattr(directions.model_lib, 'sample', lambda *_: z)
  vectors = directions.find(of_latents('normal 3', model.CODES), None).vectors
  lengths = np.linalg.norm(vectors, axis=1)
  np.testing.assert_allclose(lengths, [3.0, 1.0, 0.1], rtol=0.1)
  assert np.abs(vectors[[0, 1, 2], [0, 2, 1]]).min() > 0.09


def test_moves_stay_where_latents_are_likely():
  normal = of_latents('normal 2')
  z = np.float32([[0.5, 4.0]])
  vectors = np.eye(2, dtype=np.float32)
  assert directions.move(normal, z, [0.0, 0.0], vectors) is z
  moved = directions.move(normal, z, [1.0, 0.0], vectors)
  np.testing.assert_allclose(moved, [[1.5, 3.0]])


def test_category_is_set_in_its_part_alone(key):
  infogan = of_latents('categorical 3 + normal 2')
  z = np.asarray(infogan.run.method.latents.sample(key, 4))
  chosen = directions.choose(infogan, z, {'categorical': 1})
  np.testing.assert_array_equal(chosen[:, :3], [[0, 1, 0]] * 4)
  np.testing.assert_array_equal(chosen[:, 3:], z[:, 3:])


def test_plane_grows_to_the_right_and_upwards():
  normal = of_latents('normal 3')
  centre, (x, y, _) = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)
  z = directions.plane(normal, centre, x, y, 3).reshape(3, 3, 3)
  np.testing.assert_allclose(z[1, 1], centre)
  np.testing.assert_allclose(z[0, 2], [3, 3, 0])
  np.testing.assert_allclose(z[2, 0], [-3, -3, 0])


def test_cache_drops_the_oldest_and_keeps_the_newest():
  made = []

  def make(key):
    made.append(key)
    return key, 6

  cache = explorer.Cache(make, most_bytes=12)
  for key in (1, 2, 1, 3, 1, 2):  # 3 drops 2, and then 2 drops 3
    assert cache.get(key) == key
  assert made == [1, 2, 3, 2]
  assert explorer.Cache(make, most_bytes=1).get(9) == 9


def test_sample_depends_on_the_seed_alone(opened):
  one, other = (drawn(opened('gan'), 12, seed=k)[0] for k in (1, 2))
  assert one == drawn(opened('gan'), 12, seed=1)[0]
  assert one['latents'] != other['latents']
  assert one['labels'] == [*range(10), 0, 1]


def test_picture_depends_on_class_truncation_moves_and_latents(opened):
  explored = opened('gan')
  form, _ = drawn(explored, 3)
  changes = [
    {},
    {'labels': [3, 3, 3]},
    {'truncation': 0.3},
    {'moves': [2.0, 0, 0, 0]},
    drawn(explored, 3, seed=5)[0],
  ]
  pictures = [answers.images(explored, form | change) for change in changes]
  assert len(set(pictures)) == len(changes)
  assert read(pictures[0]).shape == (8, 24)
  assert answers.images(explored, form | {'moves': [0] * 4}) == pictures[0]
  assert read(answers.images(explored, form | {'columns': 2})).shape == (16, 16)


def test_members_of_a_population_differ(opened):
  explored = opened('population')
  form, _ = drawn(explored, 2)
  pictures = [
    answers.images(explored, form | {'member': member}) for member in (0, 1)
  ]
  assert pictures[0] != pictures[1]
  with pytest.raises(errors.UserError, match=r'member=2 must be .* 0\.\.1'):
    answers.images(explored, form | {'member': 2})


@pytest.fixture(scope='module')
def points(tmp_path_factory):
  """A run of points that ends at step 0."""
  folder = tmp_path_factory.mktemp('points') / 'run'
  fields = {'data.name': 'ring', 'latent': 'uniform', 'latent_size': 2}
  loop.train(small(sample_every=0, num_steps=0, **fields), folder)
  return explorer.Explorer(folder)


@pytest.mark.slow
def test_points_are_a_cloud(points):
  about = answers.about(points, {})
  assert (about['kind'], about['steps']) == ('points', [0])
  assert about['truncation'] == 0
  form, _ = drawn(points, 300)
  cloud = read(answers.images(points, form))
  assert cloud.shape == (grid.CLOUD_SIDE, grid.CLOUD_SIDE)
  moved = read(answers.images(points, form | {'moves': [1.0, 0.0]}))
  assert (cloud != moved).any()
  with pytest.raises(errors.UserError, match='truncation=1'):
    answers.images(points, form | {'truncation': 1})
  with pytest.raises(errors.UserError, match='makes points'):
    searches.picture(points, {})


@pytest.mark.slow
def test_all_checkpoints_are_shown(unbroken):
  """And a GIF of all steps changes nothing but the weights."""
  explored = explorer.Explorer(unbroken)
  steps = answers.about(explored, {})['steps']
  assert len(steps) > 1
  form, _ = drawn(explored, 4)
  pictures = {answers.images(explored, form | {'step': k}) for k in steps}
  assert len(pictures) == len(steps)
  form |= {'format': 'gif', 'over': 'steps', 'columns': 2}
  data, name = results.save(explored, form)
  assert name == 'run_steps.gif'
  with Image.open(io.BytesIO(data)) as gif:
    assert gif.n_frames == len(steps)


def test_walk_takes_the_class_of_the_nearer_end(opened):
  form, z = drawn(opened('gan'), 2)
  found = answers.walk(opened('gan'), form | {'labels': [3, 5], 'num': 5})
  assert found['labels'] == [3, 3, 3, 5, 5]
  path = forms.latents(found, 4, 5)
  np.testing.assert_array_equal(path[[0, -1]], z)


def test_plane_goes_through_a_picture(opened):
  form, z = drawn(opened('gan'), 1)
  form |= {'side': 3, 'first': 1, 'second': 0, 'labels': [7]}
  found = answers.plane(opened('gan'), form)
  plane = forms.latents(found, 4, 9)
  np.testing.assert_allclose(plane[4], np.clip(z[0], -3, 3))
  assert found['columns'] == 3
  assert found['labels'] == [7] * 9
  free = answers.plane(opened('autoencoder'), {'side': 3})
  assert len(forms.latents(free, 4, 9)) == 9


def test_saved_latents_are_those_of_the_pictures(opened):
  explored = opened('gan')
  form, z = drawn(explored, 3)
  form |= {'moves': [1.0, 0, 0, 0], 'truncation': 0.5}
  data, name = results.save(explored, form | {'format': 'npy'})
  assert name == 'gan_step4_latents.npy'
  latents = np.load(io.BytesIO(data))
  moved = np.clip(z + np.float32([1, 0, 0, 0]), -3, 3)
  np.testing.assert_allclose(
    latents, latents_lib.truncated(moved, 0.5), atol=1e-6
  )
  plain = {'latents': forms.encoded(latents), 'labels': form['labels']}
  shown, again = (read(answers.images(explored, x)) for x in (form, plain))
  assert np.abs(shown.astype(int) - again).max() <= 1


def test_saved_pictures_can_be_read(opened):
  explored = opened('gan')
  form, _ = drawn(explored, 2)
  data, _ = results.save(explored, form | {'format': 'png', 'columns': 2})
  assert min(read(data).shape) > 400  # enlarged
  data, _ = results.save(explored, form | {'format': 'gif', 'over': 'walk'})
  with Image.open(io.BytesIO(data)) as gif:
    assert gif.n_frames > results.FRAMES // 2  # equal frames are joined


@pytest.mark.slow
def test_search_answers_with_latents_of_the_picture(opened):
  """A search from the picture of a latent comes close to the picture."""
  explored = opened('gan')
  form, _ = drawn(explored, 4)
  form |= {'latents': form['latents'], 'columns': 1}
  tall = read(answers.images(explored, form))
  picture = png(tall[8:16, :, None])  # of class 1
  mask = np.full(SHAPE, 255, np.uint8)
  mask[2:4, 2:5] = 0
  found = searches.search(explored, {'picture': picture, 'label': 1})
  assert found['labels'] == [1]
  assert found['psnr'] > 15
  again = answers.images(explored, {k: found[k] for k in ('latents', 'labels')})
  difference = read(found['pictures']['found']).astype(int) - read(again)
  assert np.abs(difference).max() <= 1
  holes = searches.search(explored, {'picture': picture, 'mask': png(mask)})
  assert list(holes['pictures']) == [
    *('picture', 'with hole', 'completed', 'blended', 'found')
  ]
  whole, completed = (
    read(holes['pictures'][name]) for name in ('picture', 'completed')
  )
  known = mask[..., 0] > 0
  np.testing.assert_array_equal(whole[known], completed[known])
  with pytest.raises(errors.UserError, match='autoencoder fills no holes'):
    searches.search(
      opened('autoencoder'), {'picture': picture, 'mask': png(mask)}
    )


@pytest.mark.slow
def test_translations_go_there_and_back(opened):
  explored = opened('cyclegan')
  form = {'function': 'generator_ba', 'seed': 3}
  picture = base64.b64encode(searches.picture(explored, form)).decode()
  found = searches.translate(explored, form | {'picture': picture})
  names = ['picture', 'generator_ba', 'back by generator_ab']
  assert list(found['pictures']) == names
  rows = read(searches.examples(explored, form | {'num': 3}))
  assert rows.shape == (24, 24)
  # Domains have held-out pictures of their own.
  other = searches.picture(explored, form | {'function': 'generator_ab'})
  assert base64.b64encode(other).decode() != picture


def test_holes_become_squares_of_the_size_in_training(opened):
  explored = opened('inpaint')  # holes of 4 x 4 pixels in 16 x 16
  picture = base64.b64encode(searches.picture(explored, {})).decode()
  with pytest.raises(errors.UserError, match='mask is missing'):
    searches.translate(explored, {'picture': picture})
  mask = np.full((16, 16, 1), 255, np.uint8)
  mask[14:, 6:9] = 0
  form = {'picture': picture, 'mask': png(mask)}
  found = searches.translate(explored, form)['pictures']
  whole, completed = read(found['picture']), read(found['completed'])
  rows, columns = np.nonzero(read(found['with hole']) != whole)
  assert 12 <= rows.min() <= rows.max() == 15
  assert columns.max() - columns.min() <= 3
  changed = np.argwhere(whole != completed)
  assert changed.min(axis=0)[0] >= 12
  assert read(searches.examples(explored, {'num': 2})).shape == (48, 32)


def chunk(kind, data):
  body = kind + data
  return (
    struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))
  )


def bomb(side):
  """A PNG of a few bytes whose header promises side * side pixels."""
  header = struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(bytes(1000)))
    + chunk(b'IEND', b'')
  )


HOSTILE = {
  'empty': (b'', 'empty'),
  'text': (b'no picture', 'unreadable'),
  'bomb': (bomb(60_000), '60000 x 60000 pixels are more than the limit'),
  'cut off': (uploads.png(np.zeros((64, 64, 3), np.uint8))[:90], 'Choose'),
  'eps': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'unread'),
  'svg': (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'unreadable'),
  'text bomb': (
    bomb(8)[:33]
    + chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**24)))
    + bomb(8)[33:],
    'Choose another picture',
  ),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_upload_gets_one_line(name):
  data, text = HOSTILE[name]
  with pytest.raises(errors.UserError, match=text) as error:
    uploads.decode(data, SHAPE)
  assert '\n' not in str(error.value)
  assert '/tmp' not in str(error.value)


def test_uploads_become_pictures_of_the_run():
  file = io.BytesIO()
  Image.new('RGBA', (30, 20), (255, 0, 0, 0)).save(file, 'PNG')
  pixels = uploads.decode(file.getvalue(), (8, 6, 3))
  np.testing.assert_array_equal(pixels, np.full((8, 6, 3), 255))
  known = np.full((8, 8, 1), 255, np.uint8)
  with pytest.raises(errors.UserError, match='no pixel is missing'):
    uploads.mask(uploads.png(known), 8, 8)
  with pytest.raises(errors.UserError, match='every pixel is missing'):
    uploads.mask(uploads.png(0 * known), 8, 8)
  known[3, 4] = 0
  found = uploads.mask(uploads.png(known), 8, 8)
  np.testing.assert_array_equal(found, known > 0)


Z = base64.b64encode(bytes(16)).decode()
BAD = base64.b64encode(np.float32([1, np.nan, 0, 0]).tobytes()).decode()


@pytest.mark.parametrize(
  ('fields', 'text'),
  [
    ({'step': 'x'}, "step='x' must be a number"),
    ({'step': 1.5}, r'step=1\.5 must be a whole number'),
    ({'step': True}, 'step=True'),
    ({'step': 3}, 'no checkpoint 3'),
    ({'member': 1}, 'member=1'),
    ({'latents': ''}, 'latents has 0 bytes'),
    ({'latents': 'AAAA'}, 'latents has 3 bytes'),
    ({'latents': 'not base64!'}, 'must be base64'),
    ({'latents': 7}, 'must be base64'),
    ({'latents': BAD}, 'not finite'),
    ({'latents': 'A' * 100_000}, 'more than'),
    ({'labels': []}, 'labels has 0 classes for 1 latents'),
    ({'labels': [10]}, 'labels=10'),
    ({'labels': [0.5]}, 'whole number'),
    ({'labels': 'many'}, 'labels='),
    ({'labels': [float('nan')]}, 'labels=nan'),
    ({'truncation': -1}, 'truncation=-1'),
    ({'truncation': float('inf')}, 'truncation=inf'),
    ({'moves': [4, 0, 0, 0]}, 'moves=4'),
    ({'moves': [1]}, 'moves has 1 numbers for 4 directions'),
    ({'moves': {'a': 1}}, 'moves='),
    ({'categories': [1]}, 'categories'),
    ({'columns': 0}, 'columns=0'),
  ],
)
def test_wrong_field_is_named_in_one_line(opened, fields, text):
  form = {'latents': Z, 'labels': [0]} | fields
  with pytest.raises(errors.UserError, match=text) as error:
    answers.images(opened('gan'), form)
  assert '\n' not in str(error.value)
  assert len(str(error.value)) < 200


@pytest.mark.slow
def test_curves_are_those_of_the_workdir(opened):
  picture = read(results.draw_curves(opened('gan'), {}))
  assert picture.shape[1] == 900
  with pytest.raises(errors.UserError, match=r'no metrics\.jsonl'):
    results.draw_curves(opened('digits'), {})


def test_scores_are_those_of_the_workdir(tmp_path):
  explored = types.SimpleNamespace(workdir=tmp_path)
  assert results.scores(explored, {}) == {'rows': []}
  (tmp_path / 'eval.jsonl').write_text('{"step": 1}\n{"step": 2, "a": 0.5}\n')
  rows = results.scores(explored, {})['rows']
  assert rows == [{'step': 2, 'a': 0.5}, {'step': 1}]


@pytest.mark.slow
def test_psi_of_a_style_generator_is_no_constant_of_the_program(key):
  """A slider compiles once for all values."""
  generator = stylegan2.Generator((8, 8, 1), widths=(4, 4), mapping_layers=1)
  method = gan.GAN(
    generator,
    stylegan2.Discriminator(widths=(4, 4)),
    latents=latents_lib.single('normal', 8),
  )
  state = gan.init(method, key)
  spec = types.SimpleNamespace(shape=(8, 8, 1), is_image=True, classes=())
  algorithm = steps.with_defaults(gan)
  run = Run(algorithm, method, state, spec, None)
  styled = model.Model(run, model.LATENTS)
  z = np.asarray(method.latents.sample(key, 2))
  images = {psi: model.decode(styled, z, psi=psi) for psi in (0.0, 0.5, 1.0)}
  np.testing.assert_allclose(images[0.0][0], images[0.0][1], atol=1e-5)
  np.testing.assert_allclose(images[1.0], model.decode(styled, z), atol=1e-5)
  changed, z = latents_lib.truncate(method, jnp.asarray(z), 0.5)
  expected = gan.decode(changed, state, z)
  np.testing.assert_allclose(images[0.5], expected, atol=1e-5)
