"""Flax networks, one file a family: arrays in, arrays out.

A module's fields are plain numbers, never a config. Every module is called as
`module(*inputs, train)`. Fields that follow from the data or the devices
(`shape`, `num_classes`, `axis_name`) are filled in by whoever builds it.

`dtype` is what hidden layers compute in, None for float32. Whatever it is,
parameters, statistics and the last layer, and with it all outputs, are float32.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxgan import errors, layers, noise, optim, penalties

# `config.precision`: dtype of networks. Of 'tf32' only products are rounded, in
# the device, see `parallel.products`.
PRECISIONS = {'f32': None, 'tf32': None, 'bf16': jnp.bfloat16}


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
  families = [info.name for info in pkgutil.iter_modules(__path__)]
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


def refuse_missing_labels(wanted, spec, field: str = 'conditional') -> None:
  """Raises a UserError if a field wants labels of data that have none."""
  if wanted and not spec.num_classes:
    raise errors.UserError(
      f'{field}={wanted} needs labels and the data have none; set '
      f'{field}={type(wanted)()} or give a folder of class folders'
    )


def trained(
  config, player: str, images_per_update: float, **derived
) -> tuple[nn.Module, optax.GradientTransformation]:
  """The network `config[player]` and what moves it.

  `config.precision` gives it its dtype, see `PRECISIONS`.

  Args:
    config: of the run.
    player: 'generator', 'encoder' and so on. Beside the network's own fields
      `config[player]` may hold 'optimizer', 'spectral_norm' (Miyato et al.
      2018) and 'virtual_batch', the size of a reference batch (0 is off).
    images_per_update: images seen between two updates of this network.
    **derived: fields that follow from the data or the devices.

  Raises:
    UserError: as `build`, and for a network without 'dtype' that needs one.
  """
  settings = dict(config[player])
  optimizer = optim.build(
    settings.pop('optimizer'), images_per_update, f'{player}.optimizer'
  )
  spectral = settings.pop('spectral_norm', False)
  reference = settings.pop('virtual_batch', 0)
  if reference:
    settings['norm'] = 'virtual'
    derived['reference_size'] = reference
  # Runs that were begun before there was the field are float32.
  precision = config.get('precision', 'f32')
  dtype = PRECISIONS[precision]
  module = build(player, settings, dtype=dtype, **derived)
  if dtype is not None and not hasattr(module, 'dtype'):
    raise errors.UserError(
      f"precision={precision!r} needs a field 'dtype' and {player}.name="
      f"{settings['name']!r} has none; give it one, or set precision='f32'"
    )
  if reference:
    module = layers.VirtualBatch(
      module,
      reference,
      noise.LATENTS[config.latent],
      derived.get('num_classes', 0),
    )
  if spectral:
    module = penalties.SpectralNorm(module)
  return module, optimizer
