"""Requests of --mode=sample: defaults, ranges and names of files."""

import dataclasses
import hashlib
import math

import numpy as np

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes import styles
from jaxgan.training.trained import Run
from jaxgan.visual import animation, palette

FORMATS = ('grid', 'images', 'gif', 'mp4')
ANIMATED = ('gif', 'mp4')
ROWS = ('walk', 'direction', 'mixing')  # flags that make rows of a grid
ALL = 'all'  # the value of --labels

# Defaults: images, or images of each class; rows of a walk; latents on a path
# of an animation.
NUM_IMAGES, NUM_OF_EACH, NUM_ROWS, NUM_LATENTS = 100, 10, 10, 8
FRAMES_PER_SECOND = 20.0

MOST_IMAGES = {'grid': 10_000, 'images': 100_000, 'gif': 1_000, 'mp4': 1_000}
MOST_PATHS = 64
MOST_FRAMES = 3_600
WALK_COLUMNS = 13  # odd: the middle one is zero
LONGEST_LABELS = 40  # characters in the name of a file
LISTED_CLASSES = 20  # in an error


MOST_SEED = 2**32 - 1
MOST_TRUNCATION = 10


def check_range(name: str, value: float | None, low: int, high: int) -> None:
  """Raises a UserError for a value of a flag out of a range; None is valid."""
  if value is not None and not low <= value <= high:
    raise errors.UserError(f'--{name}={value} must be in {low}..{high}.')


def check_truncation(value: float | None) -> None:
  """Raises a UserError for a value of --truncation out of range."""
  check_range('truncation', value, 0, MOST_TRUNCATION)


@dataclasses.dataclass(frozen=True)
class Request:
  """The flags of --mode=sample; None stands for the default.

  Attributes:
    num: number of images; with `walk`, of rows; in an animation, of latents on
      each path.
    seed: seed of the latents.
    format: 'grid' for one PNG; 'images' for a folder of PNGs; 'gif' or 'mp4'
      for an animation.
    labels: classes by name or number with commas between, for one image (row,
      path) each. 'all' for all classes in turn, in columns of a grid.
    walk: the dimension of latents that changes along a row of a grid.
    direction: number of the direction that latents, or styles w, move in along
      a row, see `core.directions`; 0 changes images most.
    mixing: layer from which an image of a row has the styles of its column, see
      `styles.mix`.
    paths: number of paths that an animation shows side by side.
    frames_per_second: frame rate of an animation.
    seconds: length of an animation; by default one second for each latent.
    palette: number of colours, found among colours of training images; 0 for
      all; by default `config.palette` of the run.
    truncation: see `latents.truncate`; by default as in training.
  """

  num: int | None = None
  seed: int = 0
  format: str = 'grid'
  labels: str | None = None
  walk: int | None = None
  direction: int | None = None
  mixing: int | None = None
  paths: int | None = None
  frames_per_second: float | None = None
  seconds: float | None = None
  palette: int | None = None
  truncation: float | None = None

  @property
  def rows(self) -> str:
    """The flag that makes rows of a grid, or ''."""
    for name in ROWS:
      value = getattr(self, name)
      if value is not None:
        return f'--{name}={value}'
    return ''


def complete(request: Request) -> Request:
  """Fills in the defaults of animations; raises a UserError for bad values."""
  if request.format not in FORMATS:
    raise errors.unknown('--format', request.format, FORMATS)
  is_animation = request.format in ANIMATED
  if request.rows and request.format != 'grid':
    raise errors.UserError(
      f'{request.rows} makes a grid. Remove --format={request.format}.'
    )
  given = [name for name in ROWS if getattr(request, name) is not None]
  if len(given) > 1:
    names = ' and '.join(f'--{k}={getattr(request, k)}' for k in given)
    raise errors.UserError(
      f'{names} each say what changes along the rows. Keep one of them.'
    )
  check_range('palette', request.palette, 0, palette.MOST_COLOURS)
  check_truncation(request.truncation)
  for name in ('paths', 'frames_per_second', 'seconds'):
    value = getattr(request, name)
    if value is not None and not is_animation:
      raise errors.UserError(
        f'--{name}={value:g} belongs to an animation. Set --format=gif or mp4.'
      )
  check_range('seed', request.seed, 0, MOST_SEED)
  _check_counts(request)
  if not is_animation:
    return request
  num, rate = request.num, request.frames_per_second
  num = NUM_LATENTS if num is None else num
  rate = FRAMES_PER_SECOND if rate is None else rate
  seconds = float(num) if request.seconds is None else request.seconds
  animation.check(request.format, rate)
  frames = seconds * rate  # Infinite or NaN for seconds beyond a float.
  if not (0 < frames < math.inf and 2 <= round(frames) <= MOST_FRAMES):
    raise errors.UserError(
      f'--seconds={seconds:g} at --frames_per_second={rate:g} must make '
      f'2..{MOST_FRAMES} frames. Change one of the two.'
    )
  return dataclasses.replace(
    request, num=num, frames_per_second=rate, seconds=seconds
  )


def _check_counts(request: Request) -> None:
  least = 2 if request.format in ANIMATED else 1
  most = MOST_IMAGES[request.format]
  if request.mixing is not None:
    most = math.isqrt(most) - 1  # A row and a column have the sources.
  elif request.rows:
    most //= WALK_COLUMNS
  check_range('num', request.num, least, most)
  check_range('paths', request.paths, 1, MOST_PATHS)


def check(request: Request, run: Run) -> None:
  """Raises a UserError for a request that does not fit the run."""
  if request.palette and not run.spec.is_image:
    raise errors.UserError(
      f'--palette={request.palette}: this run makes points. Remove the flag.'
    )
  if request.palette and pixels_lib.is_transparent(run.spec.shape):
    raise errors.UserError(
      f'--palette={request.palette}: a palette holds opaque colours and images '
      'of this run have a transparency. Set --palette=0.'
    )
  if request.truncation is not None and not run.has_latents:
    raise errors.UserError(
      f'--truncation={request.truncation:g}: method={run.name!r} makes no '
      'images from latents. Remove the flag.'
    )
  if request.rows:
    flag = request.rows
  elif request.format == 'grid':
    return
  else:
    flag = f'--format={request.format}'
  if not run.spec.is_image:
    raise errors.UserError(f'{flag}: this run makes points. Remove the flag.')
  if not run.has_latents and flag != '--format=images':
    raise errors.UserError(
      f'{flag}: method={run.name!r} makes no images from latents. '
      'Remove the flag.'
    )
  if request.rows:
    last = run.method.latents.size - 1
    if request.mixing is not None:
      styles.refuse_others(run.method, flag)
      last = run.method.generator.layers
    elif request.walk is None and styles.has_mapping(run.method):
      last = run.method.generator.style_size - 1
    if not 0 <= int(flag.partition('=')[2]) <= last:
      raise errors.UserError(
        f'{flag} is out of range. Choose a number in 0..{last}.'
      )


def classes(request: Request, run: Run) -> tuple[Request, np.ndarray | None]:
  """Chooses the number of images, rows or paths, and their classes.

  Returns:
    The request with that number, and labels [number], or None.
  """
  names = run.classes
  counted = 'paths' if request.format in ANIMATED else 'num'
  count = getattr(request, counted)
  if request.labels is not None and not names:
    raise errors.UserError(
      f'--labels={request.labels}: this run (method={run.name!r}) takes no '
      'labels. Remove --labels, or sample a run with conditional=True.'
    )
  if request.labels in (None, ALL):
    if count is None:
      count = _default_count(request, len(names))
    label = np.arange(count) % len(names) if names else None
  else:
    label = numbers(request.labels, names)
    if count not in (None, len(label)):
      raise errors.UserError(
        f'--{counted}={count}: --labels={request.labels} asks for '
        f'{len(label)}. Remove one of the two flags.'
      )
    count = len(label)
  request = dataclasses.replace(request, **{counted: count})
  _check_counts(request)
  return request, label


def _default_count(request: Request, num_classes: int) -> int:
  wants_all = request.labels == ALL
  if request.format in ANIMATED:
    return num_classes if wants_all else 1
  if request.rows:
    return num_classes if wants_all else NUM_ROWS
  return NUM_OF_EACH * num_classes if wants_all else NUM_IMAGES


def numbers(labels: str, names: tuple[str, ...]) -> np.ndarray:
  """Returns the numbers of the classes of --labels, as 3,3,seven.

  A name with a comma is found as it is: the longest name that fits wins.
  """
  most = 1 + max((name.count(',') for name in names), default=0)
  chosen, parts = [], labels.split(',')
  while parts:
    for count in range(most, 1, -1):
      if ','.join(parts[:count]).strip() in names:
        break
    else:
      count = 1
    chosen.append(_class(labels, ','.join(parts[:count]), names))
    parts = parts[count:]
  return np.array(chosen)


def _class(labels: str, part: str, names: tuple[str, ...]) -> int:
  """Returns the number of a class in --labels."""
  part = part.strip()
  numbers = {name.strip(): k for k, name in enumerate(names)}
  choices = ''
  # A folder '3' may have another number, so numbers are names or positions.
  if not any(name.isdecimal() for name in numbers):
    numbers |= {str(k): k for k in range(len(names))}
    choices = f'0..{len(names) - 1}, by name '
  if part not in numbers:
    listed = ', '.join(names[:LISTED_CLASSES])
    more = ', ...' if len(names) > LISTED_CLASSES else ''
    raise errors.UserError(
      f'--labels={labels}: there is no class {part!r}. Choose from '
      f'{choices}{listed}{more}; or {ALL}'
    )
  return numbers[part]


def name(request: Request, label) -> str:
  """Returns the end of the name of the file or folder."""
  parts = [f'num{request.num}', f'seed{request.seed}']
  if request.labels == ALL:
    parts.append('labels-all')
  elif request.labels is not None:
    classes = '-'.join(map(str, label))
    if len(classes) > LONGEST_LABELS:
      digest = hashlib.blake2b(classes.encode(), digest_size=4).hexdigest()
      classes = f'{len(label)}-{digest}'
    parts.append(f'labels{classes}')
  if request.rows:
    parts.append(request.rows.strip('-').replace('=', ''))
  if request.truncation is not None:
    parts.append(f'truncation{request.truncation:g}')
  if request.palette:
    parts.append(f'palette{request.palette}')
  if request.format in ANIMATED:
    parts.append(f'paths{request.paths}')
    parts.append(f'{request.frames_per_second:g}fps')
    parts.append(f'{request.seconds:g}s')
  suffix = {'grid': '.png', 'images': ''}
  return '_'.join(parts) + suffix.get(request.format, f'.{request.format}')
