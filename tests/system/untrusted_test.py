"""Weights, records, checkpoints and exports of unknown origin.

Nothing in them is executed, sizes on paper do not become memory, and names in
them cannot leave the workdir. Pictures and data folders: security_test.py.
"""

import contextlib
import copy
import json
import pathlib
import pickle
import re
import resource
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from runs import META, ROOT

from jaxgan import errors
from jaxgan.metrics import pth
from jaxgan.modes import exported, requests, restore
from jaxgan.training import checkpoint, first_weights
from jaxgan.training import workdir as workdir_lib

FIXTURE = ROOT / 'tests' / 'fixtures' / 'workdirs' / 'gan'
HUGE = 10**12


@pytest.fixture(autouse=True)
def memory_stays():
  """Fails if the peak of the process grows by 300 MB."""
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  yield
  grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  assert grown < 300 * 1024


def archive(path, pickled, compression=zipfile.ZIP_STORED, **storages):
  with zipfile.ZipFile(path, 'w', compression) as file:
    file.writestr('a/data.pkl', pickled)
    for name, content in storages.items():
      file.writestr(f'a/data/{name}', content)


class Evil:
  def __reduce__(self):
    return pathlib.Path.touch, (pathlib.Path('executed'),)


PICKLES = {
  'function': pickle.dumps({'a': Evil()}),
  # An index of the memo, for which the unpickler in C allocates 64 GB.
  'index': b'\x80\x02}r' + struct.pack('<I', 2**32 - 2) + b'.',
  'bytes': b'\x80\x04\x8e' + struct.pack('<Q', 2**40) + b'.',
}


@pytest.mark.parametrize('name', PICKLES)
def test_pth_executes_and_allocates_nothing(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  archive('weights.pth', PICKLES[name])
  with contextlib.suppress(errors.UserError):
    assert pth.read('weights.pth') == {}
  assert not pathlib.Path('executed').exists()


def test_pth_refuses_compressed_members(tmp_path):
  path = tmp_path / 'bomb.pth'
  zeros = bytes(2**24)
  archive(path, pickle.dumps({}), zipfile.ZIP_DEFLATED, **{'0': zeros})
  assert path.stat().st_size < 2**20
  with pytest.raises(errors.UserError, match='is compressed'):
    pth.read(path)


@pytest.mark.parametrize('suffix', ['npz', 'safetensors', 'pt', ''])
def test_weights_of_other_formats_are_refused(suffix, tmp_path):
  """Scores read PyTorch's files only."""
  from jaxgan.metrics import dinov2, inception

  path = tmp_path / f'weights.{suffix}'
  if suffix == 'npz':
    np.savez(path, a=np.array([Evil()], object))
  elif suffix == 'safetensors':
    head = json.dumps(
      {'a': {'dtype': 'F32', 'shape': [HUGE], 'data_offsets': [0, 4 * HUGE]}}
    ).encode()
    path.write_bytes(struct.pack('<Q', len(head)) + head)
  else:
    path.write_bytes(struct.pack('<Q', 2**62) + b'{}')
  for network in (inception, dinov2):
    with pytest.raises(errors.UserError, match='no state dict'):
      network.load(path)


def test_programs_of_exports_are_read_by_load_alone():
  """A StableHLO file is a program; who loads one decides to run it."""
  readers = [
    path.name
    for path in (ROOT / 'jaxgan').rglob('*.py')
    if 'deserialize('
    in path.read_text().replace('`jax.export.deserialize`', '')
  ]
  assert readers == ['load.py']
  names = re.compile(r'modes(\.| import )load\b')
  users = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'jaxgan').rglob('*.py')
    if names.search(path.read_text())
  ]
  assert users == ['jaxgan/__init__.py']


@pytest.mark.parametrize('size', [2**40, 2**62])
def test_exported_weights_are_as_large_as_their_file(size, tmp_path):
  """The header names an array of many bytes that the file does not hold."""
  array = {'dtype': 'F32', 'shape': [size // 4], 'data_offsets': [0, size]}
  header = json.dumps({'params/x': array}).encode()
  path = tmp_path / 'generator.safetensors'
  path.write_bytes(len(header).to_bytes(8, 'little') + header + b'1234')
  with pytest.raises(errors.UserError, match='safetensors is damaged'):
    exported.weights(path)


# config.json


def record():
  return json.loads((FIXTURE / 'config.json').read_text())


def leaves(node, path=()):
  for name, value in node.items():
    yield (*path, name)
    if isinstance(value, dict):
      yield from leaves(value, (*path, name))


PATHS = [p for p in leaves(record()) if p[0] in ('config', 'data')]


def refusal(workdir):
  try:
    workdir_lib.read(workdir)
  except errors.UserError as error:
    return str(error)
  return ''


WRONG = ('64,128', -1.5, None, [], {}, [[1]], 1e400, 10**30, '../../evil')


def changed(path, value, remove=False):
  fields = copy.deepcopy(record())
  node = fields
  for name in path[:-1]:
    node = node[name]
  if remove:
    del node[path[-1]]
  else:
    node[path[-1]] = value
  return fields


@pytest.mark.parametrize(
  'value',
  [*WRONG[:1], *(pytest.param(v, marks=pytest.mark.slow) for v in WRONG[1:])],
  ids=str,
)
def test_values_of_a_record_are_checked(value, tmp_path):
  """A value of the wrong type names the file and the field."""
  refused = set()
  for path in PATHS:
    text = json.dumps(changed(path, value))
    (tmp_path / 'config.json').write_text(text)
    message = refusal(tmp_path)
    if message:
      assert 'config.json is damaged' in message
      assert path[-1] in message
      refused.add(path)
  right = {
    p for p in PATHS if isinstance(value, str) and p[-1] in free_texts()
  } | {p for p in PATHS if value == [] and isinstance(at(p), list)}
  numbers = {p for p in PATHS if isinstance(at(p), (bool, int, float))}
  if value not in (-1.5, [], 10**30):
    assert numbers <= refused | right


def free_texts():
  texts = (p[-1] for p in PATHS if isinstance(at(p), str))
  return set(texts)


def at(path):
  node = record()
  for name in path:
    node = node[name]
  return node


def test_text_for_widths_names_file_and_field(tmp_path):
  fields = changed(('config', 'generator', 'widths'), '64,128')
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  with pytest.raises(errors.UserError) as caught:
    restore.restore(tmp_path)
  assert str(tmp_path / 'config.json') in str(caught.value)
  assert "generator.widths='64,128'" in str(caught.value)


NEEDED = ['method', 'data', 'seed', 'batch_size', 'num_steps']


@pytest.mark.parametrize('name', NEEDED)
def test_missing_fields_of_a_record_are_named(name, tmp_path):
  text = json.dumps(changed(('config', name), None, remove=True))
  (tmp_path / 'config.json').write_text(text)
  with pytest.raises(errors.UserError, match=f'{name} is missing'):
    restore.restore(tmp_path)


@pytest.mark.parametrize(
  'name',
  ['discriminator.name', 'generator.optimizer', 'generator.optimizer.name'],
)
def test_missing_parts_of_a_network_are_named(name, tmp_path):
  """Other networks of the config have fields of the same name."""
  fields = changed(('config', *name.split('.')), None, remove=True)
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  with pytest.raises(errors.UserError, match=f'no field {name!r}') as caught:
    restore.restore(tmp_path)
  assert str(tmp_path) in str(caught.value)


@pytest.mark.slow
def test_any_missing_field_is_one_line(tmp_path):
  for path in [p for p in PATHS if p[0] == 'config']:
    text = json.dumps(changed(path, None, remove=True))
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(errors.UserError):
      restore.restore(tmp_path)  # At the latest, there are no checkpoints.


def test_record_of_many_bytes_or_levels_is_refused(tmp_path):
  path = tmp_path / 'config.json'
  for text in ('{"config": ' + '[' * 10**6, '{"format": ' + '9' * 10**5):
    path.write_text(text)
    with pytest.raises(errors.UserError, match='is damaged'):
      workdir_lib.read(tmp_path)
  with path.open('wb') as file:
    file.truncate(2**40)  # A hole, which takes no space.
  with pytest.raises(errors.UserError, match='more than'):
    workdir_lib.read(tmp_path)


# Checkpoints


def test_checkpoint_of_a_huge_size_on_paper_is_refused(tmp_path):
  state = {'networks': {'g': {'params': np.zeros(4, np.float32)}}}
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, state, META)
  metadata = tmp_path / 'checkpoints' / '1' / 'state'
  # Both descriptions of the array: that of orbax, and that of zarr.
  changed_files = 0
  for path in (p for p in metadata.rglob('*') if p.is_file()):
    content = path.read_bytes()
    if b'"shape":[4]' in content.replace(b' ', b''):
      text = content.replace(b' ', b'').replace(b'[4]', b'[%d]' % HUGE)
      path.write_bytes(text)
      changed_files += 1
  for like in (None, {'networks': {'g': {'params': jnp.zeros(4)}}}):
    try:
      loaded, _ = checkpoint.load(tmp_path, like)
    except errors.UserError:
      continue
    assert loaded['networks']['g']['params'].shape == (4,)


def test_names_of_arrays_cannot_leave_the_workdir(tmp_path):
  state = {'..': {'..': {'evil': np.zeros(4, np.float32)}}}
  with checkpoint.Checkpoints(tmp_path / 'run') as checkpoints:
    try:
      checkpoints.save(1, state, META)
      checkpoints.wait()
    except errors.StorageError:
      pass
  assert [path.name for path in tmp_path.iterdir()] == ['run']


def test_weights_to_start_from_are_compared_first(tmp_path):
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, {'ema': {'a': np.zeros(3, np.float32)}}, META)
  with pytest.raises(errors.UserError, match='ema/a'):
    first_weights.adopt(tmp_path, {'ema': {'a': np.zeros(4, np.float32)}})


# Names


@pytest.mark.parametrize('name', ['../../evil', '/etc/evil', 'a\0b', '..'])
def test_names_of_classes_do_not_become_names_of_files(name):
  request = requests.Request(num=1, labels='0')
  label = requests.numbers('0', (name, 'b'))
  assert requests.name(request, label) == 'num1_seed0_labels0.png'


@pytest.mark.parametrize('name', ['../../evil', '/etc/evil', '..', 'a/../../b'])
def test_derived_workdirs_stay_in_runs(name):
  path = workdir_lib.derived_workdir('configs/x.py', {'data.name': name})
  assert len(path.parts) == 2
  assert path.parts[0] == 'runs'
