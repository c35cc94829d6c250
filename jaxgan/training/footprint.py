"""Refuses runs that need more memory than there is, and constant layers.

Both follow from shapes, before anything is compiled. Memory is a lower bound of
what XLA needs: states of networks with optimizers and averages, and resident
data. For one network, outputs of convolutions and dense layers are added, which
the gradient needs. So a run that fits is never refused.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.config.fields import is_group
from jaxgan.core import memory, shards
from jaxgan.models.layers import layers as layers_lib
from jaxgan.models.layers import norms
from jaxgan.training.summary import Layer

PRODUCTS = (nn.Dense, layers_lib.Conv, layers_lib.ConvTranspose)
FLOAT = 4  # bytes
DATA = 'training data'


class Part(NamedTuple):
  """A part of the memory of each device.

  Attributes:
    what: name of the part.
    num_bytes: a lower bound.
    fields: config fields that determine the part.
  """

  what: str
  num_bytes: int
  fields: tuple[str, ...]


def _group(config, network: str) -> str:
  """Returns the config group of a network: 'generator' of 'generator_ab'."""
  names = [name for name in config if is_group(config[name])]
  return max((n for n in names if network.startswith(n)), key=len, default='')


def _sizes(config, network: str) -> tuple[str, ...]:
  """Returns the fields of a network that are counts or sizes above 1."""
  group = _group(config, network)

  def is_size(value) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(type(v) is int and v > 1 for v in values)

  own = config_lib.flatten(config[group]) if group else {}
  names = [
    f'{group}.{name}'
    for name, value in own.items()
    if not name.startswith('optimizer.') and is_size(value)
  ]
  return (*names, *(['latent_size'] if 'latent_size' in config else []))


def rows(method, network: str, batch: int) -> int:
  """Returns the least number of examples that a network sees at once.

  Args:
    method: the parts of an algorithm that never change.
    network: name of the network in `modules`.
    batch: images of a batch.
  """
  if network.startswith('discriminator') and hasattr(method, 'tricks'):
    return batch // method.tricks.pack
  if network == 'decoder':
    return batch * max(getattr(method, 'importance_samples', 0), 1)
  return batch


def parts(run) -> Iterator[Part]:
  """Yields the memory of each device of a built `run.Training`."""
  config, members = run.config, run.states.num_members
  # A population has whole members on each device, others split the batch.
  held = -(-members // run.engine.num_devices) if members else 1
  together = run.engine.at_once if members else 1
  split = 1 if members else run.engine.num_devices
  init = functools.partial(run.algorithm.init, run.method)
  state = jax.eval_shape(init, jax.random.key(0))
  many = tuple(n for n in ('seeds', 'sweep') if held > 1 and config[n])
  for name, network in state.networks.items():
    arrays = (network, state.ema.get(name))
    size = held * shards.num_bytes(arrays, run.engine.parts)
    text = f'weights, optimizer and averages of the {name}'
    yield Part(text, size, (*many, *_sizes(config, name)))
  if config.get('replay_size'):
    pools = [v for k, v in state.extra.items() if k.startswith('replay')]
    size = held * shards.num_bytes(pools, run.engine.parts)
    yield Part('earlier fakes', size, (*many, 'replay_size'))
  if run.inputs.resident:
    fields = ('data.resident_bytes', 'data.image_size', 'data.limit')
    yield Part(DATA, run.dataset.num_bytes, fields)
  batch = together * config.batch_size // split
  image = FLOAT * math.prod(run.dataset.spec.shape)
  yield Part('a batch of images', batch * image, ('batch_size',))
  yield max(
    (_activations(run, name, batch) for name in run.traced),
    key=lambda part: part.num_bytes,
  )


def _activations(run, name: str, batch: int) -> Part:
  """Returns what the gradient of a network needs of a forward pass."""
  size = sum(
    math.prod(layer.output.shape[1:]) * np.dtype(layer.output.dtype).itemsize
    for layer in run.traced[name].layers
    if isinstance(layer.module, PRODUCTS)
  )
  fields = ['batch_size', *_sizes(run.config, name)]
  if name == 'decoder' and run.config.get('importance_samples'):
    fields.insert(1, 'importance_samples')
  return Part(
    f'activations of the {name}',
    rows(run.method, name, batch) * size,
    (*fields, 'data.image_size'),
  )


def _limit(engine) -> tuple[float, str]:
  """Returns the memory that one device can have, and the name of its owner."""
  device, *others = engine.mesh.local_devices
  if device.platform == 'cpu':
    return memory.host_bytes() / (1 + len(others)), 'this machine'
  stats = device.memory_stats() or {}
  return stats.get('bytes_limit', math.inf), f'each {device.device_kind}'


def refuse_too_large(run) -> None:
  """Raises a UserError if a device has less memory than a run needs.

  Args:
    run: a built `run.Training`.
  """
  (limit, owner), needed = _limit(run.engine), list(parts(run))
  total = sum(part.num_bytes for part in needed)
  if total <= limit:
    return
  devices = len(run.engine.mesh.local_devices)
  if owner == 'this machine':  # Its devices share the memory.
    limit, total = limit * devices, total * devices
  part = max(needed, key=lambda part: part.num_bytes)
  shown = _shown(run.config, part.fields)
  stream = ', or set data.resident_bytes=0 to stream the data'
  raise errors.UserError(
    f'{", ".join(shown)}: the run needs at least {memory.short(total)} of '
    f'memory, most of it for {part.what}, and {owner} has '
    f'{memory.short(limit)}. Lower {"one of them" if shown[1:] else "it"}'
    f'{stream if part.what == DATA else ""}.'
  )


def _shown(config, names) -> list[str]:
  """Returns the fields that a config has as 'name=value'."""
  values = config_lib.flatten(config)
  return [
    f'{name}={tuple(value) if isinstance(value, list) else value!r}'
    for name in names
    for value in [values.get(name)]
    if value  # Zero is off, or keeps the size.
  ]


def _is_constant(layer: Layer, batch: int) -> bool:
  """Returns True for a norm that takes its statistics from a single number.

  Args:
    layer: a layer with an output [1, ..., C].
    batch: examples that the network sees at once.
  """
  module, shape = layer.module, layer.output.shape
  pixels = math.prod(shape[1:-1])
  counts = (
    (norms.BatchNorm, batch * pixels),
    (norms.VirtualBatchNorm, getattr(module, 'reference_size', 0) * pixels),
    (nn.InstanceNorm, pixels),
    (nn.LayerNorm, shape[-1]),
  )
  return any(isinstance(module, kind) and n == 1 for kind, n in counts)


def refuse_constant_layers(run) -> None:
  """Raises a UserError for norms that a run leaves without statistics.

  Batch norm needs several images, on all devices together. For one image it
  would be instance norm in training, and a different network when sampling.
  Other norms need more than one number.

  Args:
    run: a built `run.Training`.
  """
  for name, traced in run.traced.items():
    batch = rows(run.method, name, run.config.batch_size)
    for layer in traced.layers:
      if isinstance(layer.module, norms.BatchNorm) and batch == 1:
        raise _single_image(run.config, name, layer)
      if _is_constant(layer, batch):
        raise _constant(run.config, name, layer)


def _norm_field(config, network: str) -> list[str]:
  group = _group(config, network)
  fields = [f'{group}.virtual_batch', f'{group}.norm']
  return _shown(config, fields)[:1]


def _single_image(config, network: str, layer: Layer) -> errors.UserError:
  fields = ['batch_size', *(['pack'] if config.get('pack', 1) > 1 else [])]
  shown = [*_shown(config, fields), *_norm_field(config, network)]
  other = ", or norm='instance' or 'none'" if len(shown) > len(fields) else ''
  return errors.UserError(
    f'{", ".join(shown)}: layer {"/".join(layer.path)} of the {network} takes '
    f'the statistics of batch norm from one example. Set a larger batch_size'
    f'{other}.'
  )


def _constant(config, network: str, layer: Layer) -> errors.UserError:
  return errors.UserError(
    f'{", ".join(_norm_field(config, network))}: layer '
    f'{"/".join(layer.path)} of the {network}, of shape '
    f'{layer.output.shape[1:]}, takes statistics from a single number, which '
    'makes it constant. Choose another norm, or change '
    f'{_group(config, network)}.widths or data.image_size.'
  )
