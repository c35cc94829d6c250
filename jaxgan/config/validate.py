"""Checks of the values of a config against the ranges of its fields."""

import functools
import re
from collections.abc import Iterator, Mapping

from jaxgan import errors, models
from jaxgan.config import algorithms, networks
from jaxgan.config.fields import FOLDER, RUN, Field, flatten, is_group
from jaxgan.core import optim, ranges
from jaxgan.core.ranges import Range

# Range of a field that is declared nowhere, as fields of a new algorithm.
_ANY = Range()
_GROUP = 'must be a group of fields'


def _leaves(table: Mapping, prefix: str = '') -> Iterator[tuple[str, Range]]:
  """Yields the fields of a table by dotted name."""
  for name, entry in table.items():
    if isinstance(entry, Field):
      yield f'{prefix}{name}', entry.range
    else:
      yield from _leaves(entry, f'{prefix}{name}.')


@functools.cache
def _declared(method) -> dict[str, tuple[Range, ...]]:
  """Returns the ranges of each field of a method by dotted name.

  Fields of other methods are included. A field that the method lacks, and any
  field of an unknown method, may have a value of any other method.
  """
  own, further = dict(_leaves({**RUN, **FOLDER})), {}
  for table in algorithms.TABLES:
    leaves = dict(_leaves(table))
    if 'method' in table and table['method'].default == method:
      own |= leaves
    for name, value in leaves.items():
      further.setdefault(name, []).append(value)
  groups = {name.partition('.')[0] for name in own if '.' in name}
  return {
    **{
      name: tuple(values)
      for name, values in further.items()
      if name not in groups and name.partition('.')[0] not in own
    },
    **{name: (value,) for name, value in own.items()},
  }


def _network(prefix: str, settings) -> dict[str, tuple[Range, ...]]:
  """Returns the ranges of the fields of a network by dotted name."""
  table = {
    **dict(_leaves(networks.NETWORK)),
    **{
      f'optimizer.{name}': value
      for name, value in ranges.of_dataclass(optim.Optimizer).items()
    },
  }
  known = models.known()
  table['name'] = Range(str, one_of=known)
  module = known.get(str(settings['name']))
  if module is not None:
    table = ranges.of_dataclass(module) | table
  return {f'{prefix}.{name}': (value,) for name, value in table.items()}


def _nodes(config, prefix: str = ''):
  """Yields all groups and fields with their dotted names."""
  for name, value in config.items():
    yield f'{prefix}{name}', value
    if is_group(value):
      yield from _nodes(value, f'{prefix}{name}.')


def _text(value) -> str:
  if is_group(value):
    return str(dict(flatten(value)))
  if isinstance(value, list):
    return str(tuple(value))
  return str(value) if isinstance(value, float) else repr(value)


def _wrong_values(config, tables) -> dict[str, str]:
  """Returns a message for each field whose value is out of its range."""
  method = config.get('method', '')
  declared = _declared(method if isinstance(method, str) else '')
  for table in tables:
    declared = declared | {name: (value,) for name, value in _leaves(table)}
  for name, value in config.items():
    if is_group(value) and 'name' in value and 'optimizer' in value:
      declared = declared | _network(name, value)
  groups = {
    name[:end]
    for name in declared
    for end in (match.start() for match in re.finditer(r'\.', name))
  }
  wrong = {}
  for name, value in _nodes(config):
    if is_group(value):
      if name in declared and name not in groups:
        wrong[name] = declared[name][0].problem(None) or _GROUP
    elif name not in declared and name in groups:
      wrong[name] = _GROUP
    else:
      messages = [r.problem(value) for r in declared.get(name, (_ANY,))]
      if all(messages):
        wrong[name] = messages[0]
    if name in wrong:
      wrong[name] = f'{name}={_text(value)} {wrong[name]}'
  return wrong


def _conflicts(config, wrong) -> Iterator[str]:
  """Yields a message for fields whose values exclude each other."""
  names = {'data.image_size', 'data.max_pixels'}
  if names <= flatten(config).keys() and not names & wrong.keys():
    side = config.data.image_size
    if side**2 * 3 > config.data.max_pixels:
      yield f'data.image_size={side} is more than data.max_pixels allows'


def wrong_of_record(config: Mapping) -> list[str]:
  """Lists values of a recorded config whose type or range is wrong.

  Args:
    config: a dict of JSON, whose sequences are lists.
  """
  problems = [] if is_group(config.get('data')) else ['data is missing']
  problems += [
    f'{name} is missing'
    for name in ('method', 'seed', 'batch_size', 'num_steps')
    if name not in config
  ]
  return [*problems, *_wrong_values(config, ()).values()]


def missing(config, error: Exception) -> str:
  """Returns the field whose absence raised an error, or '' for other errors."""
  # The message of ml_collections is the field, in quotes that are escaped.
  match = re.fullmatch(
    r'[\'"\\]*([\w.]+)[\'"\\]*(nDid you mean.*)?', str(error)
  )
  known = '.'.join(flatten(config)).split('.')
  return match[1] if match and match[1] not in known else ''


def validate(config, *tables: Mapping) -> None:
  """Checks all values of a config.

  Args:
    config: config of a run.
    *tables: further declared fields, for example of a new algorithm.

  Raises:
    UserError: lists all values out of range.
  """
  wrong = _wrong_values(config, tables)
  problems = [*wrong.values(), *_conflicts(config, wrong)]
  if problems:
    raise errors.UserError('; '.join(problems))
