"""Convolutions of small images by large kernels, as products of transforms.

A convolution is bilinear, so it can be written with constant tables A, B, C:

  y = C' ((A x) * (B w)),

where the product is elementwise, or one matrix product over channels for each
row of the tables (Lavin and Gray 2016, https://arxiv.org/abs/1509.09308,
section 4). A and B are Fourier transforms over pixels (Mathieu et al. 2014,
https://arxiv.org/abs/1312.5851) as tables, so images must be small. For
example, 7 x 7 pixels and kernels of 5 x 5 meet in a cycle of 9 x 9 without
overlap. There 121 real products do the work of 1,225.

Rounding errors belong to an image and not to a pixel: each is within 1e-6 of
the largest result of the image. A sum of products has smaller errors at pixels
whose own products are small, for example far from a bright spot.
"""

import functools
import math

import jax.numpy as jnp
import numpy as np

# Largest share of the products of a convolution for which transforms are used;
# see benchmarks/README.md.
WORTH = 0.4
# Most entries of the tables, which are constants of the program.
MOST_ENTRIES = 2**22


def is_worth(geometry, batch: int, inner: int, outer: int, dtype) -> bool:
  """Returns True if transforms save enough of a convolution's products.

  Args:
    geometry: `conv.Geometry` of the convolution.
    batch: images; a symbol in an export of any batch size returns False.
    inner: channels of x.
    outer: channels of y.
    dtype: dtype of x and w; 16 bits are too coarse and return False.
  """
  is_coarse = jnp.finfo(dtype).bits < 32
  if geometry.stride > 1 or is_coarse or not isinstance(batch, int):
    return False
  pixels, taps, results = (
    math.prod(shape)
    for shape in (geometry.size, geometry.kernel, geometry.output)
  )
  rows = 1.5 * math.prod(_cycle(geometry))  # Estimate, see `_tables`.
  if rows * (pixels + taps + results) > MOST_ENTRIES:
    return False
  products = rows * (
    batch * inner * outer
    + pixels * batch * inner
    + taps * inner * outer
    + results * batch * outer
  )
  return products <= WORTH * results * taps * batch * inner * outer


def forward(x, w, geometry):
  """Convolves [B, H, W, I] by [h, w, I, O] to [B, H', W', O]."""
  of_x, of_w, of_y = _tables(geometry)
  products = _of_images(of_x, x) @ _of_kernel(of_w, w)
  return _to_images(of_y, products, geometry.output)


def transposed(y, w, geometry):
  """Computes the adjoint of `forward` in x: [B, H', W', O] to [B, H, W, I]."""
  of_x, of_w, of_y = _tables(geometry)
  y, w = _of_images(of_y, y), _of_kernel(of_w, w)
  return _to_images(of_x, y @ w.swapaxes(1, 2), geometry.size)


def kernel(x, y, geometry):
  """Computes the adjoint of `forward` in w: [h, w, I, O]."""
  of_x, of_w, of_y = _tables(geometry)
  products = _of_images(of_x, x).swapaxes(1, 2) @ _of_images(of_y, y)
  w = jnp.tensordot(of_w.T.astype(products.dtype), products, 1)
  return w.reshape(*geometry.kernel, *w.shape[1:])


def _of_images(table, x):
  """Applies a table [rows, pixels] to [B, H, W, C]: [rows, B, C]."""
  batch, *_, channels = x.shape
  x = x.transpose(1, 2, 0, 3).reshape(-1, batch, channels)
  return jnp.tensordot(table.astype(x.dtype), x, 1)


def _of_kernel(table, w):
  """Applies a table [rows, taps] to [h, w, I, O]: [rows, I, O]."""
  return jnp.tensordot(table.astype(w.dtype), w.reshape(-1, *w.shape[2:]), 1)


def _to_images(table, products, size):
  """Applies the transpose of a table to [rows, B, C]: [B, *size, C]."""
  x = jnp.tensordot(table.T.astype(products.dtype), products, 1)
  return x.reshape(*size, *x.shape[1:]).transpose(2, 0, 1, 3)


def _cycle(geometry) -> tuple[int, ...]:
  """Returns the shortest cycles without overlap, by axis."""
  return tuple(
    max(n, n + before, side + k - 1 - before)
    for n, k, side, (before, _) in zip(
      geometry.size,
      geometry.kernel,
      geometry.output,
      geometry.pads,
      strict=True,
    )
  )


@functools.lru_cache
def _tables(geometry) -> tuple[np.ndarray, ...]:
  """Returns A, B and C, tables [rows, pixels] for x, w and y.

  A frequency whose wave is real has one row. Any other frequency has three
  rows, which include those of its mirror image. The product of x + iX and
  w + iW is P - X (w + W) + i (P + x (W - w)) with P = (x + X) w.
  """
  cycle = np.array(_cycle(geometry))
  before = np.array([before for before, _ in geometry.pads])
  x, w, y = (
    np.array(list(np.ndindex(*shape)))
    for shape in (geometry.size, geometry.kernel, geometry.output)
  )
  rows = []
  for frequency in np.ndindex(*cycle):
    mirrored = tuple(-np.array(frequency) % cycle)
    if mirrored < frequency:
      continue
    angles = 2 * np.pi * np.array(frequency) / cycle
    a, b, c = (np.exp(1j * (pixels @ angles)) for pixels in (-x, w - before, y))
    c = c / math.prod(cycle)
    if mirrored == frequency:
      rows.append((a.real, b.real, c.real))
    else:
      rows += [
        (a.real + a.imag, b.real, 2 * (c.real - c.imag)),
        (a.real, b.imag - b.real, -2 * c.imag),
        (a.imag, b.real + b.imag, -2 * c.real),
      ]
  return tuple(np.array(table) for table in zip(*rows, strict=True))
