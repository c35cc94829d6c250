"""Pairs of images: derived sources, halves, two folders and two domains."""

import json
import pathlib
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.data import dataset, derived, pairs, stream
from jaxgan.training import workdir as workdir_lib


def settings(**fields):
  defaults = config_lib.defaults().data
  defaults.update(fields)
  return defaults


def toy(**fields):
  return settings(source='toy', name='random', **fields)


def folder(path, **fields):
  return settings(source='folder', path=str(path), **fields)


def write(path, *names, size=(6, 4), seed=0):
  """Writes files of random colours; `size` is (width, height)."""
  rng = np.random.default_rng(seed)
  for name in names:
    file = path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


# Sources that are computed from images.


def test_grey_returns_brightness():
  colours = np.eye(3, dtype=np.uint8)[None] * 200
  np.testing.assert_array_equal(derived.grey(colours)[0, :, 0], [60, 117, 23])
  one = np.full((2, 3, 1), 9, np.uint8)
  assert derived.grey(one) is one


@pytest.mark.parametrize('turns', range(4))
def test_edges_are_one_pixel_wide_where_brightness_jumps(turns):
  image = np.zeros((12, 12, 3), np.uint8)
  image[:, 6:] = 200
  edges = derived.edges(np.rot90(image, turns))
  assert edges.shape == (12, 12, 1)
  lines = np.rot90(edges, -turns)[..., 0] == 0
  assert (lines.sum(axis=1) == 1).all()
  assert lines[:, 5:7].any(axis=1).all()


def test_edges_of_a_constant_image_are_absent():
  assert (derived.edges(np.full((5, 7, 1), 80, np.uint8)) == 255).all()


def test_edges_of_a_disc_form_a_closed_line():
  y, x = np.mgrid[:32, :32] - 15.5
  radius = np.hypot(y, x)
  disc = np.where(radius < 9, 255, 0).astype(np.uint8)[..., None]
  lines = derived.edges(disc)[..., 0] == 0
  assert abs(radius[lines] - 9.0).max() < 1.5
  angle = np.arctan2(y, x)[lines]
  assert np.diff(np.sort(angle)).max() < 0.4


def test_outline_is_the_border_inside_a_figure():
  image = np.zeros((7, 8, 1), np.uint8)
  image[1:6, 2:7] = 255
  expected = image.copy()
  expected[2:5, 3:6] = 0
  np.testing.assert_array_equal(derived.outline(image), expected)


def test_low_resolution_averages_squares_of_odd_images():
  image = np.arange(5 * 3, dtype=np.uint8).reshape(5, 3, 1) * 10
  low = derived.low_resolution(2, image)
  assert low.shape == image.shape
  assert (low[:2, :2] == 20).all()  # The mean of 0, 10, 30 and 40.
  assert low[4, 2] == image[4, 2]
  np.testing.assert_array_equal(derived.low_resolution(1, image), image)


def test_masked_hides_the_centre():
  image = np.full((6, 8, 3), 9, np.uint8)
  masked = derived.masked(2, image)
  assert (masked[2:4, 3:5] == derived.HOLE).all()
  assert (masked == 9).sum() == image.size - 12
  assert (image == 9).all()


@pytest.mark.parametrize(
  ('pair', 'channels'),
  [('edges', 1), ('grey', 1), ('outline', 1), ('low:3', 3), ('masked:4', 3)],
)
def test_sources_are_derived_in_memory_and_from_files(pair, channels, tmp_path):
  joined = data.load(toy(image_size=9, channels=3, pair=pair))
  columns = joined.arrays()
  assert columns['source'].shape == (256, 9, 9, channels)
  assert columns['source'].dtype == np.uint8
  assert joined.spec.source_shape == (9, 9, channels)
  assert joined.num_bytes == 256 * 81 * (3 + channels)
  for name, value in joined.read(5).items():
    np.testing.assert_array_equal(value, columns[name][5])

  write(tmp_path, 'a.png', 'b.png')
  joined = data.load(folder(tmp_path, pair=pair))
  assert joined.arrays()['source'].shape == (2, 4, 6, channels)


def test_classes_and_limit_keep_pairs_together():
  joined = data.load(toy(pair='edges', classes=('sw', 'ne'), limit=9))
  assert joined.size == 9
  assert joined.spec.classes == ('sw', 'ne')
  for image, source in zip(
    *(joined.arrays()[k] for k in ('image', 'source')), strict=True
  ):
    np.testing.assert_array_equal(source, derived.edges(image))


def test_stream_yields_both_images(tmp_path):
  write(tmp_path, *(f'{k}.png' for k in range(5)))
  joined = data.load(folder(tmp_path, pair='grey'))
  (batch,) = stream.rounds(joined, 0, 4, 1, 0, 1)
  assert batch['image'].shape == (4, 4, 6, 3)
  for image, source in zip(batch['image'], batch['source'], strict=True):
    np.testing.assert_array_equal(source, derived.grey(image))


# Halves.


@pytest.mark.parametrize('side', pairs.SIDES)
@pytest.mark.parametrize('size', [0, 8])
def test_halves_of_files_are_split(side, size, tmp_path):
  pixels = np.zeros((8, 16, 3), np.uint8)
  pixels[:, 8:] = 200
  for name in 'ab':
    Image.fromarray(pixels).save(tmp_path / f'{name}.png')
  joined = data.load(folder(tmp_path, pair=f'halves:{side}', image_size=size))
  assert joined.spec.shape == joined.spec.source_shape == (8, 8, 3)
  example = joined.read(0)
  left, right = example['source'], example['image']
  if side == 'right':
    left, right = right, left
  assert left.max() == 0
  assert right.min() == 200


def test_halves_in_memory_are_split():
  columns = data.load(toy(pair='halves:right')).arrays()
  images = data.load(toy()).arrays()['image']
  np.testing.assert_array_equal(columns['image'], images[:, :, :4])
  np.testing.assert_array_equal(columns['source'], images[:, :, 4:])


# Two folders.


def test_two_folders_are_paired_by_name(tmp_path):
  names = ('x/1', 'x/2', 'y/1', 'y/2')
  write(tmp_path / 'photos', *(f'{n}.png' for n in names))
  write(tmp_path / 'maps', *(f'{n}.bmp' for n in names), seed=1)
  fields = dict(pair=f'folder:{tmp_path / "maps"}', held_out=0.5)
  for split in ('train', 'test'):
    joined = data.load(folder(tmp_path / 'photos', **fields), split)
    image, source = (
      data.load(folder(tmp_path / name, held_out=0.5), split).arrays()
      for name in ('photos', 'maps')
    )
    columns = joined.arrays()
    np.testing.assert_array_equal(columns['image'], image['image'])
    np.testing.assert_array_equal(columns['source'], source['image'])
    np.testing.assert_array_equal(columns['label'], image['label'])
    assert workdir_lib.of_data(joined)['source_shape'] == [4, 6, 3]


def test_identity_changes_with_the_sources(tmp_path):
  for name in ('photos', 'maps'):
    write(tmp_path / name, 'a.png', 'b.png')
  fields = folder(tmp_path / 'photos', pair=f'folder:{tmp_path / "maps"}')
  before = workdir_lib.of_data(data.load(fields))
  (tmp_path / 'maps/b.png').unlink()
  write(tmp_path / 'maps', 'b.bmp')
  after = workdir_lib.of_data(data.load(fields))
  assert before.pop('partner') != after.pop('partner')
  assert before == after


def bad(tmp_path, case):
  """Returns wrong settings and a pattern of their error message."""
  photos, maps = tmp_path / 'photos', tmp_path / 'maps'
  good = ('a.png', 'b.png')
  if case == 'partner':
    write(photos, 'a.png', 'b.png')
    write(maps, 'a.png', 'c.png')
    return dict(pair=f'folder:{maps}'), "2 images.*'b'.*maps.* lacks"
  if case == 'twice':
    write(photos, 'a.png', 'a.jpg')
    write(maps, *good)
    return dict(pair=f'folder:{maps}'), 'only in the suffix'
  if case == 'size':
    write(photos, *good)
    write(maps, *good, size=(4, 4))
    return dict(pair=f'folder:{maps}'), '4 x 6 and their sources 4 x 4'
  if case == 'skip':
    write(photos, *good)
    return dict(pair=f'folder:{maps}', on_bad='skip'), 'on_bad=error'
  write(photos, *good, size=(7, 4))
  return {
    'odd': (dict(pair='halves:left'), '4 x 7 and an odd'),
    'side': (dict(pair='halves:top'), "'halves:top' is unknown"),
    'kind': (dict(pair='sketch'), 'one of: edges'),
    'number': (dict(pair='low:0'), 'low:NUMBER'),
    'hole': (dict(pair='masked:5'), 'larger than images of 4 x 7'),
    'feature': (dict(pair='feature:map'), 'data.source=tfds'),
    'splits': (dict(unpaired='splits'), 'data.source=tfds'),
    'domain': (dict(unpaired='zebra'), 'one of: classes'),
    'classes': (dict(unpaired='classes', classes=('a',)), r"=\('a',\) must"),
    'missing': (dict(unpaired='folder:nowhere'), "nowhere' is not a folder"),
  }[case]


CASES = (
  *('partner', 'twice', 'size', 'skip', 'odd', 'side', 'kind', 'number'),
  *('hole', 'feature', 'splits', 'domain', 'classes', 'missing'),
)


@pytest.mark.parametrize('case', CASES)
def test_wrong_settings_are_refused_in_one_line(case, tmp_path):
  fields, message = bad(tmp_path, case)
  with pytest.raises(errors.UserError, match=message) as caught:
    data.load(folder(tmp_path / 'photos', **fields))
  assert '\n' not in str(caught.value)


def test_partners_are_on_one_side(tmp_path):
  """Classes of one folder alone hold other files out."""
  names = [f'{k}.png' for k in range(8)]
  for part in ('photos', 'sketches'):
    write(tmp_path / part, *names)
  fields = {'pair': f'folder:{tmp_path / "sketches"}', 'held_out': 0.25}
  data.load(folder(tmp_path / 'photos', **fields))
  labels = [[name, k // 2] for k, name in enumerate(names)]
  record = tmp_path / 'photos' / 'dataset.json'
  record.write_text(json.dumps({'labels': labels}))
  with pytest.raises(errors.DataError, match=r'dataset\.json is in one of'):
    data.load(folder(tmp_path / 'photos', **fields))
  shutil.copy(record, tmp_path / 'sketches')
  assert data.load(folder(tmp_path / 'photos', **fields)).size == 4


def test_pairs_of_toys_are_refused_for_folders_and_points():
  with pytest.raises(errors.DataError, match=r'data\.source=folder'):
    data.load(toy(pair='folder:x'))
  for fields in ({'pair': 'edges'}, {'unpaired': 'classes'}):
    fields['classes'] = ('0', '1') if 'unpaired' in fields else ()
    with pytest.raises(errors.DataError, match='are points'):
      data.load(settings(source='toy', name='ring', **fields))


# Two domains.


def known_images(images):
  return {image.tobytes() for image in images.arrays()['image']}


def test_unpaired_classes_are_two_domains():
  joined = data.load(toy(unpaired='classes', classes=('se', 'nw')))
  first, second = (data.load(toy(classes=(name,))) for name in ('se', 'nw'))
  columns = joined.arrays()
  assert set(columns) == {'image', 'source'}
  assert joined.spec.num_classes == 0
  assert joined.size == max(first.size, second.size)
  assert {x.tobytes() for x in columns['source']} == known_images(first)
  assert {x.tobytes() for x in columns['image']} == known_images(second)
  np.testing.assert_array_equal(joined.read(3)['source'], columns['source'][3])
  again = data.load(toy(unpaired='classes', classes=('se', 'nw')))
  assert workdir_lib.of_data(again) == workdir_lib.of_data(joined)


def test_halves_of_one_set_are_two_domains():
  """Sources are made of every second image; no image has its own source."""
  fields = dict(channels=1, image_size=8, classes=('nw', 'se'))
  images = data.load(toy(**fields), 'test').arrays()['image']
  halves = data.load(toy(unpaired='halves:outline', **fields), 'test')
  assert halves.spec.shape == halves.spec.source_shape == (8, 8, 1)
  found = halves.arrays()
  as_set = lambda x: {image.tobytes() for image in x}
  made = [derived.outline(image) for image in images[1::2]]
  assert as_set(found['image']) == as_set(images[::2])
  assert as_set(found['source']) == as_set(made)
  assert halves.read(3)['source'].tobytes() == found['source'][3].tobytes()


def test_unpaired_folders_are_two_domains(tmp_path):
  write(tmp_path / 'a', *(f'{k}.png' for k in range(3)))
  write(tmp_path / 'b', *(f'{k}.png' for k in 'vwxyz'), seed=1)
  fields = dict(unpaired=f'folder:{tmp_path / "a"}')
  joined = data.load(folder(tmp_path / 'b', **fields))
  assert joined.size == 5
  sources = [x.tobytes() for x in joined.arrays()['source']]
  assert set(sources) == known_images(data.load(folder(tmp_path / 'a')))
  assert max(sources.count(x) for x in sources) == 2


# TFDS, with fake readers.


def of_images(images, name, split='train'):
  return dataset.from_arrays('tfds', name, split, images)


def test_tfds_features_and_splits_are_joined(monkeypatch):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (4, 5, 6, 7, 3), dtype=np.uint8)
  calls = []

  def read(fields, split):
    calls.append((fields.get('feature'), split))
    return of_images(images[len(calls) - 1], fields.name, split)

  monkeypatch.setitem(data.SOURCES, 'tfds', read)
  fields = dict(source='tfds', name='maps', feature='')
  joined = data.load(settings(pair='feature:sketch', **fields), 'test')
  np.testing.assert_array_equal(joined.arrays()['image'], images[0])
  np.testing.assert_array_equal(joined.arrays()['source'], images[1])
  joined = data.load(settings(unpaired='splits', **fields))
  assert calls == [
    ('', 'test'),
    ('sketch', 'test'),
    ('', 'trainA'),
    ('', 'trainB'),
  ]
  assert joined.split == 'train'
  assert {x.tobytes() for x in joined.arrays()['source']} == {
    x.tobytes() for x in images[2]
  }


def test_feature_selects_the_image_of_a_tfds_example(monkeypatch):
  from jaxgan.data.sources import tfds

  example = {'photo': np.ones((4, 4, 3)), 'sketch': np.zeros((4, 4, 3))}
  picture = type('Image', (), {'shape': (4, 4, 3)})
  features = {name: picture() for name in example}
  info = types.SimpleNamespace(
    splits={'train': types.SimpleNamespace(num_bytes=1)},
    file_format=types.SimpleNamespace(file_suffix='array_record'),
    features=features,
    version='1.0.0',
  )
  builder = types.SimpleNamespace(
    info=info, as_data_source=lambda split: [example]
  )
  stand_in = types.SimpleNamespace(
    builder_from_directory=lambda path: builder,
    features=types.SimpleNamespace(Image=picture, ClassLabel=dict),
  )
  monkeypatch.setitem(
    __import__('sys').modules, 'tensorflow_datasets', stand_in
  )

  def read(feature):
    fields = settings(source='tfds', feature=feature)
    return tfds._read(fields, pathlib.Path(), 'train').read(0)['image']

  assert read('sketch').max() == 0
  assert read('').min() == 1
  with pytest.raises(errors.UserError, match=r"'image'.*photo, sketch"):
    read('image')
