"""Directions that sliders move latents along.

Few latents are moved one by one. Otherwise the directions are those of SeFa
(Shen and Zhou 2021, https://arxiv.org/abs/2007.06600), see `core.directions`.
If no layer takes all latents, they are regressed on the principal components of
activations (Harkonen et al. 2020, https://arxiv.org/abs/2004.02546, section
2.2), here those of the images.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.modes import sample as sample_lib
from jaxgan.modes.explore import model as model_lib
from jaxgan.modes.explore.model import CODES, LATENTS, Model

MOST = 8  # sliders
FEW_LATENTS = 8  # that are moved one by one
SAMPLES = 512  # images whose components are found
PIXELS = 2**24  # of all these images
REACH = 3.0  # the largest move


@dataclasses.dataclass(frozen=True)
class Directions:
  """Directions of a model.

  Attributes:
    names: name of each direction.
    vectors: float32 [K, Z].
    source: text that names the method of `find`.
  """

  names: tuple[str, ...]
  vectors: np.ndarray
  source: str


def find(model: Model, pictures: Callable) -> Directions:
  """Returns at most `MOST` directions of a model, the strongest first.

  Args:
    model: a model of latents or codes.
    pictures: see `model.sample`.
  """
  if model.kind == CODES:
    z = model_lib.sample(model, SAMPLES, 0, pictures)
    vectors, source = _components(z)[0], 'principal components of codes'
    return _named((), vectors, source)
  latents = model.run.method.latents
  single, start = [], 0
  for part in latents.parts:
    is_code = len(latents.parts) > 1 and part.distribution == 'uniform'
    if is_code or (part.size <= FEW_LATENTS and len(latents.parts) == 1):
      single += range(start, start + part.size)
    start += part.size
  single = single[:MOST]
  if len(single) == latents.size:
    return _named(single, np.zeros((0, latents.size), np.float32), 'latents')
  z = model_lib.sample(model, SAMPLES, 0, pictures)
  try:
    vectors = sample_lib.directions_of(model.run, z[:1])
    source = 'SeFa, directions of the first layer'
  except errors.UserError:
    vectors, source = _regressed(model, z), 'principal components of images'
  return _named(single, vectors, source)


def _named(single, vectors: np.ndarray, source: str) -> Directions:
  """Returns directions: single dimensions first, then vectors [N, Z]."""
  vectors = vectors[: MOST - len(single)]
  names = [f'latent {dimension}' for dimension in single]
  names += [f'direction {number}' for number in range(len(vectors))]
  units = np.eye(vectors.shape[1], dtype=np.float32)[list(single)]
  return Directions(tuple(names), np.concatenate([units, vectors]), source)


def _components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns principal components of rows [N, D], and coordinates [N, K].

  Components are as long as the standard deviation along them, and coordinates
  have the standard deviation 1.
  """
  x = x - x.mean(axis=0)
  u, sizes, components = np.linalg.svd(x, full_matrices=False)
  sizes = sizes[:MOST]
  keep = sizes > 1e-6 * max(sizes[0], 1e-12)
  deviations = sizes[keep] / np.sqrt(len(x))
  signs = np.sign(
    np.take_along_axis(
      components[:MOST][keep],
      np.abs(components[:MOST][keep]).argmax(axis=1)[:, None],
      axis=1,
    )
  )
  vectors = components[:MOST][keep] * signs * deviations[:, None]
  coordinates = u[:, :MOST][:, keep] * signs.T * np.sqrt(len(x))
  return vectors.astype(np.float32), coordinates


def _regressed(model: Model, z: np.ndarray) -> np.ndarray:
  """Returns directions [K, Z] of length one, by regression on images."""
  count = PIXELS // int(np.prod(model.run.spec.shape))
  z = z[: max(MOST, min(len(z), count))]
  classes = len(model.run.classes)
  label = np.zeros(len(z), np.int32) if classes else None
  images = model_lib.decode(model, z, label)
  _, coordinates = _components(images.reshape(len(images), -1))
  vectors = coordinates.T @ (z - z.mean(axis=0))
  lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
  return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def move(model: Model, z, amounts, vectors: np.ndarray) -> np.ndarray:
  """Moves latents [N, Z] along directions [K, Z] by amounts [K].

  Latents that do not move are unchanged. Others stay where latents are likely.
  """
  if not np.any(amounts):
    return z
  z = z + np.asarray(amounts, np.float32) @ vectors[: len(amounts)]
  if model.kind == LATENTS:
    z = model.run.method.latents.project(z)
  return np.asarray(z)


def choose(model: Model, z, categories: dict[str, int]) -> np.ndarray:
  """Sets categorical parts of latents [N, Z] to a category, by name."""
  if model.kind != LATENTS or not categories:
    return z
  pieces = dict(model.run.method.latents.split(jnp.asarray(z)))
  for name, category in categories.items():
    eye = np.eye(pieces[name].shape[-1], dtype=np.float32)
    pieces[name] = np.broadcast_to(eye[category], pieces[name].shape)
  return np.concatenate(list(pieces.values()), axis=-1)


def plane(model: Model, centre, first, second, side: int) -> np.ndarray:
  """Returns latents [side * side, Z] on a plane, in reading order.

  The first direction grows to the right, the second upwards.

  Args:
    model: a model of latents or codes.
    centre: the middle, [Z].
    first: a direction [Z].
    second: a direction [Z].
    side: number of latents along each direction.
  """
  line = np.linspace(-REACH, REACH, side, dtype=np.float32)
  x, y = (part.reshape(-1, 1) for part in np.meshgrid(line, line[::-1]))
  z = centre[None] + x * first[None] + y * second[None]
  if model.kind == LATENTS:
    z = model.run.method.latents.project(z)
  return np.asarray(z)
