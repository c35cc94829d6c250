"""--mode=complete and --mode=invert: images that a trained generator fits.

  python -m jaxgan.main --mode=complete --workdir=runs/gan_mnist --mask=half
  python -m jaxgan.main --mode=invert --workdir=runs/gan_mnist --images=FOLDER

Held-out images, or images of a folder, get a hole, and the generator's image
that fits best around the hole completes them; see `latent_search`. A folder in
the workdir holds a grid of masked, completed, blended and original images, the
completed images, their latents, and a line of errors for each. Inversion does
the same without a hole, or finds styles w, see `style_search`. The same request
gives the same files.
"""

import functools
import hashlib
import json
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan import errors
from jaxgan.core import buckets, masks, paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import similarity
from jaxgan.modes import held_out, image_prior, latent_search, poisson, styles
from jaxgan.modes import restore as restore_lib
from jaxgan.modes.held_out import LOW_RESOLUTION, Request
from jaxgan.training import compile as compile_lib
from jaxgan.training import data_files
from jaxgan.training import devices as devices_lib
from jaxgan.training.trained import Run
from jaxgan.visual import grid

FACTOR = 4  # of low resolution
COLUMNS = 16  # of the grid
HOLE = 0.0  # value of missing pixels in the grid


@restore_lib.stores
def complete(
  workdir, mask: str = 'centre', output: str | None = None, **fields
) -> dict[str, float | str]:
  """Completes images with holes and writes them into a folder.

  Args:
    workdir: the folder of the run.
    mask: the missing pixels, see `Request`.
    output: folder to write to; by default the workdir.
    **fields: other fields of `Request`.

  Returns:
    Mean errors in units of [0, 1]. 'l1_hole' and 'mse_hole' compare completed
    images where pixels were missing, '..._blended' blended images. 'l1_known'
    and 'mse_known' compare the generator's images where pixels were known.
    'path' is the folder.

  Raises:
    UserError: if the run or the request does not allow it.
  """
  return _search_and_write(workdir, output, Request(mask=mask, **fields))


@restore_lib.stores
def invert(
  workdir, output: str | None = None, **fields
) -> dict[str, float | str]:
  """Finds latents of whole images; see `complete`.

  Args:
    workdir: the folder of the run.
    output: folder to write to; by default the workdir.
    **fields: fields of `Request` except `mask` and `blend`.

  Returns:
    'psnr', 'l1_known' and 'mse_known', and the folder as 'path'.

  Raises:
    UserError: if the run or the request does not allow it.
  """
  return _search_and_write(workdir, output, Request(**fields))


def _search_and_write(
  workdir, output, request: Request
) -> dict[str, float | str]:
  start = time.monotonic()
  held_out.check(request)
  workdir, folder = restore_lib.folders(workdir, output)
  run = restore_lib.restore(workdir, member=request.member)
  data_files.change(run.config.data, request.data)
  if not (run.has_latents and run.spec.is_image):
    raise errors.UserError(
      f'--mode={request.mode}: method={run.name!r} on data of shape '
      f'{run.spec.shape} makes no images from latents. Set --workdir to a run '
      'that does.'
    )
  if not run.algorithm.SMOOTH_LATENTS:
    raise errors.UserError(
      f'--mode={request.mode}: method={run.name!r} draws discrete units, so '
      'images do not follow small moves of latents. Set --workdir to a run of '
      'another method.'
    )
  devices_lib.use_compilation_cache()
  key = jax.random.key(request.seed)
  images = held_out.images(run, request, workdir)
  known = held_out.known(request, key, images.shape)
  if request.space == 'z':
    best = search(run, request, key, images, known)
  else:
    fields = (request.space, request.iterations, held_out.BATCH)
    best = styles.invert(run, *fields, key, images)
  shown = _shown(request, images, best.images, known)
  scores = _errors(request, images, best.images, known, shown)
  scores['loss'] = np.asarray(best.loss)
  path = folder / _folder_name(run, request, images, known)
  summary = {'path': buckets.named(path), 'num': len(images)}
  summary |= {name: float(values.mean()) for name, values in scores.items()}
  summary['seconds'] = round(time.monotonic() - start, 1)
  print(json.dumps(summary), flush=True)  # A full disk must not take it away.
  with paths.replacing_folder(path) as temporary:
    _write(temporary, run, request, shown, best, scores)
  return summary


def search(
  run: Run, request: Request, key, images, known
) -> latent_search.Result:
  """Returns the best latents of all images, searched in batches."""
  count = len(images)
  labels = held_out.labels(run, request, count)  # [N, K], or None
  choices = 1 if labels is None else labels.shape[1]
  restarts = held_out.restarts(run, request, count, choices)
  starts = run.method.latents.sample(
    jax.random.fold_in(key, 2), count * restarts * choices
  ).reshape(count, restarts * choices, -1)
  if labels is not None:
    labels = labels.repeat(restarts, axis=1)
  seen, weight = images, latent_search.weights(known, window(images.shape))
  if request.mask == LOW_RESOLUTION:
    seen = latent_search.reduced(images, FACTOR)
    # A block counts as much as all of its pixels.
    weight = jnp.full((*seen.shape[:3], 1), float(FACTOR**2))
  use_ema_weights = run.algorithm.use_ema_weights
  state = compile_lib.jit_method(use_ema_weights, run.method)(run.state)
  search_batch = functools.partial(
    compile_lib.jit_method(_search_batch, run.method, 0, 1, 2),
    run.algorithm,
    request.mask == LOW_RESOLUTION,
    request.iterations,
    state,
  )
  size = min(held_out.BATCH, count)
  inputs = (seen, weight, starts, labels)
  return latent_search.in_batches(search_batch, size, *inputs)


def window(shape: tuple[int, ...]) -> int:
  """Returns the side of the neighbourhood that weighs known pixels.

  The side is half an image and odd. For holes in the centre of digits, the
  errors with 7 pixels, as in the paper, are larger.
  """
  return min(shape[1:3]) // 2 | 1


def _search_batch(
  method, algorithm, is_reduced, iterations, state, seen, weight, starts, labels
) -> latent_search.Result:
  prior_loss, prior_weight = image_prior.of_method(method, algorithm, state)
  best = latent_search.search(
    functools.partial(algorithm.decode, method, state),
    seen,
    weight,
    starts,
    labels,
    project=method.latents.project,
    prior=prior_loss,
    prior_weight=prior_weight,
    observe=(lambda x: latent_search.reduced(x, FACTOR))
    if is_reduced
    else None,
    iterations=iterations,
  )
  return best._replace(images=jnp.clip(best.images, -1.0, 1.0))


def _shown(request: Request, images, generated, known) -> dict:
  """Returns the rows of the grid by name; all but 'masked' are results."""
  if request.mask is None:
    return {'inverted': generated, 'original': images}
  masked = jnp.where(known, images, HOLE)
  if request.mask == LOW_RESOLUTION:
    _, height, width, _ = images.shape
    masked = latent_search.reduced(images, FACTOR)
    masked = masked.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
    masked = masked[:, :height, :width]
  shown = {'masked': masked, 'completed': jnp.where(known, images, generated)}
  if request.blend:
    shown['blended'] = jax.jit(poisson.blend)(images, generated, known)
  return shown | {'original': images}


def _errors(request: Request, images, generated, known, shown) -> dict:
  """Returns errors of each image by name, [N]."""
  if request.mask is None:
    values = {'psnr': similarity.psnr(images, generated)}
  else:
    values = {}
    for kind in ('completed', 'blended'):
      if kind in shown:
        suffix = '_blended' * (kind == 'blended')
        pairs = similarity.completion_errors(images, shown[kind], known)
        values |= {f'{k}{suffix}': v for k, v in pairs.items() if 'hole' in k}
  pair = images, generated
  if request.mask == LOW_RESOLUTION:
    pair = tuple(latent_search.reduced(x, FACTOR) for x in pair)
    known = jnp.ones((*pair[0].shape[:3], 1), bool)
  pairs = similarity.completion_errors(*pair, known)
  values |= {k: v for k, v in pairs.items() if 'known' in k}
  return {name: np.asarray(x) for name, x in values.items()}


def _folder_name(run: Run, request: Request, images, known) -> str:
  """Returns a folder name unique to the request."""

  def digest(value):
    return hashlib.blake2b(value, digest_size=4).hexdigest()

  parts = [f'{request.mode}_step{int(run.state.step)}']
  if run.member is not None:
    parts.append(f'member{run.member:02d}')
  if request.mask in (*masks.PATTERNS, LOW_RESOLUTION):
    parts.append(request.mask)
  elif request.mask is not None:
    parts.append(f'mask{digest(np.asarray(known[0]).tobytes())}')
  parts += [f'num{len(images)}', f'seed{request.seed}']
  if request.images:
    parts.append(f'images{digest(np.asarray(images).tobytes())}')
  if request.space != 'z':
    parts.append(request.space)
  if request.labels is not None:
    parts.append(f'labels{digest(request.labels.encode())}')
  if request.restarts is not None:
    parts.append(f'restarts{request.restarts}')
  if request.iterations != latent_search.ITERATIONS:
    parts.append(f'iterations{request.iterations}')
  return '_'.join(parts + ['blended'] * request.blend)


def _write(path, run: Run, request: Request, shown, best, scores) -> None:
  """Writes the grid, single images, latents, and errors of each image."""
  result = next(k for k in ('blended', 'completed', 'inverted') if k in shown)
  caption = f'step {int(run.state.step):,}  {request.mode}: {", ".join(shown)}'
  grid.save(path / 'grid.png', grid.draw(_rows(shown), caption))
  np.save(path / 'latents.npy', np.asarray(best.latents))
  if request.space != 'z':
    maps = traverse_util.flatten_dict(best.maps, sep='/')
    np.savez(path / 'noise.npz', **maps)
  lines = []
  for index, image in enumerate(np.asarray(shown[result])):
    name = f'{index:04d}.png'
    grid.save(path / name, pixels_lib.to_picture(image))
    values = {k: float(v[index]) for k, v in scores.items()}
    values = {k: v for k, v in values.items() if math.isfinite(v)}
    lines.append(json.dumps({'image': name} | values) + '\n')
  (path / 'errors.jsonl').write_text(''.join(lines))


def _rows(shown) -> np.ndarray:
  """Stacks the kinds of images, one a row: [rows, columns, H, W, C]."""
  kinds = np.stack([np.asarray(x) for x in shown.values()])  # [K, N, H, W, C]
  count = kinds.shape[1]
  columns = min(COLUMNS, count)
  blank = np.full((len(kinds), -count % columns, *kinds.shape[2:]), -1.0)
  kinds = np.concatenate([kinds, blank], axis=1)
  kinds = kinds.reshape(len(kinds), -1, columns, *kinds.shape[2:])
  return kinds.swapaxes(0, 1).reshape(-1, columns, *kinds.shape[3:])
