"""Pictures that a visitor sends, and held-out pictures of the run."""

import io
import tempfile

import numpy as np
from PIL import Image

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import images as images_lib
from jaxgan.training import data_files
from jaxgan.training.trained import Run

MOST_BYTES = 2**24  # of an upload
MOST_PIXELS = 2**25


def decode(data: bytes, shape, resize: str = 'crop') -> np.ndarray:
  """Returns an uploaded picture as uint8 [H, W, C].

  Sizes are compared before pixels are decoded, and only formats that Pillow
  decodes itself are read, see `data.images`.

  Args:
    data: the content of the file.
    shape: (H, W, C).
    resize: see `data.images.fit`.

  Raises:
    UserError: for content that is no picture, and for too many pixels.
  """
  if not data:
    raise errors.UserError('picture is empty. Choose a file.')
  with tempfile.NamedTemporaryFile() as file:
    file.write(data)
    file.flush()
    try:
      with images_lib.open_header(file.name, MOST_PIXELS) as picture:
        return images_lib.decode(picture, shape[:2], shape[2], resize)
    except Exception as error:  # Pillow's decoders raise many types.
      reason = str(error).replace(file.name, 'the upload')
      reason = reason.replace('data.max_pixels', 'the limit')
  raise errors.UserError(
    f'picture: {reason}. Choose another picture, such as a PNG or JPEG.'
  )


def mask(data: bytes, height: int, width: int) -> np.ndarray:
  """Returns known pixels, bool [H, W, 1], of a picture that is black in holes.

  Raises:
    UserError: if all pixels are known, or none.
  """
  known = decode(data, (height, width, 1), 'stretch') > 127
  if known.all() or not known.any():
    share = 'no pixel' if known.all() else 'every pixel'
    raise errors.UserError(
      f'mask: {share} is missing. Paint a hole that leaves some pixels known.'
    )
  return known


def held_out(run: Run, workdir, column: str, num: int, seed: int) -> np.ndarray:
  """Returns pictures of the run's data, [N, H, W, C] in [-1, 1], N <= num.

  Args:
    run: the run.
    workdir: the folder of the run.
    column: 'image' or 'source'.
    num: largest number of pictures.
    seed: seed of the order.

  Raises:
    UserError: if the data cannot be read.
  """
  settings = run.config.data
  is_whole = settings.source == 'folder' and not settings.held_out
  split = 'train' if is_whole else 'test'
  dataset = data_files.load(run.config, workdir, split, run.spec)
  order = np.random.default_rng(seed).permutation(dataset.size)
  rows = dataset.read_many([int(index) for index in order[:num]])
  return pixels_lib.to_float(np.stack([row[column] for row in rows]))


def png(picture: np.ndarray) -> bytes:
  """Returns a PNG of uint8 [height, width, 1, 3 or 4]."""
  image = Image.fromarray(
    picture[..., 0] if picture.shape[-1] == 1 else picture
  )
  file = io.BytesIO()
  image.save(file, format='PNG', compress_level=1)
  return file.getvalue()
