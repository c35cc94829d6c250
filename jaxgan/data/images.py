"""Decodes image files safely to uint8 arrays of one shape."""

import os
import warnings

import numpy as np
from PIL import Image, ImageOps

from jaxgan import errors

RESIZES = ('crop', 'stretch')
# Pillow recognises formats by content. Some others, such as EPS, are decoded by
# an external program.
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
MOST_BYTES = 2**28
GREY_MODES = ('1', 'L', 'LA', 'La', 'I', 'F')


def is_grey(mode: str) -> bool:
  """Returns True for Pillow modes without colour."""
  return mode in GREY_MODES or mode.startswith('I;16')


def open_header(path, max_pixels: int) -> Image.Image:
  """Opens an image file without decoding the pixels.

  Raises:
    DataError: with the path, if the file has none of the `FORMATS`, or is
      larger than `max_pixels` or `MOST_BYTES`.
  """
  try:
    num_bytes = os.stat(path).st_size
  except OSError as error:
    raise errors.DataError(f'{path}: unreadable ({error.strerror})') from None
  if num_bytes > MOST_BYTES:
    raise errors.DataError(
      f'{path}: {num_bytes} bytes are more than the limit of {MOST_BYTES}'
    )
  with warnings.catch_warnings():
    # Pillow warns of very large images. The checks here raise an error.
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    try:
      picture = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
      raise errors.DataError(
        f'{path}: the header claims far more than data.max_pixels={max_pixels}'
      ) from None
    except Exception as error:  # Pillow's plugins raise errors of any type.
      reason = str(error).replace(str(path), '').strip(" '") or 'no image'
      raise errors.DataError(f'{path}: unreadable ({reason})') from None
  width, height = picture.size
  if width * height > max_pixels:
    picture.close()
    raise errors.DataError(
      f'{path}: {width} x {height} pixels are more than '
      f'data.max_pixels={max_pixels}'
    )
  return picture


def upright_size(picture: Image.Image) -> tuple[int, int]:
  """Returns (height, width) after the rotation in the EXIF data."""
  width, height = picture.size
  sideways = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
  return (width, height) if sideways else (height, width)


def _eight_bit(picture: Image.Image, channels: int) -> Image.Image:
  """Converts to mode 'L' or 'RGB'; transparent parts become white."""
  if picture.mode.startswith('I;16') or picture.mode in ('I', 'F'):
    values = np.asarray(picture).astype(np.float64)
    # With 16 bits 65,535 is white. Pillow would clip at 255.
    if picture.mode != 'F' or values.max(initial=0.0) > 255.0:
      values = values / 257.0
    values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    picture = Image.fromarray(values, 'L')
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
  """Resizes uint8 [H, W, 1 or 3] to `shape`, as `decode` does with files."""
  if pixels.shape == shape:
    return pixels
  squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
  return decode(Image.fromarray(squeezed), shape[:2], shape[2], resize)


def decode(
  picture: Image.Image, size: tuple[int, int], channels: int, resize: str
) -> np.ndarray:
  """Decodes an open image to uint8 [height, width, channels].

  Args:
    picture: the result of `Image.open`.
    size: (height, width) of the result.
    channels: 1 or 3.
    resize: one of `RESIZES`.
  """
  picture = ImageOps.exif_transpose(picture)
  picture = fit(_eight_bit(picture, channels), size, resize)
  return np.asarray(picture, np.uint8).reshape(*size, channels)
