"""--mode=complete and --mode=invert: images that a trained generator looks for.

  python -m jaxgan.main --mode=complete --workdir=runs/gan_mnist --mask=half
  python -m jaxgan.main --mode=invert --workdir=runs/gan_mnist --images=FOLDER

Held-out images, or a folder's, get a hole and are completed by the image of the
generator that fits best around it (see `jaxgan.invert`). A folder in the
workdir gets a grid of masked, completed, blended and original images, the
completed ones, their latents, and a line of errors for each. Inversion is the
same without a hole. The same request gives the same files.
"""

import functools
import hashlib
import json
import math
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.adversarial import augment, terms
from jaxgan.core import masks
from jaxgan.core import pixels as pixels_lib
from jaxgan.core import state as state_lib
from jaxgan.metrics import similarity
from jaxgan.modes import held_out, latent_search, poisson
from jaxgan.modes import restore as restore_lib
from jaxgan.modes.held_out import LOW_RESOLUTION, Request
from jaxgan.training import devices as devices_lib
from jaxgan.training.run import Run
from jaxgan.visual import grid

FACTOR = 4  # of low resolution
RESTARTS = 4
BATCH = 64  # images in one scan
COLUMNS = 16  # of the grid
HOLE = 0.0  # shown in the place of missing pixels


def complete(workdir, request: Request) -> dict[str, float | str]:
  """Completes or inverts images and writes what was found into the workdir.

  Args:
    workdir: of the run.
    request: what to do.

  Returns:
    Mean errors in units of [0, 1]: 'l1_hole' and 'mse_hole' of completed images
    where pixels were missing, also '..._blended'; 'l1_known' and 'mse_known' of
    the generator's images where they were known (of low resolution, of what
    was); 'psnr' of inverted ones. With them 'path', the folder.

  Raises:
    UserError: for what can not be completed.
  """
  began = time.monotonic()
  held_out.check(request)
  workdir = pathlib.Path(workdir).absolute()
  run = restore_lib.restore(workdir, member=request.member)
  if not (run.has_latents and run.spec.is_image):
    raise errors.UserError(
      f'--mode={request.mode}: method={run.name!r} on data of shape '
      f'{run.spec.shape} makes no images from latents; give the --workdir of '
      'a run that does'
    )
  devices_lib.use_compilation_cache()
  key = jax.random.key(request.seed)
  images = held_out.images(run, request)
  known = held_out.known(request, key, images.shape)
  found = _search(run, request, key, images, known)
  shown = _shown(request, images, found.images, known)
  scores = _errors(request, images, found.images, known, shown)
  scores['loss'] = np.asarray(found.loss)
  path = workdir / _name(run, request, images, known)
  path.mkdir(exist_ok=True)
  _write(path, run, request, shown, found.latents, scores)
  said = {'path': str(path), 'num': len(images)}
  said |= {name: float(values.mean()) for name, values in scores.items()}
  return said | {'seconds': round(time.monotonic() - began, 1)}


def _search(
  run: Run, request: Request, key, images, known
) -> latent_search.Found:
  """The best latents of all images, a batch at a time."""
  count = len(images)
  labels = held_out.labels(run, request, count)  # [N, K], or None
  choices = 1 if labels is None else labels.shape[1]
  restarts = request.restarts or -(-RESTARTS // choices)
  starts = run.method.latents.sample(
    jax.random.fold_in(key, 2), count * restarts * choices
  ).reshape(count, restarts * choices, -1)
  if labels is not None:
    labels = labels.repeat(restarts, axis=1)
  seen, weight = images, latent_search.weights(known, window(images.shape))
  if request.mask == LOW_RESOLUTION:
    seen = latent_search.reduced(images, FACTOR)
    # A block stands for all of its pixels.
    weight = jnp.full((*seen.shape[:3], 1), float(FACTOR**2))
  settle = jax.jit(run.algorithm.use_ema_weights, static_argnums=0)
  state = settle(run.method, run.state)
  run_batch = functools.partial(
    _batch,
    run.algorithm,
    run.method,
    request.mask == LOW_RESOLUTION,
    request.iterations,
    state,
  )

  def at(start):
    # The last batch repeats its last row: another size is another program.
    rows = np.minimum(np.arange(start, start + size), count - 1)
    part = jax.tree.map(lambda x: x[rows], (seen, weight, starts, labels))
    return jax.tree.map(lambda x: x[: count - start], run_batch(*part))

  size = min(BATCH, count)
  parts = [at(start) for start in range(0, count, size)]
  return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def window(shape: tuple[int, ...]) -> int:
  """Side of the neighbourhood that weighs known pixels: half an image, odd.

  Of 64 held-out digits and the default gan_mnist run, mean absolute errors in
  the hole were, with 7 pixels as in the paper, 15, and all known pixels alike:
  0.240, 0.229 and 0.242 of the centre; 0.106, 0.091 and 0.080 of a half.
  """
  return min(shape[1:3]) // 2 | 1


@functools.partial(jax.jit, static_argnums=range(4))
def _batch(
  algorithm, method, is_reduced, iterations, state, seen, weight, starts, labels
) -> latent_search.Found:
  prior_fn, weight_of_prior = prior(method, state)
  found = latent_search.search(
    functools.partial(algorithm.decode, method, state),
    seen,
    weight,
    starts,
    labels,
    project=method.latents.project,
    prior=prior_fn,
    prior_weight=weight_of_prior,
    observe=(lambda x: latent_search.reduced(x, FACTOR))
    if is_reduced
    else None,
    iterations=iterations,
  )
  return found._replace(images=jnp.clip(found.images, -1.0, 1.0))


def prior(method, state):
  """The prior loss of `invert.search` for a method and a state, its weight.

  The discriminator's where there is one, with running statistics; several
  copies of the image where it sees several as one. Otherwise -log p(z).
  """
  if not hasattr(method, 'discriminator'):
    return lambda z, image: latent_search.gaussian_prior(
      z
    ), latent_search.GAUSSIAN_WEIGHT
  network = state_lib.bind(method, state)['discriminator']
  pack = method.tricks.pack

  def of_discriminator(z, image, *label):
    del z
    copies = augment.pack(image.repeat(pack, axis=0), pack)
    logits = network(copies, *label, train=False).logits
    return latent_search.discriminator_prior(terms.per_example(logits))

  return of_discriminator, latent_search.PRIOR_WEIGHT


def _shown(request: Request, images, generated, known) -> dict:
  """Rows of the grid, by name; the first but 'masked' are the results."""
  if request.mask is None:
    return {'inverted': generated, 'original': images}
  masked = jnp.where(known, images, HOLE)
  if request.mask == LOW_RESOLUTION:
    _, height, width, _ = images.shape
    masked = latent_search.reduced(images, FACTOR)
    masked = masked.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
    masked = masked[:, :height, :width]
  found = {'masked': masked, 'completed': jnp.where(known, images, generated)}
  if request.blend:
    found['blended'] = jax.jit(poisson.blend)(images, generated, known)
  return found | {'original': images}


def _errors(request: Request, images, generated, known, shown) -> dict:
  """Errors of each image by name, [N]."""
  if request.mask is None:
    found = {'psnr': similarity.psnr(images, generated)}
  else:
    found = {}
    for kind in ('completed', 'blended'):
      if kind in shown:
        end = '_blended' * (kind == 'blended')
        apart = similarity.completion_errors(images, shown[kind], known)
        found |= {f'{k}{end}': v for k, v in apart.items() if 'hole' in k}
  pair = images, generated
  if request.mask == LOW_RESOLUTION:
    pair = tuple(latent_search.reduced(x, FACTOR) for x in pair)
    known = jnp.ones((*pair[0].shape[:3], 1), bool)
  apart = similarity.completion_errors(*pair, known)
  found |= {k: v for k, v in apart.items() if 'known' in k}
  return {name: np.asarray(values) for name, values in found.items()}


def _name(run: Run, request: Request, images, known) -> str:
  """Of the folder: another for every request."""

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
  if request.labels is not None:
    parts.append(f'labels{digest(request.labels.encode())}')
  if request.restarts is not None:
    parts.append(f'restarts{request.restarts}')
  if request.iterations != latent_search.ITERATIONS:
    parts.append(f'iterations{request.iterations}')
  return '_'.join(parts + ['blended'] * request.blend)


def _write(path, run: Run, request: Request, shown, latents, scores) -> None:
  """The grid, single images, latents, and a line of errors for each."""
  result = next(k for k in ('blended', 'completed', 'inverted') if k in shown)
  caption = f'step {int(run.state.step):,}  {request.mode}: {", ".join(shown)}'
  grid.save(path / 'grid.png', grid.draw(_rows(shown), caption))
  np.save(path / 'latents.npy', np.asarray(latents))
  lines = []
  for place, image in enumerate(np.asarray(shown[result])):
    name = f'{place:04d}.png'
    grid.save(path / name, pixels_lib.to_uint8(image))
    values = {k: float(v[place]) for k, v in scores.items()}
    values = {k: v for k, v in values.items() if math.isfinite(v)}
    lines.append(json.dumps({'image': name} | values) + '\n')
  (path / 'errors.jsonl').write_text(''.join(lines))


def _rows(shown) -> np.ndarray:
  """[rows, columns, H, W, C]: the kinds below each other, again and again."""
  kinds = np.stack([np.asarray(x) for x in shown.values()])  # [K, N, H, W, C]
  count = kinds.shape[1]
  columns = min(COLUMNS, count)
  blank = np.full((len(kinds), -count % columns, *kinds.shape[2:]), -1.0)
  kinds = np.concatenate([kinds, blank], axis=1)
  kinds = kinds.reshape(len(kinds), -1, columns, *kinds.shape[2:])
  return kinds.swapaxes(0, 1).reshape(-1, columns, *kinds.shape[3:])
