"""Pictures from a trained run: reads its checkpoint and its config, no data.

A grid or single images of random latents, a walk along one dimension, or an
animation of a closed path through latents. The same request gives the same
files.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import checkpoint, errors, interpolate, parallel, steps
from jaxgan import config as config_lib
from jaxgan import record as record_lib
from jaxgan.data import sampling
from jaxgan.data.dataset import Spec
from jaxgan.visual import animation, grid

FORMATS = ('grid', 'images', 'gif', 'mp4')
ANIMATED = ('gif', 'mp4')
ALL = 'all'  # the value of --labels

# What a request gets that does not say: images, or with all classes, of each;
# rows of a walk; latents on a path of an animation.
NUM_IMAGES, NUM_OF_EACH, NUM_ROWS, NUM_LATENTS = 100, 10, 10, 8
FRAMES_PER_SECOND = 20.0

MOST_IMAGES = {'grid': 10_000, 'images': 100_000, 'gif': 1_000, 'mp4': 1_000}
MOST_PATHS = 64
MOST_FRAMES = 3_600
WALK_COLUMNS = 13  # odd: the middle one is zero
BATCH = 512  # images that are decoded together
FRAME_SIDE = 280  # small frames are enlarged to about this
LONGEST_LABELS = 40  # characters in the name of a file
LISTED_CLASSES = 20  # in an error


@dataclasses.dataclass(frozen=True)
class Request:
  """What to draw: the flags of --mode=sample. None leaves it open.

  Attributes:
    num: images; with `walk`, rows; of an animation, latents on each path.
    seed: of the latents.
    format: 'grid', one PNG; 'images', a folder of them; 'gif' or 'mp4'.
    labels: classes by name or number, with commas between: one image (row,
      path) for each; 'all' for all in turn, in a grid one in each column.
    walk: the dimension of latents that changes along a row of a grid.
    paths: paths that an animation shows side by side.
    frames_per_second: of an animation.
    seconds: length of an animation; by default one for each latent.
  """

  num: int | None = None
  seed: int = 0
  format: str = 'grid'
  labels: str | None = None
  walk: int | None = None
  paths: int | None = None
  frames_per_second: float | None = None
  seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class _Run:
  """A trained run."""

  algorithm: Any
  method: Any
  state: Any
  spec: Spec

  @property
  def name(self) -> str:
    return self.algorithm.__name__.rpartition('.')[-1]

  @property
  def has_latents(self) -> bool:
    return hasattr(self.algorithm, 'latent_space')

  @property
  def classes(self) -> tuple[str, ...]:
    """Names of the classes that images can be asked of, if they can."""
    num = getattr(self.method, 'num_classes', 0) if self.has_latents else 0
    return (self.spec.classes or tuple(map(str, range(num))))[:num]


def _open(workdir: pathlib.Path) -> _Run:
  record = record_lib.read(workdir)
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run; give the --workdir of one'
    )
  config = config_lib.from_json(record['config'])
  found = record['data']
  spec = Spec(
    tuple(found['shape']), found['num_classes'], tuple(found['classes'])
  )
  algorithm = steps.find(config.method)
  try:
    method = algorithm.from_config(config, spec)
  except (AttributeError, KeyError) as error:
    _refuse_old(workdir, record, error)
    raise
  like = jax.eval_shape(
    functools.partial(algorithm.init, method), jax.random.key(0)
  )
  state, _ = checkpoint.load(workdir, like)
  return _Run(algorithm, method, state, spec)


def _refuse_old(workdir, record, error: Exception) -> None:
  """Raises a UserError if the error is of a field that the config lacks."""
  # All that ml_collections says is the field, in quotes that are escaped.
  found = re.fullmatch(r'[\'"\\]*(\w+)[\'"\\]*(nDid you mean.*)?', str(error))
  known = '.'.join(config_lib.flatten(record['config'])).split('.')
  if found and found[1] not in known:
    raise errors.UserError(
      f'workdir {str(workdir)!r} was begun by other code, whose configs have '
      f'no field {found[1]!r}; sample it with that (git {record.get("git")}), '
      'or train again'
    ) from None


def restore(workdir):
  """A finished or stopped run's algorithm, method and newest valid state.

  Returns:
    The module in `jaxgan.steps`, its method, and the TrainState.

  Raises:
    UserError: if there is no run.
  """
  run = _open(pathlib.Path(workdir))
  return run.algorithm, run.method, run.state


def sample(
  workdir, num: int | None = None, seed: int = 0, **fields
) -> pathlib.Path:
  """Draws pictures from averaged weights and writes them into the workdir.

  Args:
    workdir: of the run.
    num: see `Request`.
    seed: see `Request`.
    **fields: the other fields of `Request`.

  Returns:
    The file, or the folder of single images, named after step and request.

  Raises:
    UserError: for what can not be drawn.
  """
  request = _complete(Request(num, seed, **fields))
  workdir = pathlib.Path(workdir).absolute()
  run = _open(workdir)
  _check(request, run)
  request, label = _classes(request, run)
  parallel.use_compilation_cache()
  path = workdir / f'sample_step{int(run.state.step)}_{_name(request, label)}'
  if request.format in ANIMATED:
    _animate(request, run, label, path)
  elif request.format == 'images':
    images = _images(request, run, label)
    path.mkdir(exist_ok=True)
    for place, image in enumerate(images):
      grid.save(path / f'{place:04d}.png', sampling.to_uint8(image))
  else:
    _grid(request, run, label, path)
  return path


def _complete(request: Request) -> Request:
  """Fills in what an animation needs; raises for what no run can do."""
  if request.format not in FORMATS:
    raise errors.unknown('--format', request.format, FORMATS)
  is_animation = request.format in ANIMATED
  if request.walk is not None and request.format != 'grid':
    raise errors.UserError(
      f'--walk={request.walk} makes a grid; leave --format={request.format} out'
    )
  for name in ('paths', 'frames_per_second', 'seconds'):
    value = getattr(request, name)
    if value is not None and not is_animation:
      raise errors.UserError(
        f'--{name}={value:g} belongs to an animation; add --format=gif or mp4'
      )
  if not 0 <= request.seed < 2**32:
    raise errors.UserError(f'--seed={request.seed} must be in 0..{2**32 - 1}')
  _in_range(request)
  if not is_animation:
    return request
  num, rate = request.num, request.frames_per_second
  num = NUM_LATENTS if num is None else num
  rate = FRAMES_PER_SECOND if rate is None else rate
  seconds = float(num) if request.seconds is None else request.seconds
  animation.check(request.format, rate)
  if not (0 < seconds < math.inf and 2 <= round(seconds * rate) <= MOST_FRAMES):
    raise errors.UserError(
      f'--seconds={seconds:g} at --frames_per_second={rate:g} must make '
      f'2..{MOST_FRAMES} frames'
    )
  return dataclasses.replace(
    request, num=num, frames_per_second=rate, seconds=seconds
  )


def _in_range(request: Request) -> None:
  least = 2 if request.format in ANIMATED else 1
  most = MOST_IMAGES[request.format]
  if request.walk is not None:
    most //= WALK_COLUMNS
  if request.num is not None and not least <= request.num <= most:
    raise errors.UserError(f'--num={request.num} must be in {least}..{most}')
  if request.paths is not None and not 1 <= request.paths <= MOST_PATHS:
    raise errors.UserError(
      f'--paths={request.paths} must be in 1..{MOST_PATHS}'
    )


def _check(request: Request, run: _Run) -> None:
  """Raises for what this run can not do."""
  if request.walk is not None:
    flag = f'--walk={request.walk}'
  elif request.format == 'grid':
    return
  else:
    flag = f'--format={request.format}'
  if not run.spec.is_image:
    raise errors.UserError(f'{flag}: this run makes points; leave it out')
  if not run.has_latents and flag != '--format=images':
    raise errors.UserError(
      f'{flag}: method={run.name!r} makes no images from latents; leave it out'
    )
  if request.walk is not None:
    _, size = run.algorithm.latent_space(run.method)
    if not 0 <= request.walk < size:
      raise errors.UserError(
        f'{flag} is out of range; the latents have dimensions 0..{size - 1}'
      )


def _classes(request: Request, run: _Run) -> tuple[Request, np.ndarray | None]:
  """How many images, rows or paths, and the class of each.

  Returns:
    The request with that number set, and labels [number], or None.
  """
  names = run.classes
  counted = 'paths' if request.format in ANIMATED else 'num'
  count = getattr(request, counted)
  if request.labels is not None and not names:
    raise errors.UserError(
      f'--labels={request.labels}: this run (method={run.name!r}) takes no '
      'labels; leave it out, or sample a run with conditional=True'
    )
  if request.labels in (None, ALL):
    if count is None:
      count = _default_count(request, len(names))
    label = np.arange(count) % len(names) if names else None
  else:
    label = np.array(
      [
        _class(request.labels, part, names)
        for part in request.labels.split(',')
      ]
    )
    if count not in (None, len(label)):
      raise errors.UserError(
        f'--{counted}={count}: --labels={request.labels} asks for '
        f'{len(label)}; leave one of them out'
      )
    count = len(label)
  request = dataclasses.replace(request, **{counted: count})
  _in_range(request)
  return request, label


def _default_count(request: Request, num_classes: int) -> int:
  wants_all = request.labels == ALL
  if request.format in ANIMATED:
    return num_classes if wants_all else 1
  if request.walk is not None:
    return num_classes if wants_all else NUM_ROWS
  return NUM_OF_EACH * num_classes if wants_all else NUM_IMAGES


def _class(labels: str, part: str, names: tuple[str, ...]) -> int:
  """The number of the class that a part of --labels names."""
  part = part.strip()
  numbers = {str(k): k for k in range(len(names))}
  # Names first: a folder's '3' need not be class number 3.
  numbers |= {name: k for k, name in enumerate(names)}
  if part not in numbers:
    listed = ', '.join(names[:LISTED_CLASSES])
    more = ', ...' if len(names) > LISTED_CLASSES else ''
    raise errors.UserError(
      f'--labels={labels}: there is no class {part!r}; known are '
      f'0..{len(names) - 1}, by name {listed}{more}; or {ALL}'
    )
  return numbers[part]


def _name(request: Request, label) -> str:
  """The end of the name of the file or folder."""
  parts = [f'num{request.num}', f'seed{request.seed}']
  if request.labels == ALL:
    parts.append('labels-all')
  elif request.labels is not None:
    classes = '-'.join(map(str, label))
    if len(classes) > LONGEST_LABELS:
      digest = hashlib.blake2b(classes.encode(), digest_size=4).hexdigest()
      classes = f'{len(label)}-{digest}'
    parts.append(f'labels{classes}')
  if request.walk is not None:
    parts.append(f'walk{request.walk}')
  if request.format in ANIMATED:
    parts.append(f'paths{request.paths}')
    parts.append(f'{request.frames_per_second:g}fps')
    parts.append(f'{request.seconds:g}s')
  suffix = {'grid': '.png', 'images': ''}
  return '_'.join(parts) + suffix.get(request.format, f'.{request.format}')


def _images(request: Request, run: _Run, label) -> Iterator[np.ndarray]:
  """Images of random latents, one by one."""
  key = jax.random.key(request.seed)
  if run.has_latents:
    z = run.algorithm.latents(run.method, key, request.num)
    return _decoded(run, z, label)
  draw = jax.jit(run.algorithm.sample, static_argnums=(0, 3))
  return iter(jax.device_get(draw(run.method, run.state, key, request.num)))


def _decoded(run: _Run, z, label) -> Iterator[np.ndarray]:
  """Images of latents [N, Z] (and labels [N]), one by one.

  They are decoded in batches of one size, and those are not kept.
  """
  settle = jax.jit(run.algorithm.settle, static_argnums=0)
  decode = jax.jit(run.algorithm.decode, static_argnums=0)
  state = settle(run.method, run.state)
  size = min(BATCH, len(z))
  for start in range(0, len(z), size):
    # The last batch repeats its last row: another size is another program.
    rows = np.minimum(np.arange(start, start + size), len(z) - 1)
    labels = () if label is None else (label[rows],)
    images = jax.device_get(decode(run.method, state, z[rows], *labels))
    yield from images[: len(z) - start]


def _grid(request: Request, run: _Run, label, path: pathlib.Path) -> None:
  caption = f'step {int(run.state.step):,}  seed {request.seed}  '
  columns, classes = None, label
  if request.walk is None:
    images = _images(request, run, label)
    caption += 'samples'
    if request.labels == ALL:
      columns = len(run.classes)
  else:
    kind, size = run.algorithm.latent_space(run.method)
    reach = interpolate.reach(kind, size)
    caption += f'latent {request.walk} from {-reach:.3g} to {reach:.3g}'
    columns = WALK_COLUMNS
    key = jax.random.key(request.seed)
    points = run.algorithm.latents(run.method, key, request.num)
    values = jnp.linspace(-reach, reach, columns)
    rows = interpolate.walk(points, request.walk, values, kind)
    if label is not None:
      label = label.repeat(columns)
    images = _decoded(run, rows.reshape(-1, size), label)
  if request.labels is not None:
    shown = len(run.classes) if request.labels == ALL else request.num
    names = [run.classes[k] for k in classes[:shown]]
    caption += f'  classes {", ".join(names)}'
  grid.save(path, grid.draw(np.stack(list(images)), caption, columns))


def _animate(request: Request, run: _Run, label, path: pathlib.Path) -> None:
  kind, size = run.algorithm.latent_space(run.method)
  num_frames = round(request.seconds * request.frames_per_second)
  key = jax.random.key(request.seed)
  points = run.algorithm.latents(run.method, key, request.paths * request.num)
  paths = jax.vmap(lambda p: interpolate.closed_path(p, num_frames, kind))(
    points.reshape(request.paths, request.num, size)
  )  # [paths, frames, Z]
  if label is not None:
    label = np.tile(label, num_frames)
  images = _decoded(run, paths.swapaxes(0, 1).reshape(-1, size), label)

  def frames():
    for _ in range(num_frames):
      together = np.stack(list(itertools.islice(images, request.paths)))
      frame = grid.tile(sampling.to_uint8(together))
      scale = max(1, round(FRAME_SIDE / min(frame.shape[:2])))
      yield frame.repeat(scale, axis=0).repeat(scale, axis=1)

  animation.write(frames(), num_frames, request.frames_per_second, path)
