"""Holes in images."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import noise


class Holes(NamedTuple):
  """Positions of missing pixels.

  Attributes:
    corner: int [B, 2], top left of each hole.
    known: bool [B, H, W, 1], True outside of the hole.
  """

  corner: jax.Array
  known: jax.Array


def holes(
  key,
  count: int,
  shape: tuple[int, ...],
  size: int,
) -> Holes:
  """Draws a hole for each example, uniform over all positions in the image.

  Args:
    key: noise key. Hole i depends on the key and on i, the index in the global
      batch, alone.
    count: examples on this device.
    shape: (H, W, ...) of the images.
    size: side of the hole, in 1..min(H, W).
  """
  height, width = shape[:2]
  u = noise.uniform(key, count, (2,))
  free = np.array([height, width]) - size + 1
  corner = jnp.floor(u * free[None]).astype(int)

  def inside(first, length):  # [B, length]
    offset = jnp.arange(length)[None] - first[:, None]
    return (offset >= 0) & (offset < size)

  rows = inside(corner[:, 0], height)[:, :, None, None]
  columns = inside(corner[:, 1], width)[:, None, :, None]
  return Holes(corner, ~(rows & columns))


def cut(image, corner, size: int):
  """Returns the pixels in the holes: [B, H, W, C] to [B, size, size, C]."""

  def of_image(image, corner):
    return jax.lax.dynamic_slice(
      image, (*corner, 0), (size, size, image.shape[-1])
    )

  return jax.vmap(of_image)(image, corner)


def complete(image, output, where: Holes):
  """Returns `image` [B, H, W, C] with the output's pixels in the holes.

  Denton et al. 2016 (https://arxiv.org/abs/1611.06430), section 3.2.

  Args:
    image: images.
    output: full images [B, H, W, C], or patches [B, S, S, C] of the holes.
    where: the holes.
  """
  if output.shape == image.shape:
    return jnp.where(where.known, image, output)

  def paste(image, patch, corner):
    return jax.lax.dynamic_update_slice(image, patch, (*corner, 0))

  return jax.vmap(paste)(image, output, where.corner)


def inputs(
  image,
  where: Holes,
  key,
  value: float = 0.0,
  channel: bool = False,
  noise_channels: int = 0,
):
  """Returns a generator's inputs: images with holes, and further channels.

  Args:
    image: [B, H, W, C].
    where: the holes.
    key: noise key; row i follows example i.
    value: fills the holes.
    channel: True to append a channel of 1 for known pixels and 0 for others.
    noise_channels: number of channels of Gaussian noise to append.

  Returns:
    [B, H, W, C + channel + noise_channels].
  """
  seen = [jnp.where(where.known, image, value)]
  if channel:
    seen.append(where.known.astype(image.dtype))
  if noise_channels:
    shape = (*image.shape[1:3], noise_channels)
    seen.append(noise.normal(key, image.shape[0], shape))
  return jnp.concatenate(seen, axis=-1)


RANDOM_SHARE = 0.8  # of the pixels, removed by 'random'
GRID_STEP = 4


def _random(key, count, shape):
  return noise.uniform(key, count, (*shape[:2], 1)) >= RANDOM_SHARE


def _everywhere(known, count):
  """Repeats a mask [H, W] for all images."""
  known = jnp.asarray(known)[None, :, :, None]
  return jnp.broadcast_to(known, (count, *known.shape[1:]))


def _centre(key, count, shape):
  del key
  height, width = shape[:2]
  known = np.ones((height, width), bool)
  rows, columns = height // 4, width // 4
  known[rows : height - rows, columns : width - columns] = False
  return _everywhere(known, count)


def _half(key, count, shape):
  del key
  known = np.ones(shape[:2], bool)
  known[:, : shape[1] // 2] = False
  return _everywhere(known, count)


def _grid(key, count, shape):
  del key
  known = np.zeros(shape[:2], bool)
  known[::GRID_STEP, ::GRID_STEP] = True
  return _everywhere(known, count)


# Tests of completion (Yeh et al. 2017, https://arxiv.org/abs/1607.07539,
# section 4, and code of Amos): name -> (key, count, (H, W, ...)) -> bool
# [count, H, W, 1], True for known pixels. Missing are four fifths at random,
# the middle half of both sides, the left half, or all pixels but every fourth
# of every fourth row.
PATTERNS = {
  'random': _random,
  'centre': _centre,
  'half': _half,
  'grid': _grid,
}
