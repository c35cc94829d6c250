"""Fields that follow from the size and the number of pictures.

`configs/folder.py` has one config for any folder. Its runs replace the defaults
of `FIELDS` before they start, see `jaxgan/training/first_look.py`.
"""

from typing import Any

from jaxgan.config import presets
from jaxgan.config.fields import flatten

# Sides of squares for pictures of several sizes. Larger ones take hours on CPU.
SIDES = (16, 32, 64)
SMALLEST, LARGEST = 8, 64
# With fewer pictures a discriminator that sees no augmentation overfits.
FEW = 20_000
# Number of halvings -> channels after each of them.
WIDTHS = {
  1: (256,),
  2: (128, 256),
  3: (64, 128, 256),
  4: (32, 64, 128, 256),
  5: (32, 64, 128, 256, 256),
}
FIELDS = (
  *('augment', 'data.image_size', 'discriminator.widths', 'generator.strides'),
  *('generator.widths', 'penalties.r1'),
)


def choose_side(sizes) -> int:
  """Returns the side of the squares that pictures are resized to.

  Small square pictures of one size keep it. Other pictures get the largest of
  `SIDES` that is at most the median of their shorter sides.

  Args:
    sizes: (height, width) of each picture.
  """
  first = sizes[0]
  is_one = all(size == first for size in sizes) and first[0] == first[1]
  if is_one and SMALLEST <= first[0] <= LARGEST:
    return first[0]
  shorter = sorted(map(min, sizes))
  median = shorter[len(shorter) // 2]
  return max((side for side in SIDES if side <= median), default=SIDES[0])


def fit(config, side: int, count: int) -> None:
  """Sets `FIELDS` for square pictures.

  Args:
    config: a config with networks of `presets.dcgan`.
    side: side of the pictures in pixels, at least 8.
    count: number of pictures to train on.
  """
  levels = min(max((side // 4).bit_length() - 1, 1), 5)  # 4 to 7 pixels remain
  widths = WIDTHS[levels]
  config.data.image_size = side
  config.penalties.r1 = presets.r1_weight(side)
  config.augment = ('color', 'translation', 'cutout') if count < FEW else ()
  config.generator.strides = (2,) * levels
  # Half the channels of the paper's networks or fewer, as in `presets.quick`.
  config.discriminator.widths = tuple(width // 2 for width in widths)
  config.generator.widths = tuple(width // 2 for width in widths[::-1])


def defaults() -> dict[str, Any]:
  """Returns the values of `FIELDS` in `configs/folder.py`, by dotted name."""
  config = presets.game()
  config.update(presets.dcgan())
  config.data = {}
  fit(config, 64, 0)
  config.data.image_size = 0
  fields = flatten(config)
  return {name: fields[name] for name in FIELDS}
