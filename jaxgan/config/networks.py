"""Networks and optimizers from a config."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgan import errors, models
from jaxgan.config.fields import field as declare
from jaxgan.config.fields import is_group
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise, optim
from jaxgan.data.dataset import Spec
from jaxgan.models.layers import norms, spectral_norm


def latents(config) -> latents_lib.Latents:
  """Returns the latents: parts of `config.codes`, then of `config.latent`.

  Raises:
    UserError: for an unknown distribution.
  """
  if config.latent not in noise.LATENTS:
    raise errors.unknown('latent', config.latent, noise.LATENTS)
  codes = latents_lib.parse(config.get('codes', ''))
  z = latents_lib.Part('z', config.latent, config.latent_size)
  return latents_lib.Latents((*codes, z))


def refuse_points(config, spec: Spec) -> None:
  """Raises a UserError if the data are points."""
  if not spec.is_image:
    raise errors.UserError(
      f'method={config.method!r} needs images, and data.name='
      f'{config.data.name!r} has points. Set another data.name.'
    )


def encoder_and_decoder(config, spec: Spec, **derived) -> dict[str, Any]:
  """Returns the fields of a method with an encoder and a decoder.

  Args:
    config: config of the run, with the fields 'encoder', 'decoder',
      'batch_size', and those of averages.
    spec: shape of the data.
    **derived: fields of networks that follow from other fields.

  Raises:
    UserError: if the data are points.
  """
  refuse_points(config, spec)
  fields = {
    'shape': spec.shape,
    **averages(config),
  }
  for name in ('encoder', 'decoder'):
    images = config.batch_size
    fields |= network_fields(config, name, images, shape=spec.shape, **derived)
  return fields


def averages(config) -> dict[str, Any]:
  """Returns the fields of a method with EMA weights, see `core.ema`."""
  return {
    'ema_halflife': config.ema_halflife,
    'ema_rampup': config.ema_rampup,
    'ema_counts_round': config.get('ema_counts_round', False),
  }


# Fields of a network beside those of its module and of its optimizer.
NETWORK = dict(
  name=declare(''),  # 'family.Class' in jaxgan/models
  spectral_norm=declare(False),  # Miyato et al. 2018
  spectral_always=declare(False),  # see spectral_norm.SpectralNorm
  virtual_batch=declare(0, 0, 2**16),  # size of a reference batch; 0 is off
)
# `config.precision` -> dtype of networks. With 'tf32' the device rounds the
# factors of products alone, see `training.devices.products`.
PRECISIONS = {'f32': None, 'tf32': None, 'bf16': jnp.bfloat16}


def build_network(
  config, player: str, images_per_update: float, **derived
) -> tuple[nn.Module, optim.Optimizer]:
  """Returns the network `config[player]` and its optimizer.

  The network computes in the dtype of `config.precision`, see `PRECISIONS`.

  Args:
    config: config of the run.
    player: 'generator', 'encoder' and so on. `config[player]` has the fields
      of the module, those of `NETWORK`, and 'optimizer'.
    images_per_update: images seen between two updates of this network.
    **derived: fields that follow from the data or the devices.

  Raises:
    UserError: for the errors of `models.build`, and for a network that needs
      the field 'dtype' and lacks it.
    KeyError: with the dotted name of a field that the config lacks.
  """
  if not is_group(config[player]):
    raise errors.UserError(
      f'{player}={config[player]!r} must be a group of fields. Start from '
      'jaxgan/config/presets.py.'
    )
  settings = dict(config[player])
  for name in ('name', 'optimizer'):
    if name not in settings:
      raise KeyError(f'{player}.{name}')
  if 'name' not in settings['optimizer']:
    raise KeyError(f'{player}.optimizer.name')
  rule = settings.pop('optimizer')
  spectral = settings.pop('spectral_norm', False)
  always = settings.pop('spectral_always', False)
  reference = settings.pop('virtual_batch', 0)
  if reference:
    settings['norm'] = 'virtual'
    derived['reference_size'] = reference
  # Old runs without the field are float32.
  precision = config.get('precision', 'f32')
  dtype = PRECISIONS[precision]
  module = models.build(player, settings, dtype=dtype, **derived)
  optimizer = optim.build(
    rule,
    images_per_update,
    f'{player}.optimizer',
    getattr(module, 'width', 0),
  )
  if dtype is not None and not hasattr(module, 'dtype'):
    raise errors.UserError(
      f"precision={precision!r} needs a field 'dtype' and {player}.name="
      f"{settings['name']!r} has none. Add the field, or set precision='f32'."
    )
  if reference:
    module = norms.VirtualBatch(
      module,
      reference,
      latents(config),
      derived.get('num_classes', 0),
    )
  if spectral:
    module = spectral_norm.SpectralNorm(module, always)
  return module, optimizer


def network_fields(
  config, name: str, images_per_update: float, field: str = '', **derived
) -> dict[str, Any]:
  """Returns a network and its optimizer as fields of a method.

  Args:
    config: config of the run.
    name: name of the network in the config, see `build_network`.
    images_per_update: images seen between two updates of this network.
    field: name of the network in the method; by default the same name.
    **derived: fields that follow from the data.
  """
  module, optimizer = build_network(config, name, images_per_update, **derived)
  field = field or name
  return {field: module, f'{field}_optimizer': optimizer}
