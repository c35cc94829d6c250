"""The mapped axis that splits the global batch over devices.

Inside `jax.pmap`, `jax.shard_map` or a `jax.vmap` with `axis_name='data'`, each
device holds a part of the global batch. The functions of this file then combine
all parts, and are identities where no axis is mapped. So no function takes an
axis name as an argument.
"""

import jax
from jax.extend import core

from jaxgan import errors

AXIS = 'data'
MEMBERS = 'members'  # splits a population, whose members share nothing


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
  return AXIS if is_mapped() else None


def size() -> int:
  """Returns the number of parts of the global batch."""
  return jax.lax.axis_size(AXIS) if is_mapped() else 1


def index():
  """Returns the number of this part of the global batch."""
  return jax.lax.axis_index(AXIS) if is_mapped() else 0


def mean(tree):
  """Averages arrays over the parts of the global batch."""
  return jax.lax.pmean(tree, AXIS) if is_mapped() else tree


def gather(tree):
  """Returns arrays [B, ...] of this part as arrays of the global batch."""
  return jax.lax.all_gather(tree, AXIS, tiled=True) if is_mapped() else tree
