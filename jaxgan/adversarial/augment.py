"""Augmentation, instance noise and packing of the discriminator's inputs.

Real and fake images are changed alike. All functions are differentiable, so
that the generator learns through them.

Rows of `AUGMENTATIONS` map (images [B, H, W, C] in [-1, 1], key) to images of
the same shape. Colour, translation and cutout are those of DiffAugment (Zhao et
al. 2020, https://arxiv.org/abs/2006.10738, section 4.2), with the strengths,
roundings and ranges of the authors' code. Row i of the noise belongs to example
i.

Images of four channels have a transparency and premultiplied colours. Their new
pixels are transparent instead of mid-grey, and colour changes keep alpha.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import noise, pixels, switches

SHIFT = 1 / 8  # largest translation, as a share of the side
HOLE = 1 / 2  # side of the hole, as a share of the image's side
# Of `affine`: largest shear, largest factor of each side, and largest shift as
# a share of the side.
AFFINE_SHEAR, AFFINE_SCALE, AFFINE_SHIFT = 0.4, 1.25, 1 / 14

SMALLEST_SHARE = 1e-3  # of the opaque part, below which its mean colour fades


def color(x, key):
  """Changes brightness, saturation and contrast at random."""
  u = noise.uniform(key, len(x), (3, 1, 1, 1))  # [B, 3, 1, 1, 1]
  if pixels.is_transparent(x.shape):
    return _color_of_opaque_parts(x, u)
  x = x + u[:, 0] - 0.5
  grey = jnp.mean(x, axis=-1, keepdims=True)
  x = grey + 2.0 * u[:, 1] * (x - grey)
  mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
  return mean + (0.5 + u[:, 2]) * (x - mean)


def _color_of_opaque_parts(x, u):
  """Changes colours [B, H, W, 4] in proportion to alpha, which stays.

  Opaque images change as those of three channels do. Means are over the opaque
  parts.
  """
  alpha = (x[..., 3:] + 1.0) / 2.0
  colour = x[..., :3] + 1.0 - alpha  # alpha c for a colour c in [-1, 1]
  colour = colour + (u[:, 0] - 0.5) * alpha
  grey = jnp.mean(colour, axis=-1, keepdims=True)
  colour = grey + 2.0 * u[:, 1] * (colour - grey)
  total = jnp.mean(colour, axis=(1, 2, 3), keepdims=True)
  share = jnp.mean(alpha, axis=(1, 2, 3), keepdims=True)
  mean = alpha * total / jnp.maximum(share, SMALLEST_SHARE)
  colour = mean + (0.5 + u[:, 2]) * (colour - mean)
  return jnp.concatenate([colour - 1.0 + alpha, x[..., 3:]], axis=-1)


def _blank(x) -> float:
  """Returns the value of new pixels: mid-grey, or transparent."""
  return -1.0 if pixels.is_transparent(x.shape) else 0.0


def _offsets(key, count, low, high):
  """Draws integers [count, 2] in [low, high], one range for each axis."""
  low, high = jnp.asarray(low), jnp.asarray(high)
  u = noise.uniform(key, count, (2,))
  return low[None] + jnp.floor(u * (high - low + 1)[None]).astype(int)


def translation(x, key):
  """Shifts by up to an eighth of the side; new pixels are mid-grey."""
  return _shifted(x, key, [_half_up(side * SHIFT) for side in x.shape[1:3]])


def _half_up(value: float) -> int:
  return int(value + 0.5)


def _shifted(x, key, limit):
  padded = jnp.pad(
    x,
    ((0, 0), *((p, p) for p in limit), (0, 0)),
    constant_values=_blank(x),
  )
  starts = _offsets(key, len(x), (0, 0), [2 * p for p in limit])

  def cut(image, start):
    return jax.lax.dynamic_slice(image, (*start, 0), x.shape[1:])

  return jax.vmap(cut)(padded, starts)


def cutout(x, key):
  """Cuts a mid-grey hole of half the side, centred anywhere.

  The centre of a hole with an even side is between two pixels, or at a border.
  """
  holes = [_half_up(side * HOLE) for side in x.shape[1:3]]
  last = [
    side - hole % 2 for side, hole in zip(x.shape[1:3], holes, strict=True)
  ]
  return _cut(x, key, holes, last)


def _cut(x, key, holes, last):
  """Cuts holes with centres from 0 to `last`."""
  sides = x.shape[1:3]
  centres = _offsets(key, len(x), (0, 0), last)
  inside = jnp.ones((len(x), *sides), bool)
  for axis, (side, hole) in enumerate(zip(sides, holes, strict=True)):
    offset = jnp.arange(side)[None] - (centres[:, axis, None] - hole // 2)
    within = (offset >= 0) & (offset < hole)  # [B, side]
    inside &= within[:, :, None] if axis == 0 else within[:, None, :]
  return jnp.where(inside[..., None], _blank(x), x)


def _warp_rows(x, shear, scale, shift):
  """Moves the pixels of each row along the row, by linear interpolation.

  The result at (i, j) is x at (i, scale j + shear i + shift), with coordinates
  in pixels from the centre. Places outside have the value at the border.
  """
  height, width = x.shape[1:3]
  i = (jnp.arange(height) - (height - 1) / 2)[None, :, None]
  j = (jnp.arange(width) - (width - 1) / 2)[None, None]
  places = scale * j + shear * i + shift + (width - 1) / 2  # [B, H, W]
  places = jnp.clip(places, 0, width - 1)
  columns = jnp.arange(width)[None, None, None]
  distances = jnp.abs(places[..., None] - columns)
  weights = jnp.maximum(1 - distances, 0)  # [B, H, W, W]
  return jnp.einsum('bijk,bikc->bijc', weights, x)


def affine(x, key):
  """Scales, shears, rotates and shifts images; borders are repeated.

  A map of the plane is a map along rows, followed by one along columns.
  """
  u = 2 * noise.uniform(key, len(x), (2, 3, 1, 1)) - 1  # [B, 2, 3, 1, 1]
  for along in range(2):
    shear, scale, shift = (u[:, along, index] for index in range(3))
    shift = AFFINE_SHIFT * x.shape[2] * shift
    x = _warp_rows(x, AFFINE_SHEAR * shear, AFFINE_SCALE**scale, shift)
    x = jnp.swapaxes(x, 1, 2)
  return x


def flip(x, key):
  """Mirrors half of the images, left to right."""
  u = noise.uniform(key, len(x), (1, 1, 1))
  return jnp.where(u < 0.5, x[:, :, ::-1], x)


AUGMENTATIONS = {
  'affine': affine,
  'flip': flip,
  'color': color,
  'translation': translation,
  'cutout': cutout,
}


def _earlier_translation(x, key):
  return _shifted(x, key, [round(side * SHIFT) for side in x.shape[1:3]])


def _earlier_cutout(x, key):
  sides = x.shape[1:3]
  holes = [max(round(side * HOLE), 1) for side in sides]
  return _cut(x, key, holes, [side - 1 for side in sides])


# Rows of runs whose config has augment_as_authors=False: they round halves to
# even, and the last centre of a hole is the last pixel.
EARLIER = AUGMENTATIONS | {
  'translation': _earlier_translation,
  'cutout': _earlier_cutout,
}


def find(names: Sequence[str], is_image: bool, as_authors: bool = True):
  """Returns the named rows of `AUGMENTATIONS`, or of `EARLIER`.

  Raises:
    UserError: for an unknown name, or for data that are not images.
  """
  for name in names:
    if name not in AUGMENTATIONS:
      raise errors.unknown('augment', name, AUGMENTATIONS)
  if names and not is_image:
    raise errors.UserError(
      f'augment={tuple(names)} is for images and the data are points. Set '
      'augment=().'
    )
  rows = AUGMENTATIONS if as_authors else EARLIER
  return tuple(rows[name] for name in names)


def instance_noise(x, key, deviation):
  """Adds Gaussian noise to images.

  Soenderby et al. 2017 (https://arxiv.org/abs/1610.04490), section 3.2;
  Arjovsky and Bottou 2017 (https://arxiv.org/abs/1701.04862), section 3.
  """
  return x + deviation * noise.normal(key, len(x), x.shape[1:])


def fading(start: float, images: int, seen) -> jax.Array:
  """Returns `start`, falling linearly to 0 at `images` images seen.

  With images=0, it stays constant.
  """
  if not switches.is_on(images):
    return jnp.float32(start)
  left = jnp.maximum(1.0 - seen / jnp.maximum(images, 1), 0.0)
  return start * jnp.where(jnp.asarray(images) > 0, left, 1.0)


def pack(x: jax.Array, size: int) -> jax.Array:
  """Joins `size` examples to one, side by side in the channels.

  Lin et al. 2018 (PacGAN, https://arxiv.org/abs/1712.04086), section 2.2:
  maps [B, ..., C] to [B / size, ..., size * C].
  """
  if size == 1:
    return x
  if len(x) % size:
    raise errors.UserError(
      f'pack={size} does not divide the {len(x)} examples on a device. Change '
      'pack or batch_size.'
    )
  x = x.reshape(-1, size, *x.shape[1:])
  x = jnp.moveaxis(x, 1, -2)
  return x.reshape(*x.shape[:-2], -1)
