"""Plots losses and scores over time."""

import pathlib

import numpy as np

from jaxgan.core import paths

# title of a panel -> whether the panel shows a metric, by its name.
PANELS = {
  'losses': lambda name: name.endswith('/loss'),
  'discriminator output, mean over images': lambda name: name.endswith(
    ('/real', '/fake', '/held_out', '/seen')
  ),
  'gradient norms': lambda name: name.endswith('/grad_norm'),
  'others': lambda name: True,
}
HIDDEN = ('step', 'images', 'steps_per_second')
HIDDEN_ENDINGS = (
  *('/param_norm', '/update_norm', '/std'),
  *('_std', '_variance'),
)
# Metrics of population members are hidden; their mean is drawn with a band.
OF_MEMBER = '/member_'


def panels(names) -> dict[str, list[str]]:
  """Groups metrics by panel.

  Returns:
    title -> sorted names of metrics. Every name is in one panel, and empty
    panels are left out.
  """
  remaining = [
    name
    for name in names
    if name not in HIDDEN
    and not name.endswith(HIDDEN_ENDINGS)
    and OF_MEMBER not in name
  ]
  groups = {}
  for title, belongs in PANELS.items():
    members = sorted(name for name in remaining if belongs(name))
    remaining = [name for name in remaining if name not in members]
    if members:
      groups[title] = members
  return groups


def draw(
  rows: list[dict[str, float]], expected: dict[str, float], path: pathlib.Path
) -> None:
  """Plots metrics against images seen.

  Args:
    rows: lines of `metrics.jsonl`.
    expected: metric -> its value at equilibrium by theory, drawn dashed.
    path: the PNG file.
  """
  from matplotlib import figure  # Slow to import, and only needed at the end.

  names = {name: None for row in rows for name in row}
  shown = panels(names)
  if not shown:
    return
  picture = figure.Figure(figsize=(9.0, 2.6 * len(shown)), layout='constrained')
  axes = picture.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
  for axis, (title, members) in zip(axes, shown.items(), strict=True):
    values_at = {}
    for name in members:
      points = [
        (row['images'], row[name], row.get(f'{name}/std', 0.0))
        for row in rows
        if name in row
      ]
      images, values, spread = np.array(points).T
      (line,) = axis.plot(images, values, label=name, linewidth=1.2)
      if spread.any():
        low, high = values - spread, values + spread
        axis.fill_between(images, low, high, color=line.get_color(), alpha=0.2)
      if name in expected:
        values_at.setdefault(expected[name], []).append((name, line))
    for value, lines in values_at.items():
      # Metrics with equal values share a line.
      same = len(lines) > 1
      axis.axhline(
        value,
        color='grey' if same else lines[0][1].get_color(),
        linestyle='--',
        linewidth=1.0,
        label=f'at equilibrium: {value:.3f}',
      )
    axis.set_title(title, loc='left', fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1.0, 1.0))
  axes[-1].set_xlabel('images')
  with paths.replacing(path) as temporary:
    picture.savefig(temporary, format='png', dpi=100)
