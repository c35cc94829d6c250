"""Many images, or a cloud of points, in one labelled picture."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.data import sampling

GAP = 2  # pixels between images
CAPTION = 22  # pixels above them
SHORTEST_SIDE = 560  # small grids are enlarged to at least this
CLOUD_SIDE = 560
# Points are drawn in [-CLOUD_RANGE, CLOUD_RANGE] on both axes.
CLOUD_RANGE = 1.3
DARK, LIGHT = 24, 232


def tile(images: np.ndarray, columns: int | None = None) -> np.ndarray:
  """Images [N, H, W, C] uint8 in rows of `columns`: [rows * H, ..., C].

  Without `columns` the grid is as square as it can be. Cells that are left over
  are dark.
  """
  num, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(num))
  rows = -(-num // columns)
  shape = (rows * columns, height + GAP, width + GAP, channels)
  cells = np.full(shape, DARK, np.uint8)
  cells[:num, :height, :width] = images
  cells = cells.reshape(rows, columns, height + GAP, width + GAP, channels)
  whole = cells.transpose(0, 2, 1, 3, 4).reshape(
    rows * (height + GAP), columns * (width + GAP), channels
  )
  return whole[:-GAP, :-GAP]


def cloud(points: np.ndarray) -> np.ndarray:
  """Points [N, 2] as a picture, up is positive."""
  side = CLOUD_SIDE
  place = (np.asarray(points) / CLOUD_RANGE + 1.0) / 2.0 * (side - 1)
  place = np.rint(np.nan_to_num(place, nan=-1.0)).clip(-2, side + 1).astype(int)
  picture = np.full((side, side, 1), DARK, np.uint8)
  for dx in (0, 1):
    for dy in (0, 1):
      x, y = place[:, 0] + dx, side - 1 - place[:, 1] + dy
      inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
      picture[y[inside], x[inside]] = LIGHT
  return picture


def draw(images, caption: str, columns: int | None = None) -> np.ndarray:
  """A picture uint8 [height, width, 1 or 3] with a line of text above.

  Args:
    images: [N, H, W, C] in [-1, 1]; or [rows, columns, H, W, C], laid out; or
      points [N, 2].
    caption: the line.
    columns: images in a row.
  """
  images = np.asarray(images)
  if images.ndim == 5:
    columns = images.shape[1]
    images = images.reshape(-1, *images.shape[2:])
  if images.ndim == 2:
    picture = cloud(images)
  else:
    picture = tile(sampling.to_uint8(images), columns)
    scale = max(1, round(SHORTEST_SIDE / min(picture.shape[:2])))
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
  _, width, channels = picture.shape
  bar = Image.new('L', (width, CAPTION), DARK)
  font = ImageFont.load_default(size=14)
  ImageDraw.Draw(bar).text((4, 2), caption, fill=LIGHT, font=font)
  bar = np.asarray(bar)[..., None].repeat(channels, axis=-1)
  return np.concatenate([bar, picture])


def _pillow(picture: np.ndarray) -> Image.Image:
  return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def show(images, caption: str = '', columns: int | None = None) -> Image.Image:
  """The picture that `draw` makes of images, as notebooks display it."""
  return _pillow(draw(images, caption, columns))


def save(path, picture: np.ndarray) -> None:
  """Writes uint8 [height, width, 1 or 3] as PNG, whole or not at all."""
  temporary = path.with_name(f'.{path.name}.tmp')
  _pillow(picture).save(temporary, format='PNG')
  temporary.replace(path)
