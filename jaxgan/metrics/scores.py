"""Every score of generated images, in one table.

A row of `SCORES` maps (real, fake, key) to numbers by name. What is real comes
first, as everywhere in `jaxgan.metrics`; each row says what real images get in
the place of fakes, and `ideal` what a perfect generator would get.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxgan import errors
from jaxgan.metrics import (
  bootstrap,
  frechet,
  kernel,
  modes,
  neighbours,
  similarity,
  wasserstein,
)
from jaxgan.metrics import classes as classes_lib

RESAMPLES = 100
SUBSET = 1_000  # of kernel distances
SMALLEST_SIDE = 11  # of images that have a structural similarity


class Images(NamedTuple):
  """A set of images and what a network says of them.

  Attributes:
    pixels: [N, H, W, C], uint8.
    features: [N, D].
    logits: [N, K].
  """

  pixels: np.ndarray
  features: np.ndarray
  logits: np.ndarray


def _frechet(real: Images, fake: Images, key):
  theirs = frechet.moments(real.features)

  def distance(features):
    return frechet.distance(theirs, frechet.moments(features))

  low, high = bootstrap.interval(
    distance, fake.features, key, RESAMPLES, centred=True
  )
  return {
    'frechet': distance(fake.features),
    'frechet_low': low,
    'frechet_high': high,
  }


def _kernel(real: Images, fake: Images, key):
  size = min(SUBSET, len(real.features), len(fake.features))
  mean, deviation = kernel.distance(
    real.features, fake.features, key, size=size
  )
  return {'kernel': mean, 'kernel_deviation': deviation}


def _neighbours(real: Images, fake: Images, key):
  del key
  names = ('precision', 'recall', 'density', 'coverage')
  found = (
    *neighbours.precision_recall(real.features, fake.features),
    *neighbours.density_coverage(real.features, fake.features),
  )
  return dict(zip(names, found, strict=True))


def _classes(real: Images, fake: Images, key):
  del real, key
  probabilities = jax.nn.softmax(fake.logits)
  mean, deviation = classes_lib.inception(probabilities)
  classes = fake.logits.shape[1]
  counts = classes_lib.histogram(np.argmax(fake.logits, axis=1), classes)
  return {
    'classifier_score': mean,
    'classifier_score_deviation': deviation,
    'rarest_class': classes_lib.rarest(counts),
    'class_divergence': modes.divergence(counts),
  }


def _pixels(real: Images, fake: Images, key):
  """Of images alone, whatever the network."""
  count = min(len(real.pixels), len(fake.pixels))
  found = {
    'sliced_wasserstein': wasserstein.sliced(
      real.pixels[:count], fake.pixels[:count], key
    )
  }
  if min(fake.pixels.shape[1:3]) >= SMALLEST_SIDE:
    found['self_similarity'] = similarity.self_similarity(fake.pixels, key)
  return found


# name -> (real, fake, key) -> numbers by name.
SCORES = {
  'frechet': _frechet,
  'kernel': _kernel,
  'neighbours': _neighbours,
  'classes': _classes,
  'pixels': _pixels,
}


def check(names: Sequence[str]) -> None:
  """Raises a UserError that names the first unknown one."""
  for name in names:
    if name not in SCORES:
      raise errors.unknown('--scores', name, SCORES)


def compute(
  real: Images, fake: Images, key, names: Sequence[str] = tuple(SCORES)
) -> dict[str, float]:
  """Numbers of the rows `names`; the same key gives the same ones.

  Raises:
    UserError: for unknown names, and for what `jaxgan.metrics` refuses.
  """
  check(names)
  found = {}
  for place, name in enumerate(SCORES):
    if name in names:
      row = SCORES[name](real, fake, jax.random.fold_in(key, place))
      found |= {k: float(v) for k, v in row.items()}
  return found


def ideal(real: Images, num_fake: int) -> dict[str, float]:
  """What a perfect generator would score on average, where it is known."""
  covariance = frechet.covariance(frechet.moments(real.features))
  num_real, classes = real.logits.shape
  divergence, _ = modes.floor(classes, num_fake)
  found = {
    'frechet': frechet.bias(covariance, num_real, num_fake),
    'kernel': 0.0,
    'class_divergence': divergence,
    'density': 1.0,
  }
  if num_real == num_fake:
    found['coverage'] = 1.0 - 2.0**-5
  return found


def beside_nearest(fake: Images, train: Images, num: int, k: int):
  """The first fakes above their nearest training images, by features.

  Returns:
    uint8 [k + 1, num, H, W, C].
  """
  index, _ = neighbours.nearest(fake.features[:num], train.features, k)
  found = train.pixels[np.asarray(index).T]  # [k, num, ...]
  return np.concatenate([fake.pixels[None, :num], found])
