"""The state of a run, split over devices.

Zhao et al. 2023 (https://arxiv.org/abs/2304.11277), fully sharded data
parallel. Each device keeps a part of every large array: parameters, moments of
the optimizer, averages. The batch is split too. A gradient step gathers the
parameters that it uses, and leaves each device the gradient of its own part.
"""

import contextlib
import contextvars
import math

import jax
from jax.sharding import PartitionSpec

from jaxgan.core.axis import AXIS

# Arrays of fewer numbers are whole on every device. Gathering them would take
# more time than their memory is worth.
LEAST = 2**14

_IS_ON = contextvars.ContextVar('shards', default=False)


@contextlib.contextmanager
def split_state():
  """Context manager of a step whose state is split over the mesh."""
  token = _IS_ON.set(True)
  try:
    yield
  finally:
    _IS_ON.reset(token)


def is_on() -> bool:
  """Returns True within `split_state`."""
  return _IS_ON.get()


def spec(shape: tuple[int, ...], count: int) -> PartitionSpec:
  """Returns how an array is split over the axis of the batch.

  The largest side that the number of devices divides is split; among equal
  sides the last one.

  Args:
    shape: shape of the array.
    count: number of devices.
  """
  sides = [(side, k) for k, side in enumerate(shape) if not side % count]
  if count == 1 or math.prod(shape) < LEAST or not sides:
    return PartitionSpec()
  _, dimension = max(sides)
  return PartitionSpec(*[None] * dimension, AXIS)


def num_bytes(tree, count: int = 1) -> int:
  """Returns the bytes of a state on each of `count` devices that split it."""

  def own(x) -> int:
    # Keys of random numbers have no `itemsize`, and are not counted.
    size = math.prod(x.shape) * getattr(x.dtype, 'itemsize', 0)
    return size // count if any(spec(x.shape, count)) else size

  return sum(map(own, jax.tree.leaves(tree)))


def split(tree):
  """Splits the arrays of a state; the identity outside of `split_state`."""
  return jax.tree.map(_split, tree) if is_on() else tree


def gather(tree):
  """Gathers parameters; the identity outside of `split_state`.

  Their gradients are split again.
  """
  return jax.tree.map(_gather, tree) if is_on() else tree


def _split(x):
  count = jax.sharding.get_abstract_mesh().size
  return jax.lax.with_sharding_constraint(x, spec(x.shape, count))


@jax.custom_vjp
def _gather(x):
  return jax.lax.with_sharding_constraint(x, PartitionSpec())


_gather.defvjp(lambda x: (_gather(x), None), lambda _, grad: (_split(grad),))
