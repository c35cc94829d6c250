"""Which latents make an image, or what is known of one: inversion, completion.

Yeh et al. 2017 (https://arxiv.org/abs/1607.07539), equations 2 to 5: the hole
in an image y is filled with that of G(z), where z is the minimum of

  |W * (G(z) - y)|_1 + weight log(1 - D(G(z))),

a contextual loss over what is known and a prior loss. Inversion is the same of
an image without a hole. Every image has several starts, of which the best is
kept; all of them go through one scan.

  decode = lambda z: gan.decode(method, settled, z)
  starts = method.latents.sample(key, 64 * 4).reshape(64, 4, -1)
  found = invert.search(decode, images, invert.weights(known), starts)
  completed = jnp.where(known, images, found.images)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.core import latents as latents_lib

WINDOW = 7  # pixels, as in the paper, whose images are 64 x 64
PRIOR_WEIGHT = 0.003  # of the discriminator's, as in the paper
# Of 32 held-out digits and the default vae_mnist run, mean absolute errors in
# the hole with 0.003, 0.1 and 1 were 0.210, 0.194 and 0.201 of the centre;
# 0.074, 0.073 and 0.073 of a half.
GAUSSIAN_WEIGHT = 0.1
LEARNING_RATE = 0.03
ITERATIONS = 300


class Result(NamedTuple):
  """The best start of every image.

  Attributes:
    latents: [N, Z].
    images: [N, H, W, C] in [-1, 1], what the generator makes of them.
    loss: [N], contextual and prior loss.
    start: int [N], which start it was.
  """

  latents: jax.Array
  images: jax.Array
  loss: jax.Array
  start: jax.Array


def weights(known: jax.Array, window: int = WINDOW) -> jax.Array:
  """How much each known pixel counts: the share of its neighbours missing.

  Yeh et al. 2017, equation 3: pixels near a hole say more of it. Where nothing
  is missing, as in inversion, all count 1.

  Args:
    known: bool [N, H, W, 1], true outside of the holes.
    window: side of the square of neighbours, odd; 0 counts known pixels alike.

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
  """Means over blocks: [N, H, W, C] to [N, ceil(H / factor), ..., C].

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
  """log(1 - D(x)) of logits: Yeh et al. 2017, equation 4 without its weight."""
  return -jax.nn.softplus(logits)


def gaussian_prior(z: jax.Array) -> jax.Array:
  """-log p(z) of standard normal latents [..., Z] up to a constant: [...]."""
  return 0.5 * jnp.sum(z**2, axis=-1)


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
  """Latents whose images agree with what is seen, by Adam.

  Rows do not know of each other: an image is completed in the same way alone
  and beside others, up to rounding.

  Args:
    decode: latents [B, Z], and labels [B] if there are, to images [B, H, W, C].
    seen: what is known of the images, [N, h, w, C]; images with anything in the
      holes, or what `observe` makes of images.
    weight: of every pixel of it, [N, h, w, 1]; see `weights`.
    starts: first latents [N, R, Z], R for every image.
    labels: classes [N, R] of conditional generators.
    project: moves latents into the support of their distribution, see
      `Latents.project`.
    prior: (latents [B, Z], images [B, H, W, C], and labels if there are) to
      prior losses [B]; nothing is added without.
    prior_weight: of it.
    observe: images [B, H, W, C] to what is seen of them; by default all.
    iterations: updates.
    learning_rate: of Adam.
  """
  optimizer = optax.adam(learning_rate)

  def one(seen, weight, start, label):
    """A single start: [h, w, C], [h, w, 1], [Z] and a tuple of labels."""
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

  over_starts = jax.vmap(one, in_axes=(None, None, 0, 0))
  label = () if labels is None else (labels,)
  z, images, loss = jax.vmap(over_starts)(seen, weight, starts, label)
  best = jnp.argmin(loss, axis=1)  # [N]
  pick = jax.vmap(lambda x, k: x[k])
  return Result(pick(z, best), pick(images, best), pick(loss, best), best)
