"""Sources of images: digits, TFDS, image folders, procedural and toy data.

`load` returns a `Dataset`. `batches` computes the indices of the examples in
a batch. `pairs` adds a second image to every example.
"""

import logging

from jaxgan import errors
from jaxgan.data import dataset, pairs
from jaxgan.data.sources import SOURCES

_logger = logging.getLogger(__name__)

Dataset = dataset.Dataset
Spec = dataset.Spec


def resolve(settings) -> str:
  """Returns the key of `SOURCES` that `settings.source` stands for.

  For 'auto' the choice is logged: 'tfds' if the set is prepared, otherwise
  'embedded'.

  Raises:
    UserError: for an unknown source, and if 'auto' finds no data.
  """
  if settings.source in SOURCES:
    return settings.source
  if settings.source != 'auto':
    raise errors.unknown('data.source', settings.source, ['auto', *SOURCES])
  if settings.path:
    raise errors.DataError(
      f'data.path={settings.path!r} is for data.source=folder, and '
      "data.source='auto' reads no folder. Set data.source=folder or remove "
      'data.path.'
    )
  from jaxgan.data.sources import tfds

  prepared = tfds.find(settings)
  if prepared is not None:
    _logger.info('data.source=auto: tfds, because %s is prepared', prepared)
    return 'tfds'
  if settings.name != 'mnist':
    raise errors.DataError(
      f'data.name={settings.name!r} is not prepared in '
      f'{tfds.data_dir(settings)} and only mnist is embedded. Set '
      'data.source=tfds with data.manual_dir or data.download=True.'
    )
  _logger.info(
    'data.source=auto: the 5,000 embedded digits, because mnist is not '
    'prepared in %s',
    tfds.data_dir(settings),
  )
  return 'embedded'


def load(settings, split: str = 'train') -> Dataset:
  """Returns the data set that `config.data` describes.

  Args:
    settings: `config.data`.
    split: 'train', or 'test' for the held-out examples.

  Raises:
    DataError: if the data do not exist or do not fit the config.
  """
  source = resolve(settings)
  if settings.held_out and source != 'folder':
    raise errors.DataError(
      f'data.held_out={settings.held_out} is for folders, and data.source='
      f'{source!r} has a test split already. Set data.held_out=0.0.'
    )
  if settings.get('pair') and settings.channels == 4:
    raise errors.DataError(
      f'data.pair={settings.pair!r} makes pairs of opaque images, and '
      'data.channels=4 keeps transparency. Set data.channels=3.'
    )
  if settings.get('pair'):
    images = pairs.paired(SOURCES[source], settings, split)
  elif settings.get('unpaired'):
    images = pairs.unpaired(SOURCES[source], settings, split)
  else:
    images = SOURCES[source](settings, split)
  if split == 'train':
    images = dataset.mixed(images)
  if settings.classes and not settings.get('unpaired'):
    images = dataset.of_classes(images, settings.classes)
  return part(images, settings)


def part(images: Dataset, settings) -> Dataset:
  """Selects the training subset by `limit`, `labelled` and `labelled_seed`.

  The test split is returned unchanged.
  """
  if images.split != 'train':
    return images
  if settings.limit:
    images = dataset.first(images, settings.limit)
  if settings.get('labelled'):
    seed = settings.get('labelled_seed', 0)
    images = dataset.with_labelled(images, settings.labelled, seed)
  return images
