"""Memory of this machine, and the refusal of arrays that exceed it."""

import math
import pathlib
import re
import resource
from collections.abc import Iterator

from jaxgan import errors

PROC, CGROUPS = pathlib.Path('/proc'), pathlib.Path('/sys/fs/cgroup')


def host_bytes() -> float:
  """Returns the bytes that this process can have at most, with swap.

  The result is the smallest limit of the machine, of all control groups of the
  process (containers, SLURM), and of the address space. It is infinite where
  the system has no `/proc/meminfo`.
  """
  text = _read(PROC / 'meminfo')
  sizes = dict(re.findall(r'^(MemTotal|SwapTotal):\s*(\d+) kB', text, re.M))
  if 'MemTotal' not in sizes:
    return math.inf
  memory, swap = (
    1024 * int(sizes.get(name, 0)) for name in ('MemTotal', 'SwapTotal')
  )
  limits = [memory + swap, *_group_limits(swap)]
  most, _ = resource.getrlimit(resource.RLIMIT_AS)
  if most != resource.RLIM_INFINITY:
    limits.append(most)
  return min(limits)


def _read(path: pathlib.Path) -> str:
  try:
    return path.read_text(encoding='utf-8', errors='replace')
  except OSError:
    return ''


def _group_limits(swap: int) -> Iterator[float]:
  """Yields the limits of all control groups of this process.

  Args:
    swap: bytes of swap of the machine.
  """
  for line in _read(PROC / 'self' / 'cgroup').splitlines():
    _, controllers, name = line.split(':', 2)
    if not controllers:  # version 2
      root, files = CGROUPS, ('memory.max', 'memory.swap.max')
    elif controllers == 'memory':
      root = CGROUPS / 'memory'
      files = ('memory.limit_in_bytes', 'memory.memsw.limit_in_bytes')
    else:
      continue
    own = root / name.lstrip('/')
    for group in (own, *own.parents):
      if not group.is_relative_to(root):
        break
      most, more = (_read(group / file).strip() for file in files)
      if controllers and more.isdecimal():
        yield int(more)  # Memory and swap together.
      elif most.isdecimal():
        yield int(most) + min(int(more) if more.isdecimal() else swap, swap)


def short(num_bytes: float) -> str:
  """Formats a number of bytes, as '3.14 GB'."""
  for unit, scale in (('TB', 1e12), ('GB', 1e9), ('MB', 1e6)):
    if num_bytes >= scale:
      value = num_bytes / scale
      return f'{value:,.0f} {unit}' if value >= 100 else f'{value:.3g} {unit}'
  return f'{num_bytes:,.0f} bytes'


def refuse(num_bytes: float, cause: str, way_out: str) -> None:
  """Raises a UserError for arrays that this machine cannot hold.

  Args:
    num_bytes: a lower bound of the bytes that are needed.
    cause: fields or flags with their values, for example '--num=10000000'.
    way_out: an instruction for the user.
  """
  limit = host_bytes()
  if num_bytes > limit:
    raise errors.UserError(
      f'{cause} needs at least {short(num_bytes)} of memory, and this machine '
      f'has {short(limit)}. {way_out}'
    )
