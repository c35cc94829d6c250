"""Poisson blending: the colours of one image, the gradients of another.

Perez et al. 2003, https://doi.org/10.1145/882262.882269.
"""

import jax
import jax.numpy as jnp
from jax.scipy.sparse import linalg

TOLERANCE = 1e-5
# Conjugate gradients need about as many steps as the hole is wide.
STEPS_PER_PIXEL = 4


def _neighbours(x):
  """Sums over the four neighbours, [H, W, C]; outside of the image is 0."""
  x = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
  return x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]


def blend(image: jax.Array, patch: jax.Array, known: jax.Array) -> jax.Array:
  """Fills holes with the gradients of a patch, without a visible seam.

  Perez et al. 2003, equations 7 and 8 with equation 11. The result is the image
  where pixels are known, and patch + u in the holes. The function u is
  harmonic, makes both meet at the edge of the hole, and has no slope at the
  border of the image. A hole without known neighbours gets the patch unchanged.

  Args:
    image: [N, H, W, C] in [-1, 1], with any values in the holes.
    patch: [N, H, W, C] in [-1, 1].
    known: bool [N, H, W, 1], true outside of the holes.

  Returns:
    [N, H, W, C] in [-1, 1].
  """

  def blend_one(image, patch, known):
    hole = 1.0 - known
    degree = _neighbours(jnp.ones_like(hole))

    def laplacian(u):
      return hole * (degree * u - _neighbours(hole * u))

    difference = jnp.where(known > 0, image - patch, 0.0)
    u, _ = linalg.cg(
      laplacian,
      hole * _neighbours(difference),
      tol=TOLERANCE,
      maxiter=STEPS_PER_PIXEL * sum(image.shape[:2]),
    )
    return jnp.where(known > 0, image, jnp.clip(patch + u, -1.0, 1.0))

  return jax.vmap(blend_one)(image, patch, known.astype(image.dtype))
