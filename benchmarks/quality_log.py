"""Log and picture of `time_to_quality`."""

import json
import pathlib

import numpy as np


def read(path: pathlib.Path) -> list[dict]:
  """Returns the lines of a log; leaves out a line that is not complete."""
  if not path.exists():
    return []
  lines = path.read_text().splitlines(keepends=True)
  return [json.loads(line) for line in lines if line.endswith('\n')]


def write(path: pathlib.Path, lines: list[dict]) -> None:
  """Replaces a log; a kill leaves the old one or the new one."""
  new = path.with_suffix('.new')
  new.write_text(''.join(json.dumps(line) + '\n' for line in lines))
  new.replace(path)


def draw(lines: list[dict], path: pathlib.Path) -> None:
  """Plots Frechet distances against seconds, a panel for each config."""
  from matplotlib import figure  # Slow to import, and only needed at the end.

  configs = list(dict.fromkeys(line['config'] for line in lines))
  picture = figure.Figure(
    figsize=(3.6 * len(configs), 3.2), layout='constrained'
  )
  axes = picture.subplots(1, len(configs), squeeze=False, sharey=True)[0]
  for axis, config in zip(axes, configs, strict=True):
    here = [line for line in lines if line['config'] == config]
    for side in dict.fromkeys(line['side'] for line in here):
      chosen = [line for line in here if line['side'] == side]
      marks = sorted({line['index'] for line in chosen})
      at = [[x for x in chosen if x['index'] == mark] for mark in marks]
      seconds = [np.mean([x['seconds'] for x in part]) for part in at]
      values = [[x['frechet'] for x in part] for part in at]
      (curve,) = axis.plot(
        seconds, [np.mean(x) for x in values], marker='o', markersize=3
      )
      curve.set_label(side)
      low, high = [min(x) for x in values], [max(x) for x in values]
      axis.fill_between(seconds, low, high, color=curve.get_color(), alpha=0.2)
    axis.set(title=config, xscale='log', yscale='log', xlabel='seconds')
    axis.grid(True, which='both', alpha=0.3)
    axis.legend()
  axes[0].set_ylabel('Frechet distance, test digits')
  picture.savefig(path, dpi=110)
