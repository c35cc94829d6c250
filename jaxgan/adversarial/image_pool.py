"""A pool of images that a generator made earlier, shown again.

The pool is an array of the state: the same on every device, and in the
checkpoint.
"""

import jax
import jax.numpy as jnp

from jaxgan.core import axis, noise


def create(size: int, shape: tuple[int, ...]) -> dict[str, jax.Array]:
  """An empty pool of `size` images."""
  return {
    'images': jnp.zeros((size, *shape)),
    'count': jnp.zeros((), jnp.int32),
  }


def mix(pool, fake, key, share: float):
  """Replaces some fakes by earlier ones, and takes the new ones in.

  Shrivastava et al. 2017 (https://arxiv.org/abs/1612.07828), section 2.3; here
  all new images displace the oldest ones.

  Args:
    pool: as `create` made it; 'count' images have been taken in so far.
    fake: new images [B, ...].
    key: which fakes are replaced, and by what.
    share: how many, on average, once the pool holds anything.

  Returns:
    Images [B, ...] to show, and the pool after it.
  """
  images, count = pool['images'], pool['count']
  held = jnp.minimum(count, len(images))
  u = noise.uniform(key, len(fake), (2,))
  place = jnp.floor(u[:, 0] * held).astype(int)
  is_old = (u[:, 1] < share) & (held > 0)
  shape = (-1,) + (1,) * (fake.ndim - 1)
  shown = jnp.where(is_old.reshape(shape), images[place], fake)
  new = axis.gather(fake)[-len(images) :]
  places = (count + jnp.arange(len(new))) % len(images)
  pool = {
    'images': images.at[places].set(new),
    'count': count + len(new),
  }
  return shown, pool


def swap(pool, fake, key, share: float):
  """Swaps some fakes for earlier ones; the others are not taken in.

  The rule of the authors' code for Zhu et al. 2017
  (https://arxiv.org/abs/1703.10593, section 4), one image after the other: as
  long as there is room, an image is shown and taken in; from then on, with
  probability `share`, it takes the place of one drawn from the pool, which is
  shown instead. See `mix` for what goes in and comes out.
  """
  u = noise.uniform(key, len(fake), (2,))
  new = axis.gather((fake, u))

  def one(pool, new):
    images, count = pool['images'], pool['count']
    image, u = new
    is_full = count >= len(images)
    drawn = jnp.floor(u[0] * len(images)).astype(int)
    place = jnp.where(is_full, drawn, count)
    is_old = is_full & (u[1] < share)
    shown = jnp.where(is_old, images[place], image)
    taken = jnp.where(is_old | ~is_full, image, images[place])
    pool = {
      'images': images.at[place].set(taken),
      'count': jnp.minimum(count + 1, len(images)),
    }
    return pool, shown

  pool, shown = jax.lax.scan(one, pool, new)
  if axis.is_mapped():
    start = axis.index() * len(fake)
    shown = jax.lax.dynamic_slice_in_dim(shown, start, len(fake))
  return shown, pool
