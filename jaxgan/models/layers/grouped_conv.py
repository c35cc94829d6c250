"""Grouped convolutions whose gradients are fast on CPUs as well.

XLA's CPU backend has fast code for plain convolutions and for products, and
none for gradients of grouped convolutions, above all inside loops. So on CPUs
few groups are a few plain convolutions, and many groups are products of
patches. On other devices a grouped convolution is that of XLA.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.models.layers import conv, conv_forms

# Up to this number of groups a plain convolution is faster than products of
# patches; see benchmarks/README.md.
FEW_GROUPS = 4
# Fewest channels of a convolution, and most convolutions: each takes time to
# compile, and one of few channels is slow.
PART_CHANNELS, MOST_PARTS = 16, 8


def grouped_conv(x: jax.Array, w: jax.Array, groups: int) -> jax.Array:
  """Convolves groups of channels apart, with padding 'SAME'.

  Xie et al. 2017 (https://arxiv.org/abs/1611.05431), figure 3 (c).

  Args:
    x: images [B, H, W, I].
    w: kernel [h, w, I / groups, O].
    groups: number of groups, which divides I and O.

  Returns:
    Images [B, H, W, O].
  """
  few = groups // num_parts(x.shape[-1], groups) <= FEW_GROUPS
  ours = in_parts if few else of_patches
  return lax.platform_dependent(
    x,
    w,
    cpu=functools.partial(ours, groups=groups),
    default=functools.partial(plain, groups=groups),
  )


def plain(x, w, groups: int):
  """The convolution of XLA."""
  return lax.conv_general_dilated(
    x,
    w,
    (1, 1),
    'SAME',
    dimension_numbers=conv_forms.DIMENSIONS,
    feature_group_count=groups,
  )


def num_parts(channels: int, groups: int) -> int:
  """Returns the number of plain convolutions of `in_parts`."""
  return max(
    count
    for count in range(1, MOST_PARTS + 1)
    if groups % count == 0
    and (count == 1 or channels // count >= PART_CHANNELS)
  )


def in_parts(x, w, groups: int):
  """A plain convolution for each of a few parts of the channels."""
  parts = num_parts(x.shape[-1], groups)
  pairs = zip(
    jnp.split(x, parts, axis=-1), jnp.split(w, parts, axis=-1), strict=True
  )
  results = [block_diagonal(*pair, groups // parts) for pair in pairs]
  return jnp.concatenate(results, axis=-1)


def block_diagonal(x, w, groups: int):
  """A plain convolution, whose kernel is zero between groups."""
  height, width, inner, outer = w.shape
  blocks = w.reshape(height, width, 1, inner, groups, outer // groups)
  same = jnp.eye(groups, dtype=w.dtype).reshape(1, 1, groups, 1, groups, 1)
  full = (blocks * same).reshape(height, width, groups * inner, outer)
  return conv.conv(x, full)


def of_patches(x, w, groups: int):
  """A product of patches for each group."""
  height, width, inner, outer = w.shape
  batch, rows, columns, _ = x.shape
  pads = [((k - 1) // 2, k // 2) for k in (height, width)]
  padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
  patches = [
    padded[:, row : row + rows, column : column + columns]
    for row in range(height)
    for column in range(width)
  ]
  shape = (batch * rows * columns, groups, inner)
  patches = jnp.concatenate([p.reshape(shape) for p in patches], axis=2)
  kernel = w.reshape(height * width * inner, groups, outer // groups)
  y = jnp.einsum('ngk,kgo->ngo', patches, kernel)
  return y.reshape(batch, rows, columns, outer)
