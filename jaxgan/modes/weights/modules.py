"""Modules of PyTorch that were pickled as objects."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan.core.pickles import Instance

MOST_MODULES = 10_000
_PARTS = ('_parameters', '_buffers')


def state(module: Instance) -> dict[str, Any]:
  """Returns the attributes of a module; other objects raise a TypeError."""
  if not isinstance(module, Instance) or not isinstance(module.state, dict):
    raise TypeError('an object is no module')
  return module.state


def walk(module: Instance) -> Iterator[tuple[str, Instance]]:
  """Yields a module and the modules in it by dotted path.

  Raises:
    ValueError: if a module contains itself.
  """
  left = [('', module)]
  for _ in range(MOST_MODULES):
    if not left:
      return
    path, module = left.pop()
    yield path, module
    inner = state(module).get('_modules', {})
    left += [
      (f'{path}.{name}' if path else name, part)
      for name, part in reversed(inner.items())
      if part is not None
    ]
  raise ValueError(f'there are more than {MOST_MODULES} modules')


def tensors(module: Instance) -> dict[str, np.ndarray]:
  """Returns all parameters and buffers of a module by dotted path."""
  return {
    f'{path}.{name}' if path else name: value
    for path, part in walk(module)
    for kind in _PARTS
    for name, value in state(part).get(kind, {}).items()
    if isinstance(value, np.ndarray)
  }
