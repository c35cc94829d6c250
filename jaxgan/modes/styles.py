"""Styles of trained generators with a mapping network, StyleGAN2.

All functions take a method, and the state that its `use_ema_weights` returns.

  w = styles.map_latents(method, state, z)
  mixed = styles.mix(w[:4], w[4:], crossover=3)
  images = styles.synthesize(method, state, mixed.reshape(-1, *w.shape[1:]))
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import directions, memory
from jaxgan.core import latents as latents_lib
from jaxgan.core import state as state_lib
from jaxgan.core.interpolation import NORMAL_RANGE
from jaxgan.modes import latent_search, style_search
from jaxgan.training import compile as compile_lib
from jaxgan.training.trained import Run

SAMPLES = 10_000  # latents for the mean of w, as in Karras et al. 2020
NOISE = 'noise'  # collection of the noise maps
FLOAT = 4  # bytes


def has_mapping(method) -> bool:
  """Returns True for a method whose generator has a mapping network."""
  return hasattr(getattr(method, 'generator', None), 'map_latents')


def refuse_others(method, flag: str) -> None:
  """Raises a UserError for a method without a mapping network.

  Args:
    method: the method of a run.
    flag: the flag that needs styles, for the error.
  """
  if not has_mapping(method):
    raise errors.UserError(
      f'{flag} needs a generator with a mapping network, and this run has '
      'none. Remove the flag, or use a run of StyleGAN2.'
    )


def map_latents(method, state, z: jax.Array, label=None) -> jax.Array:
  """Returns w of each layer [N, layers, D] of latents [N, Z].

  Args:
    method: a method with a mapping network.
    state: a result of `use_ema_weights`.
    z: latents.
    label: classes [N] for conditional networks; by default all in turn.
  """
  num_classes = method.generator.num_classes
  if label is None:
    label = jnp.arange(len(z)) % max(num_classes, 1)
  y = (label,) if num_classes else ()
  network = state_lib.bind(method, state)['generator']
  return network(z, *y, train=False, method='map_latents').value


def synthesize(method, state, w: jax.Array, maps=None) -> jax.Array:
  """Returns images [N, H, W, C] of w [N, layers, D].

  Args:
    method: see `map_latents`.
    state: see `map_latents`.
    w: styles; [N, 1, D] for the same w in all layers.
    maps: tree of noise maps [H, W, 1]; by default those of the state.
  """
  network = state_lib.bind(method, state)['generator']
  if maps is not None:
    stats = {**network.stats, NOISE: maps}
    network = dataclasses.replace(network, stats=stats)
  shape = (len(w), method.generator.layers, w.shape[-1])
  w = jnp.broadcast_to(w, shape)
  return network(w, train=False, method='synthesize').images


def moments(method, state, key, count: int = SAMPLES):
  """Returns the mean of w [D], and w of random latents [count, D]."""
  z = method.latents.sample(key, count)
  method, z = latents_lib.truncate(method, z, 1.0)
  w = map_latents(method, state, z)[:, 0]
  return jnp.mean(w, axis=0), w


def mix(first: jax.Array, second: jax.Array, crossover: int) -> jax.Array:
  """Mixes all pairs of styles: the image of each pair has both.

  Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 3.1.

  Args:
    first: w of the layers before `crossover`, coarse styles, [A, layers, D].
    second: w of the layers from `crossover` on, fine styles, [B, layers, D].
    crossover: 0 for `second` in all layers; the number of layers for `first`.

  Returns:
    w of all pairs, [A, B, layers, D].
  """
  is_first = jnp.arange(first.shape[1])[:, None] < crossover
  return jnp.where(is_first, first[:, None], second[None])


def mixing_grid(
  first: jax.Array, second: jax.Array, crossover: int
) -> jax.Array:
  """Returns `mix`, with the sources in the first column and the first row.

  Returns:
    [A + 1, B + 1, layers, D]; the first has no meaning.
  """
  mixed = mix(first, second, crossover)
  rows = jnp.concatenate([first[:, None], mixed], axis=1)
  top = jnp.concatenate([first[:1], second])[None]
  return jnp.concatenate([top, rows])


def move(w: jax.Array, direction, deviation: float, columns: int) -> jax.Array:
  """Moves the styles of all layers along a direction, to both sides.

  Args:
    w: [N, layers, D].
    direction: [D], of length one.
    deviation: deviation of w in this direction.
    columns: number of steps; the middle one of an odd number is w.

  Returns:
    [N, columns, layers, D].
  """
  steps = jnp.linspace(-NORMAL_RANGE, NORMAL_RANGE, columns) * deviation
  steps = steps[None, :, None, None] * direction[None, None, None]
  return w[:, None] + steps


def _drawn(method, state, key, num, label, truncation) -> jax.Array:
  """Returns w [num, layers, D] of random latents."""
  z = method.latents.sample(key, num)
  if truncation is not None:
    method, z = latents_lib.truncate(method, z, truncation)
  return compile_lib.jit_method(map_latents, method)(state, z, label)


def mixed(method, state, key, crossover, num, label=None, truncation=None):
  """Returns `mixing_grid` of 2 * num random latents.

  Args:
    method: see `map_latents`.
    state: see `map_latents`.
    key: for the latents.
    crossover: see `mix`.
    num: number of rows, and of columns.
    label: classes [num] of rows and of columns.
    truncation: see `latents.truncate`; None is off.
  """
  label = None if label is None else np.tile(label, 2)
  w = _drawn(method, state, key, 2 * num, label, truncation)
  return mixing_grid(w[:num], w[num:], crossover)


def moved(
  method, state, key, number, columns, num, label=None, truncation=None
) -> jax.Array:
  """Returns `move` of random latents along a direction of SeFa.

  Args:
    method: see `map_latents`.
    state: see `map_latents`.
    key: for the latents.
    number: number of the direction, see `directions.factorize`.
    columns: see `move`.
    num: number of rows.
    label: classes [num].
    truncation: see `latents.truncate`; None is off.
  """
  w = _drawn(method, state, key, num, label, truncation)
  kernel = directions.style_kernel(state.networks['generator'].params)
  direction = directions.factorize(kernel)[0][number]
  _, others = compile_lib.jit_method(moments, method)(state, key)
  deviation = float(np.std(np.asarray(others) @ direction))
  return move(w, direction.astype(np.float32), deviation, columns)


def invert(
  run: Run, space: str, iterations: int, batch: int, key, images
) -> style_search.Result:
  """Returns the styles of images, see `style_search`.

  Args:
    run: a trained run.
    space: 'w' or 'w+'.
    iterations: number of updates.
    batch: images that are searched together.
    key: for the search.
    images: [N, H, W, C] in [-1, 1].

  Raises:
    UserError: if the run has no styles, or the search exceeds the memory.
  """
  refuse_others(run.method, f'--space={space}')
  count, size = len(images), min(batch, len(images))
  maps = run.state.networks['generator'].stats[NOISE]
  generator = run.method.generator
  layers = 1 if space == 'w' else generator.layers
  numbers = layers * generator.style_size + sum(
    x.size for x in jax.tree.leaves(maps)
  )
  # Values and moments of Adam of a batch, and the results.
  numbers = (count + 2 * size) * numbers + size * math.prod(images.shape[1:])
  memory.refuse(FLOAT * numbers, f'--num={count}', 'Lower it.')
  jit_method = compile_lib.jit_method
  state = jit_method(run.algorithm.use_ema_weights, run.method)(run.state)
  mean, w = jit_method(moments, run.method)(state, jax.random.fold_in(key, 2))
  start = jnp.broadcast_to(mean, (layers, len(mean)))
  spread = jnp.sqrt(jnp.mean(jnp.sum((w - mean[None]) ** 2, axis=1)))
  search = functools.partial(
    jit_method(_search, run.method, 0),
    iterations,
    state,
    start,
    spread,
  )
  keys = jax.vmap(functools.partial(jax.random.fold_in, key))(
    3 + jnp.arange(count)
  )
  return latent_search.in_batches(search, size, images, keys)


def _search(
  method, iterations, state, start, spread, images, keys
) -> style_search.Result:
  maps = state.networks['generator'].stats[NOISE]
  best = style_search.search(
    functools.partial(synthesize, method, state),
    images,
    start,
    spread,
    maps,
    keys,
    iterations=iterations,
  )
  return best._replace(images=jnp.clip(best.images, -1.0, 1.0))
