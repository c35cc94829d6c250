"""Decodes image files safely to uint8 arrays of one shape."""

import contextlib
import os
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib

RESIZES = ('crop', 'stretch')
# Pillow recognises formats by content. Some others, such as EPS, are decoded by
# an external program.
FORMATS = (
  *('AVIF', 'BMP', 'GIF', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'TIFF', 'WEBP'),
)
MOST_BYTES = 2**28
BYTES_PER_PIXEL = 8  # of a file that is not compressed
_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 258, 262, 339
_SIGNED = 2
# Orientation in the EXIF data -> the operation that turns a picture upright.
_UPRIGHT = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}
_pillow_limit = threading.Lock()
GREY_MODES = ('1', 'L', 'LA', 'La', 'I', 'F')


def is_grey(mode: str) -> bool:
  """Returns True for Pillow modes without colour."""
  return mode in GREY_MODES or mode.startswith('I;16')


def _open(path) -> Image.Image:
  """Opens a file of one of the `FORMATS`, of any number of pixels."""
  with warnings.catch_warnings():
    # Pillow warns of very large images, and of broken entries beside pixels.
    warnings.simplefilter('ignore')
    try:
      return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
      pass
    with _no_pillow_limit():
      return Image.open(path, formats=FORMATS)


@contextlib.contextmanager
def _no_pillow_limit():
  """Lifts Pillow's limit of pixels, a global variable. Callers have limits."""
  with _pillow_limit:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
      yield
    finally:
      Image.MAX_IMAGE_PIXELS = limit


def load_pixels(picture: Image.Image) -> None:
  """Decodes an open picture of any number of pixels."""
  try:
    picture.load()
  except Image.DecompressionBombError:
    with _no_pillow_limit():
      picture.load()


def is_picture(path) -> bool:
  """Returns True if the content of a file begins as one of the `FORMATS`."""
  try:
    _open(path).close()
  except Exception:  # Pillow's plugins raise errors of any type.
    return False
  return True


def open_header(path, max_pixels: int) -> Image.Image:
  """Opens an image file without decoding the pixels.

  Raises:
    DataError: with the path, if the file has none of the `FORMATS`, has more
      than `max_pixels`, or more bytes than so many pixels need.
  """
  try:
    num_bytes = os.stat(path).st_size
  except OSError as error:
    raise errors.DataError(f'{path}: unreadable ({error.strerror})') from None
  most_bytes = max(MOST_BYTES, BYTES_PER_PIXEL * max_pixels)
  if num_bytes > most_bytes:
    raise errors.DataError(
      f'{path}: {num_bytes} bytes are more than the limit of {most_bytes} for '
      f'data.max_pixels={max_pixels}'
    )
  try:
    picture = _open(path)
  except Exception as error:  # Pillow's plugins raise errors of any type.
    reason = str(error).replace(str(path), '').strip(" '") or 'no image'
    raise errors.DataError(f'{path}: unreadable ({reason})') from None
  if picture.format == 'TIFF':
    picture.filename = ''  # Pillow 13 mixes up rows of mapped, rotated files.
  width, height = picture.size
  if width * height > max_pixels:
    picture.close()
    raise errors.DataError(
      f'{path}: {width} x {height} pixels are more than '
      f'data.max_pixels={max_pixels}'
    )
  return picture


def _orientation(picture: Image.Image) -> int:
  """Returns the orientation in the EXIF data; 1 if there is none."""
  if picture.format == 'TIFF':
    return 1  # Pillow turns these itself.
  try:
    return int(picture.getexif().get(_ORIENTATION, 1))
  except Exception:  # The pixels of a file with broken EXIF data are fine.
    return 1


def upright_size(picture: Image.Image) -> tuple[int, int]:
  """Returns (height, width) after the rotation in the EXIF data."""
  width, height = picture.size
  is_sideways = _orientation(picture) in (5, 6, 7, 8)
  return (width, height) if is_sideways else (height, width)


def _is_signed(picture: Image.Image) -> bool:
  if picture.format != 'TIFF':
    return False
  return picture.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED


def stored_range(picture: Image.Image) -> tuple[float, float] | None:
  """Returns the values of black and white that the format defines.

  Returns:
    None for pictures of 8 bits without a sign. (0, 1) for floats, whose formats
    define no range.
  """
  if picture.mode == 'F':
    return 0, 1
  if _is_signed(picture) and picture.mode == 'L':
    return 0, 127
  if picture.mode != 'I' and not picture.mode.startswith('I;16'):
    return None
  bits = 16
  if picture.format == 'TIFF':
    bits = picture.tag_v2.get(_BITS, (16,))[0]
    bits -= _is_signed(picture)
  return 0, 2**bits - 1


def has_deep_colour(picture: Image.Image) -> bool:
  """Returns True for colours of 16 bits, of which Pillow reads the first 8."""
  return stored_range(picture) is None and any(
    ';16' in str(tile[3]) for tile in picture.tile
  )


def stored_values(picture: Image.Image) -> np.ndarray:
  """Returns the values of a picture of more than 8 bits, float64 [H, W].

  Raises:
    DataError: for values that are not finite.
  """
  load_pixels(picture)
  values = np.asarray(picture)
  if values.dtype == np.uint8:
    values = values.view(np.int8)
  values = values.astype(np.float64)
  if picture.format == 'TIFF':
    low, high = stored_range(picture)
    if picture.mode == 'I' and high == 2**32 - 1:
      values = np.where(values < 0, values + 2**32, values)
    if picture.tag_v2.get(_PHOTOMETRIC) == 0:  # White is zero.
      values = low + high - values
  if not np.isfinite(values).all():
    raise errors.DataError('some values are not finite')
  return values


def _by_range(picture: Image.Image, value_range) -> Image.Image:
  """Converts a picture of more than 8 bits to mode 'L'.

  Args:
    picture: an open picture.
    value_range: black and white; () for those of the format.

  Raises:
    DataError: for values out of the range of the format.
  """
  values = stored_values(picture)
  low, high = value_range or stored_range(picture)
  least, most = values.min(initial=high), values.max(initial=low)
  if not value_range and (least < low or most > high):
    raise errors.DataError(
      f'values from {least:g} to {most:g} are not in {low:g}..{high:g}; set '
      'data.range to black and white'
    )
  grey = np.clip(np.rint((values - low) * (255.0 / (high - low))), 0, 255)
  clear = picture.info.get('transparency')
  if isinstance(clear, int):
    grey = np.where(values == clear, 255.0, grey)
  return Image.fromarray(grey.astype(np.uint8), 'L')


def _eight_bit(picture: Image.Image, channels: int, value_range):
  """Converts to mode 'L', 'RGB' or 'RGBa', whose colours are premultiplied.

  Without a channel of transparency, transparent parts become white.
  """
  if stored_range(picture) is not None:
    picture = _by_range(picture, value_range)
  if channels == 4:
    return picture.convert('RGBA').convert('RGBa')
  if picture.mode in ('LA', 'La', 'PA', 'RGBA', 'RGBa') or (
    'transparency' in picture.info
  ):
    picture = picture.convert('RGBA')
    white = Image.new('RGBA', picture.size, (255, 255, 255, 255))
    picture = Image.alpha_composite(white, picture).convert('RGB')
  return picture.convert('L' if channels == 1 else 'RGB')


def asked_size(settings) -> tuple[int, int] | None:
  """Returns the (height, width) of a file that `config.data` sets, or None.

  With data.pair='halves:...' a file holds two images side by side, and its
  width is twice `image_size`.
  """
  side = settings.image_size
  halves = settings.get('pair', '').startswith('halves')
  return (side, 2 * side if halves else side) if side else None


def fit(picture: Image.Image, size: tuple[int, int], resize: str):
  """Scales the whole image ('stretch') or its centre ('crop') to `size`.

  Args:
    picture: an open image.
    size: (height, width).
    resize: one of `RESIZES`.
  """
  height, width = size
  if picture.size == (width, height):
    return picture
  if resize == 'stretch':
    return picture.resize((width, height), Image.Resampling.LANCZOS)
  return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def conform(
  pixels: np.ndarray, shape: tuple[int, int, int], resize: str
) -> np.ndarray:
  """Converts uint8 [H, W, 1, 3 or 4] to `shape`, as `decode` does files."""
  if pixels.shape == shape and not pixels_lib.is_transparent(shape):
    return pixels
  squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
  return decode(Image.fromarray(squeezed), shape[:2], shape[2], resize)


def decode(
  picture: Image.Image,
  size: tuple[int, int],
  channels: int,
  resize: str,
  value_range: tuple[float, ...] = (),
) -> np.ndarray:
  """Decodes an open image to uint8 [height, width, channels].

  With four channels, colours are premultiplied, see `core.pixels`.

  Args:
    picture: the result of `open_header`.
    size: (height, width) of the result.
    channels: 1, 3 or 4.
    resize: one of `RESIZES`.
    value_range: black and white of pictures of more than 8 bits; () for those
      of the format.
  """
  operation = _UPRIGHT.get(_orientation(picture))
  load_pixels(picture)
  picture = _eight_bit(picture, channels, value_range)
  if operation is not None:
    picture = picture.transpose(operation)
  picture = fit(picture, size, resize)
  return np.asarray(picture, np.uint8).reshape(*size, channels)
