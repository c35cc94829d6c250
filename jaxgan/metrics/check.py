"""Checks of metrics' arguments, with errors that name the argument.

Under `jit` the shapes of traced arrays are checked and values are not.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors

# Rounding may move a tanh this far out of [-1, 1], and sums away from 1.
TOLERANCE = 1e-3


def features(*, least: int = 2, **sets) -> list:
  """Returns sets of features as arrays, after checks.

  Args:
    least: smallest number of rows.
    **sets: name -> numbers [N, D], with the same D in all sets.

  Returns:
    The sets in order, as arrays of NumPy or JAX.

  Raises:
    UserError: for another rank, too few rows, different D, NaN or infinity.
  """
  arrays = {name: array(x) for name, x in sets.items()}
  for name, x in arrays.items():
    if x.ndim != 2:
      raise errors.UserError(
        f'{name} has shape {x.shape}. Pass features [N, D], one row an image.'
      )
    rows(name, x, least)
    finite(name, x)
  _same('features', {name: x.shape[1:] for name, x in arrays.items()})
  return list(arrays.values())


def pixels(*, least: int = 2, **sets) -> list[jax.Array]:
  """Converts sets of images to pixels in [0, 1], after checks.

  Args:
    least: smallest number of images.
    **sets: name -> [N, H, W, C], uint8 or floats in [-1, 1], with the same
      (H, W, C) in all sets.

  Returns:
    The sets in order, float32 [N, H, W, C] in [0, 1].

  Raises:
    UserError: for another rank, type or range, too few images, different
      shapes, NaN or infinity.
  """
  arrays = {name: array(x) for name, x in sets.items()}
  for name, x in arrays.items():
    if x.ndim != 4:
      raise errors.UserError(
        f'{name} has shape {x.shape}. Pass images [N, H, W, C].'
      )
    rows(name, x, least)
    if x.dtype == np.uint8:
      continue
    if not jnp.issubdtype(x.dtype, jnp.floating):
      raise errors.UserError(
        f'{name} has dtype {x.dtype}. Pass uint8, or floats in [-1, 1].'
      )
    finite(name, x)
    if _is_known(x) and abs(x).max() > 1.0 + TOLERANCE:
      raise errors.UserError(
        f'{name} has values in [{float(x.min()):g}, {float(x.max()):g}]. '
        'Pass uint8, or floats in [-1, 1].'
      )
  _same('images', {name: x.shape[1:] for name, x in arrays.items()})
  return [_to_pixels(x) for x in arrays.values()]


def grey_or_rgb(images) -> None:
  """Raises a UserError for images [N, H, W, C] that are not grey or RGB."""
  if images.shape[-1] not in (1, 3):
    raise errors.UserError(
      f'images has shape {images.shape}. Pass images [N, H, W, 1 or 3].'
    )


def probabilities(name: str, x):
  """Returns probabilities [N, K] as an array, after checks.

  Raises:
    UserError: for negative values, or rows whose sum is not 1.
  """
  (x,) = features(**{name: x})
  if _is_known(x):
    total = x.sum(axis=1)
    if x.min() < 0 or abs(total - 1.0).max() > TOLERANCE:
      raise errors.UserError(
        f'{name} has rows that are no probabilities (least value '
        f'{float(x.min()):g}, sums {float(total.min()):g} to '
        f'{float(total.max()):g}). Apply jax.nn.softmax to logits first.'
      )
  return x


def labels(name: str, x, classes: int):
  """Returns integer labels of any shape as an array, after checks.

  Raises:
    UserError: for another type, or labels outside of 0..classes - 1.
  """
  x = array(x)
  if not jnp.issubdtype(x.dtype, jnp.integer):
    raise errors.UserError(f'{name} has dtype {x.dtype}. Pass integer classes.')
  if _is_known(x) and x.size and (x.min() < 0 or x.max() >= classes):
    raise errors.UserError(
      f'{name} has classes {x.min()} to {x.max()}. Pass classes in '
      f'0..{classes - 1}, or another number of classes.'
    )
  return x


def array(x):
  """Returns `x` as an array; JAX arrays are unchanged."""
  return x if isinstance(x, jax.Array) else np.asarray(x)


def rows(name: str, x, least: int) -> None:
  """Raises a UserError for fewer than `least` rows."""
  if len(x) < least:
    raise errors.UserError(f'{name} has {len(x)} rows. Pass at least {least}.')


def finite(name: str, x) -> None:
  """Raises a UserError that counts the rows with NaN or infinity."""
  if not _is_known(x) or not jnp.issubdtype(x.dtype, jnp.inexact):
    return
  module = jnp if isinstance(x, jax.Array) else np
  bad = ~module.isfinite(x).all(axis=tuple(range(1, x.ndim)))
  if bad.any():
    raise errors.UserError(
      f'{name} has NaN or infinity in {int(bad.sum())} of {len(x)} rows: the '
      f'first is {int(bad.argmax())}. Remove these rows, or find their cause.'
    )


def at_least(name: str, value, least) -> None:
  """Raises a UserError for a number below `least`."""
  if value < least:
    raise errors.UserError(f'{name}={value} must be at least {least}')


def paired(**sets) -> None:
  """Raises a UserError for sets of different numbers of rows."""
  _same('numbers of rows', {name: len(x) for name, x in sets.items()})


def _same(kind: str, sizes: dict) -> None:
  if len(set(sizes.values())) > 1:
    sets = ', '.join(f'{name} {size}' for name, size in sizes.items())
    raise errors.UserError(f'different {kind}: {sets}. Pass equal {kind}.')


def _is_known(x) -> bool:
  return not isinstance(x, jax.core.Tracer)


def _to_pixels(x) -> jax.Array:
  if x.dtype == np.uint8:
    return jnp.asarray(x, jnp.float32) / 255.0
  return jnp.clip((jnp.asarray(x, jnp.float32) + 1.0) / 2.0, 0.0, 1.0)
