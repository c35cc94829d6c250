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


# Of what runs in Python on the host, as `jax.debug.print` and callbacks.
CALLBACK = re.compile(r'custom_call_target="[^"]*callback[^"]*"')


# Of what libraries of a GPU's vendor do, as '__cublas$gemm'.
LIBRARY = re.compile(r'custom_call_target="__\w+\$')


# Of one instruction: its name, the type of what it gives, and its operands.
INSTRUCTION = re.compile(r'%([^\s=]+) = (\(.*?\)|\S+) [\w-]+\((.*?)\)')


class Instruction(NamedTuple):
  """One that moves data: its kind, and the bytes of what it gives."""

  kind: str
  num_bytes: int


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
  lead = (1, algorithm.batches_per_round(run.method), size)
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
  return compile_lib.lower_rounds(**program, **_shapes(run))


def count(run, platform: str = '') -> float:
  """Those of a round on each device, counted before compiling.

  Args:
    run: a built run of `jaxgan.train`.
    platform: as `jax.export` names it; '' is that of this process.

  Raises:
    UserError: if the process has no CPU as a device, where programs of any
      platform can be counted.
  """
  algorithm, config = run.algorithm, run.config
  images = config.batch_size // run.engine.num_devices
  images *= algorithm.batches_per_round(run.method)
  step = written_out(functools.partial(algorithm.train_step, run.method))
  place = jax.sharding.SingleDeviceSharding(devices_lib.host())

  def one(state, batch, seed):
    batch = {name: pixels_lib.to_float(x) for name, x in batch.items()}
    with devices_lib.products(config.precision):
      return step(state, batch, jax.random.key(seed))

  def like(x, *lead):
    return jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype, sharding=place)

  rows = {k: np.asarray(v) for k, v in run.dataset.read(0).items()}
  init = functools.partial(algorithm.init, run.method)
  lowered = (
    jax.jit(one)
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
        parts.append(f'{len(sizes)} {kind}, {short(sum(sizes))}B')
    yield name, '; '.join(parts) or 'none'


def short(value: float) -> str:
  """A number with the prefix of its size: 1.23 G."""
  for prefix, scale in (('T', 1e12), ('G', 1e9), ('M', 1e6), ('k', 1e3)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  for prefix, scale in (('', 1.0), ('m', 1e-3), ('u', 1e-6)):
    if value >= scale:
      return f'{value / scale:.3g} {prefix}'
  return f'{value:.3g} '
