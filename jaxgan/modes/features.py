"""Features of images, from which scores are computed.

The features are those of a classifier of the data set, of a random network
(`jaxgan.metrics.random_features`), or of InceptionV3 or DINOv2, from a file
(`jaxgan.metrics.inception`, `dinov2`). The classifier is trained on first use,
and kept.
"""

import dataclasses
import hashlib
import json
import logging
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.config import formats, presets
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches, dinov2, inception, random_features
from jaxgan.metrics.scores import Images
from jaxgan.modes import restore as restore_lib
from jaxgan.steps import classifier as classifier_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import loop
from jaxgan.training import workdir as workdir_lib
from jaxgan.training.trained import Run

_logger = logging.getLogger(__name__)

BATCH = 500  # images that are processed together
ERROR = 'error.json'  # of a classifier


@dataclasses.dataclass(frozen=True)
class Features:
  """A function of images, with a name for protocols.

  Attributes:
    name: name of the network and of its training data.
    call: maps images [N, H, W, C], uint8 or in [-1, 1], to 'features' [N, D],
      and to 'logits' [N, K] if the network has classes.
    error: share of held-out images that are classified wrong, or None.
  """

  name: str
  call: Callable[[np.ndarray], Mapping[str, np.ndarray]]
  error: float | None = None

  def see(self, pixels: np.ndarray) -> Images:
    """Computes the features of images, uint8 [N, H, W, C]."""
    outputs = self.call(pixels)
    return Images(pixels, outputs['features'], outputs.get('logits'))


def _folder(config, dataset) -> pathlib.Path:
  """Returns the folder of the classifier, named by config and data."""
  rules = {k: v for table in formats.RULES.values() for k, v in table.items()}
  defaults = config_lib.flatten(config_lib.defaults())
  defaults |= config_lib.flatten(presets.classifier())
  fields = {
    name: value
    for name, value in config_lib.flatten(config).items()
    # A classifier keeps its name when configs get more fields.
    if name
    not in (*config_lib.RESUMABLE_FIELDS, *config_lib.DEFAULTS_OF_OLD_RUNS)
    and not (name in rules and value in (defaults.get(name), rules[name]))
  }
  identity = [fields, config.num_steps, workdir_lib.of_data(dataset)]
  text = json.dumps(identity, sort_keys=True, default=str)
  key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
  return paths.cache('classifiers', key)


def classifier(settings) -> Features:
  """Returns a classifier of the data, and trains it on first use.

  Training uses the whole training split. Later calls and other processes read
  the trained classifier, if the folder of caches can be written.

  Args:
    settings: the `config.data` of a run.

  Raises:
    UserError: if the data have no labels, or no held-out images.
  """
  config = config_lib.defaults()
  config.update(presets.classifier())
  config.sample_every = config.eval_every = 0
  config.checkpoint_every = config.num_steps
  config.data.update(settings)
  # The classifier is the same for runs on parts of the data.
  config.data.update(limit=0, shuffle=True)
  config.data.source = data.resolve(config.data)
  dataset = data.load(config.data)
  if not (dataset.spec.is_image and dataset.spec.num_classes):
    raise errors.UserError(
      '--features=classifier needs images with labels, and the data have none. '
      'Use a folder of class folders, or set --features=random.'
    )
  folder = _folder(config, dataset)
  run, error = _kept(folder) or _trained(config, folder)
  return Features(f'classifier-{folder.name}', _caller(run), error)


def _kept(folder: pathlib.Path) -> tuple[Run, float] | None:
  """Returns the classifier of an earlier call and its error, or None."""
  if not (folder / ERROR).exists():
    return None
  try:
    error = json.loads((folder / ERROR).read_text())
    return restore_lib.restore(folder), float(error)
  except (errors.UserError, OSError, ValueError, TypeError) as reason:
    _logger.warning(
      'the classifier in %s is trained again: %s', folder, str(reason)[:200]
    )
    return None


def _trained(config, folder: pathlib.Path) -> tuple[Run, float]:
  """Trains a classifier, keeps it in a folder, and measures its error."""
  _logger.info('training the classifier of these data, kept in %s', folder)
  with tempfile.TemporaryDirectory(prefix='jaxgan-') as place:
    workdir = pathlib.Path(place, 'classifier')
    loop.train(config, workdir)
    run = restore_lib.restore(workdir)
    test = data.load(config.data, 'test').arrays()
    logits = _caller(run)(test['image'])['logits']
    error = float(np.mean(np.argmax(logits, axis=-1) != test['label']))
    (workdir / ERROR).write_text(json.dumps(error))
    try:
      shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
      with paths.replacing_folder(folder) as temporary:
        shutil.copytree(workdir, temporary, dirs_exist_ok=True)
    except OSError as reason:  # Also shutil.Error.
      _logger.warning('the classifier is not kept: %s', str(reason)[:200])
  return run, error


def _caller(run: Run):
  """Returns the classifier as a function of any number of images."""
  predict = compile_lib.jit_method(classifier_lib.predict, run.method)
  return batches.in_batches(
    lambda images: predict(run.state, pixels_lib.to_float(jnp.asarray(images))),
    BATCH,
  )


def _inception(path: str) -> Features:
  call = inception.features(path)

  def renamed(images):
    outputs = call(images)
    # Without the last bias, as in the code of Salimans et al.
    return {'features': outputs['pool'], 'logits': outputs['logits_unbiased']}

  return Features('inception', renamed)


def _random(seed: str) -> Features:
  seed = int(seed or 0)
  return Features(f'random-{seed}', random_features.features(seed))


def _dinov2(path: str) -> Features:
  network, call = dinov2.features(path)
  return Features(f'dinov2-{network.width}x{network.depth}', call)


def find(name: str, settings) -> Features:
  """Returns the features with a name.

  Args:
    name: a name of features, see `scores.is_features`.
    settings: the `config.data` of a run, for the classifier.

  Raises:
    UserError: for a file of another network, and for data without labels.
  """
  kind, _, value = name.partition(':')
  if kind == 'classifier':
    return classifier(settings)
  rows = {'random': _random, 'inception': _inception, 'dinov2': _dinov2}
  return rows[kind](value)
