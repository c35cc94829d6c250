"""Street numbers in colour, composed of handwritten digits.

The digit in the middle is the label. Digits beside it, a background with a
gradient, the frame of a sign, a shadow and blur make the image. Integers only:
every platform draws the same images.
"""

import numpy as np

from jaxgan.data.sources._draws import Draws

INK_HEIGHT = 20  # of MNIST's digits, in pixels
_BORDER = 2  # of zeros around a digit
_ONE = 256  # of fixed-point numbers
_VISIBLE = 64  # smallest ink of the left- and rightmost column


def _extents(ink: np.ndarray) -> np.ndarray:
  """Returns the distances of ink from the centre, left and right, int [D, 2].

  Args:
    ink: uint8 [D, H, W].
  """
  width = ink.shape[2]
  columns = ink.max(axis=1) >= _VISIBLE  # [D, W]
  left = width // 2 - columns.argmax(axis=1)
  right = width // 2 - columns[:, ::-1].argmax(axis=1)
  empty = ~columns.any(axis=1)
  return np.where(empty[:, None], 0, np.stack([left, right], axis=1))


def _ink(ink, chosen, draws: Draws, side: int) -> np.ndarray:
  """Returns the ink of three digits side by side, int32 [N, side, side].

  Args:
    ink: uint8 [D, H, W], the digits; the last one is empty.
    chosen: digits on the left, in the middle and on the right, [N, 3].
    draws: random numbers of the examples.
    side: height and width of the result.
  """
  extents = _extents(ink).astype(np.int32) * _ONE
  gap = draws.between('gap', 1, 4) * _ONE
  middle = extents[chosen[:, 1]]
  borders = middle + gap[:, None] // 2  # [N, 2]: left, right
  pitches = np.stack(
    [
      middle[:, 0] + gap + extents[chosen[:, 0], 1],
      middle[:, 1] + gap + extents[chosen[:, 2], 0],
    ],
    axis=1,
  )
  # Digits are as high as 18 to 28 of 32 pixels, and up to 30 % narrower.
  height = draws.between('height', 18 * side, 28 * side)  # times 32
  step = (INK_HEIGHT * 32 * _ONE // height)[:, None, None]
  narrow = step * draws.between('narrow', 10, 13)[:, None, None] // 10
  slant = draws.between('slant', -64, 64)[:, None, None]
  shift = draws.between('shift', -2 * _ONE, 2 * _ONE, (2, 1, 1))
  from_centre = 2 * np.arange(side, dtype=np.int32) - side + 1
  v = step * from_centre[:, None] // 2 + shift[:, 0]  # [N, side, 1]
  u = narrow * from_centre // 2 + shift[:, 1] + slant * v // _ONE
  place = 1 + (u > borders[:, 1, None, None]) - (u < -borders[:, :1, None])
  offsets = np.stack([-pitches[:, 0], 0 * gap, pitches[:, 1]], axis=1)
  rows = np.arange(len(u))[:, None, None]
  u = (u - offsets[rows, place]).astype(np.int32)
  digit = chosen[rows, place]
  return _bilinear(ink, digit, v, u)


def _bilinear(ink, digit, v, u) -> np.ndarray:
  """Samples digits at fixed-point distances (v, u) from their centres."""
  padding = ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER))
  padded = np.pad(ink, padding).astype(np.int32)
  _, height, width = padded.shape

  def split(place, size):
    place = place + (size - 1) * _ONE // 2
    place = np.clip(place, 0, (size - 1) * _ONE - 1)
    return place >> 8, place & (_ONE - 1)

  (row, below), (column, right) = split(v, height), split(u, width)
  first = ((digit * height + row) * width + column).astype(np.int32)
  flat = padded.reshape(-1)
  top = flat[first] * (_ONE - right) + flat[first + 1] * right
  first += width
  bottom = flat[first] * (_ONE - right) + flat[first + 1] * right
  return (top * (_ONE - below) + bottom * below) >> 16


def _blur(ink: np.ndarray, times: np.ndarray) -> np.ndarray:
  """Smooths ink [N, H, W] with (1, 2, 1) along both axes, `times` [N] times."""
  for count in range(1, int(times.max(initial=0)) + 1):
    rows = np.flatnonzero(times >= count)
    x = np.pad(ink[rows], ((0, 0), (1, 1), (1, 1)), mode='edge')
    x = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    x = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    ink[rows] = x >> 4
  return ink


def _mixed(below, above, share):
  """Paints `above` over `below`, int16 in 0..255; `share` is in 0..128."""
  return below + ((above - below) * share >> 7)


def _colours(draws: Draws):
  """Returns colours [N, 1, 1, 3] of both ends of the paper, ink and frame."""
  light = draws.between('light', 20, 235)[:, None]
  tint = draws.between('tint', -28, 28, (3,))
  paper = light + tint
  other = paper + draws.between('gradient', -48, 48)[:, None]
  contrast = draws.between('contrast', 72, 190)[:, None]
  up = draws.chance('up', 50)[:, None]
  up = np.where(light + contrast > 255, False, up | (light < contrast))
  ink = light + np.where(up, contrast, -contrast)
  ink = ink + draws.between('ink tint', -40, 40, (3,))
  frame = paper + draws.between('frame', -80, 80)[:, None]
  return [
    np.clip(colour, 0, 255).astype(np.int16)[:, None, None]
    for colour in (paper, other, ink, frame)
  ]


def draw(ink: np.ndarray, label: np.ndarray, seed: int, index, side: int = 32):
  """Draws street numbers.

  Args:
    ink: uint8 [D, H, W], handwritten digits, white on black.
    label: classes of the digits [D].
    seed: seed of all images.
    index: numbers of the images [N]; image i depends on the seed and on i only.
    side: height and width of the images.

  Returns:
    uint8 [N, side, side, 3], and labels [N] of the digits in the middle.
  """
  draws = Draws(seed, index)
  count = len(ink)
  ink = np.concatenate([ink, np.zeros_like(ink[:1])])
  chosen = draws.below('digits', count, (3,))
  label = label[chosen[:, 1]]
  absent = draws.chance('absent', 35, (2,))
  chosen[:, ::2] = np.where(absent, count, chosen[:, ::2])

  bold = draws.between('bold', 5, 9)[:, None, None]
  share = np.minimum(_ink(ink, chosen, draws, side) * bold // 8, 128)
  share = _blur(share.astype(np.int16), draws.below('blur', 3))[..., None]
  paper, other, colour, frame = _colours(draws)
  slope = draws.between('slope', -128, 128, (2, 1, 1))
  ramp = np.arange(side, dtype=np.int32) * 256 // (side - 1) - 128
  along = slope[:, 0] * ramp[:, None] + slope[:, 1] * ramp
  along = (64 + (along >> 9)).astype(np.int16)
  image = _mixed(paper, other, along[..., None])
  # The frame of a sign above or below the digits.
  edge = draws.between('edge', 1, 4)[:, None, None] * side // 32
  rows = np.arange(side)[:, None]
  framed = draws.chance('framed', 20, (2, 1, 1))
  framed = (framed[:, 0] & (rows < edge)) | (
    framed[:, 1] & (rows >= side - edge)
  )
  image = np.where(framed[..., None], frame, image)
  # A shadow of the digits, one pixel down and to one side.
  dark = draws.below('shadow', 80) * draws.chance('has shadow', 40)
  shadow = np.zeros_like(share)
  shadow[:, 1:, 1:] = share[:, :-1, :-1]
  shadow = shadow * dark.astype(np.int16)[:, None, None, None] >> 7
  image = _mixed(image, np.int16(0), shadow)
  image = _mixed(image, colour, share)
  return image.astype(np.uint8), label
