"""Source images that are derived from an image by NumPy functions."""

import numpy as np

from jaxgan import errors

# Weights of red, green and blue in brightness, ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


STEEP = 2.0  # slope of an edge, as a multiple of the image's mean slope
INK = 128  # least brightness of a figure
HOLE = 128  # mid-grey


def grey(image: np.ndarray) -> np.ndarray:
  """Converts uint8 [H, W, 1 or 3] to brightness, uint8 [H, W, 1]."""
  if image.shape[-1] == 1:
    return image
  return np.rint(image @ LUMA)[..., None].astype(np.uint8)


def _window(x: np.ndarray, dy: int, dx: int) -> np.ndarray:
  """Returns x[i + dy, j + dx] for steps -1, 0 or 1; repeats the border."""
  height, width = x.shape
  padded = np.pad(x, 1, mode='edge')
  return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def _weighted(x: np.ndarray, down, across) -> np.ndarray:
  """Correlates `x` with the 3 x 3 kernel that is the product of two vectors."""
  x = sum(w * _window(x, k - 1, 0) for k, w in enumerate(down))
  return sum(w * _window(x, 0, k - 1) for k, w in enumerate(across))


def edges(image: np.ndarray) -> np.ndarray:
  """Draws edges as black lines on white: uint8 [H, W, 1 or 3] to [H, W, 1].

  Canny 1986 (https://doi.org/10.1109/TPAMI.1986.4767851) with one threshold,
  relative to the image's mean slope. The image is blurred, Sobel filters give
  the slopes, and a pixel is kept if no neighbour along the slope is steeper.
  Lines are one pixel wide.
  """
  x = grey(image)[..., 0].astype(np.float32)
  x = _weighted(x, (0.25, 0.5, 0.25), (0.25, 0.5, 0.25))
  dy = _weighted(x, (-1, 0, 1), (1, 2, 1))
  dx = _weighted(x, (1, 2, 1), (-1, 0, 1))
  slope = np.hypot(dy, dx)
  # The nearest of four directions: right, down right, down, down left.
  sector = np.rint(np.arctan2(dy, dx) / (np.pi / 4)).astype(int) % 4
  is_ridge = np.zeros(slope.shape, bool)
  for k, (down, right) in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
    # Of two equal neighbours one is kept.
    is_peak = slope >= _window(slope, down, right)
    is_peak &= slope > _window(slope, -down, -right)
    is_ridge |= (sector == k) & is_peak
  is_edge = is_ridge & (slope > STEEP * slope.mean())
  return np.where(is_edge, 0, 255)[..., None].astype(np.uint8)


def outline(image: np.ndarray) -> np.ndarray:
  """Draws the border inside a bright figure, white on black: to [H, W, 1]."""
  ink = grey(image)[..., 0] >= INK
  steps = (0, 1), (1, 0), (0, -1), (-1, 0)
  neighbours = [_window(ink, *step) for step in steps]
  border = ink & ~np.logical_and.reduce(neighbours)
  return np.where(border, 255, 0)[..., None].astype(np.uint8)


def low_resolution(factor: int, image: np.ndarray) -> np.ndarray:
  """Averages squares of factor x factor pixels; keeps the shape.

  Raises:
    DataError: if the squares are larger than the image.
  """
  height, width, _ = image.shape
  if factor > max(height, width):
    raise errors.DataError(
      f"data.pair='low:{factor}' is larger than images of {height} x {width}. "
      f'Set at most low:{max(height, width)}.'
    )
  pads = [(0, -height % factor), (0, -width % factor), (0, 0)]
  x = np.pad(image.astype(np.float32), pads, mode='edge')
  rows, columns = x.shape[0] // factor, x.shape[1] // factor
  x = x.reshape(rows, factor, columns, factor, -1).mean(axis=(1, 3))
  x = np.rint(x).astype(np.uint8)
  return x.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]


def masked(size: int, image: np.ndarray) -> np.ndarray:
  """Fills size x size pixels in the centre with mid-grey; keeps the shape.

  Raises:
    DataError: if the square is larger than the image.
  """
  height, width, _ = image.shape
  if size > min(height, width):
    raise errors.DataError(
      f"data.pair='masked:{size}' is larger than images of {height} x {width}. "
      f'Set at most masked:{min(height, width)}.'
    )
  top, left = (height - size) // 2, (width - size) // 2
  hidden = image.copy()
  hidden[top : top + size, left : left + size] = HOLE
  return hidden


# name -> function of an image.
MADE = {'edges': edges, 'grey': grey, 'outline': outline}
# name -> function of a positive integer and an image.
MADE_BY_NUMBER = {'low': low_resolution, 'masked': masked}
