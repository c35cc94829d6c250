"""Flax networks, one file per family: arrays in, arrays out.

A module's fields are plain numbers, never a config. Every module is called as
`module(*inputs, train)`. Fields that follow from the data or the devices
(`shape`, `num_classes`) are filled in by `config.networks`.

Hidden layers compute in `dtype`; None is float32. Parameters, statistics, the
last layer and all outputs are float32 for every `dtype`.

Ranges of fields stand in the declarations, see `core.ranges`.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jaxgan import errors


def _classes(family: str) -> dict[str, type[nn.Module]]:
  module = importlib.import_module(f'{__name__}.{family}')
  return {
    f'{family}.{name}': value
    for name, value in vars(module).items()
    if isinstance(value, type)
    and issubclass(value, nn.Module)
    and value.__module__ == module.__name__
  }


def known() -> dict[str, type[nn.Module]]:
  """Returns all modules by name, 'family.Class'."""
  families = [
    info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg
  ]
  return {n: c for family in families for n, c in _classes(family).items()}


def build(field: str, settings: Mapping[str, Any], **derived) -> nn.Module:
  """Builds the module that a config describes.

  Args:
    field: config field, for errors.
    settings: 'name' ('family.Class') and fields of the module.
    **derived: further fields; fields that the module lacks are ignored.

  Raises:
    UserError: for an unknown name or field.
  """
  settings = dict(settings)
  name = settings.pop('name')
  table = known()
  if name not in table:
    raise errors.unknown(f'{field}.name', name, table)
  fields = {f.name for f in dataclasses.fields(table[name])}
  fields -= {'name', 'parent'}
  for setting in settings:
    if setting not in fields - set(derived):
      raise errors.unknown(f'{field} ({name})', setting, fields - set(derived))
  derived = {k: v for k, v in derived.items() if k in fields}
  return table[name](**settings, **derived)
