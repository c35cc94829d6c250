"""Table of all scores of generated images.

A row of `SCORES` maps (real, fake, key) to {name: number}. `ideal` returns the
scores of a perfect generator.
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
  random_features,
  similarity,
  wasserstein,
)
from jaxgan.metrics import classes as classes_lib

RESAMPLES = 100  # for the interval of the Frechet distance
SUBSET = 1_000  # rows of a subset for kernel distances
MOST_IMAGES = 10**7  # of a sample
# Features that scores are computed from.
FEATURES = (
  "'classifier', 'random', 'random:SEED', 'inception:PATH' or 'dinov2:PATH'"
)
# Kind of features -> True if they have logits of classes.
HAS_CLASSES = {
  'classifier': True,
  'random': False,
  'inception': True,
  'dinov2': False,
}
NEED_CLASSES = ('classes',)  # rows of `SCORES`
SMALLEST_SIDE = 11  # window of the structural similarity in pixels


class Images(NamedTuple):
  """A set of images with the features and logits of a network.

  Attributes:
    pixels: [N, H, W, C], uint8.
    features: [N, D].
    logits: [N, K], or None for features without classes.
  """

  pixels: np.ndarray
  features: np.ndarray
  logits: np.ndarray | None = None


def _frechet(real: Images, fake: Images, key):
  moments = frechet.moments(real.features)

  def distance(features):
    return frechet.distance(moments, frechet.moments(features))

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
  values = (
    *neighbours.precision_recall(real.features, fake.features),
    *neighbours.density_coverage(real.features, fake.features),
  )
  return dict(zip(names, values, strict=True))


def _classes(real: Images, fake: Images, key):
  del key
  probabilities = jax.nn.softmax(fake.logits)
  mean, deviation = classes_lib.inception(probabilities)
  classes = fake.logits.shape[1]
  of_real, counts = (
    classes_lib.histogram(np.argmax(images.logits, axis=1), classes)
    for images in (real, fake)
  )
  commonest = int(np.argmax(counts))
  return {
    'classifier_score': mean,
    'classifier_score_deviation': deviation,
    'rarest_class': classes_lib.rarest(counts),
    # Shares of this class of samples, among samples and among reals.
    'commonest_class': classes_lib.shares(counts)[commonest],
    'commonest_class_real': classes_lib.shares(of_real)[commonest],
    'class_divergence': modes.divergence(counts),
  }


def _pixels(real: Images, fake: Images, key):
  """Scores that depend on pixels only, not on a network."""
  count = min(len(real.pixels), len(fake.pixels))
  scores = {
    'sliced_wasserstein': wasserstein.sliced(
      real.pixels[:count], fake.pixels[:count], key
    )
  }
  if min(fake.pixels.shape[1:3]) >= SMALLEST_SIDE:
    scores['self_similarity'] = similarity.self_similarity(fake.pixels, key)
  return scores


# name of a row -> function of (real, fake, key) that returns {name: number}.
SCORES = {
  'frechet': _frechet,
  'kernel': _kernel,
  'neighbours': _neighbours,
  'classes': _classes,
  'pixels': _pixels,
}


def is_features(name: str) -> bool:
  """Returns True for a name of features."""
  kind, colon, value = name.partition(':')
  if kind == 'random':
    is_seed = value.isdecimal() and int(value) <= random_features.MOST_SEED
    return is_seed or not colon
  return name == 'classifier' or (
    kind in ('inception', 'dinov2') and bool(value)
  )


def rows(names: Sequence[str], features: str = 'classifier') -> tuple[str, ...]:
  """Returns the rows to compute: those named, or all that features allow.

  Args:
    names: keys of `SCORES`; () for all.
    features: name of features.

  Raises:
    UserError: for an unknown row, unknown features, and a row that needs
      classes if the features have none.
  """
  for name in names:
    if name not in SCORES:
      raise errors.unknown('--scores', name, SCORES)
  if not is_features(features):
    raise errors.UserError(f'--features={features!r} must be {FEATURES}.')
  if HAS_CLASSES[features.partition(':')[0]]:
    return tuple(names) or tuple(SCORES)
  for name in names:
    if name in NEED_CLASSES:
      raise errors.UserError(
        f'--scores={name} needs classes, and --features={features} has none. '
        f'Remove {name}, or set other features.'
      )
  return tuple(names) or tuple(k for k in SCORES if k not in NEED_CLASSES)


def compute(
  real: Images, fake: Images, key, names: Sequence[str] = tuple(SCORES)
) -> dict[str, float]:
  """Computes the scores of the rows `names`.

  Args:
    real: real images.
    fake: generated images.
    key: random key; equal keys give equal scores.
    names: keys of `SCORES`.

  Returns:
    Numbers by the name of the score.

  Raises:
    UserError: for unknown names, and for images that a metric refuses.
  """
  rows(names)
  scores = {}
  for index, name in enumerate(SCORES):
    if name in names:
      values = SCORES[name](real, fake, jax.random.fold_in(key, index))
      scores |= {k: float(v) for k, v in values.items()}
  return scores


def ideal(real: Images, num_fake: int) -> dict[str, float]:
  """Returns the known mean scores of a perfect generator."""
  covariance = frechet.covariance(frechet.moments(real.features))
  num_real = len(real.features)
  scores = {
    'frechet': frechet.bias(covariance, num_real, num_fake),
    'kernel': 0.0,
    'density': 1.0,
  }
  if real.logits is not None:
    divergence, _ = modes.floor(real.logits.shape[1], num_fake)
    scores['class_divergence'] = divergence
  if num_real == num_fake:
    scores['coverage'] = 1.0 - 2.0**-5
  return scores


def table(title: str, columns: dict[str, dict[str, float]]) -> str:
  """Returns a table in Markdown.

  Args:
    title: head of the first column, which has the names.
    columns: name of a column -> its scores by name. The first column has all
      scores; others may lack some.
  """
  lines = [[title, *columns], ['---'] * (1 + len(columns))]
  for name in next(iter(columns.values())):
    cells = (f'{c[name]:.4g}' if name in c else '' for c in columns.values())
    lines.append([name, *cells])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def beside_nearest(fake: Images, train: Images, num: int, k: int):
  """Returns the first `num` fakes and the k nearest training images of each.

  Distances are between features.

  Returns:
    uint8 [k + 1, num, H, W, C], the fakes first.
  """
  index, _ = neighbours.nearest(fake.features[:num], train.features, k)
  nearest = train.pixels[np.asarray(index).T]  # [k, num, ...]
  return np.concatenate([fake.pixels[None, :num], nearest])
