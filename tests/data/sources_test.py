"""Sources of images, with good and with bad files."""

import gzip
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.data import batches as batches_lib
from jaxgan.data import images, stream
from jaxgan.data.sources import toy

SHARED = pathlib.Path(
  os.environ.get('JAXGAN_TEST_DATA')
  or pathlib.Path(__file__).parents[3] / 'shared' / 'data'
)
needs_mnist = pytest.mark.skipif(
  not (SHARED / 'mnist').is_dir(), reason='needs the official MNIST files'
)


def settings(**fields):
  defaults = config_lib.defaults().data
  defaults.update(fields)
  return defaults


def in_folder(path, **fields):
  return settings(source='folder', path=str(path), **fields)


def all_images(dataset):
  return dataset.arrays()['image']


# Embedded digits and toys.


@pytest.mark.parametrize(('split', 'count'), [('train', 450), ('test', 50)])
def test_embedded_digits_have_balanced_classes(split, count):
  dataset = data.load(settings(source='embedded'), split)
  arrays = dataset.arrays()
  assert arrays['image'].shape == (10 * count, 28, 28, 1)
  assert arrays['image'].dtype == np.uint8
  assert arrays['image'].max() == 255
  assert np.bincount(arrays['label']).tolist() == [count] * 10
  assert dataset.spec.classes == tuple('0123456789')


def test_embedded_digits_are_resized_to_image_size():
  fields = {'image_size': 14, 'channels': 3, 'source': 'embedded'}
  dataset = data.load(settings(**fields), 'test')
  assert dataset.spec.shape == all_images(dataset).shape[1:] == (14, 14, 3)
  with pytest.raises(errors.DataError, match='only mnist'):
    data.load(settings(source='embedded', name='kmnist'))


def test_embedded_splits_are_disjoint_and_fixed():
  train, test = (
    all_images(data.load(settings(source='embedded'), split))
    for split in ('train', 'test')
  )
  seen = {image.tobytes() for image in train}
  assert not any(image.tobytes() in seen for image in test)
  again = data.load(settings(source='embedded'))
  assert again.identity == data.load(settings(source='embedded')).identity


@pytest.mark.parametrize('name', toy.MIXTURES)
def test_toy_points_lie_around_their_centres(name):
  dataset = data.load(settings(source='toy', name=name)).arrays()
  centres, deviation = toy.MIXTURES[name]
  shift = dataset['image'] - centres[dataset['label']]
  assert dataset['image'].dtype == np.float32
  np.testing.assert_allclose(shift.std(), deviation, rtol=0.05)
  assert len(np.unique(dataset['label'])) == len(centres)


def test_toy_images_have_the_shape_of_the_config():
  dataset = data.load(
    settings(source='toy', name='random', image_size=5, channels=3)
  )
  assert dataset.spec.shape == (5, 5, 3)
  assert all_images(dataset).shape[1:] == (5, 5, 3)


# Folders.


def write(path, array, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)


@pytest.fixture
def folder(tmp_path):
  rng = np.random.default_rng(0)
  for name in ('cat', 'dog'):
    for k in range(3):
      write(tmp_path / name / f'{k}.png', rng.integers(0, 255, (6, 8, 3)))
  return tmp_path


def test_class_folders_become_labels(folder):
  (folder / 'empty').mkdir()
  (folder / 'notes.txt').write_text('not an image')
  dataset = data.load(in_folder(folder))
  assert dataset.spec == data.Spec((6, 8, 3), 2, ('cat', 'dog'))
  assert sorted(dataset.arrays()['label'].tolist()) == [0, 0, 0, 1, 1, 1]
  for number, name in enumerate(('cat', 'dog')):
    of_class = all_images(dataset)[dataset.arrays()['label'] == number]
    expected = [np.asarray(Image.open(p)) for p in (folder / name).iterdir()]
    assert {x.tobytes() for x in of_class} == {x.tobytes() for x in expected}


@pytest.mark.parametrize('source', ['embedded', 'folder'])
def test_first_examples_have_all_classes(source, folder):
  """Files are sorted by class; unshuffled batches must not be."""
  fields = {'source': source, 'path': str(folder), 'shuffle': False}
  dataset = data.load(settings(limit=4, **fields))
  assert len(set(dataset.arrays()['label'].tolist())) > 1
  full = data.load(settings(**fields))
  assert (np.diff(full.labels) < 0).any()
  assert [int(full.read(k)['label']) for k in range(6)] == [*full.labels[:6]]


def test_images_without_class_folders_have_no_labels(tmp_path):
  write(tmp_path / 'a.png', np.full((4, 4), 7))
  dataset = data.load(in_folder(tmp_path))
  assert dataset.spec == data.Spec((4, 4, 1), 0, ())
  assert 'label' not in dataset.arrays()
  assert (all_images(dataset) == 7).all()


def test_single_class_folder_gives_no_labels(folder):
  shutil.rmtree(folder / 'dog')
  dataset = data.load(in_folder(folder))
  assert dataset.spec == data.Spec((6, 8, 3), 0, ())
  assert dataset.size == 3


def test_images_beside_class_folders_have_no_labels(folder, caplog):
  write(folder / 'loose.png', np.zeros((6, 8, 3)))
  write(folder / '.hidden' / 'deep' / 'a.png', np.zeros((6, 8, 3)))
  dataset = data.load(in_folder(folder))
  assert dataset.spec.num_classes == 0
  assert dataset.size == 7
  assert 'no labels' in caplog.text


def test_crop_keeps_the_centre_and_stretch_keeps_all(tmp_path):
  wide = np.zeros((10, 30))
  wide[:, 10:20] = 200
  write(tmp_path / 'wide.png', wide)
  crop = all_images(data.load(in_folder(tmp_path, image_size=10)))
  assert (crop == 200).all()
  stretched = data.load(in_folder(tmp_path, image_size=30, resize='stretch'))
  assert stretched.spec.shape == (30, 30, 1)
  row = all_images(stretched)[0, 15, :, 0]
  assert row[2] == 0
  assert row[15] == 200


def test_different_image_sizes_require_image_size(folder):
  write(folder / 'cat' / 'large.png', np.zeros((9, 9, 3)))
  with pytest.raises(errors.DataError, match=r'different sizes.*image_size'):
    data.load(in_folder(folder))
  assert data.load(in_folder(folder, image_size=5)).spec.shape == (5, 5, 3)


def test_decode_gives_equal_pixels_for_every_mode(tmp_path):
  """Stores the same mid-grey image in many formats and modes."""
  grey = np.full((4, 4), 100, np.uint8)
  colour = np.stack([grey] * 3, axis=-1)
  alpha = np.full((4, 4), 255, np.uint8)
  modes = {
    'grey.png': Image.fromarray(grey),
    'rgb.png': Image.fromarray(colour),
    'rgba.png': Image.fromarray(np.dstack([colour, alpha])),
    'la.png': Image.fromarray(np.dstack([grey, alpha])),
    'palette.png': Image.fromarray(colour).quantize(4),
    'sixteen.png': Image.fromarray(grey.astype(np.uint16) * 257),
    'sixteen.tif': Image.fromarray(grey.astype(np.uint16) * 257),
    'thirtytwo.tif': Image.fromarray(grey.astype(np.int32) * 257),
    'cmyk.tif': Image.fromarray(colour).convert('CMYK'),
    'lossy.jpg': Image.fromarray(colour),
    'web.webp': Image.fromarray(colour),
  }
  for name, picture in modes.items():
    (tmp_path / 'one').mkdir(exist_ok=True)
    path = tmp_path / 'one' / name
    picture.save(path)
    for channels in (1, 3):
      fields = {'channels': channels}
      if name == 'thirtytwo.tif':  # 32 bits have no usual range.
        fields['range'] = (0, 65535)
      dataset = all_images(data.load(in_folder(path.parent, **fields)))
      assert dataset.shape == (1, 4, 4, channels), name
      assert np.abs(dataset.astype(int) - 100).max() <= 2, name
    path.unlink()


def test_transparent_parts_become_white(tmp_path):
  rgba = np.zeros((4, 4, 4), np.uint8)
  rgba[:2, :, 3] = 255
  write(tmp_path / 'half.png', rgba)
  dataset = all_images(data.load(in_folder(tmp_path)))[0]
  assert (dataset[:2] == 0).all()
  assert (dataset[2:] == 255).all()


def test_images_are_rotated_by_exif(tmp_path):
  lying = np.zeros((4, 8, 3), np.uint8)
  lying[:, :4] = 255
  exif = Image.Exif()
  exif[0x0112] = 6  # turn by 90 degrees clockwise to view
  write(tmp_path / 'a.png', lying, exif=exif)
  dataset = data.load(in_folder(tmp_path))
  assert dataset.spec.shape == (8, 4, 3)
  image = all_images(dataset)[0]
  assert (image[:4] == 255).all()
  assert (image[4:] == 0).all()


def spoil(folder, damage):
  path = folder / 'cat' / '0.png'
  if damage == 'garbage':
    path.write_bytes(b'not a picture')
  elif damage == 'empty':
    path.write_bytes(b'')
  elif damage == 'truncated':
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    write(path, noise)
    path.write_bytes(path.read_bytes()[:2000])
  else:
    write(path, np.zeros((3000, 3000)))
  return path


@pytest.mark.parametrize('damage', ['garbage', 'empty', 'truncated', 'huge'])
def test_bad_files_are_named_or_skipped(folder, damage, caplog):
  path = spoil(folder, damage)
  fields = {'image_size': 6, 'max_pixels': 1_000_000}
  with pytest.raises(errors.DataError, match=str(path)) as caught:
    data.load(in_folder(folder, **fields)).arrays()
  assert '\n' not in str(caught.value)
  dataset = data.load(in_folder(folder, on_bad='skip', **fields))
  assert dataset.size == len(dataset.arrays()['image']) == 5
  assert 'skipped 1 of 6' in caplog.text
  assert str(path) in caplog.text


def test_decompression_bombs_are_refused(folder):
  """The header of a small file claims 2.5 gigapixels."""
  path = folder / 'cat' / '0.png'
  payload = bytearray(path.read_bytes())
  payload[16:24] = (50_000).to_bytes(4, 'big') * 2
  import zlib

  payload[29:33] = zlib.crc32(bytes(payload[12:29])).to_bytes(4, 'big')
  path.write_bytes(payload)
  with pytest.raises(errors.DataError, match=r'0\.png'):
    data.load(in_folder(folder))


def test_missing_and_empty_folders_are_refused(tmp_path):
  with pytest.raises(errors.DataError, match='is not a folder'):
    data.load(in_folder(tmp_path / 'none'))
  with pytest.raises(errors.DataError, match='has no images'):
    data.load(in_folder(tmp_path))
  with pytest.raises(errors.DataError, match=r'needs data\.path'):
    data.load(settings(source='folder'))


def test_identity_changes_with_the_files(folder):
  before = data.load(in_folder(folder)).identity
  write(folder / 'cat' / 'new.png', np.zeros((6, 8, 3)))
  assert data.load(in_folder(folder)).identity != before


def test_streamed_batches_equal_sampled_batches(folder):
  dataset = data.load(in_folder(folder))
  arrays = dataset.arrays()
  rounds = list(stream.rounds(dataset, 5, 4, 2, 3, 6))
  assert len(rounds) == 3
  for k, batch in enumerate(rounds):
    rows = np.concatenate(
      [batches_lib.host_examples(5, 2 * (3 + k) + j, 4, 6) for j in range(2)]
    )
    for name in ('image', 'label'):
      np.testing.assert_array_equal(batch[name], arrays[name][rows])


def test_stream_names_a_file_that_breaks(folder):
  dataset = data.load(in_folder(folder))
  (folder / 'dog' / '0.png').write_bytes(b'gone')
  with pytest.raises(errors.DataError, match=r'dog/0\.png'):
    list(stream.rounds(dataset, 0, 6, 1, 0, 3))


def many(root, counts):
  """Writes images in class folders, every image of another grey."""
  values = iter(range(1, 256))
  for name, count in counts.items():
    for k in range(count):
      write(root / name / f'{k:02d}.png', np.full((4, 4), next(values)))


def split(path, **fields):
  both = [data.load(in_folder(path, **fields), s) for s in ('train', 'test')]
  return both, [all_images(dataset)[:, 0, 0, 0].tolist() for dataset in both]


def test_held_out_takes_a_share_and_has_all_classes(tmp_path):
  many(tmp_path, {'cat': 30, 'dog': 20, 'emu': 2})
  (train, test), (trained, tested) = split(tmp_path, held_out=0.1)
  assert sorted(trained + tested) == list(range(1, 53))
  assert train.spec == test.spec
  assert train.identity != test.identity
  assert set(test.labels.tolist()) == set(train.labels.tolist()) == {0, 1, 2}
  for dataset in (train, test):
    np.testing.assert_array_equal(dataset.arrays()['label'], dataset.labels)
  # The split depends on no other field but the seed.
  _, again = split(tmp_path, held_out=0.1, shuffle=False, channels=3)
  assert again == [trained, tested]
  _, other = split(tmp_path, held_out=0.1, held_out_seed=1)
  assert other != again
  _, (_, dogs) = split(tmp_path, held_out=0.1, classes=('dog',))
  assert set(dogs) < set(tested)


def test_held_out_stays_when_files_come_and_go(tmp_path):
  many(tmp_path, {'': 40})
  _, (trained, tested) = split(tmp_path, held_out=0.25)
  assert 4 <= len(tested) <= 16
  (tmp_path / '00.png').unlink()
  write(tmp_path / 'new.png', np.full((4, 4), 200))
  (tmp_path / '05.png').rename(tmp_path / '05.webp')  # Endings do not count.
  _, (trained_now, tested_now) = split(tmp_path, held_out=0.25)
  assert set(trained_now) - set(trained) <= {200}
  assert set(tested_now) - set(tested) <= {200}
  assert not set(trained) & set(tested_now)


def test_held_out_of_format_1_depends_on_the_positions(tmp_path):
  many(tmp_path, {'cat': 30, 'dog': 20, 'emu': 7})
  fields = {'held_out': 0.1, 'held_out_seed': -1}
  (_, test), _ = split(tmp_path, **fields)
  assert np.bincount(test.labels).tolist() == [3, 2, 1]
  assert test.identity.keys() == {'listing'}


def test_stream_excludes_held_out_images(tmp_path):
  many(tmp_path, {'cat': 10, 'dog': 10})
  (train, _), (trained, _) = split(tmp_path, held_out=0.2)
  batches = list(stream.rounds(train, 0, 8, 1, 0, 4))
  seen = np.concatenate([batch['image'][:, 0, 0, 0] for batch in batches])
  assert set(seen.tolist()) == set(trained)


def test_test_split_of_a_folder_requires_held_out(folder):
  with pytest.raises(errors.DataError, match=r'held_out=0\.1 or eval_every=0'):
    data.load(in_folder(folder), 'test')


def test_held_out_that_leaves_an_empty_split_is_refused(tmp_path):
  many(tmp_path, {'cat': 1, 'dog': 1})
  with pytest.raises(errors.DataError, match=r'data\.held_out=0\.0001 of 2'):
    data.load(in_folder(tmp_path, held_out=0.0001))


def test_classes_without_held_out_images_are_refused(tmp_path):
  many(tmp_path, {'cat': 30, 'dog': 1})
  fields = in_folder(tmp_path, held_out=0.001, classes=('dog',))
  with pytest.raises(errors.DataError, match=r"data\.classes=\('dog',\)"):
    data.load(fields, 'test')


def test_held_out_is_refused_for_other_sources():
  with pytest.raises(errors.DataError, match=r'held_out=0\.1 is for folders'):
    data.load(settings(source='embedded', held_out=0.1))


@pytest.mark.parametrize(
  ('mode', 'grey'), [('L', True), ('I;16B', True), ('RGB', False), ('P', False)]
)
def test_is_grey_is_true_for_modes_without_colour(mode, grey):
  assert images.is_grey(mode) == grey


# TFDS.


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """Returns MNIST, prepared once from the four official files."""
  folder = tmp_path_factory.mktemp('tfds')
  fields = settings(
    source='tfds', data_dir=str(folder), manual_dir=str(SHARED / 'mnist')
  )
  return fields, data.load(fields)


@pytest.mark.slow
@needs_mnist
def test_mnist_is_prepared_from_its_files_without_tensorflow(prepared):
  import sys

  fields, train = prepared
  assert 'tensorflow' not in sys.modules
  assert train.size == 60_000
  test = data.load(fields, 'test')
  assert test.size == 10_000
  arrays = test.arrays()
  assert arrays['image'].shape == (10_000, 28, 28, 1)
  with gzip.open(SHARED / 'mnist' / 't10k-images-idx3-ubyte.gz') as file:
    official = np.frombuffer(file.read()[16:], np.uint8)
  # TFDS shuffles the images.
  official = {x.tobytes() for x in official.reshape(-1, 28, 28, 1)}
  assert {x.tobytes() for x in arrays['image']} == official
  assert np.bincount(arrays['label'])[:3].tolist() == [980, 1135, 1032]


@pytest.mark.slow
@needs_mnist
def test_damaged_tfds_shard_is_named(prepared, tmp_path):
  fields, _ = prepared
  shutil.copytree(fields.data_dir, tmp_path / 'data')
  (shard,) = tmp_path.rglob('*test*.array_record*')
  content = bytearray(shard.read_bytes())
  content[100_000:100_100] = bytes(100)
  shard.write_bytes(content)
  dataset = data.load(
    settings(source='tfds', data_dir=str(tmp_path / 'data')), 'test'
  )
  with pytest.raises(errors.DataError, match=r'example \d+ is damaged'):
    dataset.arrays()


@pytest.mark.slow
@needs_mnist
def test_stock_tfds_reads_prepared_mnist(prepared):
  import tensorflow_datasets as tfds

  fields, _ = prepared
  source = tfds.data_source(
    'mnist', split='train', data_dir=fields.data_dir, download=False
  )
  assert len(source) == 60_000


@pytest.mark.slow
@needs_mnist
def test_auto_uses_prepared_data(prepared, caplog):
  fields, _ = prepared
  with caplog.at_level('INFO', 'jaxgan'):
    assert data.resolve(settings(data_dir=fields.data_dir)) == 'tfds'
  assert 'is prepared' in caplog.text


@pytest.mark.slow
@needs_mnist
def test_prepared_images_are_resized_to_image_size(prepared):
  fields, _ = prepared
  small = settings(
    source='tfds', data_dir=fields.data_dir, image_size=14, channels=3
  )
  dataset = data.load(small)
  assert dataset.spec.shape == (14, 14, 3)
  assert dataset.read(0)['image'].shape == (14, 14, 3)


@pytest.mark.slow
@needs_mnist
def test_prepare_refuses_a_file_with_another_checksum(tmp_path):
  manual = tmp_path / 'manual'
  shutil.copytree(SHARED / 'mnist', manual)
  labels = manual / 't10k-labels-idx1-ubyte.gz'
  labels.chmod(0o600)
  labels.write_bytes(labels.read_bytes()[:-1] + b'x')
  fields = settings(
    source='tfds', data_dir=str(tmp_path), manual_dir=str(manual)
  )
  with pytest.raises(errors.DataError, match=r't10k-labels.*checksum'):
    data.load(fields)
  with pytest.raises(errors.DataError, match='not prepared'):
    data.load(settings(source='tfds', data_dir=str(tmp_path)))


def test_auto_uses_embedded_digits_without_prepared_data(tmp_path, caplog):
  with caplog.at_level('INFO', 'jaxgan'):
    source = data.resolve(settings(data_dir=str(tmp_path)))
  assert source == 'embedded'
  assert 'not prepared' in caplog.text


def test_auto_refuses_a_set_that_is_not_prepared(tmp_path):
  with pytest.raises(errors.DataError, match='cifar10'):
    data.resolve(settings(name='cifar10', data_dir=str(tmp_path)))


def test_unprepared_tfds_error_names_the_fields_to_set(tmp_path):
  fields = settings(source='tfds', data_dir=str(tmp_path))
  with pytest.raises(errors.DataError, match=r'manual_dir.*download'):
    data.load(fields)
  fields.manual_dir = str(tmp_path)
  with pytest.raises(errors.DataError, match='lacks t10k-images'):
    data.load(fields)


@pytest.mark.parametrize('name', ['../x', 'a b', '/etc', 'Mnist'])
def test_tfds_names_outside_the_data_folder_are_refused(name, tmp_path):
  fields = settings(source='tfds', name=name, data_dir=str(tmp_path))
  with pytest.raises(errors.DataError, match='no TFDS name'):
    data.load(fields)


def test_unknown_source_or_toy_lists_the_known_names():
  with pytest.raises(errors.UserError, match='folder, procedural, tfds, toy'):
    data.load(settings(source='web'))
  with pytest.raises(errors.UserError, match='grid, random, ring'):
    data.load(settings(source='toy', name='torus'))


def test_classes_are_selected_and_renumbered():
  full = data.load(settings(source='embedded'))
  part = data.load(settings(source='embedded', classes=('7', '3')))
  assert part.spec.classes == ('7', '3')
  assert part.spec.num_classes == 2
  assert part.size == 900
  label = part.columns['label']
  assert [int((label == k).sum()) for k in (0, 1)] == [450, 450]
  sevens = full.columns['image'][full.columns['label'] == 7]
  np.testing.assert_array_equal(part.columns['image'][label == 0], sevens)
  last = part.read(part.size - 1)
  assert last['label'] == label[-1]
  np.testing.assert_array_equal(last['image'], part.columns['image'][-1])
  assert part.identity != full.identity
  with pytest.raises(errors.UserError, match=r"data\.classes.*'x'.*0"):
    data.load(settings(source='embedded', classes=('x',)))


def test_classes_of_folders_are_selected_in_the_order_given(tmp_path):
  for name in ('cat', 'dog', 'frog'):
    (tmp_path / name).mkdir()
    Image.new('L', (4, 4), len(name)).save(tmp_path / name / 'a.png')
  part = data.load(in_folder(tmp_path, classes=('frog', 'cat')))
  examples = [
    (int(x['label']), int(x['image'][0, 0, 0]))
    for x in map(part.read, range(2))
  ]
  assert sorted(examples) == [(0, 4), (1, 3)]


def test_limit_shortens_the_training_split_only():
  part = data.load(settings(source='embedded', limit=30))
  assert part.size == len(part.columns['image']) == 30
  assert data.load(settings(source='embedded', limit=30), 'test').size == 500


def test_evenly_returns_examples_at_even_distances(folder):
  memory = data.load(settings(source='embedded', limit=10))
  disk = data.load(settings(source='folder', path=str(folder), image_size=8))
  assert disk.columns is None
  for dataset in (memory, disk):
    arrays = dataset.arrays()
    for most in (1, 3, 10_000):
      selected = dataset.evenly(most)
      count = min(most, dataset.size)
      rows = [index * dataset.size // count for index in range(count)]
      assert selected.keys() == arrays.keys()
      for name, column in selected.items():
        np.testing.assert_array_equal(column, arrays[name][rows])


def test_labelled_adds_a_labelled_example_to_every_example():
  fields = settings(source='embedded')
  fields.labelled = 20
  dataset = data.load(fields)
  columns = dataset.columns
  pairs = {
    (image.tobytes(), int(label))
    for image, label in zip(
      columns['labelled_image'], columns['labelled_label'], strict=True
    )
  }
  assert len(pairs) == 20
  assert sorted(label for _, label in pairs) == sorted(list(range(10)) * 2)
  example = dataset.read(33)
  np.testing.assert_array_equal(
    example['labelled_image'], columns['labelled_image'][33]
  )
  fields.labelled_seed = 1
  assert data.load(fields).identity != dataset.identity
  other = data.load(fields).columns['labelled_image']
  assert not np.array_equal(other, columns['labelled_image'])
  fields.labelled = 15
  with pytest.raises(errors.UserError, match=r'data\.labelled=15'):
    data.load(fields)
