"""Cost of a round, from its compiled program and without training.

`--config.dry_run=True` compiles a round of the run, reads the compiler's
counts, and measures the top speed of the device for a second. It writes no file
but the cache of compiled programs.
"""

import functools
import time
from typing import NamedTuple

import jax
import jax.export
import jax.extend.core
import jax.numpy as jnp

from jaxgan.config import networks as networks_lib
from jaxgan.core import shards
from jaxgan.training import devices as devices_lib
from jaxgan.training import operations, summary

# Minimum seconds per timed call; number of trials.
SECONDS, TRIALS = 0.05, 3

# Machine -> number of devices, and bytes of memory of each, by data sheets. The
# 64 of a TPU v5p are cores, and a device has two.
MACHINES = {
  'TPU v5e-8': (8, 16e9),
  'TPU v5p-64': (32, 95e9),
  '8 x H100': (8, 80e9),
}


class Costs(NamedTuple):
  """Operations and bytes of a round on each device, and the program."""

  flops: float
  num_bytes: float
  compiled: jax.stages.Compiled


class Ceilings(NamedTuple):
  """Top speed of a device: operations and bytes per second."""

  flops: float
  num_bytes: float


def ceilings(device: jax.Device, precision: str = 'f32') -> Ceilings:
  """Measures the speed of a large matrix product and of a large copy.

  Args:
    device: the device to measure.
    precision: precision of the products, `config.precision`.
  """
  dtype = networks_lib.PRECISIONS[precision] or jnp.float32

  def rate(function, make, size, work, largest) -> float:
    run = jax.jit(function, donate_argnums=0)
    while True:
      x = run(jax.device_put(make(size), device))  # compiles
      times = []
      for _ in range(TRIALS):
        x.block_until_ready()
        start = time.perf_counter()
        x = run(x)
        x.block_until_ready()
        times.append(time.perf_counter() - start)
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
  """Returns the cost of one round on each device.

  The compiler counts a call of a vendor's library, as most products on GPUs
  are, as -1 operations and bytes. If the program has such calls, operations are
  counted before compilation, and the bytes of a call are those of its operands
  and its result.

  Args:
    run: a built `jaxgan.training.run.Training`.
  """
  compiled = operations.lower(run).compile()
  counts = compiled.cost_analysis()
  flops, num_bytes = counts['flops'], counts['bytes accessed']
  calls = operations.library_calls(compiled.as_text())
  if calls:
    flops, num_bytes = operations.count(run), num_bytes + sum(calls)
  return Costs(flops, num_bytes, compiled)


def state(run) -> str:
  """Returns a table of the bytes of the state on each device.

  The numbers follow from shapes, and nothing is compiled. The state has the
  parameters, the optimizers and the averages of all networks. Parameters that
  a gradient step gathers, gradients, activations and data are not part of it.

  Args:
    run: a built `jaxgan.training.run.Training`.
  """
  init = functools.partial(run.algorithm.init, run.method)
  arrays = jax.eval_shape(init, jax.random.key(0))

  def size(count: int) -> str:
    return f'{operations.short(shards.num_bytes(arrays, count))}B'

  rows = [
    ('whole', size(1)),
    ('of this run', size(run.engine.parts)),
    *(
      (f'split over {machine}', f'{size(count)} of {memory / 1e9:.0f} GB')
      for machine, (count, memory) in MACHINES.items()
    ),
  ]
  return summary.table(('state, each device', ''), rows)


def report(run) -> str:
  """Returns a table of the cost of one round on each device.

  The bound is the larger of two times: the operations at the speed of a large
  product, and the bytes at the speed of a large copy. Bytes are those of all
  instructions, also if a cache keeps them. Loops of the step are unrolled. With
  several updates of a network in a round, this needs more time and memory than
  training.

  Args:
    run: a built `jaxgan.training.run.Training`.
  """
  device, *_ = run.engine.mesh.local_devices
  start = time.perf_counter()
  flops, num_bytes, compiled = costs(run)
  seconds = time.perf_counter() - start
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
    ('compiled in', f'{seconds:.1f} s'),
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
