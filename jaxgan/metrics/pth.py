"""Reads weights in PyTorch's files without PyTorch.

`torch.save` pickles a dictionary of tensors. PyTorch 1.6 and later write a zip
archive. Earlier versions write a stream, in which many weights are still
distributed. Codebases of NVIDIA pickle whole networks instead, and each tensor
then has a stream of its own. Pickles are read as data, see `core.pickles`.
"""

import io
import math
import pathlib
import struct
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jaxgan import errors
from jaxgan.core import paths, pickles
from jaxgan.core.pickles import Instance

DTYPES = {
  'HalfStorage': '<f2',
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ByteStorage': '|u1',
  'BoolStorage': '|b1',
}
STREAM_MAGIC = 0x1950A86A20F9469CFC6C
# A module whose class is in the file, as source code that is not read.
PERSISTENT = 'torch_utils.persistence._reconstruct_persistent_obj'
_REBUILD = 'torch._utils._rebuild'
# Names of types, and of NumPy's numbers and arrays, which stay `Instance`s.
_DATA = (
  *(f'torch.{kind}' for kind in (*DTYPES, 'float16', 'bfloat16', 'float32')),
  *('numpy.dtype', 'numpy.ndarray'),
  *('numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar'),
  *('numpy.core.multiarray._reconstruct',),
  *('numpy._core.multiarray._reconstruct',),
)


def instance(name: str) -> Callable[..., Instance]:
  """Returns a function that stands for a class, of the class's arguments."""
  return lambda *args: Instance(name, args)


def _dictionary(pairs=()) -> dict:
  names, values = zip(*pairs, strict=True) if pairs else ((), ())
  return dict(zip(pickles.keys(names), values, strict=True))


def _set(members=()) -> set:
  return set(pickles.keys(members))


def _encoded(text: str, encoding: str) -> bytes:
  """Returns the bytes that protocol 2 of pickle writes as a text."""
  if encoding != 'latin1':
    raise ValueError(f'bytes have the encoding {encoding}')
  return text.encode(encoding)


def _persistent(meta: dict) -> Instance:
  return Instance(meta['class_name'], (), meta['state'])


def _tensor(storage, offset, shape, strides, *unused):
  del unused  # Gradients and hooks.
  # A stride of 0 repeats values and takes no memory.
  sides = [n for n, stride in zip(shape, strides, strict=True) if stride]
  if math.prod(sides) > storage.size:
    raise ValueError(f'shape {shape} is larger than its storage')
  # NumPy checks that the tensor lies inside the storage.
  return np.ndarray(
    shape,
    storage.dtype,
    storage,
    offset * storage.itemsize,
    [stride * storage.itemsize for stride in strides],
  )


def _parameter(tensor, *unused):
  del unused
  return tensor


_NAMES = {
  'collections.OrderedDict': _dictionary,
  'dnnlib.util.EasyDict': _dictionary,
  'builtins.set': _set,
  '__builtin__.set': _set,
  f'{_REBUILD}_tensor': _tensor,
  f'{_REBUILD}_tensor_v2': _tensor,
  f'{_REBUILD}_parameter': _parameter,
  '_codecs.encode': _encoded,
  'torch.Size': tuple,
  PERSISTENT: _persistent,
  **{name: instance(name) for name in _DATA},
}


class _Reader:
  """Reads one file, whose storages together are as large as the file.

  Args:
    path: the file.
    names: further classes that the file may name.
  """

  def __init__(self, path, names: Iterable[str]):
    self._content = paths.refuse_special(pathlib.Path(path)).read_bytes()
    self._left = len(self._content)
    self._names = _NAMES | {name: instance(name) for name in names}
    self._names['torch.storage._load_from_bytes'] = self._storage_of_bytes

  def read(self):
    """Returns the contents of the file, in any of the three forms."""
    file = io.BytesIO(self._content)
    if self._content.startswith(b'PK\x03\x04'):
      return self._read_archive(file)
    first = self._load(file)
    return self._read_stream(file) if first == STREAM_MAGIC else first

  def _load(self, file, storage: Callable | None = None):
    def load(pid):
      kind, dtype, key, _, size, *view = pid
      if kind != 'storage' or any(part is not None for part in view):
        raise ValueError(f'{kind} {key} has an unknown kind')
      dtype = DTYPES[dtype.name.removeprefix('torch.')]
      return storage(key, dtype, size)

    return pickles.read(file, self._names, load if storage else None)

  def _take(self, size: int, key) -> None:
    """Counts the bytes of a storage."""
    self._left -= size
    if size < 0 or self._left < 0:
      raise EOFError(f'storage {key} is cut off')

  def _storage_of_bytes(self, content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    if self._load(file) != STREAM_MAGIC:
      raise ValueError('the first number of a storage is wrong')
    return self._read_stream(file)

  def _read_archive(self, file):
    with zipfile.ZipFile(file) as archive:
      names = archive.namelist()
      for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
          raise ValueError(f'{info.filename} is compressed')
      members = [name for name in names if name.endswith('/data.pkl')]
      if len(members) != 1:
        raise ValueError('the archive must contain one data.pkl')
      root = members[0].removesuffix('data.pkl')
      order = f'{root}byteorder'
      if order in names and archive.read(order) != b'little':
        raise ValueError('numbers are big-endian')
      storages = {}

      def storage(key, dtype, size):
        if key not in storages:
          name = f'{root}data/{key}'
          self._take(archive.getinfo(name).file_size, key)
          storages[key] = np.frombuffer(archive.read(name), dtype, size)
        return storages[key]

      return self._load(io.BytesIO(archive.read(members[0])), storage)

  def _read_stream(self, file):
    """Reads the stream format after its first number.

    The stream has three pickles of constants, the pickled contents, the pickled
    keys of the storages, and the bytes of each storage.
    """
    self._load(file)
    if not self._load(file)['little_endian']:
      raise ValueError('numbers are big-endian')
    storages = {}

    def storage(key, dtype, size):
      if key not in storages:
        self._take(size * np.dtype(dtype).itemsize, key)
        storages[key] = np.zeros(size, dtype)
      return storages[key]

    contents = self._load(file, storage)
    keys = self._load(file)
    if set(keys) != set(storages):
      raise ValueError('storages and tensors do not match')
    for key in keys:
      values = storages[key]
      (size,) = struct.unpack('<q', file.read(8))
      if size != values.size or file.readinto(values.data) != values.nbytes:
        raise EOFError(f'storage {key} is cut off')
    return contents


def load(path, names: Iterable[str] = (), kind: str = 'weights') -> Any:
  """Returns the contents of a file of PyTorch, or of a pickle with tensors.

  Nothing in the file is executed. Tensors must be dense, with floats of 16, 32
  or 64 bits, integers or truth values. Objects are `Instance`s.

  Args:
    path: a file of any form.
    names: dotted names of further classes that the file may contain.
    kind: contents that are expected, for the error.

  Raises:
    UserError: with the path, if the file is missing, damaged or of another
      kind, or names a function or class that is not known.
  """
  try:
    return _Reader(path, names).read()
  except OSError as error:
    raise errors.UserError(f'{path}: {error.strerror or error}') from None
  except Exception as error:  # Damaged pickles raise errors of any type.
    raise errors.UserError(
      f'{path}: no {kind} of PyTorch ({error or type(error).__name__})'
    ) from None


def read(path) -> dict[str, np.ndarray]:
  """Returns the tensors of a state dict that `torch.save` wrote, by name.

  Args:
    path: a .pth or .pt file of either format, see `load`.

  Raises:
    UserError: see `load`; also if the file is no dictionary of tensors.
  """
  state = load(path, kind='state dict')
  problem = 'no dictionary'
  if isinstance(state, dict):
    wrong = [
      name
      for name, value in state.items()
      if not isinstance(name, str) or not isinstance(value, np.ndarray)
    ]
    problem = f'{wrong[0]!r} is no tensor' if wrong else ''
  if problem:
    raise errors.UserError(f'{path}: no state dict of PyTorch ({problem})')
  return state
