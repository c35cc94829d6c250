"""K-means clustering by Lloyd's algorithm."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics import distances


@jax.jit
def _nearest(rows, centroids):
  return jnp.argmin(distances.squared(rows, centroids), axis=1)


def centroids(images: np.ndarray, num: int, passes: int) -> np.ndarray:
  """Returns centroids [num, ...] in [-1, 1]; starts from the first images.

  Args:
    images: uint8 [N, ...].
    num: number of centroids; centroids without images do not move.
    passes: number of passes over the images.
  """
  points = images.reshape(len(images), -1) / np.float32(127.5) - 1.0
  means = points[:num]
  for _ in range(passes):
    moved, rows = distances.centred(means, points)
    blocks = distances.blocks(rows, num)
    nearest = np.concatenate([_nearest(block, moved) for block in blocks])
    order = np.argsort(nearest, kind='stable')
    members, first = np.unique(nearest[order], return_index=True)
    sums = np.add.reduceat(points[order], first)
    counts = np.diff(np.append(first, len(points)))
    means = means.copy()
    means[members] = sums / counts[:, None]
  return means.reshape(num, *images.shape[1:]).clip(-1.0, 1.0)
