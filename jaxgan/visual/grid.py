"""Draws many images, or a cloud of points, in one picture with a caption."""

import math
import re

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib

GAP = 2  # pixels between images
CAPTION = 22  # height of a caption line in pixels
MARGIN = 4  # pixels left and right of a caption
SHORTEST_SIDE = 560  # approximate shorter side of an enlarged grid in pixels
LONGEST_SIDE = 1_600  # limit of the longer side of an enlarged grid
CLOUD_SIDE = 560
# Points are drawn in [-CLOUD_RANGE, CLOUD_RANGE] on both axes.
CLOUD_RANGE = 1.3
DARK, LIGHT = 24, 232


def tile(images: np.ndarray, columns: int | None = None) -> np.ndarray:
  """Arranges images in a grid with gaps, in reading order.

  Args:
    images: uint8 [N, H, W, C] as files have them.
    columns: images in a row; by default the grid is nearly square.

  Returns:
    uint8 [rows * (H + GAP) - GAP, columns * (W + GAP) - GAP, C]. Unused cells
    and gaps are dark and opaque.
  """
  num, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(num))
  rows = -(-num // columns)
  shape = (rows * columns, height + GAP, width + GAP, channels)
  cells = np.full(shape, DARK, np.uint8)
  cells[..., 3:] = 255
  cells[:num, :height, :width] = images
  cells = cells.reshape(rows, columns, height + GAP, width + GAP, channels)
  picture = cells.transpose(0, 2, 1, 3, 4).reshape(
    rows * (height + GAP), columns * (width + GAP), channels
  )
  return picture[:-GAP, :-GAP]


def cloud(points: np.ndarray) -> np.ndarray:
  """Draws points [N, 2] as uint8 [CLOUD_SIDE, CLOUD_SIDE, 1], y upwards."""
  side = CLOUD_SIDE
  pixel = (np.asarray(points) / CLOUD_RANGE + 1.0) / 2.0 * (side - 1)
  pixel = np.rint(np.nan_to_num(pixel, nan=-1.0)).clip(-2, side + 1).astype(int)
  picture = np.full((side, side, 1), DARK, np.uint8)
  for dx in (0, 1):
    for dy in (0, 1):
      x, y = pixel[:, 0] + dx, side - 1 - pixel[:, 1] + dy
      inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
      picture[y[inside], x[inside]] = LIGHT
  return picture


def _lines(caption: str, font, width: int) -> list[str]:
  """Wraps a caption to `width` pixels; longer words keep their own line."""
  lines = ['']
  for word in re.split(r'(?<= )(?=[^ ])', caption):
    if lines[-1] and font.getlength(lines[-1] + word.rstrip()) > width:
      lines.append('')
    lines[-1] += word
  return lines


def draw(images, caption: str, columns: int | None = None) -> np.ndarray:
  """Draws images or points with a caption above.

  Args:
    images: [N, H, W, C] in [-1, 1], or [rows, columns, H, W, C] in [-1, 1], or
      points [N, 2].
    caption: the text, wrapped to the width of the picture.
    columns: images in a row.

  Returns:
    uint8 [height, width, 1, 3 or 4] as files have it.

  Raises:
    UserError: for arrays of other shapes, and for empty arrays.
  """
  images = np.asarray(images)
  is_right = images.ndim in (4, 5) and images.shape[-1] in (1, 3, 4)
  if not images.size or not (is_right or images.shape[1:] == (2,)):
    raise errors.UserError(
      f'images of shape {images.shape} cannot be drawn: the shape must be '
      '[N, H, W, 1, 3 or 4], [rows, columns, H, W, 1, 3 or 4], or [N, 2] of '
      'points'
    )
  if columns is not None and columns < 1:
    raise errors.UserError(f'columns={columns} must be at least 1')
  if images.ndim == 5:
    columns = images.shape[1]
    images = images.reshape(-1, *images.shape[2:])
  if images.ndim == 2:
    picture = cloud(images)
  else:
    picture = tile(pixels_lib.to_picture(images), columns)
    height, width, _ = picture.shape
    scale = min(
      SHORTEST_SIDE / min(height, width), LONGEST_SIDE / max(height, width)
    )
    scale = max(1, round(scale))
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
  _, width, channels = picture.shape
  font = ImageFont.load_default(size=14)
  lines = _lines(caption, font, width - 2 * MARGIN)
  bar = Image.new('L', (width, CAPTION * len(lines)), DARK)
  for number, line in enumerate(lines):
    corner = (MARGIN, 2 + CAPTION * number)
    ImageDraw.Draw(bar).text(corner, line, fill=LIGHT, font=font)
  bar = np.asarray(bar)[..., None].repeat(channels, axis=-1)
  bar[..., 3:] = 255
  return np.concatenate([bar, picture])


def _pillow(picture: np.ndarray) -> Image.Image:
  return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def show(images, caption: str = '', columns: int | None = None) -> Image.Image:
  """Returns the result of `draw` as an image that notebooks display."""
  return _pillow(draw(images, caption, columns))


def save(path, picture: np.ndarray) -> None:
  """Writes uint8 [height, width, 1, 3 or 4] as PNG, or no file at all."""
  with paths.replacing(path) as temporary:
    _pillow(picture).save(temporary, format='PNG')
