"""Conversions between pixel ranges: uint8, [0, 1] and [-1, 1].

Images of four channels have a transparency: red, green, blue and alpha.
Networks and metrics see premultiplied colours, each the product of a colour and
alpha. Sums, resizes and blends are then right, and a transparent pixel has one
value, -1 in all channels. Files and pictures have plain colours.
"""

import jax
import jax.numpy as jnp
import numpy as np


def to_pixels(images: jax.Array) -> jax.Array:
  """Converts [-1, 1] to [0, 1]."""
  return (images + 1.0) / 2.0


def to_images(pixels: jax.Array) -> jax.Array:
  """Converts [0, 1] to [-1, 1] and clips other values."""
  return jnp.clip(2.0 * pixels - 1.0, -1.0, 1.0)


def at_scales_of(image, like):
  """Returns images at the scales of other images.

  Args:
    image: [B, H, W, C].
    like: an array, or a tuple of arrays [B, h, w, C] at several scales.

  Returns:
    The image, or a tuple of the image resized to every scale.
  """
  if not isinstance(like, tuple):
    return image
  batch, *_, channels = image.shape
  return tuple(
    jax.image.resize(image, (batch, *x.shape[1:-1], channels), 'linear')
    for x in like
  )


def to_float(images):
  """Converts uint8 images to float32 in [-1, 1]; points are unchanged."""
  if images.dtype != jnp.uint8:
    return images
  return images.astype(jnp.float32) / 127.5 - 1.0


def to_uint8(images) -> np.ndarray:
  """Converts images in [-1, 1] to uint8, rounded; NaN becomes black."""
  images = np.nan_to_num(np.asarray(images, np.float32), nan=-1.0)
  return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)


def is_transparent(shape: tuple[int, ...]) -> bool:
  """Returns True for the shape of images with a transparency."""
  return shape[-1] == 4


def to_picture(images) -> np.ndarray:
  """Converts images in [-1, 1] to uint8 as files have it.

  Colours of images with a transparency are divided by alpha and clipped, and
  those of transparent pixels are 0.
  """
  pixels = to_uint8(images)
  if not is_transparent(pixels.shape):
    return pixels
  colour, alpha = pixels[..., :3].astype(np.float32), pixels[..., 3:]
  colour = np.rint(colour * 255.0 / np.maximum(alpha, 1)).clip(0, 255)
  colour = np.where(alpha > 0, colour, 0).astype(np.uint8)
  return np.concatenate([colour, alpha], axis=-1)


def on_white(picture: np.ndarray) -> np.ndarray:
  """Shows a picture uint8 [H, W, 4] on white; others are unchanged."""
  if not is_transparent(picture.shape):
    return picture
  colour, alpha = picture[..., :3].astype(np.float32), picture[..., 3:] / 255.0
  shown = colour * alpha + 255.0 * (1.0 - alpha)
  return np.rint(shown).astype(np.uint8)


def pair_variance(images):
  """Returns the mean over pixels of the variance over images [B, ...].

  This is half the mean square difference of the images 2 i and 2 i + 1. So the
  mean over devices is the same for each even number of images per device. B
  must be at least 2.
  """
  pairs = len(images) // 2
  images = images[: 2 * pairs].reshape(pairs, 2, -1)
  # XLA:CPU is slow at reductions, and would compute the images again for them.
  images = jax.lax.optimization_barrier(images)
  change = images[:, 0] - images[:, 1]
  return 0.5 * jnp.vdot(change, change) / change.size
