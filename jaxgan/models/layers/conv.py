"""Convolutions whose gradients are fast on CPUs as well.

XLA's CPU backend is fast at plain convolutions, and much slower at transposed
convolutions and kernel gradients, above all inside loops. A strided convolution
y = F(x, w) is bilinear, and so are its two adjoints,

  T(y, w) = dF/dx^T y, the transposed convolution, and
  W(x, y) = dF/dw^T y, the kernel gradient.

Derivatives of F, T and W are again F, T and W, so derivatives of any order are
available in reverse mode. On CPUs all three are plain convolutions:

  * T is a plain convolution for each of the stride x stride phases of x. The
    pixels of the phases are then interleaved (Shi et al. 2016,
    https://arxiv.org/abs/1609.05158).
  * W convolves x by y, with the batch in the role of channels.
  * Images of one channel, and images smaller than the kernel, are cut into
    patches. F and T are then one matrix product.
  * With a stride of 1, T is F with the kernel turned around. So x and y can
    change roles, which is faster for some numbers of channels.
  * Kernels that are large compared to the image are multiplied as Fourier
    transforms, see `fourier_conv`.

On other devices all three are the convolutions of XLA.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models.layers import conv_forms, fourier_conv
from jaxgan.models.layers.conv_forms import Geometry

# Up to this number of channels, a product with overlapping sums is faster than
# a convolution; see benchmarks/README.md.
FEW = 4
# Most entries of a kernel for forms that cut patches. The program has a slice
# for each entry, and the time to compile grows with them.
MOST_TAPS = 81
# Least share of products to save for a convolution without enlarging the image;
# see benchmarks/README.md.
SAVED = 0.2


def _geometry(size, kernel, stride, padding) -> Geometry:
  if padding == 'VALID':
    pads = ((0, 0), (0, 0))
  else:
    lower = padding == 'SAME_LOWER'
    pads = tuple(
      ((total + lower) // 2, total - (total + lower) // 2)
      for n, k in zip(size, kernel, strict=True)
      for total in [max((-(-n // stride) - 1) * stride + k - n, 0)]
    )
  return Geometry(tuple(size), tuple(kernel), stride, pads)


def conv(x, w, stride: int = 1, padding: str = 'SAME'):
  """Convolves x [B, H, W, I] by w [h, w, I, O]: [B, H', W', O].

  The result is that of `lax.conv`. Padding 'SAME_LOWER' is 'SAME' with the odd
  pixel before the image. For a kernel of 3 and a stride of 2, this equals one
  pixel on every side, as in PyTorch.
  """
  return _forward(x, w, _geometry(x.shape[1:3], w.shape[:2], stride, padding))


def conv_transpose(
  x,
  w,
  stride: int = 1,
  size: tuple[int, int] | None = None,
  padding: str = 'SAME',
):
  """Convolves images [B, H, W, I] to [B, H * stride, W * stride, O].

  With padding 'SAME', the result is that of `lax.conv_transpose`. With padding
  'SAME_LOWER', a kernel of 3 and a stride of 2, the result is that of PyTorch
  with padding=1 and output_padding=1.

  Args:
    x: images.
    w: kernel [h, w, I, O].
    stride: factor by which the image grows.
    size: (height, width) of the result; by default H and W times the stride. A
      convolution of `size` by this stride has the size [H, W].
    padding: padding of the convolution whose adjoint this is, see `conv`.
  """
  size = size or tuple(n * stride for n in x.shape[1:3])
  geometry = _geometry(size, w.shape[:2], stride, padding)
  if stride == 1:
    return _forward(x, w, geometry.mirrored)
  return _transposed(x, conv_forms._turned(w), geometry)


def conv_of_enlarged(x, w, size: tuple[int, int]):
  """Convolves x after repeating its pixels up to a size, with padding 'SAME'.

  Entries of the kernel that meet copies of the same pixel can be summed before,
  so the image is never enlarged. A kernel of 3 then makes twice the size with 4
  products instead of 9. A kernel of 5 makes four times the size with 4 products
  instead of 25. The sums are used if they save `SAVED` of the products, and if
  the size is a multiple of the size of x. Sums of 16 bits are rounded once, as
  the entries were before.

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
    down, across = (sums for _, sums in (row, col))
    wide = w.astype(jnp.promote_types(w.dtype, jnp.float32))
    kernel = jnp.einsum('ai,bj,ijxy->abxy', down, across, wide)
    kernel = kernel.astype(w.dtype)
    geometry = Geometry(small, kernel.shape[:2], 1, pads)
    return _forward(x, kernel, geometry)

  return conv_forms._side_by_side(
    [[phase(row, col) for col in cols] for row in rows]
  )


def _meeting(kernel: int, before: int, factor: int):
  """Returns the pixels that meet the entries of a kernel.

  Entry i of the kernel reads, for index factor * q + r of the result, the copy
  at factor * q + r + i - before. That is a copy of pixel q + o, rounded down.

  Returns:
    For each phase r the least o, and [pixels, kernel] with ones where an entry
    meets a pixel.
  """
  phases = []
  for phase in range(factor):
    offset = (phase + np.arange(kernel) - before) // factor
    pixels = np.arange(offset[0], offset[-1] + 1)
    sums = (offset == pixels[:, None]).astype(np.float32)
    phases.append((int(offset[0]), sums))
  return phases


def _is_covering(geometry: Geometry) -> bool:
  """Returns True if a kernel has more entries than the image has pixels.

  XLA then lets kernel and image change roles, and its CPU backend has no fast
  code for that.
  """
  return math.prod(geometry.kernel) > math.prod(geometry.size)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _forward(x, w, geometry: Geometry):
  """Computes F: [B, H, W, I] and [h, w, I, O] to [B, H', W', O]."""
  *_, inner, outer = w.shape
  plain = functools.partial(conv_forms._plain, geometry=geometry)
  if fourier_conv.is_worth(geometry, x.shape[0], inner, outer, x.dtype):
    ours = functools.partial(fourier_conv.forward, geometry=geometry)
  elif math.prod(geometry.kernel) > MOST_TAPS:
    return plain(x, w)
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
  """Computes T: [B, H', W', O] and [h, w, I, O] to [B, H, W, I]."""
  *_, inner, outer = w.shape
  plain = functools.partial(conv_forms._plain_transposed, geometry=geometry)
  is_small = math.prod(geometry.kernel) <= MOST_TAPS
  is_narrow = geometry.stride == 1 and inner <= FEW < outer
  if fourier_conv.is_worth(geometry, y.shape[0], inner, outer, y.dtype):
    ours = functools.partial(fourier_conv.transposed, geometry=geometry)
  elif is_small and (inner == 1 or is_narrow or _is_covering(geometry)):
    ours = functools.partial(conv_forms._to_patches, geometry=geometry)
  elif is_small and outer == 1 and geometry.stride == 1:
    ours = lambda y, w: conv_forms._of_patches(
      y, conv_forms._turned(w), geometry.mirrored
    )
  else:
    ours = functools.partial(conv_forms._as_pixels, geometry=geometry)
  return lax.platform_dependent(y, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel(x, y, geometry: Geometry):
  """Computes W: [B, H, W, I] and [B, H', W', O] to [h, w, I, O]."""
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
