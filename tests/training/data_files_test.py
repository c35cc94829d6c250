"""The record of a run's files, and its comparison with a folder."""

import json

import numpy as np
import pytest
import runs
from PIL import Image

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.config import pictures
from jaxgan.modes import arguments, requests
from jaxgan.training import data_files, first_look
from jaxgan.training import workdir as workdir_lib


def write(path, value):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


@pytest.fixture
def run(tmp_path):
  """A config of a folder, and a workdir whose record is that of a run."""
  for k in range(20):
    write(tmp_path / 'photos' / f'{k:02d}.png', k)
  config = runs.small()
  config.data.update(
    source='folder', path=str(tmp_path / 'photos'), held_out=0.3
  )
  workdir = tmp_path / 'run'
  workdir.mkdir()
  dataset = data.load(config.data)
  record = {
    'format': config_lib.FORMAT,
    'config': config.to_dict(),
    'data': workdir_lib.of_data(dataset),
  }
  (workdir / 'config.json').write_text(json.dumps(record))
  data_files.write(workdir, dataset)
  return config, workdir, dataset


def pixels(dataset):
  return set(dataset.arrays()['image'][:, 0, 0, 0].tolist())


def test_files_that_came_or_went_are_one_line(run, tmp_path, caplog):
  config, workdir, dataset = run
  test = pixels(data_files.load(config, workdir, 'test', dataset.spec))
  assert not caplog.text
  (tmp_path / 'photos' / '03.png').unlink()
  write(tmp_path / 'photos' / 'new.png', 200)
  now = pixels(data_files.load(config, workdir, 'test', dataset.spec))
  assert now - {200} == test - {3}
  assert caplog.text.count('1 files came and 1 went') == 1


def test_a_folder_that_was_renamed_is_the_same_data(run, tmp_path, caplog):
  config, workdir, dataset = run
  (tmp_path / 'photos').rename(tmp_path / 'pictures')
  data_files.change(config.data, {'path': str(tmp_path / 'pictures')})
  data_files.load(config, workdir, 'test', dataset.spec)
  record = workdir_lib.read(workdir)
  workdir_lib.refuse_changes(workdir, record, config, data.load(config.data))
  assert not caplog.text


@pytest.mark.parametrize('what', ['edited', 'renamed'])
def test_files_that_were_edited_or_renamed_are_refused(run, what, tmp_path):
  config, workdir, _ = run
  path = tmp_path / 'photos' / '03.png'
  if what == 'edited':
    write(path, 99)
  else:
    path.rename(path.with_name('x.png'))
  for split in ('train', 'test'):
    with pytest.raises(errors.DataError, match=f"'03.png' was {what}"):
      data_files.load(config, workdir, split)


def test_other_classes_are_refused(run, tmp_path):
  config, workdir, dataset = run
  for k in range(20):
    path = tmp_path / 'photos' / f'{k:02d}.png'
    (tmp_path / 'photos' / str(k % 2)).mkdir(exist_ok=True)
    path.rename(tmp_path / 'photos' / str(k % 2) / path.name)
  with pytest.raises(errors.DataError, match='2 classes 0, 1'):
    data_files.load(config, workdir, 'test', dataset.spec)


def test_without_a_record_no_file_may_change(run, tmp_path):
  config, workdir, dataset = run
  (workdir / data_files.FILE).unlink()
  data_files.check(workdir, dataset)
  for k in range(20):
    write(tmp_path / 'photos' / f'{k:02d}.png', k + 100)
  with pytest.raises(errors.DataError, match='without a record of them'):
    data_files.load(config, workdir, 'test')


@pytest.mark.parametrize(
  'line',
  [
    *('[1]', 'null', '5', '[', '\0', '[["a"], {"b": 1}, "x"]', '[1, 2, 3]'),
    *('["a.png", "b", "yes"]', '[' * 10**5),
  ],
)
def test_a_damaged_record_is_one_line(run, line):
  config, workdir, _ = run
  (workdir / data_files.FILE).write_text(line + '\n')
  with pytest.raises(errors.UserError, match=r'data\.jsonl is damaged'):
    data_files.load(config, workdir)


def test_relative_paths_become_absolute(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  settings = config_lib.defaults().data
  settings.update(path='photos', pair='folder:sketches')
  data_files.make_absolute(settings)
  assert settings.path == str(tmp_path / 'photos')
  assert settings.pair == f'folder:{tmp_path / "sketches"}'


def test_modes_change_places_and_nothing_else():
  settings = config_lib.defaults().data
  data_files.change(settings, {'path': '/x', 'max_pixels': '7'})
  assert (settings.path, settings.max_pixels) == ('/x', 7)
  for fields in (
    {'held_out': '0.5'},
    {'source': 'toy'},
    {'none': '1'},
    {'max_pixels': 'many'},
    {'pair': 'folder:x'},
  ):
    with pytest.raises(errors.UserError, match=r'--config\.data\.'):
      data_files.change(settings, fields)


def test_data_fields_are_taken_from_flags_of_modes():
  words = ['main', '--mode=evaluate', '--config.data.path=a b', '--num=3']
  others, fields = arguments.take_data_fields(words)
  assert others == ['main', '--mode=evaluate', '--num=3']
  assert fields == {'path': 'a b'}
  words = ['main', '--mode', 'evaluate', '--config.data.path', 'x']
  assert arguments.take_data_fields(words)[1] == {'path': 'x'}
  for words in (['m', '--config=a.py', '--config.data.path=x'], ['m']):
    assert arguments.take_data_fields(words) == (words, {})


def test_a_mode_without_data_refuses_data_fields(tmp_path):
  done = runs.call_main(
    '--mode=export', f'--workdir={tmp_path}', '--config.data.path=x'
  )
  assert done.returncode == 2
  assert '--config.data.path is for modes that read data' in done.stderr


@pytest.mark.parametrize(
  ('labels', 'names', 'numbers'),
  [
    ('3,1', ('1', '2', '3'), [2, 0]),
    ('0,2', ('cat', 'dog', 'emu'), [0, 2]),
    ('a,b,c', ('a,b', 'c', 'a'), [0, 1]),
    ('c,a', ('a,b', 'c', 'a'), [1, 2]),
  ],
)
def test_labels_are_names_first(labels, names, numbers):
  assert requests.numbers(labels, names).tolist() == numbers


def test_a_number_is_no_index_where_names_are_numbers():
  with pytest.raises(errors.UserError, match="no class '0'"):
    requests.numbers('0,1', ('1', '2', '3'))


@pytest.mark.parametrize(
  ('sizes', 'side'),
  [
    ([(28, 28)] * 3, 28),
    ([(100, 80), (70, 90)], 64),
    ([(40, 40), (50, 60)], 32),
    ([(9, 12)], 16),
    ([(512, 512)], 64),
  ],
)
def test_side_follows_from_sizes(sizes, side):
  assert pictures.choose_side(sizes) == side


def test_fields_follow_from_pictures_unless_they_are_set(run, tmp_path):
  config = runs.module(runs.ROOT / 'configs' / 'folder.py').get_config()
  config.data.path = run[0].data.path
  config.augment = ('color',)
  first_look.settle(config, tmp_path / 'none')
  assert config.data.image_size == 8
  assert config.generator.strides == (2,)
  assert config.augment == ('color',)
  config_lib.validate(config)
  config.data.image_size = 0
  first_look.save_sheet(tmp_path, run[2])
  assert (tmp_path / first_look.SHEET).is_file()
