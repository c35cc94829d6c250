"""One device or many; only this file and `core.axis` make a difference.

Two engines run the same rounds. `jit` compiles for the global batch, and the
compiler splits the batch over the devices. `pmap` maps the step over parts of
the batch, with one copy of the state per device and no stacked state. In both,
the batch, its noise and its statistics are global. The number of devices
changes the result by rounding only.

Several processes, on one machine or many, run the same program on all devices.
Every process calls every compiled function; only the first process writes.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import tempfile
import warnings

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan import errors
from jaxgan.core import paths, shards
from jaxgan.core.axis import AXIS, MEMBERS
from jaxgan.training import processes

_logger = logging.getLogger(__name__)


def use_compilation_cache() -> None:
  """Keeps compiled programs between runs, in a folder of this user."""
  if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    return
  folder = paths.cache('compiled')
  # A folder that fills up later: JAX would warn of every program.
  warnings.filterwarnings('ignore', '.*persistent compilation cache entry')
  try:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # JAX runs the programs in it.
    with tempfile.TemporaryFile(dir=folder) as file:
      file.write(bytes(2**16))
  except OSError as error:
    _warn_once(f'no compilation cache: {error}')
    return
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


@functools.cache
def _warn_once(text: str) -> None:
  _logger.warning(text)


def use_float32() -> None:
  """Sets the default matmul precision to float32."""
  if jax.default_backend() != 'cpu':
    jax.config.update('jax_default_matmul_precision', 'float32')


def products(precision: str) -> contextlib.AbstractContextManager:
  """Context manager that sets matmul and convolution precision.

  The default of JAX is the fastest precision of a device: TensorFloat-32 (10
  bits) on NVIDIA GPUs since Ampere, and bfloat16 (7 bits) on TPUs. The default
  here is float32 (23 bits).

  Args:
    precision: 'tf32' for TensorFloat-32; all other values for float32.
  """
  if jax.default_backend() == 'cpu':  # CPUs have float32 only.
    return contextlib.nullcontext()
  kind = 'tensorfloat32' if precision == 'tf32' else 'float32'
  return jax.default_matmul_precision(kind)


def check_precision(precision: str) -> None:
  """Warns if the devices lack the precision."""
  if precision == 'tf32' and jax.default_backend() == 'cpu':
    _logger.warning("precision='tf32': products are float32 on a CPU")


@dataclasses.dataclass(frozen=True)
class Engine:
  """Devices and the way to run a step on them.

  Attributes:
    name: 'jit' or 'pmap'; 'members' for a population.
    mesh: the devices along `axis.AXIS`; along `axis.MEMBERS` for a population.
    at_once: members that a device trains together.
    splits_state: True if the devices split the state, see `core.shards`.
  """

  name: str
  mesh: jax.sharding.Mesh
  at_once: int = 1
  splits_state: bool = False

  @property
  def num_devices(self) -> int:
    return self.mesh.size

  @property
  def replicated(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec())

  @property
  def own(self) -> np.ndarray:
    """Indices of the devices of this process."""
    here = processes.process()
    return np.flatnonzero(
      [device.process_index == here for device in self.mesh.devices.flat]
    )

  @property
  def by_member(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec(MEMBERS))

  @property
  def parts(self) -> int:
    """Number of devices that split the state; 1 if each has a whole state."""
    return self.num_devices if self.splits_state else 1

  def shardings(self, state):
    """Returns the sharding of every array of a state."""

    def of(x):
      return NamedSharding(self.mesh, shards.spec(x.shape, self.parts))

    return jax.tree.map(of, state)

  def whole(self, state):
    """Returns a state whose arrays this process can read.

    Every process calls this function. Arrays that several processes split come
    to the host one after the other.
    """
    if not self.splits_state or processes.num_processes() == 1:
      return state
    return jax.tree.map(processes.gather, state)

  def replicate(self, tree):
    """Copies arrays to every device."""
    return jax.device_put(tree, self.replicated)

  def local_examples(self, batch_size: int) -> np.ndarray:
    """Returns the examples of a batch that this process' devices need."""
    return np.arange(batch_size).reshape(self.num_devices, -1)[self.own].ravel()

  def by_device(self, tree):
    """Puts one row of arrays [own devices, ...] on each device, for `pmap`."""
    mesh = jax.sharding.Mesh(self.mesh.devices[self.own], AXIS)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))

  def split(self, batches):
    """Puts batches [rounds, draws, B, ...] on the devices and splits B.

    Every process passes the `local_examples` of a batch.
    """
    if self.name == 'jit':
      split = NamedSharding(self.mesh, PartitionSpec(None, None, AXIS))
      # `transfer_guard` takes this explicit transfer for an implicit one.
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
    """Turns arrays on this process' devices into arrays on all devices."""

    def join(x):
      parts = [shard.data for shard in x.addressable_shards]
      return jax.make_array_from_single_device_arrays(
        x.shape, self.replicated, parts
      )

    return jax.tree.map(join, tree)


def make(
  name: str, batch_size: int, devices=None, splits_state: bool = False
) -> Engine:
  """Returns the engine `name` ('auto', 'jit' or 'pmap') on all devices.

  Raises:
    UserError: if the devices do not divide the batch, or cannot split the state
      on the engine.
  """
  if splits_state and name == 'pmap':
    raise errors.UserError(
      "shard_parameters=True splits the state over devices, and engine='pmap' "
      "copies it to each device. Set engine='auto'."
    )
  devices = devices or jax.devices()
  if batch_size % len(devices):
    raise errors.UserError(
      f'batch_size={batch_size} is not divisible by the {len(devices)} '
      'devices. Set batch_size to a multiple.'
    )
  if name == 'auto':
    name = 'jit' if len(devices) == 1 or splits_state else 'pmap'
  mesh = jax.make_mesh(
    (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
  )
  is_split = splits_state and len(devices) > 1
  return Engine(name, mesh, splits_state=is_split)


def host() -> jax.Device:
  """Returns a CPU, on which operations of any program can be counted.

  Raises:
    UserError: if JAX_PLATFORMS excludes CPUs.
  """
  try:
    return jax.local_devices(backend='cpu')[0]
  except RuntimeError:
    raise errors.UserError(
      f'JAX_PLATFORMS={jax.config.jax_platforms!r} has no CPU, and a dry run '
      "counts the operations of GPU libraries there. Append ',cpu'."
    ) from None


def make_alone(batch_size: int) -> Engine:
  """Returns the engine 'jit' on the first device."""
  return make('jit', batch_size, jax.devices()[:1])


def make_for_members(members: int, at_once: int = 0, devices=None) -> Engine:
  """Returns the engine of a population: each device has whole members.

  Args:
    members: number of members. The number of devices used divides it.
    at_once: members that a device trains together under `vmap`; 0 for all its
      members on accelerators, and for one member on CPUs.
    devices: by default all devices.

  Raises:
    UserError: if groups are unequal, or there are several processes.
  """
  if processes.num_processes() > 1:
    raise errors.UserError(
      f'a population of {members} members needs one process, and there are '
      f'{processes.num_processes()}. Start single runs with launch/sweep.py.'
    )
  devices = devices or jax.devices()
  count = max(
    k for k in range(1, min(members, len(devices)) + 1) if members % k == 0
  )
  per_device = members // count
  if not at_once:
    at_once = 1 if jax.default_backend() == 'cpu' else per_device
  if per_device % at_once:
    divisors = [k for k in range(1, per_device + 1) if not per_device % k]
    raise errors.UserError(
      f'members_at_once={at_once} does not divide the {per_device} members of '
      f'a device. Choose one of {divisors}.'
    )
  mesh = jax.make_mesh(
    (count,), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices[:count]
  )
  return Engine('members', mesh, at_once)
