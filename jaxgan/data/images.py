"""Pictures of any kind to uint8 arrays of one shape, and nothing unsafe."""

import os
import warnings

import numpy as np
from PIL import Image, ImageOps

from jaxgan import errors

RESIZES = ('crop', 'stretch')
# Pillow looks at the content and not at the name; of some formats, as EPS, it
# would leave the decoding to another program.
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
MOST_BYTES = 2**28
GREY_MODES = ('1', 'L', 'LA', 'La', 'I', 'F')


def is_grey(mode: str) -> bool:
  """Whether a Pillow mode has no colour."""
  return mode in GREY_MODES or mode.startswith('I;16')


def open_header(path, max_pixels: int) -> Image.Image:
  """Opens a picture without decoding it.

  Raises:
    DataError: with the path, if it is no picture of `FORMATS`, or larger than
      `max_pixels` or `MOST_BYTES`.
  """
  try:
    num_bytes = os.stat(path).st_size
  except OSError as error:
    raise errors.DataError(f'{path}: unreadable ({error.strerror})') from None
  if num_bytes > MOST_BYTES:
    raise errors.DataError(
      f'{path}: {num_bytes} bytes are more than the {MOST_BYTES} of a picture'
    )
  with warnings.catch_warnings():
    # Pillow only warns of pictures that are large beyond reason; we refuse.
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    try:
      picture = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
      raise errors.DataError(f'{path}: absurdly large picture') from None
    except Exception as error:  # Pillow's plugins raise whatever they like.
      reason = str(error).replace(str(path), '').strip(" '") or 'no picture'
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
  """(height, width) after the rotation that EXIF asks for."""
  width, height = picture.size
  sideways = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
  return (width, height) if sideways else (height, width)


def _eight_bit(picture: Image.Image, channels: int) -> Image.Image:
  """Mode 'L' or 'RGB'; transparent parts become white."""
  if picture.mode.startswith('I;16') or picture.mode in ('I', 'F'):
    values = np.asarray(picture).astype(np.float64)
    # Sixteen bits: 65,535 is white. Pillow would cut off at 255.
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
  """(height, width) that `config.data` asks of a file; None leaves it as is.

  Files that hold two images side by side are twice as wide as one.
  """
  side = settings.image_size
  halves = settings.get('pair', '').startswith('halves')
  return (side, 2 * side if halves else side) if side else None


def fit(picture: Image.Image, size: tuple[int, int], resize: str):
  """Scales to (height, width): whole ('stretch') or its centre ('crop')."""
  height, width = size
  if picture.size == (width, height):
    return picture
  if resize == 'stretch':
    return picture.resize((width, height), Image.Resampling.LANCZOS)
  return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def conform(
  pixels: np.ndarray, shape: tuple[int, int, int], resize: str
) -> np.ndarray:
  """uint8 [H, W, 1 or 3] to `shape`, as `decode` does with files."""
  if pixels.shape == shape:
    return pixels
  squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
  return decode(Image.fromarray(squeezed), shape[:2], shape[2], resize)


def decode(
  picture: Image.Image, size: tuple[int, int], channels: int, resize: str
) -> np.ndarray:
  """uint8 [height, width, channels] of an opened picture.

  Args:
    picture: as `Image.open` gives it.
    size: (height, width) wanted.
    channels: 1 or 3.
    resize: one of `RESIZES`.
  """
  picture = ImageOps.exif_transpose(picture)
  picture = fit(_eight_bit(picture, channels), size, resize)
  return np.asarray(picture, np.uint8).reshape(*size, channels)
