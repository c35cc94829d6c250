"""Small synthetic data: mixtures of 2-D Gaussians and random images."""

import math

import numpy as np

from jaxgan import errors
from jaxgan.core import memory
from jaxgan.data import dataset

NUM_POINTS = 20_000
NUM_IMAGES = 256


def ring_centres(modes: int = 8) -> np.ndarray:
  """Returns centres [modes, 2] on a circle of radius 0.8.

  Metz et al. 2017 (https://arxiv.org/abs/1611.02163) use radius 2 and standard
  deviation 0.02. Both are scaled by 0.4 here, to the range of tanh.
  """
  angle = 2.0 * np.pi * np.arange(modes) / modes
  return 0.8 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def grid_centres(side: int = 5) -> np.ndarray:
  """Returns centres [side ** 2, 2] on a square grid in [-0.8, 0.8].

  Lin et al. 2018 (https://arxiv.org/abs/1712.04086) use -4, -2, 0, 2, 4 and
  standard deviation 0.05. Both are scaled by 0.2 here.
  """
  line = np.linspace(-0.8, 0.8, side)
  return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


# name -> (centres, standard deviation).
MIXTURES = {
  'ring': (ring_centres(), 0.008),
  'grid': (grid_centres(), 0.01),
}


def _points(name, rng):
  centres, deviation = MIXTURES[name]
  mode = rng.integers(len(centres), size=NUM_POINTS)
  noise = deviation * rng.standard_normal((NUM_POINTS, 2))
  points = (centres[mode] + noise).astype(np.float32)
  return points, mode, [str(k) for k in range(len(centres))]


def _images(settings, rng):
  """Draws noise with one brighter quarter, which is the class."""
  side = settings.image_size or 8
  channels = settings.channels or 1
  label = rng.integers(4, size=NUM_IMAGES)
  shape = (NUM_IMAGES, side, side, channels)
  memory.refuse(math.prod(shape), f'data.image_size={side}', 'Lower it.')
  image = rng.integers(0, 64, size=shape, dtype=np.uint8)
  half = -(-side // 2)
  for pixels, k in zip(image, label, strict=True):
    rows = slice(half) if k < 2 else slice(side - half, None)
    cols = slice(half) if k % 2 == 0 else slice(side - half, None)
    pixels[rows, cols] += np.uint8(128)
  return image, label, ['nw', 'ne', 'sw', 'se']


def load(settings, split: str) -> dataset.Dataset:
  """Returns points [N, 2] for 'ring' and 'grid', or images for 'random'.

  Args:
    settings: `config.data`; 'name' selects the data, 'image_size' (default 8)
      and 'channels' (default 1) the shape of images.
    split: 'train' or 'test', drawn from different seeds.

  Raises:
    UserError: for an unknown name.
  """
  rng = np.random.default_rng({'train': 0, 'test': 1}[split])
  name = settings.name
  if name in MIXTURES:
    image, label, classes = _points(name, rng)
  elif name == 'random':
    image, label, classes = _images(settings, rng)
  else:
    raise errors.unknown('data.name', name, [*MIXTURES, 'random'])
  return dataset.from_arrays('toy', name, split, image, label, classes)
