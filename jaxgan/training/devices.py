"""One device or many: the only file that knows.

Two engines run the same rounds. `jit` compiles for the global batch and lets
the compiler split it over the devices. `pmap` maps the step over parts of the
batch, with the state as one copy per device that is never stacked. Both keep
the batch, its noise and its statistics global, so that the number of devices
changes the result by rounding only.

Several processes, of one machine or of many, run the same program on the
devices of all. Every process calls every compiled function; only the first one
writes.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan import errors
from jaxgan.core.axis import AXIS, MEMBERS
from jaxgan.training import processes

_logger = logging.getLogger(__name__)


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
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def use_float32() -> None:
  """Makes all products full, see `products`; those of metrics, for one."""
  if jax.default_backend() != 'cpu':
    jax.config.update('jax_default_matmul_precision', 'float32')


def products(precision: str) -> contextlib.AbstractContextManager:
  """What products and convolutions of float32 are, in what is traced within.

  JAX' own default is the fastest that a device has, as its users expect of
  large networks: TensorFloat-32 (10 bits) on NVIDIA GPUs since Ampere, and
  bfloat16 (7 bits) on TPUs. Here all 23 bits count unless the user says so.

  Args:
    precision: 'tf32' for products of TensorFloat-32; else they are full.
  """
  if jax.default_backend() == 'cpu':  # It has no others.
    return contextlib.nullcontext()
  kind = 'tensorfloat32' if precision == 'tf32' else 'float32'
  return jax.default_matmul_precision(kind)


def check_precision(precision: str) -> None:
  """Warns of what the devices can not do."""
  if precision == 'tf32' and jax.default_backend() == 'cpu':
    _logger.warning("precision='tf32': products are float32 on a CPU")


@dataclasses.dataclass(frozen=True)
class Engine:
  """Devices, and how a step is run on them.

  Attributes:
    name: 'jit' or 'pmap'; or 'members', of a population.
    mesh: the devices along `axis.AXIS`, or `axis.MEMBERS` of a population.
    at_once: members that a device trains together.
  """

  name: str
  mesh: jax.sharding.Mesh
  at_once: int = 1

  @property
  def num_devices(self) -> int:
    return self.mesh.size

  @property
  def replicated(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec())

  @property
  def own(self) -> np.ndarray:
    """Which of the devices are this process' own."""
    here = processes.process()
    return np.flatnonzero(
      [device.process_index == here for device in self.mesh.devices.flat]
    )

  @property
  def by_member(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec(MEMBERS))

  def replicate(self, tree):
    """Copies of arrays on every device."""
    return jax.device_put(tree, self.replicated)

  def places(self, batch_size: int) -> np.ndarray:
    """Which examples of a batch are those of this process' devices."""
    return np.arange(batch_size).reshape(self.num_devices, -1)[self.own].ravel()

  def by_device(self, tree):
    """Arrays [own devices, ...], a row on each, as `pmap` takes them."""
    mesh = jax.sharding.Mesh(self.mesh.devices[self.own], AXIS)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))

  def split(self, batches):
    """Puts batches [rounds, draws, B, ...] on the devices, B divided.

    Of several processes each gives its own `places` of a batch.
    """
    if self.name == 'jit':
      split = NamedSharding(self.mesh, PartitionSpec(None, None, AXIS))
      # A move by name that `transfer_guard` takes for a silent one.
      with jax.transfer_guard_host_to_device('allow'):
        return {
          name: jax.make_array_from_process_local_data(split, x)
          for name, x in batches.items()
        }

    parts = len(self.own)

    def first(x):
      rounds, draws, count, *shape = x.shape
      x = x.reshape(rounds, draws, parts, count // parts, *shape)
      return np.moveaxis(x, 2, 0)

    return self.by_device({name: first(x) for name, x in batches.items()})

  def everywhere(self, tree):
    """Replicated arrays of this process' devices as arrays of all."""

    def join(x):
      parts = [shard.data for shard in x.addressable_shards]
      return jax.make_array_from_single_device_arrays(
        x.shape, self.replicated, parts
      )

    return jax.tree.map(join, tree)


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


def host() -> jax.Device:
  """A CPU, beside whatever else there is, where any program can be counted.

  Raises:
    UserError: if JAX was told to leave it out.
  """
  try:
    return jax.local_devices(backend='cpu')[0]
  except RuntimeError:
    raise errors.UserError(
      f'JAX_PLATFORMS={jax.config.jax_platforms!r} has no CPU, and a dry run '
      "counts there what a GPU's libraries do; append ',cpu'"
    ) from None


def make_alone(batch_size: int) -> Engine:
  """The engine 'jit' on the first device."""
  return make('jit', batch_size, jax.devices()[:1])


def make_for_members(members: int, at_once: int = 0, devices=None) -> Engine:
  """The engine of a population: whole members on devices, batches undivided.

  Args:
    members: how many; as many devices are used as divide them.
    at_once: members that a device trains together, under `vmap`, group after
      group; 0 is all of them on accelerators, and one on CPUs.
    devices: by default all.

  Raises:
    UserError: if groups would be unequal, or there are several processes.
  """
  if processes.num_processes() > 1:
    raise errors.UserError(
      f'a population of {members} is for one process and there are '
      f'{processes.num_processes()}; start runs by themselves with '
      'launch/sweep.py'
    )
  devices = devices or jax.devices()
  count = max(
    k for k in range(1, min(members, len(devices)) + 1) if members % k == 0
  )
  each = members // count
  if not at_once:
    at_once = 1 if jax.default_backend() == 'cpu' else each
  if each % at_once:
    raise errors.UserError(
      f'members_at_once={at_once} does not divide the {each} members of a '
      f'device; choose one of {[k for k in range(1, each + 1) if not each % k]}'
    )
  mesh = jax.make_mesh(
    (count,), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices[:count]
  )
  return Engine('members', mesh, at_once)
