"""What comes from elsewhere is data: it is bounded, and never executed.

The parsers that are ours are fuzzed: whatever they are given, they give a
result or a UserError, within the deadline.
"""

import ast
import json
import os
import pathlib
import pickle
import socket
import sys
import tempfile
from unittest import mock

import hypothesis
import numpy as np
import pytest
from absl import flags
from hypothesis import strategies as st
from ml_collections import config_flags
from PIL import Image
from runs import ROOT, small

from jaxgan import config as config_lib
from jaxgan import data, errors, main, models, steps
from jaxgan.data import dataset, files, images
from jaxgan.training import checkpoint, writers
from jaxgan.training import loop as train_lib

SOURCES = [
  path
  for part in ('jaxgan', 'configs', 'launch')
  for path in (ROOT / part).rglob('*.py')
]
FORBIDDEN = {
  *('pickle', 'cPickle', 'dill', 'joblib', 'marshal', 'shelve', 'torch'),
  *('eval', 'exec', 'compile', 'system', 'popen', 'yaml', 'mktemp'),
}

fuzz = hypothesis.settings(
  max_examples=60,
  deadline=30_000,  # of one example, in ms: a hang is a failure
  derandomize=True,
  database=None,
  suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


def _names(tree):
  """Modules that a file imports, and functions that it calls."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name.split('.')[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield (node.module or '').split('.')[0]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
      yield node.func.id
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      owner = node.func.value
      if isinstance(owner, ast.Name) and owner.id == 'os':
        yield node.func.attr


def test_nothing_is_unpickled_or_executed():
  assert len(SOURCES) > 90
  for path in SOURCES:
    tree = ast.parse(path.read_text())
    name = path.relative_to(ROOT).as_posix()
    assert not FORBIDDEN & set(_names(tree)), name
    for node in ast.walk(tree):
      if isinstance(node, ast.keyword) and node.arg in (
        'allow_pickle',
        'shell',
      ):
        assert node.value.value is False, name


def test_training_unpickles_nothing_and_asks_no_network(tmp_path, monkeypatch):
  """Save, restore and all in between; sockets and pickles are mines."""

  def mine(*args, **kwargs):
    raise AssertionError('a network or a pickle was asked for')

  for name in ('load', 'loads', 'Unpickler'):
    monkeypatch.setattr(pickle, name, mine)
  for name in ('connect', 'connect_ex'):
    monkeypatch.setattr(socket.socket, name, mine)
  monkeypatch.setattr(socket, 'getaddrinfo', mine)
  for num_steps in (2, 4):
    train_lib.train(small(num_steps=num_steps, sample_every=0), tmp_path)
  assert checkpoint.Checkpoints(tmp_path).steps() == [4, 2]


@pytest.mark.parametrize(
  'name', ['os.system', '../../evil', 'mlp.nn', 'mlp.Generator.__init__', '']
)
def test_recorded_names_are_looked_up_in_tables(name):
  """A config.json of unknown origin names networks and methods."""
  with pytest.raises(errors.UserError, match='is unknown'):
    models.build('generator', {'name': name})
  with pytest.raises(errors.UserError, match='is unknown'):
    steps.find(name)


def test_a_record_of_another_kind_is_one_line(tmp_path):
  from jaxgan.training import workdir as workdir_lib

  for text in ('', '[]', '{"config": 1}', '{"config": {}, "data": 3}', '\0'):
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(errors.UserError, match=r'config\.json is damaged'):
      workdir_lib.read(tmp_path)


def test_pictures_that_other_programs_would_decode_are_refused(tmp_path):
  """A name is no proof of a format: Pillow runs Ghostscript on EPS."""
  path = tmp_path / 'drawing.png'
  Image.new('RGB', (4, 4)).save(path, format='EPS')
  with pytest.raises(errors.DataError, match=r'drawing\.png: unreadable'):
    images.open_header(path, 100)


def test_pictures_of_too_many_bytes_are_refused(tmp_path):
  path = tmp_path / 'large.png'
  Image.new('L', (4, 4)).save(path)
  os.truncate(path, images.MOST_BYTES + 1)
  with pytest.raises(errors.DataError, match='more than the'):
    images.open_header(path, 100)


def test_links_in_a_circle_and_pipes_are_no_pictures(tmp_path):
  (tmp_path / 'circle').symlink_to(tmp_path)
  (tmp_path / 'itself').symlink_to('itself')
  (tmp_path / 'nowhere.png').symlink_to('/nonexistent.png')
  os.mkfifo(tmp_path / 'pipe.png')
  Image.new('L', (4, 4)).save(tmp_path / 'one.png')
  listing = files.list_files(tmp_path)
  assert listing.files == [tmp_path / 'one.png']
  assert [path.name for path, _ in listing.unreadable] == ['nowhere.png']
  assert listing.left_out == {
    'links in a circle': 1,
    'links to nothing, or no files': 2,
  }


# Fuzzing. Values are what people mistype, and what nobody would type.

NAMES = sorted(config_lib.flatten(small()))
VALUES = st.one_of(
  st.text(max_size=20),
  st.integers(-(2**70), 2**70).map(str),
  st.floats().map(str),
  st.sampled_from(['', 'None', 'True', '()', '(1,', "('a',)", '(0,)', '1e400']),
  st.lists(st.integers(-2, 600), max_size=3).map(lambda x: str(tuple(x))),
)
FIELDS = st.one_of(st.sampled_from(NAMES), st.text(max_size=12))
CONFIG = f'--config={ROOT}/configs/gan_mnist.py'


@fuzz
@hypothesis.given(st.lists(st.tuples(FIELDS, VALUES), max_size=3))
@hypothesis.example([('generator.widths', "('a',)")])
@hypothesis.example([('discriminator.widths', 'None')])
@hypothesis.example([('generator.widths', '(1.5,)')])
@hypothesis.example([('generator.virtual_batch', '-1')])
@hypothesis.example([('latent_size', '9' * 23)])
def test_overrides_are_taken_or_refused_in_one_line(overrides):
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file('config', flag_values=values)
  argv = ['main', CONFIG]
  argv += [f'--config.{name}={value}' for name, value in overrides]
  try:
    with mock.patch.object(sys, 'argv', argv):  # ml_collections looks there.
      values(argv)
  except Exception as error:
    said = main._flag_problem(argv, error)
  else:
    config = holder.value
    try:
      config_lib.validate(config)
      steps.find(config.method).from_config(config, dataset.Spec((28, 28, 1)))
      return
    except errors.UserError as error:
      said = error
  assert isinstance(said, errors.UserError)
  assert len(str(said)) > 5


NUMBERS = st.one_of(st.integers(), st.floats(), st.none())
ROWS = st.dictionaries(st.text(max_size=5), NUMBERS, max_size=3).map(json.dumps)
JSON = st.recursive(
  NUMBERS | st.text(max_size=5) | st.booleans(),
  lambda inner: st.lists(inner) | st.dictionaries(st.just('step'), inner),
  max_leaves=5,
)


@fuzz
@hypothesis.given(
  st.lists(
    st.binary(max_size=30)
    | ROWS.map(str.encode)
    | JSON.map(lambda x: json.dumps(x).encode())
  ),
  st.integers(0, 3),
)
@hypothesis.example([b'{"step": ' + b'[' * 100_000], 0)
@hypothesis.example([b'{"step": ' + b'9' * 10_000 + b'}'], 0)
def test_lines_of_any_bytes_are_read_or_left_out(parts, step):
  with tempfile.TemporaryDirectory() as place:
    path = pathlib.Path(place, 'metrics.jsonl')
    path.write_bytes(b'\n'.join(parts))
    for row in writers.read_json_lines(path):
      assert isinstance(row['step'], int)
    writer = writers.JsonLines(path, step)
    writer.scalars(step + 1, {'a': 0.5})
    writer.close()
    found = writers.read_json_lines(path)
    (index,) = (k for k, row in enumerate(found) if row['step'] == step + 1)
    assert found[index] == {'step': step + 1, 'a': 0.5}
    assert all(row['step'] <= step for row in found[:index])
    assert all(row['step'] > step + 1 for row in found[index + 1 :])


def _picture(format):
  with tempfile.TemporaryFile() as file:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).save(file, format=format)
    file.seek(0)
    return file.read()


PICTURES = [_picture(f) for f in ('PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'PPM')]
SPOILT = st.tuples(
  st.sampled_from(PICTURES), st.integers(0, 400), st.binary(max_size=6)
).map(lambda x: x[0][: x[1]] + x[2] + x[0][x[1] + len(x[2]) :])
# What a file system takes.
FILE_NAMES = st.text(
  st.characters(exclude_characters='/\0', exclude_categories=['Cs']),
  min_size=1,
  max_size=8,
).filter(lambda name: name not in ('.', '..'))


@fuzz
@hypothesis.given(
  st.dictionaries(
    FILE_NAMES,
    st.binary(max_size=40)
    | SPOILT
    | st.dictionaries(FILE_NAMES, SPOILT, max_size=2),
    max_size=4,
  ),
  st.sampled_from(files.SUFFIXES),
  st.sampled_from(['error', 'skip']),
)
def test_folders_of_anything_are_images_or_refused(tree, suffix, on_bad):
  settings = config_lib.defaults().data
  with tempfile.TemporaryDirectory() as place:
    settings.update(source='folder', path=place, image_size=4)
    settings.update(on_bad=on_bad, max_pixels=10_000)
    for name, content in tree.items():
      path = pathlib.Path(place, name)
      if isinstance(content, dict):
        path.mkdir()
        for inner, inside in content.items():
          (path / (inner + suffix)).write_bytes(inside)
      else:
        path.with_name(name + suffix).write_bytes(content)
    try:
      found = data.load(settings)
      pixels = found.arrays()['image']
    except errors.DataError:
      return
  assert pixels.dtype == np.uint8
  assert pixels.shape == (found.size, 4, 4, found.spec.shape[-1])
