"""Seamless cloning: the colours of one image, the gradients of another.

Perez et al. 2003, https://doi.org/10.1145/882262.882269.
"""

import jax
import jax.numpy as jnp
from jax.scipy.sparse import linalg

TOLERANCE = 1e-5
# Conjugate gradients need about as many steps as the hole is wide.
STEPS_PER_PIXEL = 4


def _neighbours(x):
  """Sum over the four neighbours, [H, W, C]; beyond the border is nothing."""
  x = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
  return x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]


def blend(image: jax.Array, patch: jax.Array, known: jax.Array) -> jax.Array:
  """Fills holes with the gradients of a patch, so that no seam is seen.

  Perez et al. 2003, equations 7 and 8 with equation 11: x is the image where it
  is known and patch + u in the holes, where u is harmonic and makes both meet
  at the border. At the border of the image u has no slope; a hole that touches
  nothing known gets the patch as it is.

  Args:
    image: [N, H, W, C] in [-1, 1]; what it has in the holes does not matter.
    patch: [N, H, W, C] in [-1, 1].
    known: bool [N, H, W, 1], true outside of the holes.

  Returns:
    [N, H, W, C] in [-1, 1].
  """

  def one(image, patch, known):
    hole = 1.0 - known
    degree = _neighbours(jnp.ones_like(hole))

    def laplacian(u):
      return hole * (degree * u - _neighbours(hole * u))

    apart = jnp.where(known > 0, image - patch, 0.0)
    u, _ = linalg.cg(
      laplacian,
      hole * _neighbours(apart),
      tol=TOLERANCE,
      maxiter=STEPS_PER_PIXEL * sum(image.shape[:2]),
    )
    return jnp.where(known > 0, image, jnp.clip(patch + u, -1.0, 1.0))

  return jax.vmap(one)(image, patch, known.astype(image.dtype))
