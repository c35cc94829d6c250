"""Where modes write: a folder of one's own, and places that take no file."""

import builtins
import errno
import io
import os
import pathlib
import sys
import types

import numpy as np
import pytest
from runs import call_main

from jaxgan import errors, modes
from jaxgan.core import paths
from jaxgan.modes import evaluate
from jaxgan.training import writers

# Mode -> flags of a small request.
REQUESTS = {
  'sample': ['--num=4'],
  'export': [],
  'complete': ['--num=2', '--iterations=2', '--restarts=1', '--mask=half'],
  'invert': ['--num=2', '--iterations=2', '--restarts=1'],
  'evaluate': ['--num=10'],
}
JUDGE = evaluate.Judge
PRINTED = {'complete': '"l1_hole"', 'invert': '"psnr"', 'evaluate': '| 0.25'}


class Judge:
  """Scores nothing, in no time."""

  features = types.SimpleNamespace(name='none', error=None)
  real = types.SimpleNamespace(pixels=np.zeros((1, 1)))

  def __init__(self, settings, request):
    self.request = request

  def beside(self):
    return {}

  def see(self, pixels):
    return pixels

  def score(self, fake):
    return {'score': 0.25}

  def named(self, values):
    return values

  def neighbours(self, fake):
    return fake[None, :2]


@pytest.fixture(autouse=True)
def no_judge(monkeypatch):
  monkeypatch.setattr(evaluate, 'Judge', Judge)


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def fail_writes(monkeypatch, folder, number, log):
  """Lets every write below a folder fail after its first byte."""

  class Full(io.FileIO):
    def write(self, data):
      log.append(self.name)
      super().write(bytes(data)[:1])
      raise OSError(number, os.strerror(number), str(self.name))

  real = builtins.open

  def open_file(file, mode='r', *args, **kwargs):
    is_path = isinstance(file, (str, os.PathLike))
    is_below = is_path and pathlib.Path(file).is_relative_to(folder)
    if not is_below or not set(mode) & set('wax+'):
      return real(file, mode, *args, **kwargs)
    if number in (errno.EROFS, errno.EACCES):
      log.append(file)
      raise OSError(number, os.strerror(number), str(file))
    raw = Full(os.fspath(file), mode.replace('b', '').replace('t', ''))
    if 0 in (*args, kwargs.get('buffering')):
      return raw
    buffered = (io.BufferedRandom if '+' in mode else io.BufferedWriter)(raw)
    return buffered if 'b' in mode else io.TextIOWrapper(buffered)

  monkeypatch.setattr(builtins, 'open', open_file)
  monkeypatch.setattr(io, 'open', open_file)


def test_every_mode_with_output_is_tested():
  assert set(modes.modes_of('output')) == set(REQUESTS)


@pytest.mark.parametrize(
  ('mode', 'number'),
  [
    pytest.param(
      mode,
      number,
      # A full place for each mode by default, and a read-only one for one mode.
      marks=[pytest.mark.slow]
      if k % 2 or (number == errno.EROFS and mode != 'sample')
      else [],
    )
    for mode in REQUESTS
    for k, number in enumerate(
      [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES]
    )
  ],
)
def test_full_or_read_only_output(
  mode, number, unbroken, tmp_path, monkeypatch
):
  """The result is shown, nothing is half-written, and a retry succeeds."""
  before = content(unbroken)
  output = tmp_path / 'there [*]'
  output.mkdir()
  (output / 'eval.jsonl').write_text('{"step": 1}\n')
  command = [f'--mode={mode}', f'--workdir={unbroken}', *REQUESTS[mode]]
  command += [f'--output={output}']
  log = []
  with monkeypatch.context() as patch:
    fail_writes(patch, output, number, log)
    process = call_main(*command)
  assert log
  assert process.returncode == 4, process
  assert os.strerror(number) in process.stderr
  assert process.stderr.count('\n') == 1
  assert PRINTED.get(mode, '') in process.stdout
  assert content(output) == {'eval.jsonl': b'{"step": 1}\n'}
  assert content(unbroken) == before


@pytest.mark.parametrize('mode', REQUESTS)
def test_output_takes_all_files(mode, unbroken, tmp_path):
  before = content(unbroken)
  output = tmp_path / 'new' / 'out'
  command = [f'--mode={mode}', f'--workdir={unbroken}', *REQUESTS[mode]]
  for _ in range(2):  # The second time replaces the files of the first.
    process = call_main(*command, f'--output={output}')
    assert process.returncode == 0, process
    assert len(content(output)) > 0
  assert content(unbroken) == before
  assert not [name for name in content(output) if '.tmp' in name]


def test_output_must_be_a_folder(unbroken, tmp_path):
  (tmp_path / 'file').touch()
  process = call_main(
    '--mode=sample', f'--workdir={unbroken}', f'--output={tmp_path / "file"}'
  )
  assert process.returncode == 2
  assert '--output=' in process.stderr


def test_failed_line_leaves_the_log_as_it_was(tmp_path, monkeypatch):
  path = tmp_path / 'metrics.jsonl'
  writer = writers.JsonLines(path, 0)
  writer.scalars(1, {'a': 1.0})
  before = path.read_bytes()

  def fail(number):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  with monkeypatch.context() as patch:
    patch.setattr(os, 'fsync', fail)
    for write in (
      lambda: writer.scalars(2, {'a': 1.0}),
      lambda: writers.append_json_line(path, {'step': 2}),
      lambda: writers.write_atomically(path, 'x'),
    ):
      with pytest.raises(OSError, match='No space'):
        write()
      assert path.read_bytes() == before
  assert [p.name for p in tmp_path.iterdir()] == ['metrics.jsonl']


# One function makes a path of every flag and field.


def test_tilde_is_home(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert paths.of_user('~/a', 'x') == tmp_path / 'a'
  assert paths.of_user('~', 'x') == tmp_path
  monkeypatch.chdir(tmp_path)
  assert paths.of_user('a/~', 'x') == tmp_path / 'a' / '~'
  with pytest.raises(errors.UserError, match='no such user'):
    paths.of_user('~nobody-of-that-name/a', 'x')


BUCKET = 'gs://bucket/run'
FLAGS = {
  'train': ['--config=configs/gan_mnist.py'],
  **{mode: [f'--mode={mode}'] for mode in modes.MODES if mode != 'train'},
}
NEEDS = f"='{BUCKET}' needs the package gcsfs. Run pip install gcsfs"


@pytest.fixture
def no_gcsfs(monkeypatch):
  monkeypatch.setitem(sys.modules, 'gcsfs', None)


@pytest.mark.usefixtures('no_gcsfs')
@pytest.mark.parametrize('mode', FLAGS)
@pytest.mark.parametrize('workdir', [BUCKET, 'gs:/b', 'http://b/c', 'gs://'])
def test_buckets_without_their_package_and_servers_are_refused_at_once(
  mode, workdir, tmp_path, monkeypatch
):
  config = pathlib.Path('configs/gan_mnist.py').absolute()
  monkeypatch.chdir(tmp_path)
  flags = [f'--config={config}'] if mode == 'train' else FLAGS[mode]
  process = call_main(*flags, f'--workdir={workdir}')
  assert process.returncode == 2, process
  text = NEEDS if workdir == BUCKET else 'is no folder and no bucket'
  assert text in process.stderr
  assert process.stderr.startswith('error: --workdir=')
  assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures('no_gcsfs')
@pytest.mark.parametrize(
  'flags',
  [
    ['--mode=sample', f'--output={BUCKET}'],
    ['--mode=complete', f'--images={BUCKET}'],
    ['--mode=complete', f'--mask={BUCKET}', '--num=2'],
    ['--mode=evaluate', f'--features=inception:{BUCKET}'],
  ],
)
def test_flags_refuse_buckets_without_their_package(
  flags, unbroken, monkeypatch
):
  monkeypatch.setattr(evaluate, 'Judge', JUDGE)
  process = call_main(*flags, f'--workdir={unbroken}')
  assert process.returncode == 2, process
  assert NEEDS in process.stderr


@pytest.mark.usefixtures('no_gcsfs')
@pytest.mark.parametrize(
  'field', ['init_from', 'data.path', 'data.data_dir', 'data.manual_dir']
)
def test_fields_refuse_buckets_without_their_package(field, tmp_path):
  source = 'tfds' if field in ('data.data_dir', 'data.manual_dir') else 'folder'
  download = field == 'data.manual_dir'
  extra = [f'--config.data.data_dir={tmp_path}'] * download
  process = call_main(
    '--config=configs/gan_mnist.py',
    f'--workdir={tmp_path / "run"}',
    f'--config.data.source={source}',
    f'--config.{field}={BUCKET}',
    *extra,
  )
  assert process.returncode == 2, process
  text = NEEDS if source == 'folder' else f"='{BUCKET}' must be a folder"
  assert field + text in process.stderr
