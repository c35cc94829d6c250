"""Filters that double and halve the sides of images.

A filter is separable: the same weights along rows and columns. XLA's CPU
backend has no fast code for convolutions of single channels, so filters are
sums of weighted slices. Pixels beyond the border are zero.

Doubling and halving are adjoint up to a factor, so each is the gradient of the
other. The gradient of slices would be a sum of padded images. There are no
derivatives in forward mode (`jax.jvp`).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def normalised(weights) -> np.ndarray:
  """Returns the weights of a filter with a sum of one."""
  weights = np.asarray(weights, np.float64)
  return weights / weights.sum()


def _add_up(x, terms, length: int, stride: int, axis: int):
  """Returns sums of weighted slices: weight times x[start::stride]."""
  total = 0.0
  for start, weight in terms:
    stop = start + stride * (length - 1) + 1
    part = lax.slice_in_dim(x, start, stop, stride, axis)
    total += jnp.asarray(weight, x.dtype) * part
  return total


def _pad(x, before: int, after: int, axis: int):
  pads = [(0, 0)] * x.ndim
  pads[axis] = (before, after)
  return jnp.pad(x, pads)


def enlarge(x: jax.Array, size: tuple[int, int], taps) -> jax.Array:
  """Doubles the sides of images with a filter, then cuts to (height, width).

  Args:
    x: images [B, H, W, C]. A side of the result is at most twice theirs.
    size: (height, width) of the result.
    taps: weights between two grids of pixels, of even length, the same from
      both ends, with a sum of one. (1, 3, 3, 1) / 8 is bilinear.

  Raises:
    ValueError: for a larger size, or another filter.
  """
  if any(n > 2 * m for n, m in zip(size, x.shape[1:3], strict=True)):
    raise ValueError(f'size={size} is more than twice {x.shape[1:3]}.')
  return _enlarge(x, x.shape[1:3], tuple(size), _checked(taps))


def reduce(x: jax.Array, taps) -> jax.Array:
  """Halves the sides of images with a filter; odd sides are rounded up.

  A quarter of the adjoint of `enlarge`, with the same arguments.
  """
  return _reduce(x, x.shape[1:3], _checked(taps))


def _checked(taps) -> tuple[float, ...]:
  """Returns the weights of a filter that is the same from both ends."""
  taps = tuple(map(float, taps))
  if taps != taps[::-1]:
    raise ValueError(f'taps={taps} must be the same from both ends.')
  return taps


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _enlarge(x, small, size, taps):
  del small
  taps, radius = 2.0 * np.asarray(taps), len(taps) // 2 - 1
  for axis in (1, 2):
    length = x.shape[axis]
    padded = _pad(x, radius, radius, axis)
    # Pixel 2 q + phase has tap 2 j + phase + radius of pixel q - j.
    phases = [
      _add_up(
        padded,
        [
          (radius - (k - phase - radius) // 2, taps[k])
          for k in range((phase + radius) % 2, len(taps), 2)
        ],
        length,
        1,
        axis,
      )
      for phase in (0, 1)
    ]
    shape = (*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])
    x = jnp.stack(phases, axis + 1).reshape(shape)
  return x[:, : size[0], : size[1]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _reduce(x, size, taps):
  del size
  radius = len(taps) // 2 - 1
  for axis in (1, 2):
    length = -(-x.shape[axis] // 2)
    padded = _pad(x, radius, radius + x.shape[axis] % 2, axis)
    x = _add_up(padded, enumerate(taps), length, 2, axis)
  return x


def _enlarge_back(small, size, taps, _, y):
  for axis, (length, side) in enumerate(zip(small, size, strict=True), 1):
    y = _pad(y, 0, 2 * length - side, axis)
  return (4.0 * _reduce(y, y.shape[1:3], taps),)


def _reduce_back(size, taps, _, y):
  return (0.25 * _enlarge(y, y.shape[1:3], size, taps),)


_enlarge.defvjp(lambda x, *fixed: (_enlarge(x, *fixed), None), _enlarge_back)
_reduce.defvjp(lambda x, *fixed: (_reduce(x, *fixed), None), _reduce_back)


def smooth(x: jax.Array, pads, taps) -> jax.Array:
  """Filters images [B, H, W, C] after padding them with zeros.

  Args:
    x: images.
    pads: ((before, after), (before, after)) for rows and columns.
    taps: weights of the filter.

  Returns:
    Images; each side grows by its pads, and shrinks by len(taps) - 1.
  """
  for axis, (before, after) in zip((1, 2), pads, strict=True):
    length = x.shape[axis] + before + after - len(taps) + 1
    x = _add_up(_pad(x, before, after, axis), enumerate(taps), length, 1, axis)
  return x
