"""Pictures of codes of two numbers."""

import jax
import jax.numpy as jnp

SIDE, LIMIT = 280, 3.5  # of the picture, in pixels and in codes


def draw(codes: jax.Array, label=None) -> jax.Array:
  """Returns a picture [1, 280, 280, 3] of codes [N, 2], a colour a class.

  Args:
    codes: the points; the second number grows upwards. Points outside of
      [-3.5, 3.5] are left out.
    label: classes [N]; None for white points.
  """
  side = SIDE
  pixel = (codes * jnp.array([[1.0, -1.0]]) / LIMIT + 1.0) / 2.0 * side
  pixel = jnp.floor(pixel).astype(int)
  pixel = jnp.where(pixel < 0, side, pixel)  # Indices beyond are dropped.
  colour = jnp.ones((len(codes), 3))
  if label is not None:
    # Hues at steps of the golden ratio are all different.
    hue = (label * 0.618034 % 1.0)[:, None] + jnp.arange(3)[None] / 3.0
    colour = 0.6 + 0.4 * jnp.cos(2.0 * jnp.pi * hue)
  picture = jnp.zeros((side, side, 3))
  for dx in range(3):
    for dy in range(3):
      at = (pixel[:, 1] + dy, pixel[:, 0] + dx)
      picture = picture.at[at].set(colour, mode='drop')
  return (2.0 * picture - 1.0)[None]
