"""From a compiled function of a batch to one of any number of images."""

from collections.abc import Callable

import numpy as np

from jaxgan.metrics import check


def in_batches(function: Callable, batch_size: int) -> Callable:
  """A function of any number of images from one of `batch_size` images.

  Args:
    function: arrays [B, H, W, C] to {name: [B, ...]}; B is `batch_size`, or the
      number of images where that is smaller.
    batch_size: images at a time; the last batch is filled up with zeros, so
      that there is one program to compile.

  Returns:
    images [N, H, W, C] -> {name: NumPy array [N, ...]}. Raises `UserError` for
    images that are not [N, H, W, C], uint8 or floats in [-1, 1].
  """

  def call(images):
    images = np.asarray(images)
    check.pixels(least=1, images=images)
    size = min(batch_size, len(images))
    parts = []
    for start in range(0, len(images), size):
      batch = images[start : start + size]
      filled = np.zeros((size, *images.shape[1:]), images.dtype)
      filled[: len(batch)] = batch
      values = function(filled).items()
      parts.append({k: np.asarray(v)[: len(batch)] for k, v in values})
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}

  return call
