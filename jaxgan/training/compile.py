"""Compiles rounds of training into one call."""

import contextlib
import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxgan.core import pixels as pixels_lib
from jaxgan.core import shards as shards_lib
from jaxgan.core.axis import AXIS, MEMBERS
from jaxgan.data import batches as batches_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import processes
from jaxgan.training.devices import Engine

# Forced CPU devices outnumber the cores, and their collectives deadlock when
# too many calls are in flight.
CPU_CALLS_IN_FLIGHT = 4
# Jitted functions of methods that are kept.
PROGRAMS = 16


def _over_members(function: Callable) -> Callable:
  """Maps a function over members; a single member gets the plain program."""

  def mapped(*trees):
    if len(jax.tree.leaves(trees)[0]) > 1:
      return jax.vmap(function)(*trees)
    outputs = function(*jax.tree.map(lambda x: x[0], trees))
    return jax.tree.map(lambda x: x[None], outputs)

  return mapped


def _draw(
  arrays, seed, step, draws, batch_size, shard, shards, shuffle, drop_remainder
):
  """Returns a device's part of the batches, [draws * B / shards, ...]."""
  local = batch_size // shards
  indices = jnp.arange(local, dtype=jnp.uint32)
  indices = indices + jnp.uint32(shard) * np.uint32(local)
  draws = jnp.uint32(step) * np.uint32(draws) + jnp.arange(
    draws, dtype='uint32'
  )
  rows = batches_lib.examples(
    jnp.uint32(seed),
    draws[:, None],
    batch_size,
    len(arrays['image']),
    indices[None],
    shuffle,
    drop_remainder,
  ).reshape(-1)
  return {name: array[rows] for name, array in arrays.items()}


def compile_rounds(engine: Engine, train_step: Callable, **fields) -> Callable:
  """Compiles rounds into one call; see `_program` for the fields.

  Returns:
    (state, data, seed) -> (state, metrics [rounds]). The state is donated. All
    calls take arguments of the shapes of the first call, otherwise TypeError is
    raised. Data are the arrays of the data set [N, ...] on all devices, or the
    batches that `Engine.split` returned. A population has stacked states,
    metrics [rounds, members], and as seed a pair: seeds [members], and values
    [members] of swept fields by name.
  """
  program, *first = _program(engine, train_step, **fields)
  if engine.name != 'pmap' or processes.num_processes() == 1:
    call = functools.partial(_compiled_first(program), *first)
    return _bounded(engine, call)
  # `pmap` cannot be compiled ahead here: it would require the arrays of all
  # processes. Its results have the shards of this process only.
  call = functools.partial(program, *first)
  return _bounded(engine, lambda *inputs: engine.everywhere(call(*inputs)))


def _compiled_first(program: Callable) -> Callable:
  """Compiles for the first inputs; later inputs have the same shapes."""
  compiled = None

  def call(*inputs):
    nonlocal compiled
    if compiled is None:
      compiled = program.lower(*inputs).compile()
      processes.tune_memory()
    return compiled(*inputs)

  return call


def lower_rounds(
  engine: Engine, train_step: Callable, state, data, seed, **fields
) -> jax.stages.Lowered:
  """Lowers the program of `compile_rounds` for arguments or their shapes."""
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
  drop_remainder: bool = False,
  precision: str = 'f32',
):
  """Builds one program of several rounds.

  Args:
    engine: the devices.
    train_step: (state, batch, key) -> (state, metrics), see `jaxgan.steps`. For
      a population the values of swept fields come before these.
    rounds: rounds per call.
    draws: batches per round.
    batch_size: global batch size.
    resident: True if the data are the whole data set, on every device; False
      if they are the batches of the call.
    shuffle: for resident data, see `batches.examples`.
    drop_remainder: for resident data, see `batches.examples`.
    precision: precision of products, see `devices.products`.

  Returns:
    The jitted function, and its first arguments.
  """
  shards = engine.num_devices if engine.name == 'pmap' else 1

  def call(shard, state, data, seed, *values):
    key = jax.random.key(seed)

    def one_round(state, batch):
      if resident:
        batch = _draw(
          data,
          seed,
          state.step,
          draws,
          batch_size,
          shard,
          shards,
          shuffle,
          drop_remainder,
        )
      else:
        batch = {name: x.reshape(-1, *x.shape[2:]) for name, x in batch.items()}
      if engine.name == 'jit' and engine.num_devices > 1:
        split = NamedSharding(engine.mesh, PartitionSpec(AXIS))
        batch = jax.lax.with_sharding_constraint(batch, split)
      batch = {name: pixels_lib.to_float(x) for name, x in batch.items()}
      with devices_lib.products(precision), _mesh(engine):
        state, metrics = train_step(*values, state, batch, key)
        return shards_lib.split(state), metrics

    if rounds > 1:
      batches = None if resident else data
      return jax.lax.scan(one_round, state, batches, length=rounds)
    batch = None if resident else {name: x[0] for name, x in data.items()}
    state, metrics = one_round(state, batch)
    return state, {name: value[None] for name, value in metrics.items()}

  if engine.name == 'members':

    def members(state, data, run):
      call_members = _over_members(
        lambda state, seed, values: call(0, state, data, seed, values)
      )
      state, metrics = call_members(state, *run)
      return state, jax.tree.map(jnp.transpose, metrics)

    if engine.num_devices > 1:
      own = PartitionSpec(MEMBERS)
      members = jax.shard_map(
        members,
        mesh=engine.mesh,
        in_specs=(own, PartitionSpec(), own),
        out_specs=(own, PartitionSpec(None, MEMBERS)),
        check_vma=False,
      )
    compiled = jax.jit(
      members, donate_argnums=0, compiler_options=_compiler_options()
    )
    return (compiled,)

  if engine.name == 'jit':
    # A state that is split has the shardings of `shards.split`.
    of_state = None if engine.splits_state else engine.replicated
    compiled = jax.jit(
      functools.partial(call, 0),
      donate_argnums=0,
      out_shardings=(of_state, engine.replicated),
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


@contextlib.contextmanager
def _mesh(engine: Engine):
  """Sets the mesh for `noise` and `shards` where the compiler splits."""
  with contextlib.ExitStack() as stack:
    if engine.name == 'jit' and engine.num_devices > 1:
      mesh = engine.mesh.abstract_mesh
      stack.enter_context(jax.sharding.use_abstract_mesh(mesh))
      if engine.splits_state:
        stack.enter_context(shards_lib.split_state())
    yield


def jit_once(function: Callable, **options) -> Callable:
  """Like `jit`, optimised for compile time.

  First weights need long programs of random numbers. Their values do not depend
  on the optimisation level.
  """
  if jax.default_backend() == 'cpu':
    options['compiler_options'] = {'xla_backend_optimization_level': 1}
  return jax.jit(function, **options)


@functools.lru_cache(maxsize=PROGRAMS)
def jit_method(function: Callable, method, *static: int) -> Callable:
  """Returns a jitted function of a method; equal methods share programs.

  `jax.jit` with a static method keeps the programs of all methods for ever.

  Args:
    function: (method, *arguments) -> arrays.
    method: the parts of an algorithm that never change.
    *static: positions of static arguments after the method.
  """
  return jax.jit(functools.partial(function, method), static_argnums=static)


def _compiler_options() -> dict[str, object] | None:
  """Returns compiler options for CPUs, or None.

  The first option saves copies of the parameters in a scan. The second option
  leaves products and reductions to a library, and convolutions to XLA's own
  code, which is faster.
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
  """Limits the calls in flight where that is necessary."""
  if engine.num_devices == 1 or jax.default_backend() != 'cpu':
    return call
  calls = itertools.count(1)

  def waiting(*inputs):
    outputs = call(*inputs)
    if next(calls) % CPU_CALLS_IN_FLIGHT == 0:
      jax.block_until_ready(outputs)
    return outputs

  return waiting
