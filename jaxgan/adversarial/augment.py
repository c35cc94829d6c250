"""What is done to images, real and fake, before the discriminator sees them.

Everything is differentiable, so that the generator learns through it.

Rows of `AUGMENTATIONS` are (images [B, H, W, C] in [-1, 1], key) to
the same shape: those of DiffAugment (Zhao et al. 2020,
https://arxiv.org/abs/2006.10738, section 4.2), with the strengths of the
authors' code. Row i of the noise follows example i.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, switches

SHIFT = 1 / 8  # largest translation, of the side
HOLE = 1 / 2  # side of the hole, of the image's side


def color(x, key):
  """Random brightness, saturation and contrast."""
  u = noise.uniform(key, len(x), (3, 1, 1, 1))  # [B, 3, 1, 1, 1]
  x = x + u[:, 0] - 0.5
  grey = jnp.mean(x, axis=-1, keepdims=True)
  x = grey + 2.0 * u[:, 1] * (x - grey)
  mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
  return mean + (0.5 + u[:, 2]) * (x - mean)


def _offsets(key, count, low, high):
  """Integers [count, 2] in [low, high], one range for each axis."""
  low, high = jnp.asarray(low), jnp.asarray(high)
  u = noise.uniform(key, count, (2,))
  return low[None] + jnp.floor(u * (high - low + 1)[None]).astype(int)


def translation(x, key):
  """Shifts by up to an eighth of the side; what comes in is mid-grey."""
  limit = tuple(round(side * SHIFT) for side in x.shape[1:3])
  padded = jnp.pad(x, ((0, 0), *((p, p) for p in limit), (0, 0)))
  starts = _offsets(key, len(x), (0, 0), [2 * p for p in limit])

  def cut(image, start):
    return jax.lax.dynamic_slice(image, (*start, 0), x.shape[1:])

  return jax.vmap(cut)(padded, starts)


def cutout(x, key):
  """A mid-grey hole of half the side, centred anywhere."""
  sides = x.shape[1:3]
  centres = _offsets(key, len(x), (0, 0), [s - 1 for s in sides])
  inside = jnp.ones((len(x), *sides), bool)
  for axis, side in enumerate(sides):
    hole = max(round(side * HOLE), 1)
    place = jnp.arange(side)[None] - (centres[:, axis, None] - hole // 2)
    within = (place >= 0) & (place < hole)  # [B, side]
    inside &= within[:, :, None] if axis == 0 else within[:, None, :]
  return jnp.where(inside[..., None], 0.0, x)


AUGMENTATIONS = {
  'color': color,
  'translation': translation,
  'cutout': cutout,
}


def find(names: Sequence[str], is_image: bool):
  """The rows of `AUGMENTATIONS` named; raises a UserError for others."""
  for name in names:
    if name not in AUGMENTATIONS:
      raise errors.unknown('augment', name, AUGMENTATIONS)
  if names and not is_image:
    raise errors.UserError(
      f'augment={tuple(names)} is for images and the data are points; set '
      'augment=()'
    )
  return tuple(AUGMENTATIONS[name] for name in names)


def instance_noise(x, key, deviation):
  """Adds Gaussian noise to images of both kinds.

  Soenderby et al. 2017 (https://arxiv.org/abs/1610.04490), section 3.2;
  Arjovsky and Bottou 2017 (https://arxiv.org/abs/1701.04862), section 3.
  """
  return x + deviation * noise.normal(key, len(x), x.shape[1:])


def fading(start: float, images: int, seen) -> jax.Array:
  """`start` falling linearly to 0 after `images` images; 0 images: constant."""
  if not switches.is_on(images):
    return jnp.float32(start)
  left = jnp.maximum(1.0 - seen / jnp.maximum(images, 1), 0.0)
  return start * jnp.where(jnp.asarray(images) > 0, left, 1.0)


def pack(x: jax.Array, size: int) -> jax.Array:
  """Shows `size` examples as one, side by side in the channels.

  Lin et al. 2018 (PacGAN, https://arxiv.org/abs/1712.04086), section 2.2:
  [B, ..., C] to [B / size, ..., size * C].
  """
  if size == 1:
    return x
  if len(x) % size:
    raise errors.UserError(
      f'pack={size} does not divide the {len(x)} examples on a device; change '
      'pack or batch_size'
    )
  x = x.reshape(-1, size, *x.shape[1:])
  x = jnp.moveaxis(x, 1, -2)
  return x.reshape(*x.shape[:-2], -1)
