"""Searches styles w, and noise, whose images equal given images.

Karras et al. 2020 (https://arxiv.org/abs/1912.04958), appendix D. The search
starts from the mean of w. Adam changes w and the noise maps n of the synthesis
and minimises

  |g(w + r, n) - y|^2 + weight R(n),

where r is random and becomes zero, so that the search leaves poor minima. The
regulariser R keeps noise maps from taking over structure of the image. The
paper compares images by LPIPS; here it is the mean square over pixels.

In the space w, all layers have the same w. In w+, each layer has its own (Abdal
et al. 2019, https://arxiv.org/abs/1904.03189).

  find = functools.partial(styles.synthesize, method, state)
  best = style_search.search(find, images, mean[None], spread, maps, keys)
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

SMALLEST = 8  # side of the smallest maps that are halved from larger ones
NOISE_WEIGHT = 1e5
# Deviation of r at the start, as a share of the deviation of w.
SHARE = 0.05
LEARNING_RATE = 0.1
# Shares of the iterations in which r is random, the rate rises, and falls.
RANDOM, RISING, FALLING = 0.75, 0.05, 0.25
EPSILON = 1e-8


class Result(NamedTuple):
  """The styles of every image.

  Attributes:
    latents: w of each image, [N, S, D].
    maps: noise of each image, a tree of [N, H, W, 1].
    images: the generator's images, [N, H, W, C].
    loss: mean square of the difference, [N].
  """

  latents: jax.Array
  maps: Any
  images: jax.Array
  loss: jax.Array


def regulariser(maps) -> jax.Array:
  """Returns the sum of squared autocorrelations of noise maps, at all scales.

  A map larger than `SMALLEST` is also compared as means of 2 x 2 pixels, times
  two, and so forth: white noise stays white noise. A last row or column without
  a partner is left out of the means.

  Args:
    maps: a tree of [H, W, 1].
  """
  return sum(_of_scales(x[..., 0]) for x in jax.tree.leaves(maps))


def _of_scales(x: jax.Array) -> jax.Array:
  total = 0.0
  while True:
    for axis in (0, 1):
      total += jnp.mean(x * jnp.roll(x, 1, axis)) ** 2
    height, width = (side // 2 for side in x.shape)
    if min(x.shape) <= SMALLEST:
      return total
    x = x[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    x = 2.0 * jnp.mean(x, axis=(1, 3))


def normalised(maps):
  """Returns noise maps [H, W, 1] with mean zero and deviation one."""

  def of_map(x):
    x = x - jnp.mean(x)
    return x * jax.lax.rsqrt(jnp.mean(x**2) + EPSILON)

  return jax.tree.map(of_map, maps)


def schedule(iterations: int, peak: float) -> Callable:
  """Returns the learning rate as a function of the iteration.

  The rate rises linearly, and falls by a cosine.
  """

  def rate(count):
    t = count / iterations
    fall = jnp.minimum(1.0, (1.0 - t) / FALLING)
    rise = jnp.minimum(1.0, (count + 1) / (RISING * iterations))
    return peak * rise * (0.5 - 0.5 * jnp.cos(math.pi * fall))

  return rate


def search(
  synthesize: Callable,
  images: jax.Array,
  start: jax.Array,
  spread: jax.Array,
  maps,
  keys: jax.Array,
  *,
  iterations: int,
  learning_rate: float = LEARNING_RATE,
  noise_weight: float = NOISE_WEIGHT,
) -> Result:
  """Finds the w and the noise of images, by Adam.

  Images are independent: each result is the same alone and in a batch, up to
  rounding.

  Args:
    synthesize: maps w [B, S, D], and a tree of maps, to images [B, H, W, C].
    images: images [N, H, W, C] to find.
    start: first w of all images, [S, D]; S is 1 for one w for all layers.
    spread: root of the mean squared distance of w from its mean.
    maps: a tree of [H, W, 1], of which only the shapes count.
    keys: keys of the images, [N]. Maps start as white noise.
    iterations: number of updates.
    learning_rate: highest learning rate.
    noise_weight: weight of `regulariser`.
  """
  optimizer = optax.adam(schedule(iterations, learning_rate))

  def search_one(image, key):
    def shown(w, maps):
      return synthesize(w[None], maps)[0]

    def loss_fn(w_and_maps, offset):
      w, maps = w_and_maps
      difference = shown(w + offset, maps) - image
      return jnp.mean(difference**2) + noise_weight * regulariser(maps)

    def update(carry, index):
      values, state = carry
      ramp = jnp.maximum(0.0, 1.0 - index / (RANDOM * iterations))
      offset = jax.random.normal(jax.random.fold_in(key, index), start.shape)
      grads = jax.grad(loss_fn)(values, SHARE * spread * ramp**2 * offset)
      updates, state = optimizer.update(grads, state)
      w, maps = optax.apply_updates(values, updates)
      return ((w, normalised(maps)), state), None

    leaves, structure = jax.tree.flatten(maps)
    draws = jax.random.split(jax.random.fold_in(key, iterations), len(leaves))
    first = [
      jax.random.normal(draw, x.shape)
      for draw, x in zip(draws, leaves, strict=True)
    ]
    values = (start, normalised(structure.unflatten(first)))
    carry = (values, optimizer.init(values))
    steps = jnp.arange(iterations)
    ((w, found), _), _ = jax.lax.scan(update, carry, steps)
    result = shown(w, found)
    return Result(w, found, result, jnp.mean((result - image) ** 2))

  return jax.vmap(search_one)(images, keys)
