"""The folder of a run: its lock, and the config and data it was made with."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import subprocess
from importlib import metadata
from typing import Any

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.core import paths, ranges, version
from jaxgan.training import sweeps, writers

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')
LONGEST_NAME = 80
MOST_BYTES = 2**26  # of config.json
# Files of a run, beside folders.
WRITTEN = (
  *('config.json', 'metrics.jsonl', 'samples.gif', 'curves.png'),
  'eval.jsonl',
)


@contextlib.contextmanager
def locked(workdir: pathlib.Path):
  """Makes the workdir and locks it for this process."""
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    lock = paths.refuse_special(workdir / '.lock')
    file = lock.open('a+', encoding='utf-8')
  except OSError as error:
    raise errors.UserError(
      f'workdir {str(workdir)!r} cannot be written to ({error.strerror}). '
      'Choose another --workdir.'
    ) from None
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      file.seek(0)
      number = file.read().strip()  # '' at its very start
      by = f'process {number}' if number else 'another process'
      raise errors.UserError(
        f'workdir {str(workdir)!r} is in use by {by}. Choose another --workdir.'
      ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    yield


def _git_revision() -> str | None:
  try:
    process = subprocess.run(
      ['git', 'rev-parse', 'HEAD'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      timeout=10,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return process.stdout.strip()


def of_data(dataset: data.Dataset) -> dict[str, Any]:
  """Returns the identity of the data, with shapes and classes, as JSON."""
  shape = dataset.spec.source_shape
  return {
    'source': dataset.source,
    # A folder that was renamed is the same data.
    'name': '' if dataset.files else dataset.name,
    'split': dataset.split,
    'size': dataset.size,
    'shape': list(dataset.spec.shape),
    'num_classes': dataset.spec.num_classes,
    'classes': list(dataset.spec.classes),
    **({'source_shape': list(shape)} if shape else {}),
    **dataset.identity,
  }


def read(workdir: pathlib.Path) -> dict[str, Any] | None:
  """Returns the `config.json` of a workdir, or None."""
  path = workdir / 'config.json'
  if not path.exists():
    return None
  try:
    if paths.refuse_special(path).stat().st_size > MOST_BYTES:
      raise ValueError(f'more than {MOST_BYTES} bytes')
    record = json.loads(path.read_text(encoding='utf-8'))
    for name in ('config', 'data'):
      if not isinstance(record[name], dict):
        raise ValueError(f'{name}={record[name]!r} must be a group of fields')
    record = _by_its_rules(record)
    if problems := [
      *config_lib.wrong_of_record(record['config']),
      *_wrong_data(record['data']),
    ]:
      raise ValueError('; '.join(problems))
  except errors.UserError:  # a format of newer code
    raise
  except (
    *(OSError, ValueError, LookupError, TypeError),
    *(AttributeError, RecursionError),
  ) as error:
    raise _damaged(path, error) from None
  return record


def _damaged(path: pathlib.Path, error: Exception) -> errors.UserError:
  reason = f'{error} is missing' if isinstance(error, KeyError) else error
  return errors.UserError(
    f'{path} is damaged ({reason}). Restore the file from a backup, or choose '
    'another --workdir.'
  )


def _wrong_data(recorded) -> list[str]:
  """Lists wrong fields of 'data' in a `config.json`."""
  sides = ranges.Range(int, True, 1, 2**31)
  fields = {
    'shape': sides,
    'source_shape': sides,
    'num_classes': ranges.Range(int, low=0, high=2**31),
    'size': ranges.Range(int, low=0, high=2**62),
    'classes': ranges.Range(str, True),
  }
  missing = [n for n in fields if n != 'source_shape' and n not in recorded]
  problems = {
    name: r.problem(recorded[name])
    for name, r in fields.items()
    if name in recorded
  }
  return [f'data.{name} is missing' for name in missing] + [
    f'data.{name}={recorded[name]!r} of the images {problem}'
    for name, problem in problems.items()
    if problem
  ]


def _by_its_rules(record: dict[str, Any]) -> dict[str, Any]:
  """Adds 'rules', which older code followed, also as fields of the config."""
  record['rules'] = config_lib.rules_of(record)
  config_lib.apply_rules(record['config'], record['rules'])
  return record


def refuse_changes(workdir, record, config, dataset=None) -> None:
  """Raises a UserError if a workdir belongs to another config or other data."""
  record = _by_its_rules(record)  # Checkpoints of older code lack them.
  changed = config_lib.differences(record['config'], config)
  if dataset is not None and not changed:
    changed = config_lib.differences(
      *(
        {'data': _fixed(fields)}
        for fields in (record['data'], of_data(dataset))
      )
    )
  if changed:
    way_out = '. Reset these fields, or choose another --workdir'
    if not sweeps.is_population(record['config']):
      way_out += (
        f' and take the weights along with --config.init_from={workdir}'
      )
    raise errors.UserError(
      f'workdir {str(workdir)!r} belongs to another config: '
      + '; '.join(changed)
      + way_out
      + '.'
    )


def _fixed(data_record: dict[str, Any]) -> dict[str, Any]:
  """Returns the entries of `of_data` that must not change.

  Files of a folder may come and go, see `data_files.check`. A folder of a run
  of format 1 may be renamed.
  """
  if data_record['source'] != 'folder':
    return data_record
  if 'listing' in data_record:
    return {**data_record, 'name': ''}
  names = ('source', 'split', 'shape', 'num_classes', 'classes', 'source_shape')
  return {name: data_record[name] for name in names if name in data_record}


def write(
  workdir: pathlib.Path, config, rules, dataset, devices, saved: bool
) -> None:
  """Writes `config.json`; `saved` is True once there is a checkpoint."""
  record = {
    'format': config_lib.FORMAT,
    'saved': saved,
    'rules': rules,
    'config': config.to_dict(),
    'data': of_data(dataset),
    'device': {
      'kind': devices[0].device_kind,
      'platform': devices[0].platform,
      'count': len(devices),
    },
    'versions': {'jaxgan': version.__version__}
    | {name: metadata.version(name) for name in PACKAGES},
    'git': _git_revision(),
  }
  text = json.dumps(record, indent=2) + '\n'
  writers.write_atomically(workdir / 'config.json', text)


def tidy(workdir: pathlib.Path) -> None:
  """Makes the folder of grids and removes half-written files of killed runs."""
  samples = workdir / 'samples'
  samples.mkdir(exist_ok=True)
  for path in (*workdir.glob('.*.tmp'), *samples.glob('.step_*.png.tmp')):
    if path.parent == samples or path.name[1:-4] in WRITTEN:
      path.unlink()


def refuse_lost(workdir: pathlib.Path, record, has_checkpoints: bool) -> None:
  """Raises a UserError if the workdir has files of a run that lost its state.

  A run that was killed before its first checkpoint starts again.

  Args:
    workdir: the folder of the run.
    record: its `config.json`, or None.
    has_checkpoints: True if there is any checkpoint, valid or not.
  """
  if has_checkpoints:
    return
  names = ['tensorboard', *WRITTEN[1:]]
  kept = [name for name in names if (workdir / name).exists()]
  kept += [p.name for p in (workdir / 'samples').glob('step_*.png')][:1]
  if record is None and kept:
    lost = 'config.json and checkpoints/ are missing'
  elif record is not None and (
    record.get('saved') or _is_old_end(workdir, record)
  ):
    lost = 'the checkpoints that were saved in checkpoints/ are missing'
  else:
    return
  raise errors.UserError(
    f'workdir {str(workdir)!r} holds {", ".join(kept) or "config.json"} of a '
    f'run, but {lost}. Restore them from a backup to resume. To start again, '
    'choose another --workdir, or move this folder away. Nothing was changed.'
  )


def _is_old_end(workdir: pathlib.Path, record) -> bool:
  """Returns True if a run of older code, which marked no save, has saved."""
  if 'format' in record:
    return False
  log = workdir / 'metrics.jsonl'
  lines = writers.read_json_lines(log) if log.exists() else []
  last = max((line['step'] for line in lines), default=0)
  every = record['config'].get('checkpoint_every', 0)
  end = record['config'].get('num_steps', 0)
  return last >= end > 0 or last > 2 * every > 0


def derived_workdir(path: str, overrides: dict) -> pathlib.Path:
  """Returns `runs/<config>-<variant>-<field>=<value>...`.

  The same config and fields give the same folder.

  Args:
    path: value of --config.
    overrides: dotted fields that flags have set. Fields that may change when a
      run is resumed are left out.
  """
  file, _, variant = path.partition(':')
  parts = [pathlib.Path(file).stem, variant]
  parts += [
    f'{name}={value}'
    for name, value in sorted(overrides.items())
    if name not in config_lib.RESUMABLE_FIELDS
  ]
  name = '-'.join(part for part in parts if part)
  safe = re.sub(r'[^A-Za-z0-9._=,-]+', '_', name)
  if safe != name or len(safe) > LONGEST_NAME:
    digest = hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()
    safe = f'{safe[:LONGEST_NAME]}-{digest}'
  return pathlib.Path('runs') / safe
