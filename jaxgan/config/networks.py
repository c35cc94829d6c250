"""Networks and optimizers from a config."""

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxgan import errors, models
from jaxgan.core import noise, optim
from jaxgan.data.dataset import Spec
from jaxgan.models.layers import norms

NETWORKS = ('encoder', 'decoder')


def networks(config, spec: Spec, axis_name: str | None, **derived):
  """The fields above, as a config gives them.

  Args:
    config: of the run: 'encoder', 'decoder', 'batch_size', 'ema_halflife',
      'ema_rampup'.
    spec: of the data.
    axis_name: set where the caller maps the step over parts of the batch.
    **derived: fields of networks that follow from others.

  Raises:
    UserError: if the data are points.
  """
  if not spec.is_image:
    raise errors.UserError(
      f'method={config.method!r} needs images and data.name='
      f'{config.data.name!r} has points; set another data.name'
    )
  fields = {
    'shape': spec.shape,
    'ema_halflife': config.ema_halflife,
    'ema_rampup': config.ema_rampup,
    'axis_name': axis_name,
  }
  for name in NETWORKS:
    fields[name], fields[f'{name}_optimizer'] = build_network(
      config,
      name,
      config.batch_size,
      shape=spec.shape,
      axis_name=axis_name,
      **derived,
    )
  return fields


# `config.precision`: dtype of networks. Of 'tf32' only products are rounded, in
# the device, see `parallel.products`.
PRECISIONS = {'f32': None, 'tf32': None, 'bf16': jnp.bfloat16}


def build_network(
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
  module = models.build(player, settings, dtype=dtype, **derived)
  if dtype is not None and not hasattr(module, 'dtype'):
    raise errors.UserError(
      f"precision={precision!r} needs a field 'dtype' and {player}.name="
      f"{settings['name']!r} has none; give it one, or set precision='f32'"
    )
  if reference:
    module = norms.VirtualBatch(
      module,
      reference,
      noise.LATENTS[config.latent],
      derived.get('num_classes', 0),
    )
  if spectral:
    module = norms.SpectralNorm(module)
  return module, optimizer
