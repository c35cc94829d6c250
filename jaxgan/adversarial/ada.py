"""Augmentation of all images that a discriminator sees, with probability p.

Karras et al. 2020 (https://arxiv.org/abs/2006.06676), section 2 and appendix B.
A pipe composes its geometric operations to one matrix, and its colour
operations to another. `adaptive` has the values of p.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import warp
from jaxgan.core import noise

# Largest shift in whole pixels, as a share of the side, and deviations: of
# log2 of factors, of shifts as shares of the side, and of brightness.
WHOLE_SHIFT, SHIFT = 0.125, 0.125
SCALE, ANISO, BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.2, 0.5, 1.0
LEAST = -1 + 2**-24  # of the argument of erfinv, which is infinite at -1
HOLE = 0.5  # side of the hole of 'cutout', as a share of the image's side


class Values(NamedTuple):
  """Random numbers of the operations, arrays [B]; 0 is no change.

  Attributes:
    xflip: 0 or 1.
    rotate90: number of quarter turns.
    xint: shift in whole pixels [B, 2], in [-1, 1] of the largest shift.
    scale: factor of both sides, in standard deviations of its logarithm.
    rotate: angle before `aniso`, in [-1, 1] of half a turn.
    aniso: factor of one side against the other, as `scale`.
    rotate_after: angle after `aniso`, as `rotate`.
    xfrac: shift [B, 2] in standard deviations.
    brightness: standard deviations.
    contrast: standard deviations of the logarithm.
    lumaflip: 0 or 1.
    hue: angle in [-1, 1] of half a turn.
    saturation: standard deviations of the logarithm.
    cutout: 0 or 1.
    hole: centre [B, 2] of the hole, in [0, 1] of each side.
  """

  xflip: jax.Array
  rotate90: jax.Array
  xint: jax.Array
  scale: jax.Array
  rotate: jax.Array
  aniso: jax.Array
  rotate_after: jax.Array
  xfrac: jax.Array
  brightness: jax.Array
  contrast: jax.Array
  lumaflip: jax.Array
  hue: jax.Array
  saturation: jax.Array
  cutout: jax.Array
  hole: jax.Array


@dataclasses.dataclass(frozen=True)
class Pipe:
  """Augments images; each field is an operation.

  An operation has the probability p times its field.
  """

  xflip: float = 0.0
  rotate90: float = 0.0
  xint: float = 0.0
  scale: float = 0.0
  rotate: float = 0.0
  aniso: float = 0.0
  xfrac: float = 0.0
  brightness: float = 0.0
  contrast: float = 0.0
  lumaflip: float = 0.0
  hue: float = 0.0
  saturation: float = 0.0
  cutout: float = 0.0

  def __call__(self, x, key, p):
    """Returns changed images.

    Args:
      x: images [B, H, W, C] in [-1, 1], grey or RGB.
      key: PRNG key; row i of the numbers belongs to example i.
      p: probability in [0, 1].
    """
    return self.apply(x, self.draw(key, len(x), p))

  def draw(self, key, count: int, p) -> Values:
    """Draws the numbers of all operations for `count` images."""
    # One draw compiles faster than several.
    u = noise.uniform(key, count, (31,))
    n = jax.scipy.special.erfinv(jnp.maximum(2 * u[:, :7] - 1, LEAST))
    n, u, is_on = math.sqrt(2) * n, u[:, 7:17], u[:, 17:]
    values = Values(
      xflip=jnp.floor(2 * u[:, 0]),
      rotate90=jnp.floor(4 * u[:, 1]),
      xint=2 * u[:, 2:4] - 1,
      scale=n[:, 0],
      rotate=2 * u[:, 4] - 1,
      aniso=n[:, 1],
      rotate_after=2 * u[:, 5] - 1,
      xfrac=n[:, 2:4],
      brightness=n[:, 4],
      contrast=n[:, 5],
      lumaflip=jnp.floor(2 * u[:, 6]),
      hue=2 * u[:, 7] - 1,
      saturation=n[:, 6],
      cutout=jnp.ones(count),
      hole=u[:, 8:],
    )
    chances = {name: p * x for name, x in dataclasses.asdict(self).items()}
    # A rotation before or after `aniso` has the probability of `rotate`.
    once = 1 - jnp.sqrt(jnp.clip(1 - chances['rotate'], 0, 1))
    chances |= {'rotate': once, 'rotate_after': once}
    kept = {}
    for index, (name, chance) in enumerate(chances.items()):
      x = getattr(values, name)
      is_kept = (is_on[:, index] < chance).reshape(-1, *(1,) * (x.ndim - 1))
      kept[name] = jnp.where(is_kept, x, 0)
    return values._replace(**kept)

  def apply(self, x, values: Values):
    """Returns images that are changed by given numbers.

    Raises:
      UserError: for images that are neither grey nor RGB.
    """
    channels, dtype = x.shape[-1], x.dtype
    x = x.astype(jnp.promote_types(dtype, jnp.float32))  # for coordinates
    values = Values(*(jnp.asarray(v, x.dtype) for v in values))
    if self.xflip or self.rotate90 or self.xint or self._is_general():
      x = warp.warp(x, inverse_matrix(values, *x.shape[1:3]))
    if self._is_colour(channels):
      if channels not in (1, 3):
        raise errors.UserError(
          f'ada.pipe changes colours of grey or RGB images, and these have '
          f"{channels} channels. Set ada.pipe='bg' or ''."
        )
      matrix, offset = colour_matrix(values, channels)
      x = jnp.einsum(
        'bhwc,bdc->bhwd', x, matrix, precision=jax.lax.Precision.HIGHEST
      )
      x = x + offset[:, None, None]
    x = cut(x, values) if self.cutout else x
    return x.astype(dtype)

  def _is_general(self) -> bool:
    return bool(self.scale or self.rotate or self.aniso or self.xfrac)

  def _is_colour(self, channels: int) -> bool:
    is_hue = channels > 1 and (self.hue or self.saturation)
    return bool(self.brightness or self.contrast or self.lumaflip or is_hue)


def _product(*matrices):
  """Returns products of matrices [B, n, n], which devices never round more."""
  total = matrices[0]
  for matrix in matrices[1:]:
    total = (total[:, :, :, None] * matrix[:, None]).sum(2)
  return total


def _matrix(*rows):
  """Returns matrices [B, n, n] of rows of numbers and arrays [B]."""
  entries = [jnp.asarray(x) for row in rows for x in row]
  flat = jnp.stack(jnp.broadcast_arrays(*map(jnp.atleast_1d, entries)), -1)
  return flat.reshape(-1, len(rows), len(rows))


def _scaling(x, y):
  return _matrix([x, 0, 0], [0, y, 0], [0, 0, 1])


def _shift(x, y):
  return _matrix([1, 0, x], [0, 1, y], [0, 0, 1])


def _rotation(angle):
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  return _matrix([cos, -sin, 0], [sin, cos, 0], [0, 0, 1])


def inverse_matrix(values: Values, height: int, width: int):
  """Returns the inverse of all geometric operations [B, 3, 3], see `warp`."""
  sides = jnp.array([[width, height]], values.scale.dtype)
  whole = -jnp.round(values.xint * WHOLE_SHIFT * sides)
  part = -values.xfrac * SHIFT * sides
  scale, aniso = (
    jnp.exp2(-x * deviation)
    for x, deviation in ((values.scale, SCALE), (values.aniso, ANISO))
  )
  return _product(
    _scaling(1 - 2 * values.xflip, 1.0),
    _rotation(values.rotate90 * (math.pi / 2)),
    _shift(whole[:, 0], whole[:, 1]),
    _scaling(scale, scale),
    _rotation(values.rotate * math.pi),
    _scaling(aniso, 1 / aniso),
    _rotation(values.rotate_after * math.pi),
    _shift(part[:, 0], part[:, 1]),
  )


def colour_matrix(values: Values, channels: int):
  """Returns all colour operations: matrices [B, C, C] and offsets [B, C].

  Grey images are those of RGB with three equal channels, and of the result the
  mean over channels. They have neither hue nor saturation.
  """
  dtype = values.contrast.dtype
  grey = jnp.full((1, 3, 3), 1 / 3, dtype)  # projection on the grey axis
  one = jnp.eye(3, dtype=dtype)[None]
  wide = lambda x: x[:, None, None]
  contrast = wide(jnp.exp2(values.contrast * CONTRAST))
  matrices = [contrast * one, one - 2 * wide(values.lumaflip) * grey]
  if channels > 1:
    # A rotation about the grey axis (Rodrigues' formula).
    cross = jnp.array([[[0, -1, 1], [1, 0, -1], [-1, 1, 0]]], dtype)
    cross = cross / math.sqrt(3)
    cos, sin = (wide(f(values.hue * math.pi)) for f in (jnp.cos, jnp.sin))
    matrices.append(grey + cos * (one - grey) + sin * cross)
    saturation = wide(jnp.exp2(values.saturation * SATURATION))
    matrices.append(grey + saturation * (one - grey))
  matrix = _product(*matrices[::-1])
  offset = matrix.sum(2) * (values.brightness * BRIGHTNESS)[:, None]
  if channels == 1:
    matrix = matrix.sum(2, keepdims=True).mean(1, keepdims=True)
    offset = offset.mean(1, keepdims=True)
  return matrix, offset


def cut(x, values: Values):
  """Cuts mid-grey holes of half the side; they may reach over the border."""
  is_kept = jnp.zeros((1, 1, 1), bool)
  for index, side in enumerate(x.shape[1:3]):
    places = (jnp.arange(side, dtype=x.dtype) + 0.5) / side
    distance = jnp.abs(places[None] - values.hole[:, 1 - index, None])
    is_far = distance >= HOLE / 2 * values.cutout[:, None]
    is_kept = is_kept | (is_far[:, :, None] if index == 0 else is_far[:, None])
  return jnp.where(is_kept[..., None], x, 0)


_BLIT = dict(xflip=1.0, rotate90=1.0, xint=1.0)
_GEOMETRY = dict(scale=1.0, rotate=1.0, aniso=1.0, xfrac=1.0)
_COLOUR = dict.fromkeys(
  ('brightness', 'contrast', 'lumaflip', 'hue', 'saturation'), 1.0
)
# Names of the paper, and the pipe of the authors of R3GAN, which has half the
# colours, and holes.
PIPES = {
  'b': Pipe(**_BLIT),
  'bg': Pipe(**_BLIT, **_GEOMETRY),
  'bgc': Pipe(**_BLIT, **_GEOMETRY, **_COLOUR),
  'c': Pipe(**_COLOUR),
  'r3gan': Pipe(
    **_BLIT, **_GEOMETRY, **dict.fromkeys(_COLOUR, 0.5), cutout=1.0
  ),
}
