"""Many runs in one compiled program: seeds, and values of numeric fields.

  --config.seeds=16
  --config.sweep='penalties.r1=0.1,1; generator.optimizer.learning_rate=1e-4'

A member of a population matches, up to rounding, the same run trained alone:
its config and its seed determine all its random draws. Members in a group share
a program. Their states are stacked, and the pure functions of the algorithm are
mapped over states, seeds and swept values. The traced function builds the
method from the config, with a traced scalar for each swept value. A field that
changes shapes or the program cannot be swept.
"""

import dataclasses
import functools
import itertools
import math

import jax
import ml_collections
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.config import schedules
from jaxgan.config.fields import MOST_MEMBERS
from jaxgan.training import traced


@dataclasses.dataclass(frozen=True)
class Population:
  """The members of a config.

  Attributes:
    config: the config of the population.
    members: for each member, the config of the same run trained alone.
    fields: the swept fields.
  """

  config: ml_collections.ConfigDict
  members: tuple[ml_collections.ConfigDict, ...]
  fields: tuple[str, ...]

  def __len__(self) -> int:
    return len(self.members)

  def config_of(self, member: int | None) -> ml_collections.ConfigDict:
    """Returns the config of a member; raises a UserError if there is none."""
    if member is None or not 0 <= member < len(self):
      given = '' if member is None else f'={member}'
      raise errors.UserError(
        f'--member{given}: the run is a population. Set --member=0 to '
        f'{len(self) - 1}.'
      )
    return self.members[member]

  @property
  def seeds(self) -> np.ndarray:
    """Seeds of the members, uint32 [members]."""
    return np.array([member.seed for member in self.members], np.uint32)

  @property
  def values(self) -> dict[str, np.ndarray]:
    """Values [members] of each swept field that an algorithm may read."""
    return {
      name: np.array(
        values, np.int32 if isinstance(values[0], int) else np.float32
      )
      for name, values in self.column.items()
      if name != 'seed'
    }

  @property
  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of the swept values of one member."""
    return {
      name: jax.ShapeDtypeStruct((), values.dtype)
      for name, values in self.values.items()
    }

  @functools.cached_property
  def column(self) -> dict[str, list]:
    """Seeds and values of all members as they were written, by field."""
    flat = [config_lib.flatten(member) for member in self.members]
    names = dict.fromkeys(['seed', *self.fields])
    return {name: [fields[name] for fields in flat] for name in names}


def is_population(config) -> bool:
  """Returns True if the config describes a population.

  Args:
    config: a config, or the recorded one of `config.json`.
  """
  # Configs of older versions have no such fields.
  return config.get('seeds', 1) > 1 or bool(config.get('sweep', '').strip(' ;'))


def of(config) -> Population | None:
  """Returns the population that a config describes; None for a single run.

  Settings have the order in which `sweep` is written; the last field changes
  fastest. Each setting has `seeds` members, whose seeds start at `seed`.

  Raises:
    UserError: if `sweep` cannot be read, or the config of a member is wrong.
  """
  if not is_population(config):
    return None
  swept = _read(config)
  if config.sweep_as == 'pairs':
    if len({len(values) for values in swept.values()}) > 1:
      counts = ', '.join(f'{len(v)} of {name}' for name, v in swept.items())
      raise errors.UserError(
        f'sweep={config.sweep!r} with sweep_as=pairs needs as many values of '
        f'each field, and has {counts}. Add values, or set sweep_as=grid.'
      )
    settings = list(zip(*swept.values(), strict=True)) or [()]
    count = len(settings)
  else:
    settings = itertools.product(*swept.values())
    count = math.prod(map(len, swept.values()))
  count *= config.seeds
  if count > MOST_MEMBERS:
    raise errors.UserError(
      f'sweep={config.sweep!r} with seeds={config.seeds} makes {count} '
      f'members, more than {MOST_MEMBERS}. Set fewer values or seeds.'
    )
  members = []
  for setting in settings:
    first = config.copy_and_resolve_references()
    first.update(seeds=1, sweep='')
    first.update_from_flattened_dict(dict(zip(swept, setting, strict=True)))
    for index in range(config.seeds):
      members.append(first.copy_and_resolve_references())
      members[-1].seed += index
    for member in (first, members[-1]):  # The others lie between.
      config_lib.validate(member)
  return Population(config, tuple(members), tuple(swept))


def _read(config) -> dict[str, list]:
  """Reads `config.sweep`: values by field."""
  flat, timed = config_lib.flatten(config), schedules.read(config)
  swept = {}
  for part in filter(str.strip, config.sweep.split(';')):
    name, equals, texts = (word.strip() for word in part.partition('='))
    if not equals or not texts:
      raise errors.UserError(
        f'sweep={config.sweep!r}: {part.strip()!r} must be a field, = and '
        "values, as 'penalties.r1=0.1,1'. Put ; between fields."
      )
    if name in swept:
      raise errors.UserError(
        f'sweep={config.sweep!r}: {name!r} occurs twice. Remove one of them.'
      )
    if name in timed:
      raise errors.UserError(
        f'sweep: {name} has a schedule too. Remove one of them.'
      )
    _check_field(name, flat)
    kind = type(flat[name])
    try:
      swept[name] = [kind(text) for text in texts.split(',')]
    except ValueError:
      raise errors.UserError(
        f'sweep: {name}={texts} must be values of type {kind.__name__}. Put '
        'commas between values.'
      ) from None
    if 0 in swept[name] and _is_part(name, flat):
      raise errors.UserError(
        f'sweep: {name}=0 turns a part of the method off, and all members have '
        'one program. Train a run with 0 alone.'
      )
    most = 2**31 - 1 if kind is int else float(np.finfo(np.float32).max)
    for value in swept[name]:
      if name != 'seed' and math.isfinite(value) and abs(value) > most:
        raise errors.UserError(
          f'sweep: {name}={value} must be at most {most}, because swept values '
          'have 32 bits. Choose a smaller value.'
        )
  return swept


def _check_field(name: str, flat) -> None:
  """Raises a UserError for a field that is no number of an algorithm."""
  own = config_lib.flatten(config_lib.defaults())
  if name not in flat:
    group = name.rpartition('.')[0]
    numbers = [
      k
      for k, v in flat.items()
      if type(v) in (int, float) and k not in own and k.startswith(group)
    ]
    raise errors.unknown('sweep', name, ['seed', *numbers])
  is_own = name in own or name.startswith('data.')
  if type(flat[name]) not in (int, float) or (is_own and name != 'seed'):
    kind = 'of the loop or the data' if is_own else 'no number'
    raise errors.UserError(
      f'sweep: the field {name} is {kind}, so it is the same for all members '
      f'of a program. {traced.REMEDIES["sweep"]}'
    )


def _is_part(name: str, flat) -> bool:
  """Returns True if a method with 0 in a field has another program."""
  group = name.partition('.')[0]
  is_apart = group in ('path_length', 'penalties')
  return name == 'ada.target' or (
    is_apart and flat.get(f'{group}_every', 1) > 1
  )


def like(population: Population, algorithm, spec):
  """Returns the shapes [members, ...] of the stacked states."""
  init = traced.bind(algorithm, 'init', population.config, spec)
  one = jax.eval_shape(init, population.shapes, jax.random.key(0))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((len(population), *x.shape), x.dtype), one
  )


def refuse(population: Population, algorithm, dataset: data.Dataset) -> None:
  """Raises a UserError that names the fields that cannot be swept."""
  for member in population.members:
    algorithm.from_config(member, dataset.spec)
  shapes = population.shapes
  traced.refuse('sweep', population.config, shapes, algorithm, dataset)
