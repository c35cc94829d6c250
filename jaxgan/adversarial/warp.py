"""Affine warps of images, with a wavelet filter against aliasing.

Karras et al. 2020 (https://arxiv.org/abs/2006.06676), appendix B: an image is
reflected at its borders, doubled by the filter sym6, sampled bilinearly, and
halved by the same filter. All shapes depend on the size of the images alone.
"""

import functools

import jax
import jax.numpy as jnp

# Low-pass filter of the symlet with six vanishing moments (Daubechies 1992),
# divided by its sum.
_SYMLET = (
  *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057),
  *(-0.048311742585633, 0.4910559419267466, 0.787641141030194),
  *(0.3379294217276218, -0.07263752278646252, -0.021060292512300564),
  *(0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
FILTER = tuple(tap / sum(_SYMLET) for tap in _SYMLET)
REACH = len(FILTER) // 4  # pixels on either side that the filter mixes
EDGE = len(FILTER) // 2 - 1  # doubled samples before the first pixel


def _part(x, axis: int, start: int, count: int, stride: int = 1):
  limit = start + (count - 1) * stride + 1
  return jax.lax.slice_in_dim(x, start, limit, stride, axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def double(x, axis: int):
  """Returns an array [..., 2 n + 10, ...] of one of [..., n, ...].

  Zeros stand between the samples and beyond the ends, before the filter, whose
  sum is then 2. The transpose of `double` is twice `halve`.
  """
  count, taps = x.shape[axis], len(FILTER) // 2
  widths = [
    (taps - 1, taps - 1) if a == axis else (0, 0) for a in range(x.ndim)
  ]
  padded = jnp.pad(x, widths)

  def phase(first):
    return sum(
      2 * tap * _part(padded, axis, taps - 1 - index, count + taps - 1)
      for index, tap in enumerate(FILTER[first::2])
    )

  shape = list(x.shape)
  shape[axis] = -1
  return jnp.stack((phase(0), phase(1)), axis + 1).reshape(shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def halve(x, axis: int):
  """Returns an array [..., n, ...] of one of [..., 2 n + 10, ...]."""
  count = (x.shape[axis] - len(FILTER)) // 2 + 1
  return sum(
    tap * _part(x, axis, index, count, 2) for index, tap in enumerate(FILTER)
  )


# XLA is slow at the transposes that JAX derives.
double.defvjp(
  lambda x, axis: (double(x, axis), None),
  lambda axis, _, slope: (2 * halve(slope, axis),),
)
halve.defvjp(
  lambda x, axis: (halve(x, axis), None),
  lambda axis, _, slope: (double(slope, axis) / 2,),
)


def _centred(side: int, dtype):
  """Returns the positions of doubled samples, in pixels from the centre."""
  count = 2 * side + len(FILTER) - 2
  return (jnp.arange(count, dtype=dtype) + 1 - count / 2) / 2


def margins(inverse, height: int, width: int):
  """Returns the reflected pixels of each image that a warp may read.

  The margin has the filter's reach on both sides of the output's corners. It is
  at most the image without one pixel, which is the longest reflection.

  Args:
    inverse: matrices [B, 3, 3], see `warp`.
    height: rows of the images.
    width: columns of the images.

  Returns:
    Pixels [B, 2, 2]: first x, then y; before the image, then after.
  """
  centre = jnp.array([(width - 1) / 2, (height - 1) / 2], inverse.dtype)
  signs = jnp.array([[-1, 1, 1, -1], [-1, -1, 1, 1]], inverse.dtype)
  corners = signs * centre[:, None]  # [xy, 4]
  linear = inverse[:, :2, :2, None] * corners[None, None]
  corners = linear.sum(2) + inverse[:, :2, 2:]  # [B, xy, 4]
  most = jnp.stack([-corners.min(-1), corners.max(-1)], -1)
  margin = most + (2 * REACH - centre)[None, :, None]
  return jnp.ceil(jnp.clip(margin, 0, 2 * centre[None, :, None]))


def _wide(x, like, axis: int):
  """Returns an array [B, n] or [1, n] that broadcasts along an axis."""
  shape = [len(x)] + [1] * (like.ndim - 1)
  shape[axis] = x.shape[1]
  return x.reshape(shape)


def _taps(place, low, high):
  """Returns the samples beside places, and their weights.

  Args:
    place: places [B, n, m] among samples.
    low: first sample [B] that counts; samples before have the weight zero.
    high: last sample [B] that counts.

  Returns:
    Two pairs of indices and weights, both [B, n, m].
  """
  low, high = (x[:, None, None] for x in (low, high))
  taps = []
  for index in (jnp.floor(place), jnp.floor(place) + 1):
    is_inside = (index >= low) & (index <= high)
    weight = jnp.where(is_inside, 1 - jnp.abs(place - index), 0)
    taps.append((jnp.where(is_inside, index, 0).astype(jnp.int32), weight))
  return taps


def _sampled(x, rows, columns):
  """Returns bilinear samples [B, n, m, C] of images, see `_taps`."""
  batch, _, width, channels = x.shape
  flat, total = x.reshape(batch, -1, channels), 0
  for row, row_weight in rows:
    for column, weight in columns:
      index = (row * width + column).reshape(batch, -1, 1)
      values = jnp.take_along_axis(flat, index, 1, mode='promise_in_bounds')
      values = values.reshape(*row.shape, channels)
      total = total + (row_weight * weight)[..., None] * values
  return total


def warp(x, inverse):
  """Warps images; their borders are reflected.

  The padding has the largest margin that there is, and pixels beyond `margins`
  are zero. So no shape depends on the matrices, no image depends on the other
  images of its batch, and the result is that of padding by the margin.

  Args:
    x: images [B, H, W, C].
    inverse: matrices [B, 3, 3] from (x, y, 1) of the output to (x, y, 1) of the
      input, in pixels from the centre.

  Returns:
    Images [B, H, W, C].
  """
  sides, inverse = x.shape[1:3], inverse.astype(x.dtype)
  margin = margins(inverse, *sides)
  widths = [(side - 1, side - 1) for side in sides]
  x = jnp.pad(x, ((0, 0), *widths, (0, 0)), 'reflect')
  rows, columns = (_centred(side, x.dtype) for side in sides)
  taps = []
  for axis, side in enumerate(sides, start=1):
    before, after = margin[:, 2 - axis].T  # [B] each
    low, high = side - 1 - before, 2 * side - 2 + after
    pixels = jnp.arange(x.shape[axis], dtype=x.dtype)[None]
    is_seen = (pixels >= low[:, None]) & (pixels <= high[:, None])
    x = double(jnp.where(_wide(is_seen, x, axis), x, 0), axis)
    x = _part(x, axis, EDGE, x.shape[axis] - 2 * EDGE)
    a, b, c = (inverse[:, 2 - axis, k, None, None] for k in range(3))
    place = a * columns[None, None] + b * rows[None, :, None] + c
    place = 2 * place + (x.shape[axis] / 2 - 1)
    taps.append(_taps(place, 2 * low, 2 * high + 1))
  x = _sampled(x, *taps)
  return halve(halve(x, 1), 2)
