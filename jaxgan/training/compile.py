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
from jaxgan.core.axis import AXIS, MEMBERS
from jaxgan.data import batches as batches_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import processes
from jaxgan.training.devices import Engine

# Forced CPU devices outnumber the cores, and their collectives deadlock when
# too many calls are in flight.
CPU_CALLS_IN_FLIGHT = 4


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
    batches_lib.examples(
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
  if engine.name != 'pmap' or processes.num_processes() == 1:
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
      processes.settle()
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
        split = NamedSharding(engine.mesh, PartitionSpec(AXIS))
        batch = jax.lax.with_sharding_constraint(batch, split)
      batch = {name: pixels_lib.to_float(x) for name, x in batch.items()}
      with devices_lib.products(precision), _mesh(engine):
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
