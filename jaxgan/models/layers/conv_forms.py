"""Forms of convolutions as products and plain convolutions; see `conv`."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


class Geometry(NamedTuple):
  """The sizes of a convolution F.

  Attributes:
    size: (height, width) of x.
    kernel: (height, width) of w.
    stride: in both directions.
    pads: ((before, after), (before, after)).
  """

  size: tuple[int, int]
  kernel: tuple[int, int]
  stride: int
  pads: tuple[tuple[int, int], tuple[int, int]]

  @property
  def output(self) -> tuple[int, int]:
    return tuple(
      (n + sum(pad) - k) // self.stride + 1
      for n, k, pad in zip(self.size, self.kernel, self.pads, strict=True)
    )

  @property
  def mirrored(self) -> 'Geometry':
    """The geometry of T for a stride of 1: F with a kernel turned around."""
    pads = tuple(
      (k - 1 - before, k - 1 - after)
      for k, (before, after) in zip(self.kernel, self.pads, strict=True)
    )
    return Geometry(self.output, self.kernel, 1, pads)


def _turned(w):
  """Turns a kernel of T into a kernel of F for a stride of 1, or back."""
  return jnp.swapaxes(w[::-1, ::-1], 2, 3)


def _plain(x, w, geometry):
  return lax.conv_general_dilated(
    x,
    w,
    (geometry.stride,) * 2,
    geometry.pads,
    dimension_numbers=DIMENSIONS,
  )


def _plain_transposed(y, w, geometry):
  shape = (y.shape[0], *geometry.size, w.shape[2])
  like = jax.ShapeDtypeStruct(shape, y.dtype)
  return jax.linear_transpose(lambda x: _plain(x, w, geometry), like)(y)[0]


def _plain_kernel(x, y, geometry):
  shape = (*geometry.kernel, x.shape[-1], y.shape[-1])
  like = jax.ShapeDtypeStruct(shape, x.dtype)
  return jax.linear_transpose(lambda w: _plain(x, w, geometry), like)(y)[0]


def _side_by_side(phases):
  """Interleaves images [B, h, w, C] of all phases.

  Args:
    phases: images by row and column.

  Returns:
    Images [B, h * rows, w * columns, C].
  """
  x = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
  batch, height, rows, width, cols, channels = x.shape
  return x.reshape(batch, height * rows, width * cols, channels)


def _as_pixels(y, w, geometry):
  """Computes T by a plain convolution of y for each phase.

  Entry i of the kernel at index o of y touches pixel s * q + r of x if
  i - before = s * (q - o) + r. So the kernel of phase r consists of every s-th
  entry, turned around.
  """
  s = geometry.stride
  blocks = [-(-n // s) for n in geometry.size]

  def taken(axis, phase):
    """Returns the entries of a phase, and pads around y, along an axis."""
    before, _ = geometry.pads[axis]
    first = (before + phase) % s
    entries = range(first, geometry.kernel[axis], s)[::-1]
    offset = (before + phase - first) // s - len(entries) + 1
    after = offset + blocks[axis] + len(entries) - 1 - y.shape[axis + 1]
    return slice(first, None, s), (-offset, after)

  def phase(r, c):
    (rows, above), (cols, beside) = taken(0, r), taken(1, c)
    kernel = _turned(w[rows, cols])
    if not kernel.size:  # The stride is larger than the kernel.
      return jnp.zeros((len(y), *blocks, w.shape[2]), y.dtype)
    return lax.conv_general_dilated(
      y, kernel, (1, 1), (above, beside), dimension_numbers=DIMENSIONS
    )

  x = _side_by_side([[phase(r, c) for c in range(s)] for r in range(s)])
  return x[:, : geometry.size[0], : geometry.size[1]]


def _patches(x, geometry):
  """Cuts [B, H, W, I] into the patches that each pixel of y sees.

  Returns:
    Patches [B * H' * W', h * w * I].
  """
  s, inner = geometry.stride, x.shape[-1]
  rows, cols = geometry.output
  # Padded (or cut) to full blocks of s x s pixels, so that slices are dense.
  reach = [-(-k // s) - 1 for k in geometry.kernel]
  config = [(0, 0, 0)]
  for n, (before, _), count, more in zip(
    geometry.size, geometry.pads, (rows, cols), reach, strict=True
  ):
    config.append((before, (count + more) * s - n - before, 0))
  x = lax.pad(x, jnp.zeros((), x.dtype), [*config, (0, 0, 0)])
  x = x.reshape(x.shape[0], rows + reach[0], s, cols + reach[1], s, inner)

  def part(i, j):
    a, b = i // s, j // s
    entry = x[:, a : a + rows, i % s, b : b + cols, j % s]
    return entry.reshape(-1, inner)

  parts = [part(i, j) for i, j in np.ndindex(geometry.kernel)]
  return jnp.concatenate(parts, axis=-1)


def _of_patches(x, w, geometry):
  """Computes F as one product."""
  y = _patches(x, geometry) @ w.reshape(-1, w.shape[-1])
  return y.reshape(x.shape[0], *geometry.output, -1)


def _to_patches(y, w, geometry):
  """Computes T as one product, and adds the patches that overlap.

  Patches of 16 bits are added in float32, so that the result is rounded once.
  """
  s, inner = geometry.stride, w.shape[2]
  wide = jnp.promote_types(y.dtype, jnp.float32)
  patches = jnp.matmul(
    y.reshape(-1, y.shape[-1]),
    w.reshape(-1, w.shape[-1]).T,
    preferred_element_type=wide,
  )
  patches = patches.reshape(*y.shape[:3], *geometry.kernel, inner)
  blocks = [
    -(-(before + n) // s)
    for n, (before, _) in zip(geometry.size, geometry.pads, strict=True)
  ]

  def shifted(i, j):
    """Returns the share of entry (i, j) in the blocks of s x s pixels."""
    config = [
      (k // s, count - size - k // s, 0)
      for k, count, size in zip((i, j), blocks, geometry.output, strict=True)
    ]
    zero = jnp.zeros((), wide)
    return lax.pad(
      patches[:, :, :, i, j], zero, [(0, 0, 0), *config, (0, 0, 0)]
    )

  def phase(r, c):
    height, width = geometry.kernel
    none = jnp.zeros((y.shape[0], *blocks, inner), wide)
    return sum(
      (shifted(i, j) for i in range(r, height, s) for j in range(c, width, s)),
      none,
    )

  x = _side_by_side([[phase(r, c) for c in range(s)] for r in range(s)])
  (top, _), (left, _) = geometry.pads
  x = x[:, top : top + geometry.size[0], left : left + geometry.size[1]]
  return x.astype(y.dtype)


def _as_convolution(x, y, geometry):
  """Computes W as a plain convolution of x by y, summed over the batch.

  With a stride of 1, x and y can change roles. The larger image is convolved,
  see `conv._is_covering`. Of equal sizes the image with fewer channels is
  convolved, because many channels of the result are fast.
  """
  x_size, y_size = math.prod(geometry.size), math.prod(geometry.output)
  if geometry.stride == 1 and (y_size, x.shape[-1]) > (x_size, y.shape[-1]):
    return _turned(_convolved(y, x, geometry.mirrored))
  return _convolved(x, y, geometry)


def _convolved(x, y, geometry):
  """Computes W, with x as images and y as a kernel dilated by the stride."""
  reach = [(side - 1) * geometry.stride for side in geometry.output]
  pads = [
    (before, k + more - n - before)
    for n, k, (before, _), more in zip(
      geometry.size, geometry.kernel, geometry.pads, reach, strict=True
    )
  ]
  w = lax.conv_general_dilated(
    x.transpose(3, 1, 2, 0),
    y.transpose(1, 2, 0, 3),
    (1, 1),
    pads,
    rhs_dilation=(geometry.stride,) * 2,
    dimension_numbers=DIMENSIONS,
  )
  return w.transpose(1, 2, 0, 3)
