"""--mode=sample: pictures from a trained run.

  python -m jaxgan.main --mode=sample --workdir=runs/gan_mnist --num=64

The pictures are a grid or single images of random latents, or an animation of a
closed path through latents. Rows of a grid show a walk along one dimension or
direction, or mixtures of styles. The same request gives the same files. Only a
palette needs the data of the run.
"""

import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxgan import errors
from jaxgan.core import directions as directions_lib
from jaxgan.core import latents as latents_lib
from jaxgan.core import memory, paths, switches
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes import requests as request_lib
from jaxgan.modes import restore as restore_lib
from jaxgan.modes import styles
from jaxgan.modes.requests import ALL, ANIMATED, WALK_COLUMNS, Request
from jaxgan.training import compile as compile_lib
from jaxgan.training import data_files
from jaxgan.training import devices as devices_lib
from jaxgan.training.trained import Run
from jaxgan.visual import animation, grid, palette

BATCH = 512  # images that are decoded together
LATENT_BYTES = 4  # of a number in a latent
PALETTE_IMAGES = 1_000
FRAME_SIDE = 280  # small frames are enlarged to about this


@restore_lib.stores
def sample(
  workdir,
  num: int | None = None,
  seed: int = 0,
  member: int | None = None,
  output: str | None = None,
  data=None,
  **fields,
) -> pathlib.Path:
  """Draws pictures from EMA weights and writes them into a folder.

  Args:
    workdir: the folder of the run.
    num: see `Request`.
    seed: see `Request`.
    member: member of a population.
    output: folder to write to; by default the workdir.
    data: fields of `config.data` to change, see `data_files.FIELDS`.
    **fields: the other fields of `Request`.

  Returns:
    The file, or the folder of single images, named after step and request.

  Raises:
    UserError: if the run or the request does not allow it.
  """
  request = request_lib.complete(Request(num, seed, **fields))
  workdir, folder = restore_lib.folders(workdir, output)
  run = restore_lib.restore(workdir, member=member)
  if request.palette is None:
    default = run.config.get('palette', 0)  # Older runs have no such field.
    request = dataclasses.replace(request, palette=default)
  request_lib.check(request, run)
  request, label = request_lib.classes(request, run)
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  name = request_lib.name(request, label)
  if member is not None:
    name = f'member{member:02d}_{name}'
  path = folder / f'sample_step{int(run.state.step)}_{name}'
  data_files.change(run.config.data, data)
  colour = _colour(request, run, workdir)
  folder.mkdir(parents=True, exist_ok=True)
  if request.format in ANIMATED:
    _animate(request, run, label, colour, path)
  elif request.format == 'images':
    images = map(colour, _draw(request, run, label))
    with paths.replacing_folder(path) as temporary:
      for index, image in enumerate(images):
        grid.save(temporary / f'{index:04d}.png', pixels_lib.to_picture(image))
  else:
    _grid(request, run, label, colour, path)
  return path


def _colour(request: Request, run: Run, workdir) -> Callable:
  """Returns a function that limits an image [H, W, C] to the palette."""
  if not request.palette:
    return lambda image: image
  images = data_files.load(run.config, workdir, spec=run.spec)
  pixels = images.evenly(PALETTE_IMAGES)['image']
  colours = palette.find(pixels, request.palette)
  return lambda image: pixels_lib.to_float(
    palette.nearest(pixels_lib.to_uint8(image), colours)
  )


def _draw(request: Request, run: Run, label) -> Iterator[np.ndarray]:
  return draw(run, request.num, request.seed, label, request.truncation)


def draw(
  run: Run, num: int, seed: int, label=None, truncation: float | None = None
) -> Iterator[np.ndarray]:
  """Yields images of random latents, [H, W, C] in [-1, 1].

  Args:
    run: a trained run.
    num: number of images.
    seed: seed of the latents; image i depends on the seed and on i only.
    label: classes [num] for conditional runs; by default all in turn.
    truncation: see `latents.truncate`; None is off.

  Raises:
    UserError: for a label that is no class, or latents that are not normal.
  """
  if label is not None and run.classes:
    switches.check_labels(label, len(run.classes))
  key = jax.random.key(seed)
  if run.has_latents:
    z = run.method.latents.sample(key, num)
    return _decoded(run, z, label, truncation)
  sample_all = compile_lib.jit_method(run.algorithm.sample, run.method, 2)
  return iter(jax.device_get(sample_all(run.state, key, num)))


def refuse_too_many(run: Run, num: int) -> None:
  """Raises a UserError if samples and their latents exceed the memory."""
  latents = run.method.latents.size if run.has_latents else 0
  size = math.prod(run.spec.shape) + LATENT_BYTES * latents
  memory.refuse(num * size, f'--num={num}', 'Lower it.')


def pixels(
  run: Run, num: int, seed: int, label=None, truncation: float | None = None
) -> np.ndarray:
  """Returns samples, uint8 [num, H, W, C]; see `draw`."""
  refuse_too_many(run, num)
  images = np.empty((num, *run.spec.shape), np.uint8)
  for index, image in enumerate(draw(run, num, seed, label, truncation)):
    images[index] = pixels_lib.to_uint8(image)
  return images


def _decoded(run: Run, z, label, truncation) -> Iterator[np.ndarray]:
  """Yields images of latents [N, Z] (and labels [N]).

  Images are decoded in batches of one size. Statistics of norms are those of
  latents that are not truncated.
  """
  jit_method, method = compile_lib.jit_method, run.method
  if truncation is not None:
    method, z = latents_lib.truncate(method, z, truncation)
  state = jit_method(run.algorithm.use_ema_weights, run.method)(run.state)
  decode = functools.partial(jit_method(run.algorithm.decode, method), state)
  return _in_batches(decode, z, *(() if label is None else (label,)))


def _in_batches(decode, *inputs) -> Iterator[np.ndarray]:
  """Yields images of inputs [N, ...]."""
  count = len(inputs[0])
  size = min(BATCH, count)
  for start in range(0, count, size):
    # The last batch repeats its last row, because another size would compile
    # again.
    rows = np.minimum(np.arange(start, start + size), count - 1)
    images = jax.device_get(decode(*(x[rows] for x in inputs)))
    yield from images[: count - start]


def _grid(
  request: Request, run: Run, label, colour, path: pathlib.Path
) -> None:
  """Writes a grid of samples, or of rows along which something changes."""
  caption = f'step {int(run.state.step):,}  seed {request.seed}  '
  columns, classes = None, label
  if not request.rows:
    images = _draw(request, run, label)
    caption += 'samples'
    if request.labels == ALL:
      columns = len(run.classes)
  elif request.walk is None and styles.has_mapping(run.method):
    images, columns, text = _styled(request, run, label)
    caption += text
  else:
    latents = run.method.latents
    points = latents.sample(jax.random.key(request.seed), request.num)
    if request.walk is not None:
      rows, text = latents.walk(points, request.walk, WALK_COLUMNS)
    else:
      rows, text = latents.move(
        points, _direction(request, run, points[:1]), WALK_COLUMNS
      )
      text = f'direction {request.direction} {text}'
    caption += text
    columns = rows.shape[1]
    if label is not None:
      label = label.repeat(columns)
    rows = rows.reshape(-1, latents.size)
    images = _decoded(run, rows, label, request.truncation)
  if request.labels is not None:
    shown = len(run.classes) if request.labels == ALL else request.num
    names = [run.classes[k] for k in classes[:shown]]
    caption += f'  classes {", ".join(names)}'
  grid.save(
    path, grid.draw(np.stack(list(map(colour, images))), caption, columns)
  )


def _styled(request: Request, run: Run, label):
  """Returns images of styles, the number of columns, and a text."""
  jit_method, method = compile_lib.jit_method, run.method
  state = jit_method(run.algorithm.use_ema_weights, method)(run.state)
  key, fields = jax.random.key(request.seed), (request.num, label)
  fields += (request.truncation,)
  if request.mixing is None:
    number = request.direction
    rows = styles.moved(method, state, key, number, WALK_COLUMNS, *fields)
    text = f'direction {number} of w, 3 deviations to both sides'
  else:
    rows = styles.mixed(method, state, key, request.mixing, *fields)
    text = f'styles of columns from layer {request.mixing}'
  synthesize = functools.partial(jit_method(styles.synthesize, method), state)
  images = _in_batches(synthesize, rows.reshape(-1, *rows.shape[2:]))
  if request.mixing is not None:  # The corner has no sources.
    images = itertools.chain([np.full_like(next(images), -1.0)], images)
  return images, rows.shape[1], text


def _direction(request: Request, run: Run, z) -> np.ndarray:
  """Returns a direction [Z] of the generator's first layer."""
  try:
    return directions_of(run, z)[request.direction]
  except errors.UserError as error:
    raise errors.UserError(f'{request.rows}: {error}') from None


def directions_of(run: Run, z) -> np.ndarray:
  """Returns the directions [Z, Z] of the generator's first layer.

  Args:
    run: a run with latents.
    z: a few latents [N, Z].

  Raises:
    UserError: if no layer sees the latents as they are drawn.
  """
  algorithm, jit_method = run.algorithm, compile_lib.jit_method

  def layer(method, state, z):
    state = algorithm.use_ema_weights(method, state)
    decode = functools.partial(algorithm.decode, method, state)
    return directions_lib.first_layer(decode, z)

  inputs, kernel = jit_method(layer, run.method)(run.state, z)
  return directions_lib.of_layer(z, inputs, kernel)[0].astype(np.float32)


def _animate(
  request: Request, run: Run, label, colour, path: pathlib.Path
) -> None:
  """Writes an animation of closed paths, side by side."""
  latents = run.method.latents
  num_frames = round(request.seconds * request.frames_per_second)
  key = jax.random.key(request.seed)
  points = latents.sample(key, request.paths * request.num)
  paths = jax.vmap(lambda p: latents_lib.closed_path(p, num_frames, latents))(
    points.reshape(request.paths, request.num, latents.size)
  )  # [paths, frames, Z]
  if label is not None:
    label = np.tile(label, num_frames)
  points = paths.swapaxes(0, 1).reshape(-1, latents.size)
  images = _decoded(run, points, label, request.truncation)
  images = map(colour, images)

  def frames():
    for _ in range(num_frames):
      images_of_paths = np.stack(list(itertools.islice(images, request.paths)))
      frame = grid.tile(pixels_lib.to_picture(images_of_paths))
      scale = max(1, round(FRAME_SIDE / min(frame.shape[:2])))
      yield frame.repeat(scale, axis=0).repeat(scale, axis=1)

  animation.write(frames(), num_frames, request.frames_per_second, path)
