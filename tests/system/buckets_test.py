"""Runs, data and outputs in a bucket: the memory file system of fsspec."""

import errno
import os
import pathlib

import fsspec
import pytest
import runs
from PIL import Image

import jaxgan
from jaxgan import errors
from jaxgan.core import buckets, paths
from jaxgan.modes import export, restore, sample
from jaxgan.training import checkpoint

URL = 'memory://bucket/runs/a [1]'


@pytest.fixture(autouse=True)
def system():
  """An empty bucket; copies are removed at the end."""
  memory = fsspec.filesystem('memory')
  memory.store.clear()
  yield memory
  buckets.clear()
  memory.store.clear()


def content(system, url=URL):
  """Files in a bucket, without what the clock decides."""
  root = system._strip_protocol(url)
  return {
    name.removeprefix(root + '/'): system.cat_file(name)
    for name in system.find(root)
    if 'tensorboard' not in name
  }


def put(system, url, **files):
  for name, text in files.items():
    system.pipe_file(f'{system._strip_protocol(url)}/{name}', text)


@pytest.mark.slow
def test_run_in_a_bucket_equals_a_run_in_a_folder(system, unbroken):
  """Trained in two parts, each with a copy of its own."""
  jaxgan.train.train(runs.small(num_steps=6), URL)
  assert 'checkpoints/6/meta/metadata' in content(system)
  buckets.clear()
  jaxgan.train.train(runs.small(), URL)
  kept = {path.name for path in unbroken.iterdir()} - {'.lock', 'tensorboard'}
  assert {name.partition('/')[0] for name in content(system)} == kept
  buckets.clear()
  workdir = paths.of_user(URL, 'workdir')
  assert runs.digests(workdir) == runs.digests(unbroken)


@pytest.mark.slow
def test_modes_read_and_write_buckets(system, unbroken, tmp_path):
  system.put(str(unbroken) + '/', 'memory://bucket/run/', recursive=True)
  before = content(system, 'memory://bucket/run')
  picture = sample.sample('memory://bucket/run', num=4)
  after = content(system, 'memory://bucket/run')
  assert after == before | {picture.name: picture.read_bytes()}
  sample.sample(unbroken, num=4, output=str(tmp_path))
  assert (tmp_path / picture.name).read_bytes() == picture.read_bytes()
  export.export(unbroken, output='memory://bucket/out')
  exported = content(system, 'memory://bucket/out')
  assert 'export/step_00000012/export.json' in exported
  again = restore.restore('memory://bucket/out/export/step_00000012')
  assert again.state.step == 12
  words = ['--mode=complete', '--mask=half', '--num=2', '--iterations=1']
  words += ['--restarts=1', '--workdir=memory://bucket/run']
  done = runs.call_main(*words, '--output=memory://bucket/out')
  assert done.returncode == 0, done
  assert '"path": "memory://bucket/out/complete_step12_half' in done.stdout
  assert len(content(system, 'memory://bucket/out')) > 5
  assert restore.steps_of('memory://bucket/run') == [12, 10, 5]


@pytest.mark.slow
def test_data_and_first_weights_come_from_buckets(system, unbroken, tmp_path):
  system.put(str(unbroken) + '/', 'memory://bucket/run/', recursive=True)
  for k in range(8):
    Image.new('L', (8, 8), k).save(tmp_path / f'{k}.png')
  system.put(str(tmp_path) + '/', 'memory://data/', recursive=True)
  fields = {'init_from': 'memory://bucket/run', 'sample_every': 0}
  fields |= {'data.source': 'folder', 'data.path': 'memory://data'}
  jaxgan.train.train(runs.small(num_steps=2, **fields), tmp_path / 'new')
  assert restore.record_of(tmp_path / 'new')['config']['data']['path'] == (
    'memory://data'
  )
  # A picture came.
  system.copy('/data/3.png', '/data/x.png')
  jaxgan.train.train(runs.small(num_steps=3, **fields), tmp_path / 'new')


@pytest.fixture
def small_run(system):
  """A bucket with one small file, and its copy."""
  put(system, URL, metrics=b'1', other=b'2')
  return paths.of_user(URL, 'x')


def test_copies_follow_the_bucket_and_the_bucket_copies(system, small_run):
  put(system, URL, metrics=b'3')
  system.rm_file(system._strip_protocol(URL) + '/other')
  put(system, URL + '/checkpoints/1', a=b'4')
  buckets.refresh(small_run)
  (small_run / '.lock').write_text('')
  (small_run / 'checkpoints' / '2.orbax-checkpoint-tmp-3').mkdir()
  (small_run / 'checkpoints' / '2.orbax-checkpoint-tmp-3' / 'a').touch()
  (small_run / 'checkpoints' / '1' / 'a').unlink()
  (small_run / 'new').write_bytes(b'5')
  assert (small_run / 'metrics').read_bytes() == b'3'
  assert not (small_run / 'other').exists()
  buckets.store(small_run)
  assert content(system) == {'metrics': b'3', 'new': b'5'}


def test_changes_of_somebody_else_are_not_overwritten(system, small_run):
  (small_run / 'metrics').write_bytes(b'mine')
  put(system, URL, metrics=b'theirs')
  with pytest.raises(errors.StorageError, match='somebody else') as caught:
    buckets.store(small_run)
  assert content(system)['metrics'] == b'theirs'
  buckets.clear()
  assert str(small_run) in buckets.named(caught.value)
  assert (small_run / 'metrics').read_bytes() == b'mine'


def test_what_a_bucket_does_not_take_stays_here(system, small_run, monkeypatch):
  (small_run / 'new').write_bytes(b'5')

  def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(type(system), 'put_file', full)
  with pytest.raises(errors.StorageError, match='No space left') as caught:
    buckets.store(small_run)
  assert caught.value.exit_code == 4
  assert f'Its files are in {small_run}' in str(caught.value)
  buckets.clear()
  assert (small_run / 'new').exists()


@pytest.mark.slow
def test_run_whose_bucket_fails_ends_with_one_line(system, monkeypatch):
  def fail(*args, **kwargs):
    raise RuntimeError('quota\nexceeded')

  config = str(runs.ROOT / 'configs' / 'gan_mnist.py')
  words = [f'--config={config}', f'--workdir={URL}', '--config.num_steps=1']
  words += ['--config.generator.widths=(4,)', '--config.sample_every=0']
  words += ['--config.discriminator.widths=(4,)', '--config.data.source=toy']
  words += ['--config.data.name=random']
  with monkeypatch.context() as patch:
    patch.setattr(type(system), 'put_file', fail)
    done = runs.call_main(*words)
  assert done.returncode == 4, done
  assert done.stderr.count('\n') == 1
  assert f'error: {URL} cannot be written (RuntimeError: quota)' in done.stderr
  place = done.stderr.rpartition(' in ')[2].strip().rstrip('.')
  assert checkpoint.Checkpoints(place).steps() == [1]
  done = runs.call_main(*words)
  assert done.returncode == 0, done
  assert f'see {URL}' in done.stdout


@pytest.mark.parametrize('name', ['../evil', 'a/../../evil', 'a//b', './b'])
def test_names_in_a_bucket_cannot_leave_the_copy(system, name, monkeypatch):
  root = system._strip_protocol(URL)
  monkeypatch.setattr(
    type(system), 'find', lambda *args, **kw: {f'{root}/{name}': {'size': 1}}
  )
  with pytest.raises(errors.StorageError, match='no name here'):
    paths.of_user(URL, 'x')


def test_a_file_in_a_bucket_keeps_its_name(system):
  put(system, 'memory://bucket', **{'weights-1234.pth': b'1'})
  found = paths.of_user('memory://bucket/weights-1234.pth', 'inception')
  assert found.name == 'weights-1234.pth'
  assert found.read_bytes() == b'1'


def test_nothing_is_there_where_a_bucket_has_nothing():
  assert not paths.of_user('memory://bucket/none', 'x').exists()
  with pytest.raises(errors.UserError, match='no workdir'):
    checkpoint.load('memory://bucket/none', None)


def test_copies_end_with_the_process(small_run):
  buckets.clear()
  assert not small_run.exists()
  assert not list(pathlib.Path(small_run).parent.glob('*'))
