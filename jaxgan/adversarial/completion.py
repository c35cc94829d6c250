"""Holes and reconstruction losses of image completion."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.core import masks

DISTANCES = {'l1': jnp.abs, 'mse': jnp.square}
REGIONS = ('hole', 'all')
OUTPUTS = ('image', 'patch')


@dataclasses.dataclass(frozen=True)
class Mask:
  """Square holes, and the images with holes that a generator sees.

  Attributes:
    size: S, side of the hole.
    value: pixel value in the hole.
    channel: True to append a channel that is 1 where pixels are known.
    noise_channels: number of channels of Gaussian noise to append.
  """

  size: int
  value: float = 0.0
  channel: bool = False
  noise_channels: int = 0

  @property
  def extra_channels(self) -> int:
    return self.channel + self.noise_channels

  def fill(self, image, holes: masks.Holes, key):
    """Returns images [B, H, W, C] with holes and extra channels."""
    settings = (self.value, self.channel, self.noise_channels)
    return masks.inputs(image, holes, key, *settings)

  def __call__(self, image, key, noise_key):
    """Makes holes; returns images with holes, and the holes."""
    holes = masks.holes(key, len(image), image.shape[1:], self.size)
    return self.fill(image, holes, noise_key), holes


@dataclasses.dataclass(frozen=True)
class Reconstruction:
  """The generator's distance to the true image.

  Pathak et al. 2016 (https://arxiv.org/abs/1604.07379), equation 1, is 'mse' in
  the 'hole'.

  Attributes:
    weight: factor in the generator's loss.
    distance: key of `DISTANCES`, the distance of pixels.
    region: pixels that count, 'hole' or 'all'.
  """

  weight: float = 0.0
  distance: str = 'l1'
  region: str = 'hole'

  def __bool__(self) -> bool:
    return bool(self.weight)

  def __call__(self, image, output, holes: masks.Holes, size: int):
    """Returns the mean distance of outputs, images or patches, to images."""
    if self.region == 'hole':
      if output.shape == image.shape:
        output = masks.cut(output, holes.corner, size)
      image = masks.cut(image, holes.corner, size)
    return jnp.mean(DISTANCES[self.distance](output - image))


def shown(method, image, output, holes: masks.Holes) -> tuple:
  """Returns reals and fakes in the form that a discriminator compares.

  Args:
    method: has the fields `compositing`, `output` and `mask`.
    image: [B, H, W, C].
    output: output of the generator, images or patches.
    holes: holes of the images.
  """
  if method.compositing:
    return image, masks.complete(image, output, holes)
  if method.output == 'patch':
    image = masks.cut(image, holes.corner, method.mask.size)
  return image, output


def holes_of(known: jax.Array) -> masks.Holes:
  """Returns the holes of a mask [B, H, W, 1], True where pixels are known."""
  corner = jnp.stack(
    [jnp.argmin(jnp.all(known, axis=(axis, 3)), axis=1) for axis in (2, 1)],
    axis=1,
  )  # [B, 2]
  return masks.Holes(corner, known)
