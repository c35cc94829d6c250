"""Counts operations, bytes and collectives of compiled programs."""

import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import pixels as pixels_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib

COLLECTIVES = (
  *('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all'),
  *('collective-permute', 'collective-broadcast'),
)

TRANSFERS = ('infeed', 'outfeed', 'send', 'recv')

# Python code on the host, as `jax.debug.print` and callbacks.
CALLBACK = re.compile(r'custom_call_target="[^"]*callback[^"]*"')

# A call of a GPU vendor's library, as '__cublas$gemm'.
LIBRARY = re.compile(r'custom_call_target="__\w+\$')

# An instruction: its name, the type of its result, and its operands.
INSTRUCTION = re.compile(r'%([^\s=]+) = (\(.*?\)|\S+) [\w-]+\((.*?)\)')


class Instruction(NamedTuple):
  """An instruction that moves data: its kind, and the bytes of its result."""

  kind: str
  num_bytes: int


def traffic(text: str) -> list[Instruction]:
  """Lists collectives and host transfers of a compiled program.

  Args:
    text: the program, as `compiled.as_text()` returns it.

  Returns:
    One entry for each instruction; a pair of start and done counts once.
    Callbacks have the kind 'callback'.
  """
  kinds = '|'.join(COLLECTIVES + TRANSFERS)
  pattern = re.compile(rf' = (.*?) ({kinds})(?:-start)?\(')
  instructions = []
  for line in text.splitlines():
    match = pattern.search(line)
    if match:
      instructions.append(Instruction(match[2], _size(match[1])))
    elif CALLBACK.search(line):
      instructions.append(Instruction('callback', 0))
  return instructions


def library_calls(text: str) -> list[int]:
  """Returns the bytes that each call of a vendor's library reads and writes.

  Args:
    text: the program, as `compiled.as_text()` returns it.
  """
  sizes, calls = {}, []
  for line in text.splitlines():
    match = INSTRUCTION.search(line)
    if match:
      name, shapes, operands = match.groups()
      sizes[name] = _size(shapes)
      if LIBRARY.search(line):
        result = shapes.split(']')[0] + ']'  # The rest is scratch space.
        read = re.findall(r'%([^\s,]+)', operands)
        calls.append(_size(result) + sum(sizes.get(k, 0) for k in read))
  return calls


def _size(shapes: str) -> int:
  """Returns the bytes of a type, as 'f32[16,64]{1,0}' or a tuple of types."""
  total = 0
  for bits, sides in re.findall(r'[a-z]+(\d*)\w*\[([\d,]*)\]', shapes):
    count = math.prod(int(side) for side in sides.split(',') if side)
    total += count * max(int(bits or 8) // 8, 1)
  return total


def _shapes(run) -> dict[str, Any]:
  """Returns shapes of state, data and seed; zeros for streamed data."""
  engine, algorithm = run.engine, run.algorithm

  def like(x):
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=engine.replicated)

  init = functools.partial(algorithm.init, run.method)
  state = jax.eval_shape(init, jax.random.key(0))
  arguments = {
    'state': jax.tree.map(
      lambda x, sharding: x.update(sharding=sharding),
      state,
      engine.shardings(state),
    ),
    'seed': jax.ShapeDtypeStruct((), jnp.uint32, sharding=engine.replicated),
  }
  if run.inputs.resident:
    return arguments | {'data': jax.tree.map(like, run.dataset.arrays())}
  size = len(engine.local_examples(run.config.batch_size))
  lead = (1, algorithm.batches_per_round(run.method), size)
  rows = {k: np.asarray(v) for k, v in run.dataset.read(0).items()}
  zeros = {k: np.zeros((*lead, *v.shape), v.dtype) for k, v in rows.items()}
  return arguments | {'data': engine.split(zeros)}


def unrolled(step: Callable) -> Callable:
  """Unrolls the loops of a step, as the updates of a discriminator.

  The compiler counts the operations inside of a loop once.
  """

  def call(*inputs):
    program, shapes = jax.make_jaxpr(step, return_shape=True)(*inputs)
    equations = [
      equation.replace(
        params=equation.params | {'unroll': equation.params['length']}
      )
      if equation.primitive is jax.lax.scan_p
      else equation
      for equation in program.jaxpr.eqns
    ]
    program = program.replace(jaxpr=program.jaxpr.replace(eqns=equations))
    outputs = jax.extend.core.jaxpr_as_fun(program)(*jax.tree.leaves(inputs))
    return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

  return call


def lower(run) -> jax.stages.Lowered:
  """Lowers one round of a built `jaxgan.training.run.Training`."""
  program = run.program(1)
  program['train_step'] = unrolled(program['train_step'])
  return compile_lib.lower_rounds(**program, **_shapes(run))


def count(run, platform: str = '') -> float:
  """Counts FLOPs per round and device before compilation.

  Args:
    run: a built `jaxgan.training.run.Training`.
    platform: a platform of `jax.export`; '' for the platform of this process.

  Raises:
    UserError: if the process has no CPU device, which the count needs.
  """
  algorithm, config = run.algorithm, run.config
  images = config.batch_size // run.engine.num_devices
  images *= algorithm.batches_per_round(run.method)
  step = unrolled(functools.partial(algorithm.train_step, run.method))
  sharding = jax.sharding.SingleDeviceSharding(devices_lib.host())

  def train_round(state, batch, seed):
    batch = {name: pixels_lib.to_float(x) for name, x in batch.items()}
    with devices_lib.products(config.precision):
      return step(state, batch, jax.random.key(seed))

  def like(x, *lead):
    return jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype, sharding=sharding)

  rows = {k: np.asarray(v) for k, v in run.dataset.read(0).items()}
  init = functools.partial(algorithm.init, run.method)
  lowered = (
    jax.jit(train_round)
    .trace(
      jax.tree.map(like, jax.eval_shape(init, jax.random.key(0))),
      {k: like(v, images) for k, v in rows.items()},
      like(np.uint32(0)),
    )
    .lower(
      lowering_platforms=(platform or jax.export.default_export_platform(),)
    )
  )
  return lowered.cost_analysis()['flops']


def moves(text: str) -> Iterator[tuple[str, str]]:
  """Yields rows of a table: collectives, and host transfers."""
  instructions = traffic(text)
  kinds = dict.fromkeys(instruction.kind for instruction in instructions)
  for name, group in (
    ('collectives', COLLECTIVES),
    ('host transfers', (*TRANSFERS, 'callback')),
  ):
    parts = []
    for kind in kinds:
      sizes = [x.num_bytes for x in instructions if x.kind == kind]
      if kind in group:
        parts.append(f'{len(sizes)} {kind}, {short(sum(sizes))}B')
    yield name, '; '.join(parts) or 'none'


def short(value: float) -> str:
  """Formats a number with the prefix of its size: 1.23 G."""
  for prefix, scale in (('T', 1e12), ('G', 1e9), ('M', 1e6), ('k', 1e3)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  for prefix, scale in (('', 1.0), ('m', 1e-3), ('u', 1e-6)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  return f'{value:.3g} '
