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
import functools
import itertools
import logging
import os
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan import deadline, errors, heap
from jaxgan.data import sampling

_logger = logging.getLogger(__name__)

AXIS = 'data'
# Forced CPU devices outnumber the cores, and their collectives deadlock when
# too many calls are in flight.
CPU_CALLS_IN_FLIGHT = 4
CONNECT_SECONDS = 300


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


def connect() -> None:
  """Joins the other processes of the run; before anything asks for a device.

  The scripts in `launch/` set what it reads. JAX_COORDINATOR_ADDRESS, the host
  and port of the first process, comes with JAX_NUM_PROCESSES and
  JAX_PROCESS_ID; or JAXGAN_DISTRIBUTED is 1 and JAX finds all three by itself,
  as it does under SLURM, on TPU pods and in Kubernetes. Without either this is
  a run of one process, and nothing happens. Processes that have not met after
  JAXGAN_CONNECT_SECONDS (300) end with a message.

  Raises:
    UserError: if a variable is missing or is no number.
  """
  if os.environ.get('JAXGAN_DISTRIBUTED') == '1':
    try:
      with _met_in_time() as seconds:
        jax.distributed.initialize(initialization_timeout=seconds)
    except ValueError as error:
      raise errors.UserError(
        f'JAXGAN_DISTRIBUTED=1: JAX finds no cluster here ({error}); set '
        'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID'
      ) from None
  elif os.environ.get('JAX_COORDINATOR_ADDRESS'):
    with _met_in_time() as seconds:
      jax.distributed.initialize(
        num_processes=_number('JAX_NUM_PROCESSES'),
        process_id=_number('JAX_PROCESS_ID'),
        cluster_detection_method='deactivate',
        initialization_timeout=seconds,
      )


@contextlib.contextmanager
def _met_in_time():
  """Ends the process if the block takes too long; gives JAX's own time-out."""
  seconds = deadline.seconds('JAXGAN_CONNECT_SECONDS', CONNECT_SECONDS)
  address = os.environ.get('JAX_COORDINATOR_ADDRESS') or 'their address'
  said = (
    f'the processes did not meet at {address} in {seconds} s; see that all are '
    'started, that process 0 is at this address and that its port is open, or '
    'set JAXGAN_CONNECT_SECONDS to more'
  )
  with deadline.Deadline(seconds, said, stacks=False):
    # JAX would abort without a word of this; it comes later.
    yield (seconds or 365 * 86_400) + 60


def _number(variable: str) -> int:
  value = os.environ.get(variable, '')
  if not value.isdecimal():
    raise errors.UserError(
      f'{variable}={value!r} must be a number where JAX_COORDINATOR_ADDRESS '
      'is set'
    )
  return int(value)


def num_processes() -> int:
  """Of this run."""
  return jax.process_count()


def process() -> int:
  """The number of this one."""
  return jax.process_index()


def is_first() -> bool:
  """Whether this process is the one that writes."""
  return process() == 0


@contextlib.contextmanager
def first_before_others():
  """The first process goes through the block alone, then all others."""
  if not is_first():
    multihost_utils.sync_global_devices('the first process is done')
  yield
  if is_first():
    multihost_utils.sync_global_devices('the first process is done')


def same_everywhere(number: int) -> bool:
  """Whether all processes call it with the same number, below 2**32."""
  found = multihost_utils.process_allgather(np.uint32(number))
  return bool((found == found.flat[0]).all())


@dataclasses.dataclass(frozen=True)
class Engine:
  """Devices, and how a step is run on them.

  Attributes:
    name: 'jit' or 'pmap'; or 'members', of a population.
    mesh: the devices along `AXIS`.
    at_once: members that a device trains together.
  """

  name: str
  mesh: jax.sharding.Mesh
  at_once: int = 1

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

  @property
  def own(self) -> np.ndarray:
    """Which of the devices are this process' own."""
    here = process()
    return np.flatnonzero(
      [device.process_index == here for device in self.mesh.devices.flat]
    )

  @property
  def by_member(self) -> NamedSharding:
    return NamedSharding(self.mesh, PartitionSpec(AXIS))

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
  if num_processes() > 1:
    raise errors.UserError(
      f'a population of {members} is for one process and there are '
      f'{num_processes()}; start runs by themselves with launch/sweep.py'
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
    (count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count]
  )
  return Engine('members', mesh, at_once)


def _over_members(function: Callable) -> Callable:
  """`vmap`, but the plain program where there is one member."""

  def mapped(*trees):
    if len(jax.tree.leaves(trees)[0]) > 1:
      return jax.vmap(function)(*trees)
    found = function(*jax.tree.map(lambda x: x[0], trees))
    return jax.tree.map(lambda x: x[None], found)

  return mapped


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


def compile_rounds(engine: Engine, train_step: Callable, **fields) -> Callable:
  """Compiles rounds into one call, see `_program` for what it takes.

  Returns:
    (state, data, seed) -> (state, metrics), where the state is donated, seed is
    that of the run, and metrics are [rounds] each. All calls take arguments of
    the shapes of the first; others raise TypeError. Data are the arrays of the
    set [N, ...] on all devices, or what `Engine.split` made of the batches.
    Of a population, states are stacked, 'seed' is (seeds [members], values of
    swept fields [members] by name), and metrics are [rounds, members].
  """
  program, *first = _program(engine, train_step, **fields)
  if engine.name != 'pmap' or num_processes() == 1:
    call = functools.partial(_compiled_first(program), *first)
    return _bounded(engine, call)
  # Compiled ahead it asks for what all processes have. And what `pmap` returns
  # has forgotten that others have it too.
  call = functools.partial(program, *first)
  return _bounded(engine, lambda *inputs: engine.everywhere(call(*inputs)))


def _compiled_first(program: Callable) -> Callable:
  """Compiles for the first inputs, which all others are like."""
  compiled = None

  def call(*inputs):
    nonlocal compiled
    if compiled is None:
      compiled = program.lower(*inputs).compile()
      heap.settle()
    return compiled(*inputs)

  return call


def lower_rounds(
  engine: Engine, train_step: Callable, state, data, seed, **fields
) -> jax.stages.Lowered:
  """The program of `compile_rounds` for arguments, or shapes, as these."""
  program, *first = _program(engine, train_step, **fields)
  return program.lower(*first, state, data, seed)


def _program(
  engine: Engine,
  train_step: Callable,
  *,
  rounds: int,
  draws: int,
  batch_size: int,
  resident: bool,
  shuffle: bool = True,
  precision: str = 'f32',
):
  """Rounds as one program.

  Args:
    engine: where it runs.
    train_step: (state, batch, key) -> (state, metrics), see `jaxgan.steps`;
      of a population with the values of swept fields before these.
    rounds: rounds per call.
    draws: batches per round.
    batch_size: global batch size.
    shuffle: see `sampling.examples`; for resident data.
    resident: whether data are the whole set, on every device; or else the
      batches of the call.
    precision: see `products`.

  Returns:
    What compiles, and its first arguments.
  """
  shards = engine.num_devices if engine.name == 'pmap' else 1
  split = NamedSharding(engine.mesh, PartitionSpec(AXIS))

  def call(shard, state, data, seed, *values):
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
      with products(precision), _mesh(engine):
        return train_step(*values, state, batch, key)

    if rounds > 1:
      batches = None if resident else data
      return jax.lax.scan(one, state, batches, length=rounds)
    batch = None if resident else {name: x[0] for name, x in data.items()}
    state, metrics = one(state, batch)
    return state, {name: value[None] for name, value in metrics.items()}

  if engine.name == 'members':

    def members(state, data, run):
      each = _over_members(
        lambda state, seed, values: call(0, state, data, seed, values)
      )
      state, metrics = each(state, *run)
      return state, jax.tree.map(jnp.transpose, metrics)

    if engine.num_devices > 1:
      own = PartitionSpec(AXIS)
      members = jax.shard_map(
        members,
        mesh=engine.mesh,
        in_specs=(own, PartitionSpec(), own),
        out_specs=(own, PartitionSpec(None, AXIS)),
        check_vma=False,
      )
    compiled = jax.jit(
      members, donate_argnums=0, compiler_options=_compiler_options()
    )
    return (compiled,)

  if engine.name == 'jit':
    compiled = jax.jit(
      functools.partial(call, 0),
      donate_argnums=0,
      out_shardings=engine.replicated,
      compiler_options=_compiler_options(),
    )
    return (compiled,)

  mapped = jax.pmap(
    call,
    axis_name=AXIS,
    in_axes=(0, None, None if resident else 0, None),
    out_axes=None,
    donate_argnums=1,
    devices=list(engine.mesh.devices.flat),
  )
  return mapped, engine.by_device(np.uint32(engine.own))


def _mesh(engine: Engine) -> contextlib.AbstractContextManager:
  """The mesh for `noise`, where the compiler divides the batch."""
  if engine.name == 'jit' and engine.num_devices > 1:
    return jax.sharding.use_abstract_mesh(engine.mesh.abstract_mesh)
  return contextlib.nullcontext()


def jit_once(function: Callable, **options) -> Callable:
  """`jit` of what runs once: quick to compile, rather than to run.

  The random numbers of first weights are long programs. On two CPU cores those
  of the U-Net of `pix2pix_faces.py` compile in 5 s in the place of 30, and are
  the same.
  """
  if jax.default_backend() == 'cpu':
    options['compiler_options'] = {'xla_backend_optimization_level': 1}
  return jax.jit(function, **options)


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
