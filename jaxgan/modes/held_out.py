"""What --mode=complete and --mode=invert are asked for.

Which images, what is missing of them, and what is refused.
"""

import dataclasses
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, errors
from jaxgan.core import masks
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import images as images_lib
from jaxgan.data.sources import folder
from jaxgan.modes import latent_search
from jaxgan.modes import requests as request_lib
from jaxgan.training.run import Run

LOW_RESOLUTION = 'low_resolution'
NUM_IMAGES, MOST_IMAGES = 64, 10_000
MOST_RESTARTS, MOST_ITERATIONS = 1_000, 100_000


@dataclasses.dataclass(frozen=True)
class Request:
  """What to complete or to invert: the flags of both modes.

  Attributes:
    mask: a key of `masks.PATTERNS`; 'low_resolution', where blocks of 4 x 4
      pixels are known by their mean; or the path of a picture of the images'
      size, white where pixels are known, black or transparent where they are
      missing. None: nothing is missing, which is inversion.
    num: images; None is 64, or as many as there are.
    seed: of which held-out images, random masks, and first latents.
    member: of a population.
    images: a folder of images to take; '' takes held-out ones.
    labels: of a conditional run: a class by name or number for all images, or
      one for each with commas between. None lets the loss choose.
    restarts: first latents of every image (of every class to choose from); None
      is 4, divided by the number of those classes.
    iterations: updates of the latents.
    blend: fills holes by Poisson blending.
  """

  mask: str | None = None
  num: int | None = None
  seed: int = 0
  member: int | None = None
  images: str = ''
  labels: str | None = None
  restarts: int | None = None
  iterations: int = latent_search.ITERATIONS
  blend: bool = False

  @property
  def mode(self) -> str:
    return 'invert' if self.mask is None else 'complete'


def check(request: Request) -> None:
  """Raises for what no run can do."""
  for name, value, most in (
    ('num', request.num, MOST_IMAGES),
    ('restarts', request.restarts, MOST_RESTARTS),
    ('iterations', request.iterations, MOST_ITERATIONS),
  ):
    if value is not None and not 1 <= value <= most:
      raise errors.UserError(f'--{name}={value} must be in 1..{most}')
  if not 0 <= request.seed < 2**32:
    raise errors.UserError(f'--seed={request.seed} must be in 0..{2**32 - 1}')
  if request.blend and request.mask == LOW_RESOLUTION:
    raise errors.UserError(
      f'--blend joins holes to known pixels, and --mask={LOW_RESOLUTION} '
      'leaves none; leave one of them out'
    )


def images(run: Run, request: Request) -> jax.Array:
  """Images [N, H, W, C] in [-1, 1] of the shape that the run makes."""
  settings, shape = run.config.data, run.spec.shape
  if request.images:
    root = pathlib.Path(request.images).expanduser()
    try:
      files, _ = folder.list_files(root)
    except errors.DataError as error:
      text = str(error).replace('data.path', '--images')
      raise errors.DataError(text) from None
    places = range(_count(request, len(files)))

    def read(place):
      path = files[place]
      with images_lib.open_header(path, settings.max_pixels) as picture:
        try:
          return images_lib.decode(
            picture, shape[:2], shape[2], settings.resize
          )
        except Exception as error:  # Pillow's decoders raise what they like.
          raise errors.DataError(
            f'{path}: unreadable ({error}); remove it from --images'
          ) from None

  else:
    if settings.source == 'folder' and not settings.held_out:
      raise errors.UserError(
        'the run held no images back (data.held_out=0.0); give a folder of '
        'others, --images=FOLDER'
      )
    held_out = data.load(settings, 'test')
    if held_out.spec.shape != shape:
      raise errors.DataError(
        f'held-out images have shape {held_out.spec.shape} and the run makes '
        f'{shape}; give a folder of others, --images=FOLDER'
      )
    rng = np.random.default_rng(request.seed)
    order = rng.permutation(held_out.size)
    places = order[: _count(request, held_out.size)]
    read = lambda place: held_out.read(int(place))['image']
  return jnp.asarray(pixels_lib.to_float(np.stack([read(p) for p in places])))


def _count(request: Request, there_are: int) -> int:
  if request.num is None:
    return min(NUM_IMAGES, there_are)
  if request.num > there_are:
    raise errors.UserError(
      f'--num={request.num}: there are {there_are} images; ask for fewer'
    )
  return request.num


def known(request: Request, key, shape) -> jax.Array:
  """Which pixels are known, bool [N, H, W, 1]."""
  count, height, width, _ = shape
  if request.mask in (None, LOW_RESOLUTION):
    return jnp.full((count, height, width, 1), request.mask is None)
  if request.mask in masks.PATTERNS:
    pattern = masks.PATTERNS[request.mask]
    known = pattern(jax.random.fold_in(key, 1), count, shape[1:])
  else:
    known = _known_of_file(request.mask, height, width)
    known = jnp.broadcast_to(known, (count, height, width, 1))
  missing = np.asarray(~known).mean(axis=(1, 2, 3))
  if missing.min() == 0.0 or missing.max() == 1.0:
    raise errors.UserError(
      f'--mask={request.mask}: of {height} x {width} pixels it leaves '
      f'{"all" if missing.min() == 0.0 else "none"} known; take another mask'
    )
  return known


def _known_of_file(name: str, height: int, width: int) -> jax.Array:
  path = pathlib.Path(name).expanduser()
  if not path.is_file():
    known = [*masks.PATTERNS, LOW_RESOLUTION, 'the path of a picture']
    raise errors.unknown('--mask', name, known)
  # Of any size, as nothing is decoded before sizes are compared.
  with images_lib.open_header(path, math.inf) as picture:
    if picture.size != (width, height):
      raise errors.UserError(
        f'--mask={name} is {picture.size[1]} x {picture.size[0]} and the '
        f'images are {height} x {width} (height x width); scale it'
      )
    try:
      bands = np.asarray(picture.convert('RGBA').convert('LA'))
    except Exception as error:  # Pillow's decoders raise whatever they like.
      raise errors.DataError(f'--mask={name}: unreadable ({error})') from None
  return jnp.asarray((bands > 127).all(axis=-1))[None, :, :, None]


def labels(run: Run, request: Request, count: int) -> np.ndarray | None:
  """Classes to choose from, [N, K]: all, or the one that is given."""
  if request.labels is None:
    if not run.classes:
      return None
    return np.tile(np.arange(len(run.classes)), (count, 1))
  if not run.classes:
    raise errors.UserError(
      f'--labels={request.labels}: this run (method={run.name!r}) takes no '
      'labels; leave it out'
    )
  label = request_lib.numbers(request.labels, run.classes)
  if len(label) not in (1, count):
    raise errors.UserError(
      f'--labels={request.labels} names {len(label)} classes for {count} '
      'images; give one, or one for each'
    )
  return np.broadcast_to(label, count)[:, None]
