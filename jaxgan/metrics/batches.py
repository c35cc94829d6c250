"""Applies a compiled function of a batch to any number of images."""

from collections.abc import Callable

import numpy as np

from jaxgan.metrics import check


def in_batches(function: Callable, batch_size: int) -> Callable:
  """Returns a function of any number of images that runs in batches.

  Args:
    function: maps [B, H, W, C] to {name: [B, ...]}, where B is `batch_size` or
      the number of images if that is smaller.
    batch_size: images per call. The last batch is padded with zeros, so that
      one program is compiled.

  Returns:
    A function from images [N, H, W, C] to {name: NumPy array [N, ...]}. It
    raises `UserError` for images that are not uint8 or floats in [-1, 1].
  """

  def call(images):
    images = np.asarray(images)
    check.pixels(least=1, images=images)
    size = min(batch_size, len(images))
    parts = []
    for start in range(0, len(images), size):
      batch = images[start : start + size]
      padded = np.zeros((size, *images.shape[1:]), images.dtype)
      padded[: len(batch)] = batch
      values = function(padded).items()
      parts.append({k: np.asarray(v)[: len(batch)] for k, v in values})
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}

  return call
