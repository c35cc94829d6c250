"""Many runs in one compiled program: seeds, and values of numeric fields.

  --config.seeds=16
  --config.sweep='penalties.r1=0.1,1; generator.optimizer.learning_rate=1e-4'

A member of a population is the run that a config of its own describes, and what
it draws follows from that config's seed alone: up to rounding it is the same
run trained by itself. Groups of members are one program: states are stacked,
and the pure functions of the algorithm are mapped over them, over the seeds,
and over the values that differ. A method is built from the config inside of the
traced function, with a traced scalar in the place of each such value. What can
not be traced so, as it changes shapes or the program, can not be swept.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable

import jax
import ml_collections
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors, steps
from jaxgan.core import pixels as pixels_lib

_ALONE = 'start one run for each value with launch/sweep.py'


@dataclasses.dataclass(frozen=True)
class Population:
  """The members of a config.

  Attributes:
    config: of all.
    members: the config of each, as if it were alone.
    fields: those that were swept.
  """

  config: ml_collections.ConfigDict
  members: tuple[ml_collections.ConfigDict, ...]
  fields: tuple[str, ...]

  def __len__(self) -> int:
    return len(self.members)

  def config_of(self, member: int | None) -> ml_collections.ConfigDict:
    """That of one member; raises a UserError if there is none."""
    if member is None or not 0 <= member < len(self):
      given = '' if member is None else f'={member}'
      raise errors.UserError(
        f'--member{given}: the run is a population; give one of its members, '
        f'--member=0 to {len(self) - 1}'
      )
    return self.members[member]

  @property
  def seeds(self) -> np.ndarray:
    """uint32 [members]."""
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
    """Those of one member's `values`."""
    return {
      name: jax.ShapeDtypeStruct((), values.dtype)
      for name, values in self.values.items()
    }

  @property
  def column(self) -> dict[str, list]:
    """The seed and each swept field of all members, as they were written."""
    flat = [config_lib.flatten(member) for member in self.members]
    names = dict.fromkeys(['seed', *self.fields])
    return {name: [fields[name] for fields in flat] for name in names}


def is_population(config) -> bool:
  """Whether a config is of more than one run; also one of `config.json`."""
  # Configs that were recorded before there were populations lack these.
  return config.get('seeds', 1) > 1 or bool(config.get('sweep', '').strip(' ;'))


def of(config) -> Population | None:
  """The population that a config describes; None for a run by itself.

  Settings of `sweep` come in the order in which they are written, the last
  field changing fastest, each with `seeds` seeds from `seed` on.

  Raises:
    UserError: if `sweep` can not be read, or a member's config is out of range.
  """
  if not is_population(config):
    return None
  swept = _read(config)
  if config.sweep_as == 'pairs':
    if len({len(values) for values in swept.values()}) > 1:
      counts = ', '.join(f'{len(v)} of {name}' for name, v in swept.items())
      raise errors.UserError(
        f'sweep={config.sweep!r} with sweep_as=pairs needs as many values of '
        f'each field and there are {counts}; or set sweep_as=grid'
      )
    settings = list(zip(*swept.values(), strict=True)) or [()]
  else:
    settings = list(itertools.product(*swept.values()))
  members = []
  for setting in settings:
    for place in range(config.seeds):
      member = config.copy_and_resolve_references()
      member.update(seeds=1, sweep='')
      member.update_from_flattened_dict(dict(zip(swept, setting, strict=True)))
      member.seed += place
      config_lib.validate(member)
      members.append(member)
  return Population(config, tuple(members), tuple(swept))


def _read(config) -> dict[str, list]:
  """`config.sweep` as values by field."""
  flat, own = (
    config_lib.flatten(config),
    config_lib.flatten(config_lib.defaults()),
  )
  found = {}
  for part in filter(str.strip, config.sweep.split(';')):
    name, equals, texts = (word.strip() for word in part.partition('='))
    if not equals or not texts:
      raise errors.UserError(
        f'sweep={config.sweep!r}: {part.strip()!r} must be a field, = and '
        "values with commas between, as 'penalties.r1=0.1,1'; fields are "
        'parted by ;'
      )
    if name in found:
      raise errors.UserError(f'sweep={config.sweep!r}: {name!r} is there twice')
    if name not in flat:
      group = name.rpartition('.')[0]
      numbers = [
        k
        for k, v in flat.items()
        if type(v) in (int, float) and k not in own and k.startswith(group)
      ]
      raise errors.unknown('sweep', name, ['seed', *numbers])
    kind = type(flat[name])
    is_own = name in own or name.startswith('data.')
    if kind not in (int, float) or (is_own and name != 'seed'):
      what = 'of the loop or the data' if is_own else 'no number'
      raise errors.UserError(
        f'sweep: the field {name} is {what}, and such fields are the same for '
        f'all members of one program; {_ALONE}'
      )
    try:
      found[name] = [kind(text) for text in texts.split(',')]
    except ValueError:
      raise errors.UserError(
        f'sweep: {name}={texts} must be values of type {kind.__name__} with '
        'commas between'
      ) from None
    most = 2**31 - 1 if kind is int else float(np.finfo(np.float32).max)
    for value in found[name]:
      if name != 'seed' and math.isfinite(value) and abs(value) > most:
        raise errors.UserError(
          f'sweep: {name}={value} must be at most {most}, as values of members '
          'are numbers of 32 bits'
        )
  return found


def method_of(algorithm: steps.Algorithm, config, spec, values):
  """The method of a config with other values, traced ones too, of fields."""
  config = config.copy_and_resolve_references()
  with config.ignore_type():
    for name, value in values.items():
      group, _, field = name.rpartition('.')
      node = config
      for part in filter(None, group.split('.')):
        node = node[part]
      node[field] = value
  return algorithm.from_config(config, spec)


def bind(algorithm: steps.Algorithm, name: str, config, spec) -> Callable:
  """A function of an algorithm that takes values of swept fields, not a method.

  Args:
    algorithm: a module of `jaxgan.steps`.
    name: of the function: 'init', 'train_step', 'preview' or 'evaluate'.
    config: of the population.
    spec: of the data.

  Returns:
    ({field: value}, *others) -> what the function gives.
  """

  def bound(values, *others):
    method = method_of(algorithm, config, spec, values)
    return getattr(algorithm, name)(method, *others)

  return bound


def refuse(population: Population, algorithm, dataset: data.Dataset) -> None:
  """Raises a UserError that names the fields which can not be swept."""
  config, spec = population.config, dataset.spec
  methods = [algorithm.from_config(m, spec) for m in population.members]
  draws = algorithm.batches_per_round(methods[0])
  example = jax.eval_shape(
    lambda batch: {k: pixels_lib.to_float(x) for k, x in batch.items()},
    {
      name: jax.ShapeDtypeStruct(
        (draws * config.batch_size, *x.shape[1:]), x.dtype
      )
      for name, x in dataset.arrays().items()
    },
  )

  def run(values, batch, key):
    call = functools.partial(bind, algorithm, config=config, spec=spec)
    state = call('init')(values, key)
    return state, call('train_step')(values, state, batch, key)[0]

  def without_effect(names) -> list[str] | None:
    """Which of these fields the program does not read; None: there is none."""
    values = {k: population.shapes[k] for k in names}
    try:
      program, (before, after) = jax.make_jaxpr(run, return_shape=True)(
        values, example, jax.random.key(0)
      )
    except (TypeError, ValueError):
      return None
    if jax.tree.map(lambda x: x.dtype, before) != jax.tree.map(
      lambda x: x.dtype, after
    ):
      return None
    read = {id(x) for step in program.jaxpr.eqns for x in step.invars}
    inputs = zip(sorted(names), program.jaxpr.invars, strict=False)
    return [name for name, x in inputs if id(x) not in read]

  names = list(population.shapes)
  unread = without_effect(names) if names else []
  if unread is None:
    bad = [name for name in names if without_effect([name]) is None]
    which = f'field {bad[0]} changes' if bad else f'fields {names} change'
    raise errors.UserError(
      f'sweep: the {which} shapes or the program itself, or must be known '
      f'while it is compiled, and members have one program; {_ALONE}'
    )
  if unread:
    raise errors.UserError(
      f'sweep: the field {unread[0]} changes nothing here, as what it belongs '
      'to is off; leave it out, or switch that on'
    )


def by_member(metrics: list) -> dict[str, np.ndarray]:
  """Metrics [rounds] by `named`, of groups whose metrics are [rounds, k]."""
  found = {}
  for name in metrics[0]:
    whole = np.concatenate([group[name] for group in metrics], axis=1)
    for place, values in enumerate(whole.T):
      found[named(name, place)] = values
  return found


def like(population: Population, algorithm, spec):
  """Shapes [members, ...] of the states of all, as `bind` makes them."""
  init = bind(algorithm, 'init', population.config, spec)
  one = jax.eval_shape(init, population.shapes, jax.random.key(0))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((len(population), *x.shape), x.dtype), one
  )


def named(name: str, place: int) -> str:
  """A metric of one member: 'discriminator/loss/member_03'."""
  return f'{name}/member_{place:02d}'


def with_spread(values: dict[str, float]) -> dict[str, float]:
  """Adds the mean of each metric over members, and its deviation.

  Args:
    values: by what `named` gives.

  Returns:
    'NAME', 'NAME/std' (the sample's, 0 of one member), and the values.
  """
  groups = {}
  for name, value in values.items():
    groups.setdefault(name.rpartition('/')[0], []).append(value)
  found = {}
  for name, members in groups.items():
    found[name] = float(np.mean(members))
    ddof = 1 if len(members) > 1 else 0
    found[f'{name}/std'] = float(np.std(members, ddof=ddof))
  return found | values
