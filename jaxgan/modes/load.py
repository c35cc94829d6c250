"""Exported functions without the code and the packages of training."""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import paths

ABOUT = 'export.json'


class Exported(Mapping):
  """Functions of an export by name.

  A folder with one function, as that of a GAN, can be called itself.

  Attributes:
    about: content of `export.json`: inputs, outputs, classes, config; {} for a
      single file without it.
  """

  def __init__(self, functions: dict[str, Callable], about: dict):
    self._functions, self.about = functions, about

  def __getitem__(self, name: str) -> Callable:
    return self._functions[name]

  def __iter__(self):
    return iter(self._functions)

  def __len__(self) -> int:
    return len(self._functions)

  def __call__(self, *inputs):
    if len(self) != 1:
      raise errors.UserError(
        f'this export has the functions {", ".join(self)}. Choose one by name.'
      )
    (function,) = self._functions.values()
    return function(*inputs)


def load(path: str | os.PathLike) -> Exported:
  """Reads what --mode=export wrote.

    generator = jaxgan.load('runs/gan_mnist/export/step_00015000')
    z = np.random.default_rng(0).standard_normal((16, 100), np.float32)
    images = generator(z)  # [16, 28, 28, 1] in [-1, 1]

  An export is a program. Read only those that you trust.

  Args:
    path: a folder, or a file NAME.stablehlo or NAME.onnx. ONNX needs the
      package onnxruntime.

  Returns:
    Functions of arrays [B, ...], in the order of `about`'s inputs.

  Raises:
    UserError: if there is no export, or a file is damaged.
  """
  path = paths.of_user(path, 'path', is_local=True)
  folder = path if path.is_dir() else path.parent
  about = _about(folder / ABOUT)
  if path.is_dir():
    if not about:
      raise errors.UserError(
        f'path={path} is no export. Write one by --mode=export.'
      )
    files = [folder / f'{name}.stablehlo' for name in about['functions']]
  else:
    files = [path]
  functions = {file.stem: _function(file, about) for file in files}
  return Exported(functions, about)


def _about(path: pathlib.Path) -> dict:
  if not path.exists():
    return {}
  try:
    about = json.loads(paths.refuse_special(path).read_text(encoding='utf-8'))
    for name, function in about['functions'].items():
      if pathlib.PurePath(name).name != name or not function['sha256']:
        raise ValueError(f'{name!r} is no name of a function')
  except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
    raise _damaged(path, error) from None
  return about


def _function(path: pathlib.Path, about: dict) -> Callable:
  """Returns the function of a file."""
  try:
    content = paths.refuse_special(path).read_bytes()
  except OSError as error:
    raise _damaged(path, error) from None
  function = about.get('functions', {}).get(path.stem, {})
  digest = function.get('sha256', {}).get(path.name)
  if digest and hashlib.sha256(content).hexdigest() != digest:
    raise _damaged(path, 'its digest differs from export.json')
  readers = {'.stablehlo': _of_stablehlo, '.onnx': _of_onnx}
  if path.suffix not in readers:
    raise errors.unknown('the ending of path', path.suffix, readers)
  return readers[path.suffix](path, content)


def _of_stablehlo(path, content: bytes) -> Callable:
  try:
    return jax.jit(jax.export.deserialize(bytearray(content)).call)
  except Exception as error:  # Any kind, from the reader of the format.
    raise _damaged(path, error) from None


def _of_onnx(path, content: bytes) -> Callable:
  try:
    import onnxruntime
  except ModuleNotFoundError:
    raise errors.UserError(
      f'path={path} needs the package onnxruntime. Run pip install onnxruntime.'
    ) from None
  try:
    session = onnxruntime.InferenceSession(
      content, providers=onnxruntime.get_available_providers()
    )
  except Exception as error:  # As above.
    raise _damaged(path, error) from None
  described = session.get_inputs()

  def call(*inputs):
    kinds = {'tensor(float)': 'f4', 'tensor(int32)': 'i4', 'tensor(bool)': '?'}
    feeds = {
      node.name: np.asarray(x, kinds[node.type])
      for node, x in zip(described, inputs, strict=True)
    }
    return session.run(None, feeds)[0]

  return call


def _damaged(path, error) -> errors.UserError:
  reason = str(error).strip().splitlines()
  return errors.UserError(
    f'{path} is damaged ({reason[0] if reason else error!r}). Export the run '
    'again.'
  )
