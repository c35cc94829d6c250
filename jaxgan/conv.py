"""Convolutions whose gradients are fast on CPUs as well.

XLA's CPU backend computes plain convolutions well; their transposes and kernel
gradients it computes up to a hundred times slower, above all inside loops. A
strided convolution y = F(x, w) is bilinear, and so are its two adjoints,

  T(y, w) = dF/dx^T y, the transposed convolution, and
  W(x, y) = dF/dw^T y, the kernel gradient;

each is the derivative of the others, which closes the set for derivatives of
any order (reverse mode). Here all are, on CPUs, plain convolutions: T is one
for each of the stride x stride phases of x, whose pixels are then put side by
side (Shi et al. 2016, https://arxiv.org/abs/1609.05158), and W is one of x by
y, over the batch in the place of channels. Images of one channel, and those
smaller than the kernel, are cut into patches: F and T are one matrix product.
Where the stride is 1, T is F with the kernel turned around, so that x and y can
change places as suits the numbers of their channels; and where kernels are
large beside the image all three are products of Fourier transforms, see
`fourier`. On other devices all are XLA's own.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan import fourier

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
# Channels that a product with overlapping sums makes faster than a convolution:
# 3 of 64 by kernels of 4 in 1.6 for 8.1 ms on two CPU cores, 16 in 21 for 8 ms.
FEW = 4
# Of the products of an enlarged image, at least. Rounds per second over those
# without, in turns on two CPU cores: 1.28 where kernels of 4 save at most 36 %
# (U-Net of the CCGAN tutorial), 1.17 where those of 3 save half (autoencoder).
SAVED = 0.2


class Geometry(NamedTuple):
  """Of F: what does not depend on values.

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
    """Of T, which where the stride is 1 is F with a kernel turned around."""
    pads = tuple(
      (k - 1 - before, k - 1 - after)
      for k, (before, after) in zip(self.kernel, self.pads, strict=True)
    )
    return Geometry(self.output, self.kernel, 1, pads)


def _geometry(size, kernel, stride, padding) -> Geometry:
  if padding == 'VALID':
    pads = ((0, 0), (0, 0))
  else:
    pads = tuple(
      (total // 2, total - total // 2)
      for n, k in zip(size, kernel, strict=True)
      for total in [max((-(-n // stride) - 1) * stride + k - n, 0)]
    )
  return Geometry(tuple(size), tuple(kernel), stride, pads)


def conv(x, w, stride: int = 1, padding: str = 'SAME'):
  """`lax.conv`: x [B, H, W, I], w [h, w, I, O] -> [B, H', W', O]."""
  return _forward(x, w, _geometry(x.shape[1:3], w.shape[:2], stride, padding))


def conv_transpose(x, w, stride: int = 1, size: tuple[int, int] | None = None):
  """`lax.conv_transpose`, 'SAME': [B, H, W, I] -> [B, H * stride, ..., O].

  Args:
    x: images.
    w: kernel [h, w, I, O].
    stride: factor by which the image grows.
    size: (height, width) of what `conv` would make [H, W] of, where sides are
      not H * stride: 7 -> 4 as well as 8 -> 4 is of stride 2.
  """
  size = size or tuple(n * stride for n in x.shape[1:3])
  geometry = _geometry(size, w.shape[:2], stride, 'SAME')
  if stride == 1:
    return _forward(x, w, geometry.mirrored)
  return _transposed(x, _turned(w), geometry)


def conv_of_enlarged(x, w, size: tuple[int, int]):
  """`conv`, 'SAME', of x with pixels repeated as often as fills a size.

  Entries of the kernel that meet copies of one pixel can be added up first, so
  that the image is never enlarged: a kernel of 3 makes twice the size by 4
  products for 9, and one of 5 four times the size by 4 for 25. It is done so
  where that saves `SAVED` of the products, and where no rows or columns are
  left over, which are cut off before.

  Args:
    x: images [B, H, W, I].
    w: kernel [h, w, I, O].
    size: (height, width) of the result [B, *size, O].
  """
  small, sides = x.shape[1:3], w.shape[:2]
  factors = [-(-n // m) for n, m in zip(size, small, strict=True)]
  is_whole = size == tuple(n * f for n, f in zip(small, factors, strict=True))
  rows, cols = (
    _meeting(k, (k - 1) // 2, f) for k, f in zip(sides, factors, strict=True)
  )
  products = math.prod(
    sum(len(sums) for _, sums in axis) for axis in (rows, cols)
  )
  saved = 1 - products / (math.prod(sides) * math.prod(factors))
  if not is_whole or saved < SAVED:
    x = jnp.repeat(jnp.repeat(x, factors[0], axis=1), factors[1], axis=2)
    return conv(x[:, : size[0], : size[1]], w)

  def phase(row, col):
    pads = tuple((-first, first + len(sums) - 1) for first, sums in (row, col))
    down, across = (sums.astype(w.dtype) for _, sums in (row, col))
    kernel = jnp.einsum('ai,bj,ijxy->abxy', down, across, w)
    geometry = Geometry(small, kernel.shape[:2], 1, pads)
    return _forward(x, kernel, geometry)

  return _side_by_side([[phase(row, col) for col in cols] for row in rows])


def _meeting(kernel: int, before: int, factor: int):
  """Which entries of a kernel meet which pixel, by the phase of the result.

  Place factor * q + r of the result sees by entry i the copy at
  factor * q + r + i - before, which is one of pixel q + o, rounded down.

  Returns:
    For each phase r the least o, and [pixels, kernel] with ones where an entry
    meets a pixel.
  """
  found = []
  for phase in range(factor):
    offset = (phase + np.arange(kernel) - before) // factor
    pixels = np.arange(offset[0], offset[-1] + 1)
    sums = (offset == pixels[:, None]).astype(np.float32)
    found.append((int(offset[0]), sums))
  return found


def _turned(w):
  """A kernel of T, where the stride is 1, as one of F; and the other way."""
  return jnp.swapaxes(w[::-1, ::-1], 2, 3)


def _is_covering(geometry: Geometry) -> bool:
  """Whether a kernel has more places than the image.

  XLA then lets the two change roles, for which its CPU backend has no fast
  code: with it, a round of the CIFAR-10 DCGAN tutorial took 20 s on one core.
  """
  return math.prod(geometry.kernel) > math.prod(geometry.size)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _forward(x, w, geometry: Geometry):
  """F: [B, H, W, I] and [h, w, I, O] to [B, H', W', O]."""
  *_, inner, outer = w.shape
  plain = functools.partial(_plain, geometry=geometry)
  if fourier.is_worth(geometry, x.shape[0], inner, outer, x.dtype):
    ours = functools.partial(fourier.forward, geometry=geometry)
  elif inner == 1 or _is_covering(geometry):
    ours = functools.partial(_of_patches, geometry=geometry)
  elif geometry.stride == 1 and outer <= FEW < inner:
    ours = lambda x, w: _to_patches(x, _turned(w), geometry.mirrored)
  else:
    return plain(x, w)
  return lax.platform_dependent(x, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transposed(y, w, geometry: Geometry):
  """T: [B, H', W', O] and [h, w, I, O] to [B, H, W, I]."""
  *_, inner, outer = w.shape
  plain = functools.partial(_plain_transposed, geometry=geometry)
  is_narrow = geometry.stride == 1 and inner <= FEW < outer
  if fourier.is_worth(geometry, y.shape[0], inner, outer, y.dtype):
    ours = functools.partial(fourier.transposed, geometry=geometry)
  elif inner == 1 or is_narrow or _is_covering(geometry):
    ours = functools.partial(_to_patches, geometry=geometry)
  elif outer == 1 and geometry.stride == 1:
    ours = lambda y, w: _of_patches(y, _turned(w), geometry.mirrored)
  else:
    ours = functools.partial(_as_pixels, geometry=geometry)
  return lax.platform_dependent(y, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel(x, y, geometry: Geometry):
  """W: [B, H, W, I] and [B, H', W', O] to [h, w, I, O]."""
  batch, *_, inner = x.shape
  outer = y.shape[-1]
  is_worth = fourier.is_worth(geometry, batch, inner, outer, x.dtype)
  ours = fourier.kernel if is_worth else _as_convolution
  return lax.platform_dependent(
    x,
    y,
    cpu=functools.partial(ours, geometry=geometry),
    default=functools.partial(_plain_kernel, geometry=geometry),
  )


def _saving(function):
  return lambda a, b, geometry: (function(a, b, geometry), (a, b))


_forward.defvjp(
  _saving(_forward),
  lambda geometry, saved, y: (
    _transposed(y, saved[1], geometry),
    _kernel(saved[0], y, geometry),
  ),
)
_transposed.defvjp(
  _saving(_transposed),
  lambda geometry, saved, x: (
    _forward(x, saved[1], geometry),
    _kernel(x, saved[0], geometry),
  ),
)
_kernel.defvjp(
  _saving(_kernel),
  lambda geometry, saved, w: (
    _transposed(saved[1], w, geometry),
    _forward(saved[0], w, geometry),
  ),
)


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
  """[rows][columns] of images [B, h, w, C] to [B, h * rows, w * columns, C]."""
  x = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
  batch, height, rows, width, cols, channels = x.shape
  return x.reshape(batch, height * rows, width * cols, channels)


def _as_pixels(y, w, geometry):
  """T as plain convolutions of y, one for each of the stride x stride phases.

  Pixel s * q + r of x is touched by entry i of the kernel at place o of y where
  i - before = s * (q - o) + r: the pixels of phase r have every s-th entry for
  a kernel of their own, turned around.
  """
  s = geometry.stride
  blocks = [-(-n // s) for n in geometry.size]

  def taken(axis, phase):
    """Which entries, and pads around y, along an axis."""
    before, _ = geometry.pads[axis]
    first = (before + phase) % s
    entries = range(first, geometry.kernel[axis], s)[::-1]
    offset = (before + phase - first) // s - len(entries) + 1
    after = offset + blocks[axis] + len(entries) - 1 - y.shape[axis + 1]
    return slice(first, None, s), (-offset, after)

  def phase(r, c):
    (rows, above), (cols, beside) = taken(0, r), taken(1, c)
    kernel = _turned(w[rows, cols])
    if not kernel.size:  # The stride is beyond the kernel.
      return jnp.zeros((len(y), *blocks, w.shape[2]), y.dtype)
    return lax.conv_general_dilated(
      y, kernel, (1, 1), (above, beside), dimension_numbers=DIMENSIONS
    )

  x = _side_by_side([[phase(r, c) for c in range(s)] for r in range(s)])
  return x[:, : geometry.size[0], : geometry.size[1]]


def _patches(x, geometry):
  """[B, H, W, I] to what every place of y sees, [B * H' * W', h * w * I]."""
  s, inner = geometry.stride, x.shape[-1]
  rows, cols = geometry.output
  # Padded (or cut) to whole blocks of s x s pixels, so that slices are dense.
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
    found = x[:, a : a + rows, i % s, b : b + cols, j % s]
    return found.reshape(-1, inner)

  parts = [part(i, j) for i, j in np.ndindex(geometry.kernel)]
  return jnp.concatenate(parts, axis=-1)


def _of_patches(x, w, geometry):
  """F as one product."""
  y = _patches(x, geometry) @ w.reshape(-1, w.shape[-1])
  return y.reshape(x.shape[0], *geometry.output, -1)


def _to_patches(y, w, geometry):
  """T as one product, whose patches are then added where they overlap."""
  s, inner = geometry.stride, w.shape[2]
  patches = y.reshape(-1, y.shape[-1]) @ w.reshape(-1, w.shape[-1]).T
  patches = patches.reshape(*y.shape[:3], *geometry.kernel, inner)
  blocks = [
    -(-(before + n) // s)
    for n, (before, _) in zip(geometry.size, geometry.pads, strict=True)
  ]

  def shifted(i, j):
    """What entry (i, j) gives to the blocks of s x s pixels of its phase."""
    config = [
      (k // s, count - places - k // s, 0)
      for k, count, places in zip((i, j), blocks, geometry.output, strict=True)
    ]
    zero = jnp.zeros((), y.dtype)
    return lax.pad(
      patches[:, :, :, i, j], zero, [(0, 0, 0), *config, (0, 0, 0)]
    )

  def phase(r, c):
    height, width = geometry.kernel
    none = jnp.zeros((y.shape[0], *blocks, inner), y.dtype)
    return sum(
      (shifted(i, j) for i in range(r, height, s) for j in range(c, width, s)),
      none,
    )

  x = _side_by_side([[phase(r, c) for c in range(s)] for r in range(s)])
  (top, _), (left, _) = geometry.pads
  return x[:, top : top + geometry.size[0], left : left + geometry.size[1]]


def _as_convolution(x, y, geometry):
  """W as a plain convolution of x by y, whose batch is summed as channels.

  Where the stride is 1 they can change roles. The larger image is the one that
  is convolved, see `_is_covering`; of equal ones that with fewer channels, as
  those of the other come out and had better be many.
  """
  x_size, y_size = math.prod(geometry.size), math.prod(geometry.output)
  if geometry.stride == 1 and (y_size, x.shape[-1]) > (x_size, y.shape[-1]):
    return _turned(_convolved(y, x, geometry.mirrored))
  return _convolved(x, y, geometry)


def _convolved(x, y, geometry):
  """W, with x as images and y as a kernel that is dilated by the stride."""
  reach = [(places - 1) * geometry.stride for places in geometry.output]
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
