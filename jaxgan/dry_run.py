"""What a round costs, of the compiled program alone: nothing is trained.

`--config.dry_run=True` compiles the round that the run would do, asks the
compiler what is in it, and measures for a second what the device can do at
most. Nothing is written, the cache of compiled programs aside.
"""

import functools
import math
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.export
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from jaxgan import models, parallel, summary
from jaxgan.data import sampling

COLLECTIVES = (
  *('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all'),
  *('collective-permute', 'collective-broadcast'),
)
TRANSFERS = ('infeed', 'outfeed', 'send', 'recv')
# Of what runs in Python on the host, as `jax.debug.print` and callbacks.
CALLBACK = re.compile(r'custom_call_target="[^"]*callback[^"]*"')
# Of what libraries of a GPU's vendor do, as '__cublas$gemm'.
LIBRARY = re.compile(r'custom_call_target="__\w+\$')
# Of one instruction: its name, the type of what it gives, and its operands.
INSTRUCTION = re.compile(r'%([^\s=]+) = (\(.*?\)|\S+) [\w-]+\((.*?)\)')
# Of what is measured: each call at least so long, and the best of so many.
SECONDS, TRIALS = 0.05, 3


class Instruction(NamedTuple):
  """One that moves data: its kind, and the bytes of what it gives."""

  kind: str
  num_bytes: int


class Costs(NamedTuple):
  """Of one round on each device: operations, bytes, and the program."""

  flops: float
  num_bytes: float
  compiled: jax.stages.Compiled


class Ceilings(NamedTuple):
  """What one device does at most: operations and bytes per second."""

  flops: float
  num_bytes: float


def traffic(text: str) -> list[Instruction]:
  """Collectives and transfers to or from the host in a compiled program.

  Args:
    text: the program, as `compiled.as_text()` gives it.

  Returns:
    One entry for each instruction; one that starts in one place and is done in
    another counts once. Callbacks have the kind 'callback'.
  """
  kinds = '|'.join(COLLECTIVES + TRANSFERS)
  pattern = re.compile(rf' = (.*?) ({kinds})(?:-start)?\(')
  found = []
  for line in text.splitlines():
    match = pattern.search(line)
    if match:
      found.append(Instruction(match[2], _size(match[1])))
    elif CALLBACK.search(line):
      found.append(Instruction('callback', 0))
  return found


def library_calls(text: str) -> list[int]:
  """Bytes that calls of a vendor's libraries read and write, one by one.

  Args:
    text: the program, as `compiled.as_text()` gives it.
  """
  sizes, found = {}, []
  for line in text.splitlines():
    match = INSTRUCTION.search(line)
    if match:
      name, shapes, operands = match.groups()
      sizes[name] = _size(shapes)
      if LIBRARY.search(line):
        result = shapes.split(']')[0] + ']'  # What follows is scratch space.
        read = re.findall(r'%([^\s,]+)', operands)
        found.append(_size(result) + sum(sizes.get(k, 0) for k in read))
  return found


def _size(shapes: str) -> int:
  """Bytes of a type of a program, as 'f32[16,64]{1,0}' or a tuple of such."""
  total = 0
  for bits, sides in re.findall(r'[a-z]+(\d*)\w*\[([\d,]*)\]', shapes):
    count = math.prod(int(side) for side in sides.split(',') if side)
    total += count * max(int(bits or 8) // 8, 1)
  return total


def ceilings(device: jax.Device, precision: str = 'f32') -> Ceilings:
  """Speed of a large product of matrices and of a large copy, measured.

  Args:
    device: where.
    precision: of the products, `config.precision`.
  """
  dtype = models.PRECISIONS[precision] or jnp.float32

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

  with parallel.products(precision):
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


def _shapes(run) -> dict[str, Any]:
  """State, data and seed of a run, as shapes or, if streamed, as zeros."""
  engine, algorithm = run.engine, run.algorithm

  def like(x):
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=engine.replicated)

  init = functools.partial(algorithm.init, run.method)
  found = {
    'state': jax.tree.map(like, jax.eval_shape(init, jax.random.key(0))),
    'seed': jax.ShapeDtypeStruct((), jnp.uint32, sharding=engine.replicated),
  }
  if run.resident:
    return found | {'data': jax.tree.map(like, run.dataset.arrays())}
  size = len(engine.places(run.config.batch_size))
  lead = (1, algorithm.draws(run.mapped_method), size)
  rows = {k: np.asarray(v) for k, v in run.dataset.read(0).items()}
  zeros = {k: np.zeros((*lead, *v.shape), v.dtype) for k, v in rows.items()}
  return found | {'data': engine.split(zeros)}


def written_out(step: Callable) -> Callable:
  """A step whose loops, as over updates of one player, are no loops.

  What is in a loop the compiler counts once.
  """

  def call(*inputs):
    program, shapes = jax.make_jaxpr(step, return_shape=True)(*inputs)
    equations = [
      each.replace(params=each.params | {'unroll': each.params['length']})
      if each.primitive is jax.lax.scan_p
      else each
      for each in program.jaxpr.eqns
    ]
    program = program.replace(jaxpr=program.jaxpr.replace(eqns=equations))
    found = jax.extend.core.jaxpr_as_fun(program)(*jax.tree.leaves(inputs))
    return jax.tree.unflatten(jax.tree.structure(shapes), found)

  return call


def lower(run) -> jax.stages.Lowered:
  """One round of a built run of `jaxgan.train`, to be compiled."""
  program = run.program(1)
  program['train_step'] = written_out(program['train_step'])
  return parallel.lower_rounds(**program, **_shapes(run))


def operations(run, platform: str = '') -> float:
  """Those of a round on each device, counted before compiling.

  Args:
    run: a built run of `jaxgan.train`.
    platform: as `jax.export` names it; '' is that of this process.

  Raises:
    UserError: if the process has no CPU as a device, where programs of any
      platform can be counted.
  """
  algorithm, config = run.algorithm, run.config
  count = config.batch_size // run.engine.num_devices
  count *= algorithm.draws(run.method)
  step = written_out(functools.partial(algorithm.train_step, run.method))
  place = jax.sharding.SingleDeviceSharding(parallel.host())

  def one(state, batch, seed):
    batch = {name: sampling.to_float(x) for name, x in batch.items()}
    with parallel.products(config.precision):
      return step(state, batch, jax.random.key(seed))

  def like(x, *lead):
    return jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype, sharding=place)

  rows = {k: np.asarray(v) for k, v in run.dataset.read(0).items()}
  init = functools.partial(algorithm.init, run.method)
  lowered = (
    jax.jit(one)
    .trace(
      jax.tree.map(like, jax.eval_shape(init, jax.random.key(0))),
      {k: like(v, count) for k, v in rows.items()},
      like(np.uint32(0)),
    )
    .lower(
      lowering_platforms=(platform or jax.export.default_export_platform(),)
    )
  )
  return lowered.cost_analysis()['flops']


def costs(run) -> Costs:
  """What one round costs each device.

  The compiler counts what it has compiled, and a call of a vendor's library, as
  of most products on GPUs, as -1 operations and bytes. Where there are such
  calls, all operations are counted before compiling, and the bytes of a call
  are those of its operands and its result.

  Args:
    run: a built run of `jaxgan.train`.
  """
  compiled = lower(run).compile()
  found = compiled.cost_analysis()
  flops, num_bytes = found['flops'], found['bytes accessed']
  calls = library_calls(compiled.as_text())
  if calls:
    flops, num_bytes = operations(run), num_bytes + sum(calls)
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
    ('operations', f'{_short(flops)}FLOP'),
    ('bytes moved', f'{_short(num_bytes)}B'),
    ('memory', f'{_short(needed)}B'),
    ('parameters and data', f'{_short(memory.argument_size_in_bytes)}B of it'),
    *_moves(compiled.as_text()),
    (f'products at most, {precision}', f'{_short(best.flops)}FLOP/s'),
    ('copies at most', f'{_short(best.num_bytes)}B/s'),
    ('operations take', f'{_short(by_flops)}s'),
    ('bytes take', f'{_short(by_bytes)}s'),
    ('a round, bound', f'{_short(max(by_flops, by_bytes))}s'),
  ]
  return summary.table(('one round, each device', ''), rows)


def _moves(text: str) -> Iterator[tuple[str, str]]:
  found = traffic(text)
  kinds = dict.fromkeys(each.kind for each in found)
  for name, group in (
    ('collectives', COLLECTIVES),
    ('host transfers', (*TRANSFERS, 'callback')),
  ):
    parts = []
    for kind in kinds:
      sizes = [each.num_bytes for each in found if each.kind == kind]
      if kind in group:
        parts.append(f'{len(sizes)} {kind}, {_short(sum(sizes))}B')
    yield name, '; '.join(parts) or 'none'


def _short(value: float) -> str:
  """A number with the prefix of its size: 1.23 G."""
  for prefix, scale in (('T', 1e12), ('G', 1e9), ('M', 1e6), ('k', 1e3)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  for prefix, scale in (('', 1.0), ('m', 1e-3), ('u', 1e-6)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  return f'{value:.3g} '
