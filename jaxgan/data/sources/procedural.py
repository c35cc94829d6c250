"""Procedural images: sprites and street numbers, drawn with code."""

import logging

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset
from jaxgan.data.sources import (
  _sprites,
  _street_numbers,
  embedded,
  tfds,
)

_logger = logging.getLogger(__name__)

COUNTS = {'train': 60_000, 'test': 10_000}
SEEDS = {'train': 0, 'test': 1}
DIGITS = 10_000  # that street numbers are drawn with, at most
TOGETHER = 512  # images that are drawn together


def _sprites_of(settings, split: str):
  side = settings.image_size or 16
  if side not in _sprites.SIDES:
    raise errors.DataError(
      f'data.image_size={side} is wrong because sprites have 16 or 32 pixels. '
      'Set data.image_size=16 or 32.'
    )
  return lambda index: _sprites.draw(SEEDS[split], index, side)


def _street_numbers_of(settings, split: str):
  """Returns the drawing with digits of MNIST, if prepared, or embedded ones."""
  digits = settings.copy_and_resolve_references()
  digits.update(name='mnist', version='', image_size=0, channels=1)
  source = tfds if tfds.find(digits) else embedded
  digits = dataset.first(source.load(digits, split), DIGITS)
  _logger.info(
    'data.name=street_numbers: drawn with %d digits of %s',
    digits.size,
    digits.detail or digits.name,
  )
  columns = digits.arrays()
  side = settings.image_size or 32
  return lambda index: _street_numbers.draw(
    columns['image'][..., 0], columns['label'], SEEDS[split], index, side
  )


# name -> (drawing of (settings, split), classes).
DRAWINGS = {
  'sprites': (_sprites_of, _sprites.CLASSES),
  'street_numbers': (_street_numbers_of, embedded.DIGITS),
}


def load(settings, split: str) -> dataset.Dataset:
  """Draws 60,000 images for training or 10,000 for testing.

  Args:
    settings: `config.data`; 'name' is a key of `DRAWINGS`, 'image_size' and
      'channels' set the shape.
    split: 'train' or 'test', drawn from different seeds. The digits of street
      numbers are those of the same split.

  Raises:
    UserError: for an unknown name.
    DataError: for sprites of another size.
  """
  if settings.name not in DRAWINGS:
    raise errors.unknown('data.name', settings.name, DRAWINGS)
  drawing, classes = DRAWINGS[settings.name]
  draw = drawing(settings, split)
  parts = [
    draw(np.arange(first, min(first + TOGETHER, COUNTS[split])))
    for first in range(0, COUNTS[split], TOGETHER)
  ]
  image, label = (np.concatenate(part) for part in zip(*parts, strict=True))
  if settings.channels == 4:
    raise errors.DataError(
      'data.channels=4: procedural images have no transparency. Set '
      'data.channels=3.'
    )
  if settings.channels == 1:
    # ITU-R BT.601, as Pillow.
    grey = image.astype(np.int32) @ np.array([19595, 38470, 7471])
    image = ((grey + 0x8000) >> 16)[..., None].astype(np.uint8)
  return dataset.from_arrays(
    'procedural',
    settings.name,
    split,
    image,
    label,
    classes,
    detail=f'{len(image):,} images drawn with code',
  )
