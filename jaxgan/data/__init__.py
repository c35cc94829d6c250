"""Images in: digits that a package ships, TFDS, image folders, toys.

`load` gives a `Dataset`; `sampling` says which of its examples make up the
batches of a step; `pairs` puts a second image into every example.
"""

import logging

from jaxgan import errors
from jaxgan.data import dataset, embedded, folder, pairs, tfds_prepare, toy

_logger = logging.getLogger(__name__)

Dataset = dataset.Dataset
Spec = dataset.Spec


def _tfds(settings, split):
  from jaxgan.data import tfds  # Reading TFDS costs a second of imports.

  return tfds.load(settings, split)


# name -> (config.data, split) -> Dataset.
SOURCES = {
  'embedded': embedded.load,
  'folder': folder.load,
  'tfds': _tfds,
  'toy': toy.load,
}


def resolve(settings) -> str:
  """The source that `settings.source` stands for; says which, if 'auto'."""
  if settings.source in SOURCES:
    return settings.source
  if settings.source != 'auto':
    raise errors.unknown('data.source', settings.source, ['auto', *SOURCES])
  if settings.path:
    raise errors.DataError(
      f'data.path={settings.path!r} is for data.source=folder, and '
      "data.source='auto' reads no folder; set one or leave the other out"
    )
  from jaxgan.data import tfds

  found = tfds.find(settings)
  if found is not None:
    _logger.info('data.source=auto: tfds, as %s is prepared', found)
    return 'tfds'
  if settings.name != 'mnist':
    raise errors.DataError(
      f'data.source=auto: {settings.name!r} is not prepared in '
      f'{tfds_prepare.data_dir(settings)} and only mnist is embedded; set '
      'data.source=tfds with data.manual_dir or data.download=True'
    )
  _logger.info(
    'data.source=auto: the 5,000 embedded digits, as mnist is not prepared '
    'in %s',
    tfds_prepare.data_dir(settings),
  )
  return 'embedded'


def load(settings, split: str = 'train') -> Dataset:
  """The data set that `config.data` describes.

  Args:
    settings: `config.data`.
    split: 'train', or 'test', what is never trained on.

  Raises:
    DataError: if there are no such data.
  """
  source = resolve(settings)
  if settings.held_out and source != 'folder':
    raise errors.DataError(
      f'data.held_out={settings.held_out} is for folders and data.source='
      f'{source!r} holds images back by itself; set data.held_out=0.0'
    )
  if settings.get('pair'):
    found = pairs.paired(SOURCES[source], settings, split)
  elif settings.get('unpaired'):
    found = pairs.unpaired(SOURCES[source], settings, split)
  else:
    found = SOURCES[source](settings, split)
  if split == 'train':
    found = dataset.mixed(found)
  if settings.classes and not settings.get('unpaired'):
    found = dataset.of_classes(found, settings.classes)
  return part(found, settings)


def part(found: Dataset, settings) -> Dataset:
  """What is trained on of a whole set: `limit`, `labelled`, `labelled_seed`."""
  if found.split != 'train':
    return found
  if settings.limit:
    found = dataset.first(found, settings.limit)
  if settings.get('labelled'):
    seed = settings.get('labelled_seed', 0)
    found = dataset.with_labelled(found, settings.labelled, seed)
  return found
