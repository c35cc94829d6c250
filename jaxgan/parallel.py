"""One device or many: the only file that knows.

Two engines run the same rounds. `jit` compiles for the global batch and lets
the compiler split it over the devices. `pmap` maps the step over parts of the
batch, with the state as one copy per device that is never stacked. Both keep
the batch, its noise and its statistics global, so that the number of devices
changes the result by rounding only.
"""

import dataclasses
import functools
import itertools
import logging
import os
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan import errors
from jaxgan.data import sampling

_logger = logging.getLogger(__name__)

AXIS = 'data'
# Forced CPU devices outnumber the cores, and their collectives deadlock when
# too many calls are in flight.
CPU_CALLS_IN_FLIGHT = 4


def use_compilation_cache() -> None:
  """Keeps compiled programs between runs, where no one else can write."""
  if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    return
  home = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
  folder = home.expanduser() / 'jaxgan' / 'compiled'
  try:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # JAX runs what it finds there.
  except OSError as error:
    _logger.warning('no compilation cache: %s', error)
    return
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


@dataclasses.dataclass(frozen=True)
class Engine:
  """Devices, and how a step is run on them.

  Attributes:
    name: 'jit' or 'pmap'.
    mesh: the devices along `AXIS`.
  """

  name: str
  mesh: jax.sharding.Mesh

  @property
  def num_devices(self) -> int:
    return self.mesh.size

  @property
  def axis_name(self) -> str | None:
    """What `from_config` of a step is given."""
    return AXIS if self.name == 'pmap' else None

  @property
  def replicated(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec())

  def replicate(self, tree):
    """Copies of arrays on every device."""
    return jax.device_put(tree, self.replicated)

  def split(self, batches):
    """Puts batches [rounds, draws, B, ...] on the devices, B divided."""
    parts = self.num_devices
    if self.name == 'jit':
      return jax.device_put(
        batches, NamedSharding(self.mesh, PartitionSpec(None, None, AXIS))
      )

    def by_device(x):
      rounds, draws, count, *shape = x.shape
      x = x.reshape(rounds, draws, parts, count // parts, *shape)
      return np.moveaxis(x, 2, 0)

    return jax.device_put(
      {name: by_device(x) for name, x in batches.items()},
      NamedSharding(self.mesh, PartitionSpec(AXIS)),
    )


def make(name: str, batch_size: int, devices=None) -> Engine:
  """The engine `name` ('auto', 'jit' or 'pmap') on all devices.

  Raises:
    UserError: if the batch can't be divided.
  """
  devices = devices or jax.devices()
  if batch_size % len(devices):
    raise errors.UserError(
      f'batch_size={batch_size} is not divisible by the {len(devices)} '
      'devices; choose a multiple'
    )
  if name == 'auto':
    name = 'jit' if len(devices) == 1 else 'pmap'
  mesh = jax.make_mesh(
    (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
  )
  return Engine(name, mesh)


def _draw(arrays, seed, step, draws, batch_size, shard, shards, shuffle):
  """One device's part of a round's batches, [draws * B / shards, ...] each."""
  local = batch_size // shards
  places = jnp.arange(local, dtype=jnp.uint32)
  places = places + jnp.uint32(shard) * np.uint32(local)
  size = len(arrays['image'])
  rows = [
    sampling.examples(
      jnp.uint32(seed),
      jnp.uint32(step) * np.uint32(draws) + np.uint32(draw),
      batch_size,
      size,
      places,
      shuffle,
    )
    for draw in range(draws)
  ]
  rows = jnp.concatenate(rows)
  return {name: array[rows] for name, array in arrays.items()}


def compile_rounds(
  engine: Engine,
  train_step: Callable,
  *,
  rounds: int,
  draws: int,
  batch_size: int,
  resident: bool,
  shuffle: bool = True,
) -> Callable:
  """Compiles `rounds` rounds into one call.

  Args:
    engine: where it runs.
    train_step: (state, batch, key) -> (state, metrics), see `jaxgan.steps`.
    rounds: rounds per call.
    draws: batches per round.
    batch_size: global batch size.
    shuffle: see `sampling.examples`; for resident data.
    resident: whether data are the whole set, on every device; or else the
      batches of the call.

  Returns:
    (state, data, seed) -> (state, metrics), where the state is donated, seed is
    that of the run, and metrics are [rounds] each. Data are the arrays of the
    set [N, ...] on all devices, or what `Engine.split` made of the batches.
  """
  shards = engine.num_devices if engine.name == 'pmap' else 1
  split = NamedSharding(engine.mesh, PartitionSpec(AXIS))

  def call(shard, state, data, seed):
    key = jax.random.key(seed)

    def one(state, batch):
      if resident:
        batch = _draw(
          data, seed, state.step, draws, batch_size, shard, shards, shuffle
        )
      else:
        batch = {name: x.reshape(-1, *x.shape[2:]) for name, x in batch.items()}
      if engine.name == 'jit' and engine.num_devices > 1:
        batch = jax.lax.with_sharding_constraint(batch, split)
      batch = {name: sampling.to_float(x) for name, x in batch.items()}
      return train_step(state, batch, key)

    if rounds > 1:
      batches = None if resident else data
      return jax.lax.scan(one, state, batches, length=rounds)
    batch = None if resident else {name: x[0] for name, x in data.items()}
    state, metrics = one(state, batch)
    return state, {name: value[None] for name, value in metrics.items()}

  if engine.name == 'jit':
    compiled = jax.jit(
      functools.partial(call, 0),
      donate_argnums=0,
      out_shardings=engine.replicated,
      compiler_options=_compiler_options(),
    )
    return _bounded(engine, compiled)

  mapped = jax.pmap(
    call,
    axis_name=AXIS,
    in_axes=(0, None, None if resident else 0, None),
    out_axes=None,
    donate_argnums=1,
    devices=list(engine.mesh.devices.flat),
  )
  shard = jax.device_put(
    np.arange(shards, dtype=np.uint32),
    NamedSharding(engine.mesh, PartitionSpec(AXIS)),
  )
  return _bounded(engine, functools.partial(mapped, shard))


def _compiler_options() -> dict[str, object] | None:
  """For programs on CPUs.

  Fewer copies of the parameters in a scan are 5 % of a round. The library that
  takes convolutions by default is 1.3 to 2 times slower at them than XLA's own
  code; left to products and reductions, which it does well, it makes a round of
  the MNIST DCGAN 10 to 30 % shorter.
  """
  if jax.default_backend() != 'cpu':
    return None
  kinds = ('INDIVIDUAL_DOT', 'REDUCE')
  library = ','.join(f'LIBRARY_FUSION_TYPE_{kind}' for kind in kinds)
  return {
    'xla_cpu_copy_insertion_use_region_analysis': True,
    'xla_cpu_experimental_ynn_fusion_type': library,
  }


def _bounded(engine: Engine, call: Callable) -> Callable:
  """Waits now and then, where calls in flight must be few."""
  if engine.num_devices == 1 or jax.default_backend() != 'cpu':
    return call
  calls = itertools.count(1)

  def waiting(*inputs):
    outputs = call(*inputs)
    if next(calls) % CPU_CALLS_IN_FLIGHT == 0:
      jax.block_until_ready(outputs)
    return outputs

  return waiting
