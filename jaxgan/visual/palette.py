"""Few colours: a palette of images, and images in the colours of a palette."""

import numpy as np
from PIL import Image

MOST_COLOURS = 256  # Pillow's limit


def find(images: np.ndarray, size: int) -> np.ndarray:
  """The colours that stand for those of images, by median cut and k-means.

  Heckbert 1982, https://doi.org/10.1145/965145.801294, then means of the
  nearest colours, both by Pillow.

  Args:
    images: uint8 [N, H, W, 1 or 3].
    size: colours, 1..256; there are fewer where the images have fewer.

  Returns:
    uint8 [K, 1 or 3], sorted.
  """
  channels = images.shape[-1]
  colours, counts = np.unique(
    images.reshape(-1, channels), axis=0, return_counts=True
  )
  if len(colours) <= size:  # Median cut would mix some.
    return colours
  pixels = np.repeat(colours, counts, axis=0)
  pixels = np.broadcast_to(pixels, (len(pixels), 3))[None]
  picture = Image.fromarray(np.ascontiguousarray(pixels))
  reduced = picture.quantize(
    size, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE
  )
  table = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)
  return np.unique(table[np.unique(reduced)][:, :channels], axis=0)


def nearest(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
  """Every pixel of uint8 [..., C] in the nearest colour of uint8 [K, C]."""
  apart = image[..., None, :].astype(np.int32) - palette.astype(np.int32)
  return palette[np.argmin((apart**2).sum(axis=-1), axis=-1)]
