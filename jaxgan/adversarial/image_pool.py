"""Replay of earlier fakes from a pool (experience replay).

The pool is an array of the state. It is equal on all devices and is part of
the checkpoint.
"""

import jax
import jax.numpy as jnp

from jaxgan.core import axis, noise


def create(size: int, shape: tuple[int, ...]) -> dict[str, jax.Array]:
  """Returns an empty pool of `size` images."""
  return {
    'images': jnp.zeros((size, *shape)),
    'count': jnp.zeros((), jnp.int32),
  }


def mix(pool, fake, key, share: float):
  """Replaces some fakes by earlier ones and adds the new fakes to the pool.

  Shrivastava et al. 2017 (https://arxiv.org/abs/1612.07828), section 2.3; here
  all new images replace the oldest ones.

  Args:
    pool: 'images' and 'count', the number of images added so far; see `create`.
    fake: new images [B, ...].
    key: PRNG key; it selects the fakes to replace and their replacements.
    share: mean share of fakes to replace, once the pool holds an image.

  Returns:
    Images [B, ...] for the discriminator, and the next pool.
  """
  images, count = pool['images'], pool['count']
  held = jnp.minimum(count, len(images))
  u = noise.uniform(key, len(fake), (2,))
  index = jnp.floor(u[:, 0] * held).astype(int)
  is_old = (u[:, 1] < share) & (held > 0)
  shape = (-1,) + (1,) * (fake.ndim - 1)
  shown = jnp.where(is_old.reshape(shape), images[index], fake)
  new = axis.gather(fake)[-len(images) :]
  indices = (count + jnp.arange(len(new))) % len(images)
  pool = {
    'images': images.at[indices].set(new),
    'count': count + len(new),
  }
  return shown, pool


def swap(pool, fake, key, share: float):
  """Swaps some fakes with earlier ones; other fakes do not enter a full pool.

  The rule of the authors' code for Zhu et al. 2017
  (https://arxiv.org/abs/1703.10593, section 4), for one image after the other.
  While the pool has room, an image is added to the pool and returned. Once the
  pool is full, an image is swapped with probability `share`: it replaces a
  random image of the pool, which is returned instead. Arguments and results
  are those of `mix`.
  """
  u = noise.uniform(key, len(fake), (2,))
  new = axis.gather((fake, u))

  def one(pool, new):
    images, count = pool['images'], pool['count']
    image, u = new
    is_full = count >= len(images)
    drawn = jnp.floor(u[0] * len(images)).astype(int)
    index = jnp.where(is_full, drawn, count)
    is_old = is_full & (u[1] < share)
    shown = jnp.where(is_old, images[index], image)
    stored = jnp.where(is_old | ~is_full, image, images[index])
    pool = {
      'images': images.at[index].set(stored),
      'count': jnp.minimum(count + 1, len(images)),
    }
    return pool, shown

  pool, shown = jax.lax.scan(one, pool, new)
  if axis.is_mapped():
    start = axis.index() * len(fake)
    shown = jax.lax.dynamic_slice_in_dim(shown, start, len(fake))
  return shown, pool
