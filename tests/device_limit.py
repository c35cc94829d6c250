"""The devices that a test sees: one, as most users have, or all eight.

The process has eight CPU devices, as their number is set before JAX starts.
`jax.devices` returns as many of them as the limit says.
"""

import contextlib

import jax

_devices = jax.devices
_limit = 1


def install() -> None:
  """Applies the limit to `jax.devices` and `jax.device_count`."""
  jax.devices = lambda *args, **kwargs: _devices(*args, **kwargs)[:_limit]
  jax.device_count = lambda *args, **kwargs: len(jax.devices(*args, **kwargs))


def set_limit(limit: int) -> None:
  global _limit
  _limit = limit


@contextlib.contextmanager
def limited(limit: int):
  """Sets the limit inside a `with` block."""
  before = _limit
  set_limit(limit)
  try:
    yield
  finally:
    set_limit(before)
