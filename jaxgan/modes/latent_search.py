"""Searches latents whose images agree with known pixels.

Yeh et al. 2017 (https://arxiv.org/abs/1607.07539), equations 2 to 5. The hole
of an image y is filled with the pixels of G(z), where z minimises

  |W * (G(z) - y)|_1 + weight log(1 - D(G(z))).

The first term is the contextual loss over known pixels, the second the prior
loss. Inversion does the same for an image without a hole. Every image has
several starts, all in one scan, and the best result is kept.

  decode = lambda z: gan.decode(method, state, z)
  starts = method.latents.sample(key, 64 * 4).reshape(64, 4, -1)
  weight = latent_search.weights(known)
  best = latent_search.search(decode, images, weight, starts)
  completed = jnp.where(known, images, best.images)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.core import latents as latents_lib

WINDOW = 7  # pixels, as in the paper, whose images are 64 x 64
# Weight of the discriminator's prior loss, as in the paper.
PRIOR_WEIGHT = 0.003
# Weight of -log p(z). Errors of completed digits are lowest near this value.
GAUSSIAN_WEIGHT = 0.1
LEARNING_RATE = 0.03
ITERATIONS = 300


class Result(NamedTuple):
  """The best start of every image.

  Attributes:
    latents: [N, Z].
    images: the generator's images of the latents, [N, H, W, C] in [-1, 1].
    loss: sum of contextual and prior loss, [N].
    start: index of the start, int [N].
  """

  latents: jax.Array
  images: jax.Array
  loss: jax.Array
  start: jax.Array


def weights(known: jax.Array, window: int = WINDOW) -> jax.Array:
  """Returns the weights of known pixels: the missing share of neighbours.

  Yeh et al. 2017, equation 3: pixels near a hole have more information on the
  hole. In an image without a hole all pixels have weight 1.

  Args:
    known: bool [N, H, W, 1], true outside of the holes.
    window: side of the square of neighbours, odd; 0 for equal weights.

  Returns:
    float32 [N, H, W, 1] in [0, 1], 0 in the holes.
  """
  missing = 1.0 - known.astype(jnp.float32)
  if not window:
    return 1.0 - missing

  def total(x):
    shape = (1, window, window, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, shape, (1,) * 4, 'SAME')

  share = total(missing) / total(jnp.ones_like(missing))
  has_hole = jnp.any(missing > 0, axis=(1, 2, 3), keepdims=True)
  return jnp.where(known, jnp.where(has_hole, share, 1.0), 0.0)


def reduced(images: jax.Array, factor: int) -> jax.Array:
  """Averages over blocks: [N, H, W, C] to [N, ceil(H / factor), ..., C].

  Blocks at the lower and right edge are smaller where `factor` does not divide
  the side.
  """

  def mean(size):
    block = np.arange(size) // factor
    member = block[:, None] == np.arange(block[-1] + 1)[None]
    return jnp.asarray(member / member.sum(axis=0)[None], images.dtype)

  _, height, width, _ = images.shape
  return jnp.einsum('nhwc,hi,wj->nijc', images, mean(height), mean(width))


def discriminator_prior(logits: jax.Array) -> jax.Array:
  """Returns log(1 - D(x)): Yeh et al. 2017, equation 4 without its weight."""
  return -jax.nn.softplus(logits)


def gaussian_prior(z: jax.Array) -> jax.Array:
  """Returns -log p(z) up to a constant, [...], of normal latents [..., Z]."""
  return 0.5 * jnp.sum(z**2, axis=-1)


def in_batches(search: Callable, size: int, *arrays):
  """Searches for parts of all images, and joins the results.

  Args:
    search: maps parts of `size` rows to a tree of arrays [size, ...].
    size: images of a part.
    *arrays: trees of arrays [N, ...].
  """
  count = len(jax.tree.leaves(arrays)[0])

  def search_from(start):
    # The last batch repeats its last row, because another size would compile
    # again.
    rows = np.minimum(np.arange(start, start + size), count - 1)
    results = search(*jax.tree.map(lambda x: x[rows], arrays))
    return jax.tree.map(lambda x: x[: count - start], results)

  parts = [search_from(start) for start in range(0, count, size)]
  return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def search(
  decode: Callable,
  seen: jax.Array,
  weight: jax.Array,
  starts: jax.Array,
  labels: jax.Array | None = None,
  *,
  project: Callable = latents_lib.SUPPORTS['normal'],
  prior: Callable | None = None,
  prior_weight: float = PRIOR_WEIGHT,
  observe: Callable | None = None,
  iterations: int = ITERATIONS,
  learning_rate: float = LEARNING_RATE,
) -> Result:
  """Finds latents whose images agree with the observation, by Adam.

  Images are independent: each result is the same alone and in a batch, up to
  rounding.

  Args:
    decode: maps latents [B, Z], and labels [B] if there are any, to images
      [B, H, W, C].
    seen: observed images [N, h, w, C], with any values in the holes.
    weight: weight of every observed pixel, [N, h, w, 1]; see `weights`.
    starts: first latents [N, R, Z], R for every image.
    labels: classes [N, R] for conditional generators.
    project: moves latents into the support of their distribution, see
      `Latents.project`.
    prior: maps latents [B, Z], images [B, H, W, C], and labels if there are
      any, to prior losses [B]; None for no prior.
    prior_weight: weight of the prior loss.
    observe: maps images [B, H, W, C] to observed images; by default the
      identity.
    iterations: number of updates.
    learning_rate: learning rate of Adam.
  """
  optimizer = optax.adam(learning_rate)

  def search_from(seen, weight, start, label):
    """Searches from one start: [h, w, C], [h, w, 1], [Z], tuple of labels."""
    label = jax.tree.map(lambda x: x[None], label)

    def loss_fn(z):
      z = z[None]
      image = decode(z, *label)
      shown = observe(image) if observe else image
      loss = jnp.sum(weight * jnp.abs(shown[0] - seen))
      if prior:
        loss += prior_weight * prior(z, image, *label)[0]
      return loss, image[0]

    def update(carry, _):
      z, state = carry
      grads, _ = jax.grad(loss_fn, has_aux=True)(z)
      updates, state = optimizer.update(grads, state)
      return (project(optax.apply_updates(z, updates)), state), None

    carry = (start, optimizer.init(start))
    (z, _), _ = jax.lax.scan(update, carry, length=iterations)
    loss, image = loss_fn(z)
    return z, image, loss

  over_starts = jax.vmap(search_from, in_axes=(None, None, 0, 0))
  label = () if labels is None else (labels,)
  z, images, loss = jax.vmap(over_starts)(seen, weight, starts, label)
  best = jnp.argmin(loss, axis=1)  # [N]
  pick = jax.vmap(lambda x, k: x[k])
  return Result(pick(z, best), pick(images, best), pick(loss, best), best)
