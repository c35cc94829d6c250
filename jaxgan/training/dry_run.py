"""What a round costs, of the compiled program alone: nothing is trained.

`--config.dry_run=True` compiles the round that the run would do, asks the
compiler what is in it, and measures for a second what the device can do at
most. Nothing is written, the cache of compiled programs aside.
"""

import time
from typing import NamedTuple

import jax
import jax.export
import jax.extend.core
import jax.numpy as jnp

from jaxgan.config import networks as networks_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import operations, summary

# Of what is measured: each call at least so long, and the best of so many.
SECONDS, TRIALS = 0.05, 3


class Costs(NamedTuple):
  """Of one round on each device: operations, bytes, and the program."""

  flops: float
  num_bytes: float
  compiled: jax.stages.Compiled


class Ceilings(NamedTuple):
  """What one device does at most: operations and bytes per second."""

  flops: float
  num_bytes: float


def ceilings(device: jax.Device, precision: str = 'f32') -> Ceilings:
  """Speed of a large product of matrices and of a large copy, measured.

  Args:
    device: where.
    precision: of the products, `config.precision`.
  """
  dtype = networks_lib.PRECISIONS[precision] or jnp.float32

  def rate(function, make, size, work, largest) -> float:
    run = jax.jit(function, donate_argnums=0)
    while True:
      x = run(jax.device_put(make(size), device))  # compiles
      times = []
      for _ in range(TRIALS):
        x.block_until_ready()
        began = time.perf_counter()
        x = run(x)
        x.block_until_ready()
        times.append(time.perf_counter() - began)
      if min(times) >= SECONDS or size >= largest:
        return work(size) / min(times)
      size *= 2

  with devices_lib.products(precision):
    flops = rate(
      lambda x: x @ x,
      lambda n: jnp.full((n, n), 1.0 / n, dtype),
      *(1024, lambda n: 2.0 * n**3, 8192),
    )
  return Ceilings(
    flops,
    rate(
      lambda x: x + 1.0,
      lambda n: jnp.ones(n, jnp.float32),
      *(2**23, lambda n: 2.0 * 4 * n, 2**28),
    ),
  )


def costs(run) -> Costs:
  """What one round costs each device.

  The compiler counts what it has compiled, and a call of a vendor's library, as
  of most products on GPUs, as -1 operations and bytes. Where there are such
  calls, all operations are counted before compiling, and the bytes of a call
  are those of its operands and its result.

  Args:
    run: a built run of `jaxgan.train`.
  """
  compiled = operations.lower(run).compile()
  found = compiled.cost_analysis()
  flops, num_bytes = found['flops'], found['bytes accessed']
  calls = operations.library_calls(compiled.as_text())
  if calls:
    flops, num_bytes = operations.count(run), num_bytes + sum(calls)
  return Costs(flops, num_bytes, compiled)


def report(run) -> str:
  """A table of what one round costs each device.

  The bound is what the operations take at the speed of a large product, or the
  bytes at that of a large copy, whichever is more. Bytes are those of all
  instructions, also where a cache keeps them. Loops of the step are written
  out: with several updates of one player in a round, compiling takes longer and
  memory is more than in training.

  Args:
    run: a built run of `jaxgan.train`.
  """
  device, *_ = run.engine.mesh.local_devices
  began = time.perf_counter()
  flops, num_bytes, compiled = costs(run)
  took = time.perf_counter() - began
  memory = compiled.memory_analysis()
  precision = run.config.precision
  best = ceilings(device, precision)
  by_flops = flops / best.flops
  by_bytes = num_bytes / best.num_bytes
  needed = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )
  rows = [
    ('devices', f'{run.engine.num_devices} x {device.device_kind}'),
    ('compiled in', f'{took:.1f} s'),
    ('operations', f'{operations.short(flops)}FLOP'),
    ('bytes moved', f'{operations.short(num_bytes)}B'),
    ('memory', f'{operations.short(needed)}B'),
    (
      'parameters and data',
      f'{operations.short(memory.argument_size_in_bytes)}B of it',
    ),
    *operations.moves(compiled.as_text()),
    (f'products at most, {precision}', f'{operations.short(best.flops)}FLOP/s'),
    ('copies at most', f'{operations.short(best.num_bytes)}B/s'),
    ('operations take', f'{operations.short(by_flops)}s'),
    ('bytes take', f'{operations.short(by_bytes)}s'),
    ('a round, bound', f'{operations.short(max(by_flops, by_bytes))}s'),
  ]
  return summary.table(('one round, each device', ''), rows)
