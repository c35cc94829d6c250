"""Writes files of weights opcode by opcode, for tests of the reader.

  python -m tests.golden.opcodes FOLDER

FOLDER has files of `make_weights`. Each folder of a case that stands in
`CASES` is written to `tests/golden/weights`. The copies have the names, the
classes and the tensors of the originals, and none of their source code.
"""

import pathlib
import re
import struct
import sys
import zipfile

import numpy as np

from jaxgan.core.pickles import Instance, Name
from jaxgan.metrics import pth
from jaxgan.modes.weights import r3gan

FOLDER = pathlib.Path(__file__).parent / 'weights'
CASES = (
  'biggan_ajbrock_32',
  'cgan_pd_32',
  'biggan_32',
  'r3gan_16',
  'stylegan2_8',
)
PROTOCOL = b'\x80\x02'
KINDS = {np.dtype(dtype): kind for kind, dtype in pth.DTYPES.items()}


def named(name: str) -> bytes:
  """Returns the opcodes of a function or a class."""
  module, _, name = name.rpartition('.')
  return f'c{module}\n{name}\n'.encode()


def text(value: str) -> bytes:
  value = value.encode()
  return b'X' + struct.pack('<I', len(value)) + value


def raw(value: bytes) -> bytes:
  return b'B' + struct.pack('<I', len(value)) + value


def integer(value: int) -> bytes:
  if -(2**31) <= value < 2**31:
    return b'J' + struct.pack('<i', value)
  content = value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)
  return b'\x8a' + bytes([len(content)]) + content


class Writer:
  """Writes values; `storage(array)` returns the opcodes of a storage."""

  def __init__(self, storage=None):
    self.storage, self.memo = storage, {}

  def once(self, opcodes: bytes) -> bytes:
    """Returns the opcodes of a constant, or of its place in the memo."""
    if opcodes in self.memo:
      return b'j' + struct.pack('<I', self.memo[opcodes])
    self.memo[opcodes] = len(self.memo)
    return opcodes + b'r' + struct.pack('<I', self.memo[opcodes])

  def call(self, name: str, *args: bytes) -> bytes:
    """Returns the opcodes that call a function with the values of opcodes."""
    return self.once(named(name)) + b'(' + b''.join(args) + b'tR'

  def opcodes(self, value) -> bytes:
    """Returns the opcodes that push a value."""
    match value:
      case None:
        return b'N'
      case bool():
        return b'\x88' if value else b'\x89'
      case int():
        return integer(value)
      case float():
        return b'G' + struct.pack('>d', value)
      case str():
        return self.once(text(value))
      case bytes():
        return raw(value)
      case Name():
        return self.once(named(value.name))
      case np.ndarray():
        return self.tensor(value)
      case Instance():
        return self.instance(value)
      case dict():
        return b'}(' + self.items(value) + b'u'
      case list():
        return b'](' + self.every(value) + b'e'
      case tuple():
        return b'(' + self.every(value) + b't'
      case set():
        start = self.once(named('builtins.set')) + b'('
        return start + self.opcodes(sorted(value)) + b'tR'
    raise TypeError(f'{value!r} has no opcodes')

  def every(self, values) -> bytes:
    return b''.join([self.opcodes(value) for value in values])

  def items(self, values) -> bytes:
    found = []
    for key, value in values.items():
      found.append(self.opcodes(key))
      write = self.parameters if key == '_parameters' else self.opcodes
      found.append(write(value))
    return b''.join(found)

  def parameters(self, values) -> bytes:
    """Writes the parameters of a module."""
    found = []
    for key, value in values.items():
      found += [
        self.opcodes(key),
        b'N' if value is None else self.wrapped(value),
      ]
    return b'}(' + b''.join(found) + b'u'

  def wrapped(self, array: np.ndarray) -> bytes:
    """Writes a parameter."""
    name, ordered = 'torch._utils._rebuild_parameter', 'collections.OrderedDict'
    start = self.once(named(name)) + b'(' + self.opcodes(array) + b'\x89'
    return start + self.call(ordered) + b'tR'

  def tensor(self, array: np.ndarray) -> bytes:
    array = np.ascontiguousarray(array) if array.ndim else array
    strides = tuple(stride // array.itemsize for stride in array.strides)
    start = self.once(named('torch._utils._rebuild_tensor_v2'))
    values = [self.opcodes(v) for v in (0, array.shape, strides, False)]
    values = [self.storage(self, array), *values]
    return (
      start
      + b'('
      + b''.join(values)
      + self.call('collections.OrderedDict')
      + b'tR'
    )

  def instance(self, value: Instance) -> bytes:
    if '.' in value.name:
      made = self.once(named(value.name)) + self.opcodes(value.args) + b'\x81'
      return made + (
        b'' if value.state is None else self.opcodes(value.state) + b'b'
      )
    meta = dict(type='class', version=6, module_src='', class_name=value.name)
    start = self.once(named(pth.PERSISTENT))
    return start + b'(' + self.opcodes(meta | {'state': value.state}) + b'tR'


def persistent(key: str, array: np.ndarray, *view: bytes) -> bytes:
  """Returns the opcodes of a storage that is elsewhere in the file."""
  kind = named(f'torch.{KINDS[array.dtype]}')
  pid = text('storage') + kind + text(key) + text('cpu') + integer(array.size)
  return b'(' + pid + b''.join(view) + b'tQ'


def archive(path, value) -> None:
  """Writes a value as `torch.save` does."""
  arrays = []

  def storage(writer, array):
    del writer
    arrays.append(array)
    return persistent(str(len(arrays) - 1), array)

  pickled = PROTOCOL + Writer(storage).opcodes(value) + b'.'
  zipped(path, pickled, arrays)


def zipped(path, pickled: bytes, arrays: list[np.ndarray]) -> None:
  """Writes the archive of a pickle and its storages."""
  with zipfile.ZipFile(path, 'w') as file:
    members = {'data.pkl': pickled}
    members |= {f'data/{k}': x.tobytes() for k, x in enumerate(arrays)}
    for name, content in members.items():  # without the time
      file.writestr(zipfile.ZipInfo(f'archive/{name}'), content)


def stream(array: np.ndarray) -> bytes:
  """Returns the stream of one storage, which pickled modules have."""
  head = [pth.STREAM_MAGIC, 1001, {'little_endian': True}]
  parts = [PROTOCOL + Writer().opcodes(value) + b'.' for value in head]
  parts += [
    PROTOCOL + persistent('0', array, b'N') + b'.',
    PROTOCOL + Writer().opcodes(['0']) + b'.',
    struct.pack('<q', array.size) + array.tobytes(),
  ]
  return b''.join(parts)


def pickled(value) -> bytes:
  """Returns a pickle of modules as NVIDIA's codebases write."""
  load = named('torch.storage._load_from_bytes')
  writer = Writer(
    lambda writer, array: writer.once(load) + b'(' + raw(stream(array)) + b'tR'
  )
  return PROTOCOL + writer.opcodes(value) + b'.'


def _slim(value):
  """Returns a value without the hooks of modules."""
  if isinstance(value, Instance) and isinstance(value.state, dict):
    state = {
      name: _slim(inner)
      for name, inner in value.state.items()
      if not re.search('hook|_is_full|_persistent_buffers_set', name)
    }
    return Instance(value.name, value.args, state)
  if isinstance(value, dict):
    return {name: _slim(inner) for name, inner in value.items()}
  return value


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
  """Writes a copy of a file of weights, without optimizers."""
  value = pth.load(source, r3gan.NAMES)
  for name in [*value]:
    if re.search('opti|opt_state|best_fid', name):
      del value[name]
  if source.suffix == '.pth':
    archive(target, value)
  else:
    target.write_bytes(pickled(_slim(value)))


def main(folder: str, *cases: str) -> None:
  """Writes the files of all cases, or of the named cases."""
  for case in cases or CASES:
    target = FOLDER / case
    target.mkdir(parents=True, exist_ok=True)
    for path in (pathlib.Path(folder) / case).iterdir():
      if path.suffix == '.npz':
        (target / path.name).write_bytes(path.read_bytes())
      else:
        copy(path, target / path.name)


if __name__ == '__main__':
  main(*sys.argv[1:])
