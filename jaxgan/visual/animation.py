"""Pictures in turn."""

import pathlib
from collections.abc import Sequence

from PIL import Image

MOST_FRAMES = 60
SECONDS_PER_FRAME = 0.15
SECONDS_AT_END = 2.0


def gif(frames: Sequence[pathlib.Path], path: pathlib.Path) -> None:
  """Writes an endless GIF of PNG files; of many, evenly spaced ones."""
  if not frames:
    return
  if len(frames) > MOST_FRAMES:
    last = len(frames) - 1
    picked = [round(k * last / (MOST_FRAMES - 1)) for k in range(MOST_FRAMES)]
    frames = [frames[k] for k in picked]
  pictures = []
  for frame in frames:
    with Image.open(frame) as picture:
      grey = picture.mode == 'L'
      pictures.append(picture.convert('L' if grey else 'RGB'))
  durations = [round(1000 * SECONDS_PER_FRAME)] * len(pictures)
  durations[-1] = round(1000 * SECONDS_AT_END)
  temporary = path.with_name(f'.{path.name}.tmp')
  pictures[0].save(
    temporary,
    format='GIF',
    save_all=True,
    append_images=pictures[1:],
    duration=durations,
    loop=0,
  )
  temporary.replace(path)
