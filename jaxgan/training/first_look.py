"""A look at pictures before a run starts: fields that follow, and a sheet."""

import logging
import pathlib

from jaxgan import data, errors
from jaxgan.config import apply_rules, pictures
from jaxgan.config.fields import flatten
from jaxgan.core import buckets, paths, pixels
from jaxgan.data import files, images
from jaxgan.training import workdir as workdir_lib
from jaxgan.visual import grid

_logger = logging.getLogger(__name__)

SHEET = 'data.png'
NUM_SHOWN, COLUMNS = 100, 10
NUM_MEASURED = 500  # pictures whose headers are read


def settle(config, workdir: pathlib.Path) -> None:
  """Sets the fields that follow from the pictures of a folder.

  A resumed run has the recorded values. A field that was set to another value
  than the default keeps it.

  Args:
    config: a config with `from_pictures`, else nothing happens; changed.
    workdir: the folder of the run.
  """
  if not config.get('from_pictures') or config.data.source != 'folder':
    return
  given, defaults = flatten(config), pictures.defaults()
  names = [name for name in defaults if given[name] == defaults[name]]
  record = workdir_lib.read(workdir)
  if record is not None:
    chosen = flatten(record['config'])
  else:
    sizes, count = _measure(config.data)
    side = config.data.image_size or pictures.choose_side(sizes)
    fitted = config.copy_and_resolve_references()
    pictures.fit(fitted, side, round(count * (1 - config.data.held_out)))
    chosen = flatten(fitted)
    _logger.info(
      'from %d pictures: %s',
      count,
      ', '.join(f'{name}={chosen[name]}' for name in names),
    )
  values = {name: chosen[name] for name in names}
  values = {k: tuple(v) if type(v) is list else v for k, v in values.items()}
  apply_rules(config, values)


def _measure(settings) -> tuple[list[tuple[int, int]], int]:
  """Returns sizes of some pictures of a folder, and the number of all."""
  if not settings.path:
    raise errors.DataError(
      "data.source='folder' needs data.path. Set data.path to a folder of "
      'images.'
    )
  listed = files.list_files(paths.of_user(settings.path, 'data.path')).files
  sizes = []
  for path in listed[:: -(-len(listed) // NUM_MEASURED) or 1]:
    try:
      with images.open_header(path, settings.max_pixels) as picture:
        sizes.append(images.upright_size(picture))
    except errors.DataError:  # The run itself reports unreadable files.
      continue
  return sizes or [(pictures.LARGEST,) * 2], len(listed)


def save_sheet(workdir: pathlib.Path, dataset: data.Dataset) -> None:
  """Saves a sheet of training pictures as a run sees them, once."""
  path = workdir / SHEET
  if dataset.source != 'folder' or path.exists():
    return
  shown = pixels.to_float(dataset.evenly(NUM_SHOWN)['image'])
  caption = f'{len(shown)} of {dataset.size:,} training images'
  columns = min(COLUMNS, len(shown))
  grid.save(path, grid.draw(shown, caption, columns))
  print(f'training images: {buckets.named(path)}', flush=True)
