"""What metrics refuse, each in one line that names the argument.

Of traced arrays, under `jit`, shapes are checked and values are not.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors

# Rounding may take a tanh this far out of [-1, 1], and sums from 1.
TOLERANCE = 1e-3


def features(*, least: int = 2, **sets) -> list:
  """Sets of features as arrays.

  Args:
    least: rows that a set must have.
    **sets: name -> [N, D] of numbers; D is the same for all.

  Returns:
    The sets in order, as arrays of NumPy or JAX.

  Raises:
    UserError: for another rank, too few rows, different D, NaN or infinity.
  """
  found = {name: array(x) for name, x in sets.items()}
  for name, x in found.items():
    if x.ndim != 2:
      raise errors.UserError(
        f'{name} has shape {x.shape}; give features [N, D], one row an image'
      )
    rows(name, x, least)
    finite(name, x)
  _same('features', {name: x.shape[1:] for name, x in found.items()})
  return list(found.values())


def pixels(*, least: int = 2, **sets) -> list[jax.Array]:
  """Sets of images, uint8 or floats in [-1, 1], as pixels in [0, 1].

  Args:
    least: images that a set must have.
    **sets: name -> [N, H, W, C]; (H, W, C) is the same for all.

  Returns:
    The sets in order, float32 [N, H, W, C] in [0, 1].

  Raises:
    UserError: for another rank, type or range, too few or different images,
      NaN or infinity.
  """
  found = {name: array(x) for name, x in sets.items()}
  for name, x in found.items():
    if x.ndim != 4:
      raise errors.UserError(
        f'{name} has shape {x.shape}; give images [N, H, W, C]'
      )
    rows(name, x, least)
    if x.dtype == np.uint8:
      continue
    if not jnp.issubdtype(x.dtype, jnp.floating):
      raise errors.UserError(
        f'{name} has dtype {x.dtype}; give uint8, or floats in [-1, 1]'
      )
    finite(name, x)
    if _is_known(x) and abs(x).max() > 1.0 + TOLERANCE:
      raise errors.UserError(
        f'{name} has values in [{float(x.min()):g}, {float(x.max()):g}]; '
        'give uint8, or floats in [-1, 1]'
      )
  _same('images', {name: x.shape[1:] for name, x in found.items()})
  return [_to_pixels(x) for x in found.values()]


def probabilities(name: str, x):
  """[N, K], at least 0 and every row with sum 1, as an array.

  Raises:
    UserError: if they are not.
  """
  (x,) = features(**{name: x})
  if _is_known(x):
    total = x.sum(axis=1)
    if x.min() < 0 or abs(total - 1.0).max() > TOLERANCE:
      raise errors.UserError(
        f'{name} has rows that are no probabilities (least value '
        f'{float(x.min()):g}, sums {float(total.min()):g} to '
        f'{float(total.max()):g}); of logits take jax.nn.softmax first'
      )
  return x


def labels(name: str, x, classes: int):
  """Integers in 0..classes - 1, of any shape, as an array.

  Raises:
    UserError: if they are not.
  """
  x = array(x)
  if not jnp.issubdtype(x.dtype, jnp.integer):
    raise errors.UserError(f'{name} has dtype {x.dtype}; give integer classes')
  if _is_known(x) and x.size and (x.min() < 0 or x.max() >= classes):
    raise errors.UserError(
      f'{name} has classes {x.min()} to {x.max()}; give classes in '
      f'0..{classes - 1}, or another number of classes'
    )
  return x


def array(x):
  """What it is if of NumPy or JAX, otherwise an array of NumPy."""
  return x if isinstance(x, jax.Array) else np.asarray(x)


def rows(name: str, x, least: int) -> None:
  """Refuses fewer than `least` rows."""
  if len(x) < least:
    raise errors.UserError(f'{name} has {len(x)} rows; give at least {least}')


def finite(name: str, x) -> None:
  """Refuses NaN and infinity; says how many rows have one, and the first."""
  if not _is_known(x) or not jnp.issubdtype(x.dtype, jnp.inexact):
    return
  module = jnp if isinstance(x, jax.Array) else np
  bad = ~module.isfinite(x).all(axis=tuple(range(1, x.ndim)))
  if bad.any():
    raise errors.UserError(
      f'{name} has NaN or infinity in {int(bad.sum())} of {len(x)} rows, the '
      f'first is {int(bad.argmax())}; leave them out, or see what made them'
    )


def at_least(name: str, value, least) -> None:
  """Refuses a number below `least`."""
  if value < least:
    raise errors.UserError(f'{name}={value} must be at least {least}')


def paired(**sets) -> None:
  """Refuses sets of different numbers of rows."""
  _same('numbers of rows', {name: len(x) for name, x in sets.items()})


def _same(what: str, sizes: dict) -> None:
  if len(set(sizes.values())) > 1:
    said = ', '.join(f'{name} {size}' for name, size in sizes.items())
    raise errors.UserError(f'different {what}: {said}; give the same for all')


def _is_known(x) -> bool:
  return not isinstance(x, jax.core.Tracer)


def _to_pixels(x) -> jax.Array:
  if x.dtype == np.uint8:
    return jnp.asarray(x, jnp.float32) / 255.0
  return jnp.clip((jnp.asarray(x, jnp.float32) + 1.0) / 2.0, 0.0, 1.0)
