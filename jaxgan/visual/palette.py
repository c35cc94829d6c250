"""Reduces colours: finds palettes, and maps images to their colours."""

import numpy as np
from PIL import Image

MOST_COLOURS = 256  # Pillow's limit


def find(images: np.ndarray, size: int) -> np.ndarray:
  """Returns a palette of the images, by median cut and k-means.

  Pillow's median cut (Heckbert 1982, https://doi.org/10.1145/965145.801294),
  followed by the means of the nearest colours.

  Args:
    images: uint8 [N, H, W, 1 or 3].
    size: number of colours, 1..256.

  Returns:
    uint8 [K, 1 or 3], sorted. K is less than `size` if the images have fewer
    colours.
  """
  channels = images.shape[-1]
  colours, counts = np.unique(
    images.reshape(-1, channels), axis=0, return_counts=True
  )
  if len(colours) <= size:  # Median cut would average some colours.
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
  """Maps pixels uint8 [..., C] to the nearest colours of uint8 [K, C]."""
  difference = image[..., None, :].astype(np.int32) - palette.astype(np.int32)
  return palette[np.argmin((difference**2).sum(axis=-1), axis=-1)]
