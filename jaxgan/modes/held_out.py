"""Requests of --mode=complete and --mode=invert: images, masks and labels."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import masks, memory, paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import files as files_lib
from jaxgan.data import images as images_lib
from jaxgan.modes import latent_search
from jaxgan.modes import requests as request_lib
from jaxgan.training import data_files
from jaxgan.training.trained import Run

LOW_RESOLUTION = 'low_resolution'
NUM_IMAGES, MOST_IMAGES = 64, 10_000
RESTARTS = 4  # first latents of an image, for all classes together
BATCH = 64  # images in one scan
FLOAT = 4  # bytes
SPACES = ('z', 'w', 'w+')
MOST_RESTARTS, MOST_ITERATIONS = 1_000, 100_000


@dataclasses.dataclass(frozen=True)
class Request:
  """The flags of both modes.

  Attributes:
    mask: the missing pixels. A key of `masks.PATTERNS`; 'low_resolution', with
      known means of blocks of 4 x 4 pixels; or the path of a picture of the
      same size. The picture is white where pixels are known, and black or
      transparent where they are missing. None for inversion.
    num: number of images; None for 64, or fewer if there are fewer.
    seed: seed of held-out images, random masks, and first latents.
    member: member of a population.
    images: a folder of images; '' for held-out images of the run.
    labels: for a conditional run a class by name or number for all images, or
      one for each image with commas between. None lets the loss choose.
    restarts: first latents of every image and class; None for 4 in total.
    iterations: updates of the latents.
    space: 'z' for latents; 'w' for styles of a generator with a mapping
      network; 'w+' for styles of each layer. Styles are for inversion.
    blend: True to fill holes by Poisson blending.
    data: fields of `config.data` to change, see `data_files.FIELDS`.
  """

  mask: str | None = None
  num: int | None = None
  seed: int = 0
  member: int | None = None
  images: str = ''
  labels: str | None = None
  restarts: int | None = None
  iterations: int = latent_search.ITERATIONS
  space: str = 'z'
  blend: bool = False
  data: dict | None = None

  @property
  def mode(self) -> str:
    """The value of --mode."""
    return 'invert' if self.mask is None else 'complete'


def check(request: Request) -> None:
  """Raises a UserError for a request that fits no run."""
  for name, value, most in (
    ('num', request.num, MOST_IMAGES),
    ('restarts', request.restarts, MOST_RESTARTS),
    ('iterations', request.iterations, MOST_ITERATIONS),
  ):
    request_lib.check_range(name, value, 1, most)
  request_lib.check_range('seed', request.seed, 0, request_lib.MOST_SEED)
  if request.space not in SPACES:
    raise errors.unknown('--space', request.space, SPACES)
  for name in ('labels', 'restarts') if request.space != 'z' else ():
    if getattr(request, name) is not None:
      raise errors.UserError(
        f'--space={request.space} starts from the mean of w, without --{name}. '
        'Remove one of the two flags.'
      )
  if request.blend and request.mask == LOW_RESOLUTION:
    raise errors.UserError(
      f'--blend joins holes to known pixels, and --mask={LOW_RESOLUTION} '
      'has none. Remove one of the flags.'
    )


def images(run: Run, request: Request, workdir) -> jax.Array:
  """Returns images [N, H, W, C] in [-1, 1] of the shape of the run.

  Args:
    run: a trained run.
    request: the flags.
    workdir: the folder of the run.
  """
  settings, shape = run.config.data, run.spec.shape
  if request.images:
    root = paths.of_user(request.images, '--images')
    try:
      files = files_lib.list_files(root).files
    except errors.DataError as error:
      text = str(error).replace('data.path', '--images')
      raise errors.DataError(text) from None
    indices = range(_count(request, len(files)))

    def read(index):
      path = files[index]
      with images_lib.open_header(path, settings.max_pixels) as picture:
        try:
          return images_lib.decode(
            picture,
            shape[:2],
            shape[2],
            settings.resize,
            settings.get('range', ()),
          )
        except Exception as error:  # Pillow's decoders raise many types.
          raise errors.DataError(
            f'{path}: unreadable ({error}). Remove it from --images.'
          ) from None

  else:
    if settings.source == 'folder' and not settings.held_out:
      raise errors.UserError(
        'data.held_out=0.0: the run has no held-out images. Set '
        '--images=FOLDER.'
      )
    held_out = data_files.load(run.config, workdir, 'test', run.spec)
    if held_out.spec.shape != shape:
      raise errors.DataError(
        f'held-out images have shape {held_out.spec.shape} and the run makes '
        f'{shape}. Set --images=FOLDER.'
      )
    rng = np.random.default_rng(request.seed)
    order = rng.permutation(held_out.size)
    indices = order[: _count(request, held_out.size)]
    read = lambda index: held_out.read(int(index))['image']
  return jnp.asarray(pixels_lib.to_float(np.stack([read(k) for k in indices])))


def _count(request: Request, available: int) -> int:
  if request.num is None:
    return min(NUM_IMAGES, available)
  if request.num > available:
    raise errors.UserError(
      f'--num={request.num}: there are {available} images. Set a lower --num.'
    )
  return request.num


def known(request: Request, key, shape) -> jax.Array:
  """Returns a mask of known pixels, bool [N, H, W, 1]."""
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
      f'--mask={request.mask}: of {height} x {width} pixels the mask leaves '
      f'{"all" if missing.min() == 0.0 else "none"} known. Use another mask.'
    )
  return known


def _known_of_file(name: str, height: int, width: int) -> jax.Array:
  path = paths.of_user(name, '--mask')
  if not path.is_file():
    known = [*masks.PATTERNS, LOW_RESOLUTION, 'the path of a picture']
    raise errors.unknown('--mask', name, known)
  # Any size is accepted: nothing is decoded before sizes are compared.
  with images_lib.open_header(path, math.inf) as picture:
    if picture.size != (width, height):
      raise errors.UserError(
        f'--mask={name} is {picture.size[1]} x {picture.size[0]} and the '
        f'images are {height} x {width} (height x width). Scale it.'
      )
    try:
      bands = np.asarray(picture.convert('RGBA').convert('LA'))
    except Exception as error:  # Pillow's decoders raise many types.
      raise errors.DataError(
        f'--mask={name}: unreadable ({error}). Use another picture.'
      ) from None
  return jnp.asarray((bands > 127).all(axis=-1))[None, :, :, None]


def labels(run: Run, request: Request, count: int) -> np.ndarray | None:
  """Returns the classes to try, [N, K]: all classes, or the given class."""
  if request.labels is None:
    if not run.classes:
      return None
    return np.tile(np.arange(len(run.classes)), (count, 1))
  if not run.classes:
    raise errors.UserError(
      f'--labels={request.labels}: this run (method={run.name!r}) takes no '
      'labels. Remove --labels.'
    )
  label = request_lib.numbers(request.labels, run.classes)
  if len(label) not in (1, count):
    raise errors.UserError(
      f'--labels={request.labels} names {len(label)} classes for {count} '
      'images. Name one class, or one for each image.'
    )
  return np.broadcast_to(label, count)[:, None]


def restarts(run: Run, request: Request, count: int, choices: int) -> int:
  """Returns the number of first latents of every image and class.

  Args:
    run: a trained run.
    request: the flags.
    count: number of images.
    choices: classes to try for every image, 1 for none.

  Raises:
    UserError: if the latents, and the images of a scan, exceed the memory.
  """
  number = request.restarts or -(-RESTARTS // choices)
  size, image = run.method.latents.size, math.prod(run.spec.shape)
  searched = min(BATCH, count) * (2 * size + image)  # moments of Adam, and G(z)
  memory.refuse(
    FLOAT * number * choices * (count * size + searched),
    f'--num={count} with --restarts={number}',
    'Lower one of them.',
  )
  return number
