"""Sources of images, one file each.

A file defines `load(settings, split)`, which returns the `Dataset` that
`config.data` describes, and its name is a value of `data.source`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable


def _load(name: str, settings, split: str):
  # Imported on first use: reading TFDS costs a second of imports.
  return importlib.import_module(f'{__name__}.{name}').load(settings, split)


# name -> (config.data, split) -> Dataset.
SOURCES: dict[str, Callable] = {
  info.name: functools.partial(_load, info.name)
  for info in pkgutil.iter_modules(__path__)
  if not info.name.startswith('_')
}
