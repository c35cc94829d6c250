"""Answers with the files of a run, and files that a visitor saves."""

import io
import pathlib
import tempfile

import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes.explore import answers, forms, uploads
from jaxgan.modes.explore import model as model_lib
from jaxgan.modes.explore.explorer import Explorer
from jaxgan.modes.explore.model import LATENTS
from jaxgan.training import writers
from jaxgan.visual import animation, curves, grid

FORMATS = ('png', 'gif', 'npy')
FRAMES, FRAMES_PER_SECOND = 60, 20.0
STEPS_PER_SECOND = 4.0
MOST_STEPS = 60  # checkpoints in an animation
FRAME_SIDE = 280
MOST_LINES = 100  # of scores


def draw_curves(explorer: Explorer, form: dict) -> bytes:
  """Returns the curves of the run as PNG."""
  path = explorer.workdir / 'metrics.jsonl'
  if not path.is_file():
    raise errors.UserError(
      f'workdir {explorer.name!r} has no metrics.jsonl, so there are no curves.'
    )
  run = explorer.model(form).run
  expected = run.algorithm.equilibrium_metrics(run.method)
  rows = writers.read_json_lines(path)
  with tempfile.TemporaryDirectory() as folder:
    picture = pathlib.Path(folder) / 'curves.png'
    curves.draw([row for row in rows if 'images' in row], expected, picture)
    if not picture.exists():
      raise errors.UserError('metrics.jsonl has no line yet. Wait for a round.')
    return picture.read_bytes()


def scores(explorer: Explorer, form: dict) -> dict:
  """Returns the last lines of scores of the run, newest first."""
  del form
  path = explorer.workdir / 'eval.jsonl'
  rows = writers.read_json_lines(path)[-MOST_LINES:] if path.is_file() else []
  return {'rows': rows[::-1]}


def save(explorer: Explorer, form: dict) -> tuple[bytes, str]:
  """Returns what a page shows as a file, and the name of the file."""
  kind = forms.choice(form, 'format', FORMATS, 'png')
  step, member = explorer.key(form)
  name = f'{explorer.name}_step{step}'
  if explorer.members:
    name += f'_member{member:02d}'
  if kind == 'png':
    return _grid(explorer, form, step), f'{name}.png'
  if kind == 'npy':
    return _latents(explorer, form), f'{name}_latents.npy'
  if forms.choice(form, 'over', ('walk', 'steps'), 'walk') == 'steps':
    return _gif(*_over_steps(explorer, form)), f'{explorer.name}_steps.gif'
  return _gif(*_over_walk(explorer, form)), f'{name}_walk.gif'


def _grid(explorer: Explorer, form: dict, step: int) -> bytes:
  images = answers.decoded(explorer, form)
  columns = forms.integer(form, 'columns', 1, answers.MOST_IMAGES)
  caption = f'{explorer.name}  step {step:,}'
  return uploads.png(grid.draw(images, caption, columns))


def _latents(explorer: Explorer, form: dict) -> bytes:
  """Returns the latents [N, Z] of the images as an .npy file."""
  model, z, _ = answers.unpacked(explorer, form)
  z = answers.moved(explorer, form, model, z)
  psi = answers.psi_of(model, form)
  if psi is not None:
    z = model_lib.truncated(model, z, psi)
  file = io.BytesIO()
  np.save(file, np.asarray(z, np.float32))
  return file.getvalue()


def _over_walk(explorer: Explorer, form: dict):
  """Returns frames of the closed path through the latents of a request."""
  model, z, label = answers.unpacked(explorer, form, 16)
  z = answers.moved(explorer, form, model, z)
  path = model_lib.there_and_back(model, z, FRAMES)
  if label is not None:
    label = label[(np.arange(FRAMES) * len(z) // FRAMES)]
  images = model_lib.decode(model, path, label, answers.psi_of(model, form))
  return _pictures(images[:, None], 1), FRAMES_PER_SECOND


def _over_steps(explorer: Explorer, form: dict):
  """Returns frames of the same latents at all checkpoints."""
  model, z, label = answers.unpacked(explorer, form)
  if model.kind != LATENTS:
    raise errors.UserError(
      'over=steps: codes belong to one checkpoint. Save the walk.'
    )
  z = answers.moved(explorer, form, model, z)
  steps = explorer.steps()
  if len(steps) > MOST_STEPS:
    chosen = np.linspace(0, len(steps) - 1, MOST_STEPS).round().astype(int)
    steps = [steps[k] for k in chosen]
  columns = forms.integer(form, 'columns', 1, answers.MOST_IMAGES)
  psi = answers.psi_of(model, form)
  images = (
    model_lib.decode(explorer.model(form | {'step': k}), z, label, psi)
    for k in steps
  )
  return list(_pictures(images, columns)), STEPS_PER_SECOND


def _pictures(images, columns: int | None):
  """Yields frames uint8 [h, w, C] of images [N, H, W, C] or points [N, 2]."""
  for group in images:
    if group.ndim == 2:
      yield grid.cloud(group)
      continue
    frame = grid.tile(pixels_lib.to_picture(group), columns)
    scale = max(1, round(FRAME_SIDE / min(frame.shape[:2])))
    yield frame.repeat(scale, axis=0).repeat(scale, axis=1)


def _gif(frames, rate: float) -> bytes:
  frames = list(frames)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'frames.gif'
    animation.write(frames, len(frames), rate, path)
    return path.read_bytes()
