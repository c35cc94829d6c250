"""Convolutions whose gradients are fast on CPUs as well.

XLA's CPU backend computes plain convolutions well; their transposes and kernel
gradients it computes up to a hundred times slower, above all inside loops. A
strided convolution y = F(x, w) is bilinear, and so are its two adjoints,

  T(y, w) = dF/dx^T y, the transposed convolution, and
  W(x, y) = dF/dw^T y, the kernel gradient;

each is the derivative of the others, which closes the set for derivatives of
any order (reverse mode). Here T is, on CPUs, one plain convolution that gives
the stride x stride pixels of every place as channels (Shi et al. 2016,
https://arxiv.org/abs/1609.05158), and W is a matrix product for each row of the
kernel, or for each of its entries. Images of one channel, and those smaller
than the kernel, are cut into patches: F and T are one matrix product. Where the
stride is 1, T is F with the kernel turned around, so that x and y can change
places: whichever has fewer channels is the one that is cut or shifted.
Elsewhere all are XLA's own.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
NARROW = 64  # rows of a product of W
# Of the products of an enlarged image, at least. Rounds per second over those
# without, in turns on two CPU cores: where kernels of 3 save 42 to 49 %, 1.86
# (DCGAN with resize-convolutions) and 1.22 (autoencoder); where kernels of 4
# save at most 36 %, 1.10 (the U-Net of the CCGAN tutorial).
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
  factor = factors[0]
  (rows, top), (cols, left) = (
    _meeting(k, (k - 1) // 2, f) for k, f in zip(sides, factors, strict=True)
  )
  pads = tuple(
    (-int(first.min()), int(first.max()) + len(index) - 1)
    for index, first in ((rows, top), (cols, left))
  )
  geometry = Geometry(small, (len(rows), len(cols)), 1, pads)
  products = math.prod(geometry.kernel) * math.prod(geometry.output)
  saved = 1 - products / (math.prod(sides) * math.prod(small))
  if size != (small[0] * factor, small[1] * factor) or saved < SAVED:
    x = jnp.repeat(jnp.repeat(x, factors[0], axis=1), factors[1], axis=2)
    return conv(x[:, : size[0], : size[1]], w)
  rows, cols = rows.astype(w.dtype), cols.astype(w.dtype)
  kernel = jnp.einsum('ari,bcj,ijxy->abxrcy', rows, cols, w)
  found = _forward(x, kernel.reshape(*kernel.shape[:3], -1), geometry)
  return _side_by_side(found, _phases(found, factor, top, left, small))


def _meeting(kernel: int, before: int, factor: int):
  """Which entries of a kernel meet which pixel, by the phase of the result.

  Place factor * q + r of the result sees by entry i the copy at
  factor * q + r + i - before, which is one of pixel q + o, rounded down.

  Returns:
    [entries, factor, kernel], 1 where that is pixel `first` + entry; and the
    offset of the first, [factor].
  """
  offset = (np.arange(factor)[:, None] + np.arange(kernel) - before) // factor
  first = offset[:, 0]
  entries = int((offset[:, -1] - first).max()) + 1
  place = first[:, None] + np.arange(entries)[:, None, None]
  return (offset == place).astype(np.float32), first


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
  if inner == 1 or _is_covering(geometry):
    patches = functools.partial(_of_patches, geometry=geometry)
  elif outer == 1 and geometry.stride == 1:
    patches = lambda x, w: _to_patches(x, _turned(w), geometry.mirrored)
  else:
    return plain(x, w)
  return lax.platform_dependent(x, w, cpu=patches, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transposed(y, w, geometry: Geometry):
  """T: [B, H', W', O] and [h, w, I, O] to [B, H, W, I]."""
  *_, inner, outer = w.shape
  plain = functools.partial(_plain_transposed, geometry=geometry)
  if inner == 1 or _is_covering(geometry):
    ours = functools.partial(_to_patches, geometry=geometry)
  elif outer == 1 and geometry.stride == 1:
    ours = lambda y, w: _of_patches(y, _turned(w), geometry.mirrored)
  else:
    ours = functools.partial(_as_pixels, geometry=geometry)
  return lax.platform_dependent(y, w, cpu=ours, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel(x, y, geometry: Geometry):
  """W: [B, H, W, I] and [B, H', W', O] to [h, w, I, O]."""
  return lax.platform_dependent(
    x,
    y,
    cpu=functools.partial(_as_products, geometry=geometry),
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


def _touching(kernel: int, before: int, stride: int):
  """Entries of a kernel by the phase of the pixels that they touch.

  Pixel s * q + r of x is touched by entry i of the kernel at place o of y where
  i - before = s * (q - o) + r: entry i has phase r and offset o - q.

  Returns:
    index [entries, stride]: which entry of the kernel is which entry of each
    phase's own, `kernel` for none; and the offset of the first, [stride].
  """
  place = np.arange(kernel) - before
  phase, offset = place % stride, -(place // stride)
  # A phase without entries (a stride beyond the kernel) starts anywhere.
  found = [
    offset[phase == r] if r in phase else offset[:1] for r in range(stride)
  ]
  entries = max(int(np.ptp(each)) + 1 for each in found)
  # As close together as they fit, so that less is computed in vain.
  start = max(int(each.max()) for each in found) - entries + 1
  first = np.array([min(start, int(each.min())) for each in found])
  index = np.full((entries, stride), kernel)
  index[offset - first[phase], phase] = np.arange(kernel)
  return index, first


class Phases(NamedTuple):
  """Places of a larger image that lie alike to those of a smaller one.

  Attributes:
    size: (height, width) of the smaller one.
    factor: phases in each direction.
    top: where the rows of each phase start, [factor], the first at 0.
    left: and the columns.
    blocks: (rows, columns) of each phase.
  """

  size: tuple[int, int]
  factor: int
  top: tuple[int, ...]
  left: tuple[int, ...]
  blocks: tuple[int, int]


def _phases(x, factor: int, top, left, blocks) -> Phases:
  """Of x [B, h, w, ...]; top and left, arrays, may start anywhere."""
  top, left = (tuple((start - start.min()).tolist()) for start in (top, left))
  return Phases(x.shape[1:3], factor, top, left, blocks)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _side_by_side(x, phases: Phases):
  """Phases as channels [B, h, w, factor^2 * C] to pixels [B, H, W, C].

  With an adjoint of its own, as that of slices is a sum of padded images.
  """
  s, (rows, cols) = phases.factor, phases.blocks
  x = x.reshape(*x.shape[:3], s, s, -1)
  x = jnp.stack(
    [
      jnp.stack(
        [
          x[:, a : a + rows, b : b + cols, r, c]
          for c, b in enumerate(phases.left)
        ],
        axis=3,
      )
      for r, a in enumerate(phases.top)
    ],
    axis=2,
  )
  return x.reshape(x.shape[0], rows * s, cols * s, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _apart(y, phases: Phases):
  """The adjoint: pixels [B, H, W, C] to phases [B, h, w, factor^2 * C]."""
  s, (rows, cols) = phases.factor, phases.blocks
  y = y.reshape(y.shape[0], rows, s, cols, s, -1)
  height, width = phases.size
  parts = [
    jnp.pad(
      y[:, :, r, :, c],
      ((0, 0), (a, height - rows - a), (b, width - cols - b), (0, 0)),
    )
    for r, a in enumerate(phases.top)
    for c, b in enumerate(phases.left)
  ]
  return jnp.concatenate(parts, axis=-1)


_side_by_side.defvjp(
  lambda x, phases: (_side_by_side(x, phases), None),
  lambda phases, unused, y: (_apart(y, phases),),
)
_apart.defvjp(
  lambda y, phases: (_apart(y, phases), None),
  lambda phases, unused, x: (_side_by_side(x, phases),),
)


def _as_pixels(y, w, geometry):
  """T as a plain convolution of y whose channels are then put side by side.

  Each of the stride x stride phases has a kernel of its own, and its own place
  where it starts.
  """
  s = geometry.stride
  inner = w.shape[2]
  (rows, top), (cols, left) = (
    _touching(k, before, s)
    for k, (before, _) in zip(geometry.kernel, geometry.pads, strict=True)
  )
  w = jnp.pad(w, ((0, 1), (0, 1), (0, 0), (0, 0)))  # Past the last is zero.
  kernel = w[rows[:, None, :, None], cols[None, :, None, :]]
  # [entries, entries, stride, stride, inner, outer], outer comes in.
  kernel = kernel.transpose(0, 1, 5, 2, 3, 4)
  kernel = kernel.reshape(*kernel.shape[:3], s * s * inner)
  blocks = tuple(-(-n // s) for n in geometry.size)
  pads = tuple(
    (-int(first.min()), int(first.max()) + count + len(index) - 1 - n)
    for index, first, count, n in zip(
      (rows, cols), (top, left), blocks, y.shape[1:3], strict=True
    )
  )
  x = lax.conv_general_dilated(
    y, kernel, (1, 1), pads, dimension_numbers=DIMENSIONS
  )
  x = _side_by_side(x, _phases(x, s, top, left, blocks))
  return x[:, : geometry.size[0], : geometry.size[1]]


def _shifted(x, geometry):
  """Images as entry (i, j) of the kernel meets them, [B * H' * W', I]."""
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

  return part


def _patches(x, geometry):
  """[B, H, W, I] to what every place of y sees, [B * H' * W', h * w * I]."""
  part = _shifted(x, geometry)
  entries = np.ndindex(geometry.kernel)
  return jnp.concatenate([part(i, j) for i, j in entries], axis=-1)


def _of_patches(x, w, geometry):
  """F as one product."""
  y = _patches(x, geometry) @ w.reshape(-1, w.shape[-1])
  return y.reshape(x.shape[0], *geometry.output, -1)


def _to_patches(y, w, geometry):
  """T as one product, whose patches are then added where they overlap."""
  like = jax.ShapeDtypeStruct((y.shape[0], *geometry.size, w.shape[2]), y.dtype)
  spread = jax.linear_transpose(lambda x: _patches(x, geometry), like)
  return spread(y.reshape(-1, y.shape[-1]) @ w.reshape(-1, w.shape[-1]).T)[0]


def _as_products(x, y, geometry):
  """W as products of shifted images with y, summed over batch and places.

  As many entries of w are joined as it takes for a product that is not narrow.
  Of a stride of 1 the images with fewer channels are those that are shifted.
  """
  height, width = geometry.kernel
  inner, outer = x.shape[-1], y.shape[-1]
  if geometry.stride == 1 and outer < inner:
    return _turned(_as_products(y, x, geometry.mirrored))
  y = y.reshape(-1, outer)

  def product(part):
    return lax.dot_general(part, y, (((0,), (0,)), ((), ())))

  part = _shifted(x, geometry)
  if inner * width < NARROW:
    found = [product(_patches(x, geometry))]
  elif inner < NARROW:
    found = [
      product(jnp.concatenate([part(i, j) for j in range(width)], axis=-1))
      for i in range(height)
    ]
  else:
    found = [product(part(i, j)) for i, j in np.ndindex(height, width)]
  return jnp.stack(found).reshape(height, width, inner, outer)
