"""The mapped axis that splits the global batch over devices.

Inside `jax.pmap`, `jax.shard_map` or a `jax.vmap` with `axis_name='data'`, each
device holds a part of the global batch. The functions of this file then combine
all parts, and are identities where no axis is mapped. So no function takes an
axis name as an argument.

Gradient accumulation divides the batch of each device further, into parts one
after the other. Functions that need all examples raise an error there.
"""

import contextlib
import contextvars

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxgan import errors

AXIS = 'data'
MEMBERS = 'members'  # splits a population, whose members share nothing

# Index and number of the part of a device's batch.
_PART = contextvars.ContextVar('part', default=(0, 1))


@contextlib.contextmanager
def part(index, count: int):
  """Context manager of one part of a device's batch.

  Part `index` has every `count`-th example, from number `index` on.
  """
  token = _PART.set((index, count))
  try:
    yield
  finally:
    _PART.reset(token)


def _refuse_parts() -> None:
  """Raises a UserError in a part of a batch."""
  _, count = _PART.get()
  if count > 1:
    raise errors.UserError(
      f'accumulate={count} divides the batch, and the whole batch is needed '
      'for batch norm, minibatch layers, replay, top_k, dragan, '
      'feature_matching, relativistic_average, path_length, '
      'gradient_average and the average w of StyleGAN2. Set accumulate=1.'
    )


def is_mapped() -> bool:
  """Returns True if the caller maps over `AXIS`.

  Raises:
    UserError: if the caller maps over another axis only, as averages over the
      batch would be left out silently.
  """
  names = set(core.unsafe_get_axis_names_DO_NOT_USE())
  if AXIS in names:
    return True
  if names - {MEMBERS}:
    raise errors.UserError(
      f'axis_name={sorted(map(str, names))[0]!r} is unknown, so the batch '
      f'would not be averaged over devices. Map with axis_name={AXIS!r}.'
    )
  return False


def name() -> str | None:
  """Returns `AXIS` where it is mapped, else None, as Flax' norms take it."""
  _refuse_parts()
  return AXIS if is_mapped() else None


def size() -> int:
  """Returns the number of parts of the global batch."""
  _, count = _PART.get()
  return count * (jax.lax.axis_size(AXIS) if is_mapped() else 1)


def index():
  """Returns the number of this device's part of the global batch."""
  return jax.lax.axis_index(AXIS) if is_mapped() else 0


def indices(count: int) -> jax.Array:
  """Returns the indices [count] of this part's examples in the global batch."""
  first, parts = _PART.get()
  return (jnp.arange(count) + index() * count) * parts + first


def mean(tree):
  """Averages arrays over the parts of the global batch."""
  _refuse_parts()
  return mean_of_devices(tree)


def mean_of_devices(tree):
  """Averages arrays over devices, and not over the parts of their batches."""
  return jax.lax.pmean(tree, AXIS) if is_mapped() else tree


def gather(tree):
  """Returns arrays [B, ...] of this part as arrays of the global batch."""
  _refuse_parts()
  return jax.lax.all_gather(tree, AXIS, tiled=True) if is_mapped() else tree
