"""Flax networks, one file a family: arrays in, arrays out.

A module's fields are plain numbers, never a config. Every module is called as
`module(*inputs, train)`. Fields that follow from the data or the devices
(`shape`, `num_classes`) are filled in by `config.networks`.

`dtype` is what hidden layers compute in, None for float32. Whatever it is,
parameters, statistics and the last layer, and with it all outputs, are float32.
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
  """All modules by name, 'family.Class'."""
  families = [
    info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg
  ]
  return {n: c for family in families for n, c in _classes(family).items()}


def build(field: str, settings: Mapping[str, Any], **derived) -> nn.Module:
  """The module that a config describes.

  Args:
    field: the config field, for messages.
    settings: 'name' ('family.Class'); all others are fields of the module.
    **derived: fields that are set where the module has them.

  Raises:
    UserError: if the name or a field is unknown.
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
