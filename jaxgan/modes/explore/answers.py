"""Answers on latents: what a run has, images, walks and planes.

Each answer takes the explorer and the fields of a request, and returns JSON, or
the bytes of a PNG. All raise a UserError for wrong fields.
"""

import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes import requests as request_lib
from jaxgan.modes.explore import directions as directions_lib
from jaxgan.modes.explore import forms, uploads
from jaxgan.modes.explore import model as model_lib
from jaxgan.modes.explore.explorer import Explorer
from jaxgan.modes.explore.model import LATENTS, Model
from jaxgan.visual import grid

MOST_IMAGES = 256  # of a request
MOST_POINTS = 4096
NORMAL_LIMIT, PSI_LIMIT = 3.0, 1.0  # largest truncation; above, it is off
PLANE_SIDE = 9
# Smallest side of an image -> images along a side of the first grid.
SIDES = ((256, 2), (128, 3), (64, 5), (0, 8))
POINTS_SIDE = 32


def about(explorer: Explorer, form: dict) -> dict:
  """Describes the run: what a page shows, and its controls."""
  model = explorer.model(form)
  run, shape = model.run, model.run.spec.shape
  side = next(n for least, n in SIDES if min(shape[:2]) >= least)
  if not run.spec.is_image:
    side = POINTS_SIDE
  parts = run.method.latents.parts if model.kind == LATENTS else ()
  return {
    'name': explorer.name,
    'method': run.name,
    'kind': model.kind if run.spec.is_image else 'points',
    'shape': list(shape),
    'steps': explorer.steps(),
    'members': explorer.members,
    'images': side**2,
    'classes': list(run.classes),
    'size': model.size,
    'truncation': truncation_limit(model),
    'categories': [
      {'name': part.name, 'size': part.size}
      for part in parts
      if part.distribution == 'categorical'
    ],
    'functions': [
      {'name': name, 'holes': 'known' in inputs}
      for name, inputs in model_lib.functions(model).items()
    ],
    'searches': run.spec.is_image and model.kind == LATENTS,
    'encodes': model_lib.has_codes(model),
    'curves': (explorer.workdir / 'metrics.jsonl').is_file(),
    'scores': (explorer.workdir / 'eval.jsonl').is_file(),
  }


def moves(explorer: Explorer, form: dict) -> dict:
  """Returns the sliders of a checkpoint."""
  if not explorer.model(form).size:
    return {'names': [], 'source': '', 'reach': 0}
  found = explorer.directions(form)
  return {
    'names': found.names,
    'source': found.source,
    'reach': directions_lib.REACH,
  }


def sample(explorer: Explorer, form: dict) -> dict:
  """Draws latents and classes."""
  model = explorer.model(form)
  refuse_pictures(model)
  num = forms.integer(form, 'num', 1, MOST_POINTS, 64)
  seed = forms.integer(form, 'seed', 0, request_lib.MOST_SEED, 0)
  z = model_lib.sample(model, num, seed, explorer.pictures)
  classes = len(model.run.classes)
  label = np.arange(len(z)) % classes if classes else np.zeros(0, int)
  return packed(z, label)


def refuse_pictures(model: Model) -> None:
  """Raises a UserError for a model without latents."""
  if not model.size:
    raise errors.UserError(
      f'method={model.run.name!r} makes no images from latents. Upload a '
      'picture.'
    )


def packed(z, label) -> dict:
  """Returns latents and classes as JSON."""
  return {'latents': forms.encoded(z), 'labels': [int(k) for k in label]}


def unpacked(explorer: Explorer, form: dict, most: int | None = None):
  """Returns the model, latents [N, Z] as they were sent, and classes or None.

  Args:
    explorer: the run.
    form: the request.
    most: largest number of latents.
  """
  model = explorer.model(form)
  refuse_pictures(model)
  is_image = model.run.spec.is_image
  most = most or (MOST_IMAGES if is_image else MOST_POINTS)
  z = forms.latents(form, model.size, most)
  classes = len(model.run.classes)
  if not classes:
    return model, z, None
  label = forms.numbers(form, 'labels', most, 0, classes - 1)
  if len(label) != len(z) or any(k != int(k) for k in label):
    raise errors.UserError(
      f'labels has {len(label)} classes for {len(z)} latents. Send a whole '
      'number for each.'
    )
  return model, z, np.array(label, np.int32)


def moved(explorer: Explorer, form: dict, model: Model, z) -> np.ndarray:
  """Returns latents [N, Z] after the moves and categories of a request."""
  reach = directions_lib.REACH
  amounts = forms.numbers(form, 'moves', directions_lib.MOST, -reach, reach)
  if np.any(amounts):
    vectors = explorer.directions(form).vectors
    if len(amounts) != len(vectors):
      raise errors.UserError(
        f'moves has {len(amounts)} numbers for {len(vectors)} directions. '
        'Reload the page.'
      )
    z = directions_lib.move(model, z, amounts, vectors)
  categories = form.get('categories') or {}
  if not isinstance(categories, dict):
    raise errors.UserError('categories must map names to numbers.')
  parts = model.run.method.latents.parts if model.kind == LATENTS else ()
  chosen = {
    part.name: forms.integer(categories, part.name, 0, part.size - 1)
    for part in parts
    if part.distribution == 'categorical'
  }
  chosen = {name: k for name, k in chosen.items() if k is not None}
  return directions_lib.choose(model, z, chosen)


def truncation_limit(model: Model) -> float:
  """Returns the largest truncation of a slider; 0 if there is none to set."""
  if model.kind != LATENTS:
    return 0.0
  method = model.run.method
  generator = getattr(method, 'generator', None)
  if hasattr(getattr(generator, 'module', generator), 'truncation'):
    return PSI_LIMIT
  parts = method.latents.parts
  is_normal = any(part.distribution == 'normal' for part in parts)
  return NORMAL_LIMIT if is_normal else 0.0


def psi_of(model: Model, form: dict) -> float | None:
  """Returns the truncation of a request, or None."""
  psi = forms.number(form, 'truncation', 0, request_lib.MOST_TRUNCATION)
  if psi is not None and not truncation_limit(model):
    raise errors.UserError(
      f'truncation={psi}: this run has no normal latents. Remove the field.'
    )
  return psi


def decoded(explorer: Explorer, form: dict) -> np.ndarray:
  """Returns the images [N, ...] in [-1, 1] that a request asks for."""
  model, z, label = unpacked(explorer, form)
  z = moved(explorer, form, model, z)
  return model_lib.decode(model, z, label, psi_of(model, form))


def images(explorer: Explorer, form: dict) -> bytes:
  """Returns a PNG with the images of latents side by side, without gaps."""
  made = decoded(explorer, form)
  if made.ndim == 2:
    return uploads.png(grid.cloud(made))
  columns = forms.integer(form, 'columns', 1, MOST_IMAGES, len(made))
  return uploads.png(strip(pixels_lib.to_picture(made), columns))


def strip(pictures: np.ndarray, columns: int) -> np.ndarray:
  """Joins pictures uint8 [N, H, W, C] in reading order, without gaps."""
  num, height, width, channels = pictures.shape
  rows = -(-num // columns)
  cells = np.zeros((rows * columns, height, width, channels), np.uint8)
  cells[:num] = pictures
  cells = cells.reshape(rows, columns, height, width, channels)
  cells = cells.swapaxes(1, 2)
  return cells.reshape(rows * height, columns * width, channels)


def walk(explorer: Explorer, form: dict) -> dict:
  """Returns latents between two, with the class of the nearer end."""
  model, z, label = unpacked(explorer, form, 2)
  num = forms.integer(form, 'num', 2, MOST_IMAGES, 11)
  if len(z) != 2:
    raise errors.UserError('latents: a walk has two ends. Click two pictures.')
  ends = np.arange(num) * 2 >= num
  label = np.zeros(0, int) if label is None else label[ends.astype(int)]
  return packed(model_lib.between(model, *z, num), label)


def plane(explorer: Explorer, form: dict) -> dict:
  """Returns latents on a plane around a picture, or around the mean."""
  model = explorer.model(form)
  refuse_pictures(model)
  vectors = explorer.directions(form).vectors
  axes = [
    forms.integer(form, name, 0, len(vectors) - 1, default)
    for name, default in (('first', 0), ('second', min(1, len(vectors) - 1)))
  ]
  side = forms.integer(form, 'side', 2, 16, PLANE_SIDE)
  classes, label = len(model.run.classes), None
  if form.get('latents'):
    _, (centre, *_), label = unpacked(explorer, form, 1)
  else:
    centre = model_lib.centre(model, explorer.pictures)
    label = np.zeros(1, int) if classes else None
  z = directions_lib.plane(model, centre, *vectors[axes], side)
  label = np.zeros(0, int) if label is None else label.repeat(len(z))
  return packed(z, label) | {'columns': side}
