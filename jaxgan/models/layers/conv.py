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

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models.layers import conv_forms, fourier_conv
from jaxgan.models.layers.conv_forms import Geometry

# Channels that a product with overlapping sums makes faster than a convolution:
# 3 of 64 by kernels of 4 in 1.6 for 8.1 ms on two CPU cores, 16 in 21 for 8 ms.
FEW = 4
# Of the products of an enlarged image, at least. Rounds per second over those
# without, in turns on two CPU cores: 1.28 where kernels of 4 save at most 36 %
# (U-Net of the CCGAN tutorial), 1.17 where those of 3 save half (autoencoder).
SAVED = 0.2


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
  return _transposed(x, conv_forms._turned(w), geometry)


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

  return conv_forms._side_by_side(
    [[phase(row, col) for col in cols] for row in rows]
  )


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
  plain = functools.partial(conv_forms._plain, geometry=geometry)
  if fourier_conv.is_worth(geometry, x.shape[0], inner, outer, x.dtype):
    ours = functools.partial(fourier_conv.forward, geometry=geometry)
  elif inner == 1 or _is_covering(geometry):
    ours = functools.partial(conv_forms._of_patches, geometry=geometry)
  elif geometry.stride == 1 and outer <= FEW < inner:
    ours = lambda x, w: conv_forms._to_patches(
      x, conv_forms._turned(w), geometry.mirrored
    )
  else:
    return plain(x, w)
  return lax.platform_dependent(x, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transposed(y, w, geometry: Geometry):
  """T: [B, H', W', O] and [h, w, I, O] to [B, H, W, I]."""
  *_, inner, outer = w.shape
  plain = functools.partial(conv_forms._plain_transposed, geometry=geometry)
  is_narrow = geometry.stride == 1 and inner <= FEW < outer
  if fourier_conv.is_worth(geometry, y.shape[0], inner, outer, y.dtype):
    ours = functools.partial(fourier_conv.transposed, geometry=geometry)
  elif inner == 1 or is_narrow or _is_covering(geometry):
    ours = functools.partial(conv_forms._to_patches, geometry=geometry)
  elif outer == 1 and geometry.stride == 1:
    ours = lambda y, w: conv_forms._of_patches(
      y, conv_forms._turned(w), geometry.mirrored
    )
  else:
    ours = functools.partial(conv_forms._as_pixels, geometry=geometry)
  return lax.platform_dependent(y, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel(x, y, geometry: Geometry):
  """W: [B, H, W, I] and [B, H', W', O] to [h, w, I, O]."""
  batch, *_, inner = x.shape
  outer = y.shape[-1]
  is_worth = fourier_conv.is_worth(geometry, batch, inner, outer, x.dtype)
  ours = fourier_conv.kernel if is_worth else conv_forms._as_convolution
  return lax.platform_dependent(
    x,
    y,
    cpu=functools.partial(ours, geometry=geometry),
    default=functools.partial(conv_forms._plain_kernel, geometry=geometry),
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
