"""Many images, or a cloud of points, in one labelled picture."""

import math
import re

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib

GAP = 2  # pixels between images
CAPTION = 22  # pixels of a line above them
MARGIN = 4  # pixels left and right of it
SHORTEST_SIDE = 560  # small grids are enlarged to about this
LONGEST_SIDE = 1_600  # and flat ones no further than to this
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


def _lines(caption: str, font, width: int) -> list[str]:
  """The words of a caption in lines that are no wider, where words are not."""
  lines = ['']
  for word in re.split(r'(?<= )(?=[^ ])', caption):
    if lines[-1] and font.getlength(lines[-1] + word.rstrip()) > width:
      lines.append('')
    lines[-1] += word
  return lines


def draw(images, caption: str, columns: int | None = None) -> np.ndarray:
  """A picture uint8 [height, width, 1 or 3] with text above.

  Args:
    images: [N, H, W, C] in [-1, 1]; or [rows, columns, H, W, C], laid out; or
      points [N, 2].
    caption: the text; too long for a line it goes on in the next.
    columns: images in a row.

  Raises:
    UserError: for arrays of other shapes, and for none.
  """
  images = np.asarray(images)
  is_right = images.ndim in (4, 5) and images.shape[-1] in (1, 3)
  if not images.size or not (is_right or images.shape[1:] == (2,)):
    raise errors.UserError(
      f'images of shape {images.shape} can not be shown; they must be '
      '[N, H, W, 1 or 3], [rows, columns, H, W, 1 or 3], or points [N, 2]'
    )
  if columns is not None and columns < 1:
    raise errors.UserError(f'columns={columns} must be at least 1')
  if images.ndim == 5:
    columns = images.shape[1]
    images = images.reshape(-1, *images.shape[2:])
  if images.ndim == 2:
    picture = cloud(images)
  else:
    picture = tile(pixels_lib.to_uint8(images), columns)
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
  for place, line in enumerate(lines):
    at = (MARGIN, 2 + CAPTION * place)
    ImageDraw.Draw(bar).text(at, line, fill=LIGHT, font=font)
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
