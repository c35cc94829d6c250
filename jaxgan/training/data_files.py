"""The files that a run was trained on: recorded, and compared with a folder.

`data.jsonl` in a workdir has a line for every file of the data, with its name,
the hash of its content and its side of the split. The same comparison holds for
training, which resumes, and for every mode that reads data.
"""

import ast
import contextlib
import json
import logging
import os
import pathlib

from jaxgan import data, errors
from jaxgan.config.fields import RUN
from jaxgan.core import paths
from jaxgan.data.files import File
from jaxgan.training import workdir as workdir_lib
from jaxgan.training import writers

_logger = logging.getLogger(__name__)

FILE = 'data.jsonl'
# Fields of `config.data` that a mode may change: places, and limits of reading.
FIELDS = (
  *('path', 'data_dir', 'manual_dir', 'download', 'resident_bytes'),
  *('on_bad', 'max_pixels', 'pair', 'unpaired'),
)
_PLACES = ('path', 'data_dir', 'manual_dir')
_PARTNERS = ('pair', 'unpaired')


def _absolute(path: str) -> str:
  if not path or '://' in path:
    return path
  return os.path.abspath(os.path.expanduser(path))


def make_absolute(settings) -> None:
  """Makes the places of `config.data` absolute, so that every mode finds them.

  Args:
    settings: `config.data`; changed.
  """
  for name in _PLACES:
    settings[name] = _absolute(settings[name])
  for name in _PARTNERS:
    kind, _, path = settings.get(name, '').partition(':')
    if kind == 'folder':
      settings[name] = f'{kind}:{_absolute(path)}'


def change(settings, fields) -> None:
  """Applies `--config.data.FIELD` of a mode.

  Args:
    settings: `config.data` of a run; changed.
    fields: values by name, or None.

  Raises:
    UserError: for fields that define what the run was trained on.
  """
  for name, value in (fields or {}).items():
    old = settings.get(name)
    value = parsed(name, value)
    kinds = [str(text).partition(':')[0] for text in (old, value)]
    if name not in FIELDS or (
      name in _PARTNERS and kinds != ['folder', 'folder']
    ):
      raise errors.UserError(
        f'--config.data.{name}={value}: this mode reads the data of the run, '
        f'data.{name}={old!r}. Remove the flag; '
        f'{", ".join(FIELDS[:-2])} may be set.'
      )
    settings[name] = value
  if fields:
    make_absolute(settings)


def set_all(settings, fields) -> None:
  """Applies `--config.data.FIELD` of a mode that makes a run.

  Args:
    settings: `config.data` of the run; changed.
    fields: values by name.

  Raises:
    UserError: for unknown fields, and for values out of range.
  """
  for name, value in fields.items():
    if name not in RUN['data']:
      raise errors.unknown('--config.data', name, RUN['data'])
    settings[name] = parsed(name, value)
  make_absolute(settings)


def parsed(name: str, value):
  """Converts the text of a flag to the type of a field, and checks it."""
  field = RUN['data'].get(name)
  if field is None or not isinstance(value, str):
    return value
  if type(field.default) is tuple:
    try:
      value = ast.literal_eval(f'({value.strip("()")},)' if value else '()')
    except (ValueError, SyntaxError):  # names without quotes
      value = tuple(value.split(','))
  elif type(field.default) is not str:
    with contextlib.suppress(ValueError, SyntaxError):
      value = ast.literal_eval(value.capitalize())
  if problem := field.range.problem(value):
    raise errors.UserError(f'--config.data.{name}={value!r} {problem}.')
  return value


def load(config, workdir, split: str = 'train', spec=None) -> data.Dataset:
  """Loads a split of the data of a run; see `check`.

  Args:
    config: the config of the run.
    workdir: the folder of the run.
    split: 'train' or 'test'.
    spec: shapes and labels that the run was trained on, to compare with.
  """
  record = workdir_lib.read(pathlib.Path(workdir))
  if record is not None and record['data']['size'] == 0:
    raise errors.DataError(
      f'workdir {str(workdir)!r} has weights that were imported without data. '
      'Import them again with --config.data.source=folder and '
      '--config.data.path=FOLDER, or train in a new workdir with '
      '--config.init_from.'
    )
  dataset = data.load(config.data, split)
  if dataset.source == 'folder' and split != 'train':
    check(workdir, data.load(config.data), spec)
  else:
    check(workdir, dataset, spec)
  return dataset


def check(workdir, dataset: data.Dataset, spec=None) -> None:
  """Compares training data with those that the run in a workdir recorded.

  Files that came or went are logged in one line.

  Args:
    workdir: the folder of a run; without a record nothing is compared.
    dataset: the training split.
    spec: shapes and labels that the run was trained on, to compare with.

  Raises:
    DataError: for files that were edited or renamed, and if the split of known
      files would change.
  """
  workdir = pathlib.Path(workdir)
  record = workdir_lib.read(workdir)
  if record is None:
    return
  if spec is not None and dataset.spec != spec:
    raise errors.DataError(
      f'the data are not those of workdir {str(workdir)!r}: images of '
      f'{_text(dataset.spec)}, and the run has {_text(spec)}. Set '
      '--config.data.path to the data of the run.'
    )
  recorded = _read(workdir)
  if not recorded or not dataset.files:
    _refuse_other(workdir, record['data'], dataset)
    return
  old = {(file.name, file.digest): file.held_out for file in recorded}
  new = {(file.name, file.digest): file.held_out for file in dataset.files}
  came, went = new.keys() - old.keys(), old.keys() - new.keys()
  name, problem = _changed(came, went)
  moved = sorted(key[0] for key in old.keys() & new if old[key] != new[key])
  if moved and not name:
    name, problem = moved[0], 'would change sides'
  if name:
    raise errors.DataError(
      f'the data are not those of workdir {str(workdir)!r}: {name!r} '
      f'{problem}, and held-out files must stay apart from those that were '
      'trained on. Restore the files, or choose another --workdir.'
    )
  if came or went:
    _logger.warning(
      'since the run began %d files came and %d went: the split of the others '
      'is the same, batches are not',
      len(came),
      len(went),
    )


def _text(spec) -> str:
  shape = ' x '.join(map(str, spec.shape))
  listed = f' {", ".join(spec.classes[:10])}' if spec.classes else ''
  return f'{shape} with {spec.num_classes} classes{listed}'


def _refuse_other(workdir, recorded, dataset: data.Dataset) -> None:
  """Raises a DataError if the files of a folder changed at all.

  The split of runs of format 1 depends on all files.
  """
  if recorded['source'] != 'folder' or dataset.source != 'folder':
    return
  for name in ('listing', 'contents', 'partner'):
    if recorded.get(name) != dataset.identity.get(name):
      raise errors.DataError(
        f'the data are not those of workdir {str(workdir)!r}: files came, went '
        'or changed, and without a record of them the split would change. '
        'Restore the files, use commit 07bcde9, or choose another --workdir.'
      )


def _changed(came, went) -> tuple[str, str]:
  """Returns the first file that was edited or renamed, and what happened."""
  names = {name for name, _ in came}
  for name in sorted(name for name, _ in went if name in names):
    return name, 'was edited'
  contents = {digest: name for name, digest in came}
  for name, digest in sorted(went):
    if digest in contents:
      return name, f'was renamed to {contents[digest]!r}'
  return '', ''


def _read(workdir: pathlib.Path) -> list[File]:
  path = workdir / FILE
  if not path.exists():
    return []
  try:
    text = paths.refuse_special(path).read_text(encoding='utf-8')
    lines = text.splitlines()
    files = [File(*json.loads(line)) for line in lines]
    for file in files:
      if [type(value) for value in file] != [str, str, bool]:
        raise ValueError(f'{tuple(file)} is no name, hash and side')
    return files
  except (OSError, ValueError, TypeError, RecursionError) as error:
    raise errors.UserError(
      f'{path} is damaged ({error}). Restore the file from a backup, or choose '
      'another --workdir.'
    ) from None


def write(workdir: pathlib.Path, dataset: data.Dataset) -> None:
  """Writes the files of a data set, and keeps those that went."""
  if not dataset.files:
    return
  files = dict.fromkeys([*_read(workdir), *dataset.files])
  text = ''.join(json.dumps(file) + '\n' for file in files)
  writers.write_atomically(workdir / FILE, text)
