"""Answers on pictures: uploads, their latents, completions and translations."""

import base64

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import similarity
from jaxgan.modes import complete, poisson
from jaxgan.modes import requests as request_lib
from jaxgan.modes.explore import answers, forms, uploads
from jaxgan.modes.explore import model as model_lib
from jaxgan.modes.explore.explorer import Explorer
from jaxgan.modes.explore.model import LATENTS, PICTURES, Model
from jaxgan.modes.held_out import Request

HOLE = 0.0  # value of missing pixels
RESTARTS = 4
MOST_ROWS = 16


def _function(model: Model, form: dict) -> tuple[str, tuple[int, ...], str]:
  """Returns the chosen network, the shape of its pictures, and their column."""
  run, shapes = model.run, model_lib.functions(model)
  if not shapes:
    return '', run.spec.shape, 'image'
  name = forms.choice(form, 'function', list(shapes), next(iter(shapes)))
  # The first network translates sources; a second one translates them back.
  is_first = name == next(iter(shapes))
  column = 'source' if run.spec.source_shape and is_first else 'image'
  return name, shapes[name]['image'], column


def _refuse_points(model: Model) -> None:
  if not model.run.spec.is_image:
    raise errors.UserError('This run makes points, and a picture is none.')


def picture(explorer: Explorer, form: dict) -> bytes:
  """Returns an upload as PNG of the shape that the run takes.

  Without an upload, the PNG is a held-out picture of the run.
  """
  model = explorer.model(form)
  _refuse_points(model)
  _, shape, column = _function(model, form)
  if 'picture' in form:
    data = forms.content(form, 'picture', uploads.MOST_BYTES)
    return _png(uploads.decode(data, shape, model.run.config.data.resize))
  seed = forms.integer(form, 'seed', 0, request_lib.MOST_SEED, 0)
  pixels = explorer.held_out(column, 1, seed)
  return uploads.png(pixels_lib.to_picture(pixels)[0])


def _png(pixels: np.ndarray) -> bytes:
  return uploads.png(pixels_lib.to_picture(pixels_lib.to_float(pixels)))


def _uploaded(model: Model, form: dict, shape) -> np.ndarray:
  """Returns the picture of a request, [1, H, W, C] in [-1, 1]."""
  data = forms.content(form, 'picture', uploads.MOST_BYTES)
  pixels = uploads.decode(data, shape, model.run.config.data.resize)
  return pixels_lib.to_float(pixels)[None]


def _known(form: dict, shape) -> np.ndarray | None:
  """Returns the known pixels of a request, bool [1, H, W, 1], or None."""
  data = forms.content(form, 'mask', uploads.MOST_BYTES)
  return uploads.mask(data, *shape[:2])[None] if data else None


def _shown(rows: dict[str, np.ndarray]) -> dict[str, str]:
  """Returns pictures [H, W, C] in [-1, 1] as texts that a page shows."""
  texts = {}
  for name, image in rows.items():
    data = uploads.png(pixels_lib.to_picture(np.asarray(image)))
    texts[name] = 'data:image/png;base64,' + base64.b64encode(data).decode()
  return texts


def search(explorer: Explorer, form: dict) -> dict:
  """Finds the latents of a picture, or completes a picture with a hole."""
  model = explorer.model(form)
  _refuse_points(model)
  answers.refuse_pictures(model)
  run, shape = model.run, model.run.spec.shape
  image, known = _uploaded(model, form, shape), _known(form, shape)
  label = forms.integer(form, 'label', 0, max(len(run.classes) - 1, 0))
  seed = forms.integer(form, 'seed', 0, request_lib.MOST_SEED, 0)
  if known is None and model_lib.has_codes(model):
    z, label = model_lib.encode(model, image), 0
    made = model_lib.decode(model, z)
  elif model.kind == LATENTS:
    z, made, label = _search(explorer, model, image, known, label, seed)
  else:
    raise errors.UserError(
      'mask: an autoencoder fills no holes. Clear the hole.'
    )
  shown = {'picture': image[0]}
  if known is not None:
    shown['with hole'] = np.where(known, image, HOLE)[0]
    shown['completed'] = np.where(known, image, made)[0]
    shown['blended'] = jax.jit(poisson.blend)(image, made, known)[0]
  shown['found'] = made[0]
  shown = {name: np.asarray(x) for name, x in shown.items()}
  error = float(jnp.mean(similarity.psnr(image, made)))
  return answers.packed(z, [label] if run.classes else []) | {
    'pictures': _shown(shown),
    'psnr': round(error, 2) if np.isfinite(error) else None,
  }


def _search(explorer: Explorer, model: Model, image, known, label, seed):
  """Returns latents [1, Z], their image and their class."""
  run = model.run
  request = Request(
    mask=None if known is None else 'upload',
    restarts=None if run.classes and label is None else RESTARTS,
    labels=None if label is None or not run.classes else run.classes[label],
  )
  every = np.ones((1, *image.shape[1:3], 1), bool)
  with explorer.searching:
    best = complete.search(
      run,
      request,
      jax.random.key(seed),
      jnp.asarray(image),
      jnp.asarray(every if known is None else known),
    )
  if label is None and run.classes:
    # Starts are grouped by class.
    count = -(-RESTARTS // len(run.classes))
    label = int(best.start[0]) // count
  return np.asarray(best.latents), np.asarray(best.images), label or 0


def _squares(model: Model, known) -> np.ndarray:
  """Moves each hole to a square of the size in training, [N, H, W, 1]."""
  size = model.run.method.mask.size
  squares = np.ones_like(known)
  for row, square in zip(known, squares, strict=True):
    places = np.argwhere(~row[..., 0])
    middle = (places.min(axis=0) + places.max(axis=0) + 1) / 2
    most = np.array(row.shape[:2]) - size
    top, left = np.clip(np.rint(middle - size / 2), 0, most).astype(int)
    square[top : top + size, left : left + size] = False
  return squares


def _rows(model: Model, name: str, images, known) -> dict[str, np.ndarray]:
  """Returns inputs [N, H, W, C], outputs, and outputs that came back."""
  shapes = model_lib.functions(model)
  if 'known' in shapes[name]:
    if known is None:
      raise errors.UserError('mask is missing. Paint a hole.')
    known = _squares(model, known)
    made = model_lib.apply(model, name, image=images, known=known)
    masked = np.where(known, images, HOLE)
    return {'with hole': masked, 'completed': made, 'picture': images}
  rows = {'picture': images, name: model_lib.apply(model, name, image=images)}
  if len(shapes) == 2:
    (back,) = set(shapes) - {name}
    rows[f'back by {back}'] = model_lib.apply(model, back, image=rows[name])
  return rows


def translate(explorer: Explorer, form: dict) -> dict:
  """Applies a network to a picture; returns pictures by name."""
  model = explorer.model(form)
  name, shape, _ = _function(model, form)
  _refuse_networks(model, name)
  rows = _rows(model, name, _uploaded(model, form, shape), _known(form, shape))
  return {'pictures': _shown({key: x[0] for key, x in rows.items()})}


def _refuse_networks(model: Model, name: str) -> None:
  if not name:
    raise errors.UserError(
      f'method={model.run.name!r} maps no pictures to pictures. Search the '
      'latents of the picture.'
    )


def examples(explorer: Explorer, form: dict) -> bytes:
  """Returns a PNG of held-out pictures and their translations, in rows."""
  model = explorer.model(form)
  name, shape, column = _function(model, form)
  _refuse_networks(model, name)
  num = forms.integer(form, 'num', 1, MOST_ROWS, 8)
  seed = forms.integer(form, 'seed', 0, request_lib.MOST_SEED, 0)
  images = explorer.held_out(column, num, seed)
  known = None
  if model.kind == PICTURES and hasattr(model.run.method, 'mask'):
    known = np.ones((len(images), *shape[:2], 1), bool)
    corners = np.random.default_rng(seed).random((len(images), 2))
    for row, corner in zip(known, corners, strict=True):
      row[tuple((corner * shape[:2]).astype(int))] = False
  rows = _rows(model, name, images, known).values()
  channels = max(x.shape[-1] for x in rows)
  grids = [np.broadcast_to(x, (*x.shape[:-1], channels)) for x in rows]
  pictures = pixels_lib.to_picture(np.concatenate(grids))
  return uploads.png(answers.strip(pictures, len(images)))
