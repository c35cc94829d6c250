"""Reads state dicts in PyTorch's files without PyTorch.

`torch.save` pickles a dictionary of tensors. A pickle is a program. The reader
therefore allows dictionaries, tensors and their storages, and refuses all other
names. PyTorch 1.6 and later write a zip archive. Earlier versions write a
stream, in which many weights are still distributed.
"""

import collections
import math
import os
import pathlib
import pickle
import struct
import zipfile

import numpy as np

from jaxgan import errors
from jaxgan.core import paths

DTYPES = {
  'HalfStorage': '<f2',
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'LongStorage': '<i8',
}
STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_REBUILD = 'torch._utils._rebuild'


class _Unpickler(pickle._Unpickler):
  """Unpickles state dicts; `storage(key, dtype, size)` returns an array.

  The unpickler in C allocates as much memory as an index in the file says.
  """

  def __init__(self, file, storage=None):
    super().__init__(file, encoding='utf-8')
    self._storage = storage

  def find_class(self, module, name):
    path = f'{module}.{name}'
    if path == 'collections.OrderedDict':
      return collections.OrderedDict
    if module == 'torch' and name in DTYPES:
      return DTYPES[name]
    if path in (f'{_REBUILD}_tensor', f'{_REBUILD}_tensor_v2'):
      return self._tensor
    if path == f'{_REBUILD}_parameter':
      return self._parameter
    raise pickle.UnpicklingError(f'{path} is no part of a state dict')

  def persistent_load(self, pid):
    kind, dtype, key, _, size, *view = pid
    if kind != 'storage' or any(part is not None for part in view):
      raise pickle.UnpicklingError(f'{kind} {key} has an unknown kind')
    return self._storage(key, dtype, size)

  def _tensor(self, storage, offset, shape, strides, *unused):
    del unused  # Gradients and hooks.
    # A stride of 0 repeats values and takes no memory.
    sides = [n for n, stride in zip(shape, strides, strict=True) if stride]
    if math.prod(sides) > storage.size:
      raise pickle.UnpicklingError(f'shape {shape} is larger than its storage')
    # NumPy checks that the tensor lies inside the storage.
    return np.ndarray(
      shape,
      storage.dtype,
      storage,
      offset * storage.itemsize,
      [stride * storage.itemsize for stride in strides],
    )

  def _parameter(self, tensor, *unused):
    del unused
    return tensor


def _read_archive(file):
  with zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    total = os.fstat(file.fileno()).st_size
    for info in archive.infolist():
      if info.compress_type != zipfile.ZIP_STORED or info.file_size > total:
        raise ValueError(f'{info.filename} is compressed')
    pickles = [name for name in names if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise ValueError('the archive must contain one data.pkl')
    root = pickles[0].removesuffix('data.pkl')
    order = f'{root}byteorder'
    if order in names and archive.read(order) != b'little':
      raise ValueError('numbers are big-endian')
    storages = {}

    def storage(key, dtype, size):
      if key not in storages:
        values = archive.read(f'{root}data/{key}')
        storages[key] = np.frombuffer(values, dtype, size)
      return storages[key]

    with archive.open(pickles[0]) as pickled:
      return _Unpickler(pickled, storage).load()


def _read_stream(file):
  """Reads the stream format.

  The stream has three pickles of constants, the pickled dictionary, the pickled
  keys of the storages, and the bytes of each storage.
  """
  total = os.fstat(file.fileno()).st_size
  if _Unpickler(file).load() != STREAM_MAGIC:
    raise ValueError('the first number of the stream is wrong')
  _Unpickler(file).load()
  if not _Unpickler(file).load()['little_endian']:
    raise ValueError('numbers are big-endian')
  storages = {}

  def storage(key, dtype, size):
    if key not in storages:
      known = sum(values.nbytes for values in storages.values())
      if size < 0 or known + size * np.dtype(dtype).itemsize > total:
        raise EOFError(f'storage {key} is cut off')
      storages[key] = np.zeros(size, dtype)
    return storages[key]

  state = _Unpickler(file, storage).load()
  keys = _Unpickler(file).load()
  if set(keys) != set(storages):
    raise ValueError('storages and tensors do not match')
  for key in keys:
    values = storages[key]
    (size,) = struct.unpack('<q', file.read(8))
    if size != values.size or file.readinto(values.data) != values.nbytes:
      raise EOFError(f'storage {key} is cut off')
  return state


def read(path) -> dict[str, np.ndarray]:
  """Returns the tensors of a state dict that `torch.save` wrote, by name.

  The reader executes no code in the file. Tensors must be dense, with floats of
  16, 32 or 64 bits or integers of 64 bits.

  Args:
    path: a .pth or .pt file of either format.

  Raises:
    UserError: with the path, if the file is missing, damaged, or no dictionary
      of such tensors.
  """
  try:
    with paths.refuse_special(pathlib.Path(path)).open('rb') as file:
      is_archive = file.read(4) == b'PK\x03\x04'
      file.seek(0)
      state = _read_archive(file) if is_archive else _read_stream(file)
    for name, value in state.items():
      if not isinstance(name, str) or not isinstance(value, np.ndarray):
        raise TypeError(f'{name!r} is no tensor')
  except OSError as error:
    raise errors.UserError(f'{path}: {error.strerror or error}') from None
  except Exception as error:  # Damaged pickles raise errors of any type.
    raise errors.UserError(
      f'{path}: no state dict of PyTorch ({error or type(error).__name__})'
    ) from None
  return dict(state)
