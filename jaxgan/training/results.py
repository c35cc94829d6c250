"""Pictures at the end of a run: curves of its metrics, and its grids as GIF."""

import pathlib
from collections.abc import Mapping

from jaxgan.training import writers
from jaxgan.visual import animation, curves


def draw(workdir: pathlib.Path, step: int, expected: Mapping[str, float]):
  """Writes `samples.gif` and `curves.png`.

  Args:
    workdir: the folder of the run.
    step: the last step; a killed run may have left later grids and lines.
    expected: metrics at equilibrium by name.
  """
  numbers = {
    path: path.stem.removeprefix('step_')
    for path in sorted((workdir / 'samples').glob('step_*.png'))
  }
  frames = [
    path
    for path, number in numbers.items()
    if number.isdecimal() and int(number) <= step
  ]
  animation.gif(frames, workdir / 'samples.gif')
  rows = writers.read_json_lines(workdir / 'metrics.jsonl')
  rows = [row for row in rows if row['step'] <= step]
  curves.draw(rows, expected, workdir / 'curves.png')
