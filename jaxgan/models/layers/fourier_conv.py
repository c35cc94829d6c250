"""Convolutions of small images by large kernels, as products of transforms.

A convolution is bilinear, so that constant tables A, B, C can give it as

  y = C' ((A x) * (B w)),

where the product is elementwise, or over channels one matrix product for each
row of the tables (Lavin and Gray 2016, https://arxiv.org/abs/1509.09308,
section 4). Here A and B are Fourier transforms over places (Mathieu et al.
2014, https://arxiv.org/abs/1312.5851), written out, for which images must be
small: 7 x 7 pixels and kernels of 5 x 5 meet in a cycle of 9 x 9 without
overlap, where 121 real products do the work of 1,225. Errors of rounding are no
larger.
"""

import functools
import math

import jax.numpy as jnp
import numpy as np

# Of the products of a convolution, at most. On one CPU core and on two, kernels
# of 5 at 7 x 7 pixels, which need 0.19 of them, are 3.6 to 4.2 and 2.3 to 3.7
# times as fast, those of 4 at 8 x 8 (0.33) 1.8 to 2.8 and 1.2 to 2.1, those of
# 3 there (0.45) 1.3 to 2.6 and 0.8 to 2.0: more of their time goes to memory.
WORTH = 0.4


def is_worth(geometry, batch: int, inner: int, outer: int, dtype) -> bool:
  """Whether transforms save enough of a convolution's products.

  Args:
    geometry: `conv.Geometry` of the convolution.
    batch: images; an export may leave it open, and then nothing is known.
    inner: channels of x.
    outer: channels of y.
    dtype: with 16 bits the tables would be too coarse.
  """
  is_coarse = jnp.finfo(dtype).bits < 32
  if geometry.stride > 1 or is_coarse or not isinstance(batch, int):
    return False
  places, taps, results = (
    math.prod(shape)
    for shape in (geometry.size, geometry.kernel, geometry.output)
  )
  rows = 1.5 * math.prod(_cycle(geometry))  # See `_tables`, nearly.
  products = rows * (
    batch * inner * outer
    + places * batch * inner
    + taps * inner * outer
    + results * batch * outer
  )
  return products <= WORTH * results * taps * batch * inner * outer


def forward(x, w, geometry):
  """[B, H, W, I] and [h, w, I, O] to [B, H', W', O]."""
  of_x, of_w, of_y = _tables(geometry)
  products = _of_images(of_x, x) @ _of_kernel(of_w, w)
  return _to_images(of_y, products, geometry.output)


def transposed(y, w, geometry):
  """The adjoint of `forward` in x: [B, H', W', O] to [B, H, W, I]."""
  of_x, of_w, of_y = _tables(geometry)
  y, w = _of_images(of_y, y), _of_kernel(of_w, w)
  return _to_images(of_x, y @ w.swapaxes(1, 2), geometry.size)


def kernel(x, y, geometry):
  """The adjoint of `forward` in w: to [h, w, I, O]."""
  of_x, of_w, of_y = _tables(geometry)
  products = _of_images(of_x, x).swapaxes(1, 2) @ _of_images(of_y, y)
  w = jnp.tensordot(of_w.T.astype(products.dtype), products, 1)
  return w.reshape(*geometry.kernel, *w.shape[1:])


def _of_images(table, x):
  """[rows, places] and [B, H, W, C] to [rows, B, C]."""
  batch, *_, channels = x.shape
  x = x.transpose(1, 2, 0, 3).reshape(-1, batch, channels)
  return jnp.tensordot(table.astype(x.dtype), x, 1)


def _of_kernel(table, w):
  """[rows, taps] and [h, w, I, O] to [rows, I, O]."""
  return jnp.tensordot(table.astype(w.dtype), w.reshape(-1, *w.shape[2:]), 1)


def _to_images(table, products, size):
  """[rows, places] and [rows, B, C] to [B, *size, C]."""
  x = jnp.tensordot(table.T.astype(products.dtype), products, 1)
  return x.reshape(*size, *x.shape[1:]).transpose(2, 0, 1, 3)


def _cycle(geometry) -> tuple[int, ...]:
  """The shortest cycles in which no place of x meets a wrong one of y."""
  return tuple(
    max(n, n + before, places + k - 1 - before)
    for n, k, places, (before, _) in zip(
      geometry.size,
      geometry.kernel,
      geometry.output,
      geometry.pads,
      strict=True,
    )
  )


@functools.lru_cache
def _tables(geometry) -> tuple[np.ndarray, ...]:
  """A, B, C: [rows, places] of x, w and y.

  A frequency has one row where its wave is real. Otherwise it stands for its
  mirror image, too, and has three: the product of x + iX and w + iW is
  P - X (w + W) + i (P + x (W - w)) with P = (x + X) w.
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
    a, b, c = (np.exp(1j * (places @ angles)) for places in (-x, w - before, y))
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
