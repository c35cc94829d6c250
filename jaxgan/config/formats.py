"""Formats of `config.json`, and the rules that runs of older formats keep.

A repair that changes what a config computes adds a field. New configs have its
new value or lack it; a row of a table below has the value that reproduces older
runs. A run of an older format samples, scores and resumes by the old rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxgan import errors
from jaxgan.config.fields import is_group

FORMAT = 3

# Format that added fields -> dotted field -> its value in older runs. Fields of
# a group that a config lacks are skipped.
RULES: dict[int, dict[str, Any]] = {
  2: {
    'augment_as_authors': False,
    'data.held_out_seed': -1,
    'data.drop_remainder': True,
    'data.range': (0, 65535),
  },
  3: {'ema_counts_round': True},
}
# Field -> field of the same group without which it has no meaning.
NEEDED = {
  'augment_as_authors': 'augment',
  'ema_counts_round': 'ema_rampup',
  'spectral_always': 'spectral_norm',
}
# Format that added fields -> class of a network in `jaxgan/models`, or '*' for
# every class -> fields.
NETWORK_RULES: dict[int, dict[str, dict[str, Any]]] = {
  2: {
    '*': {'optimizer.keras_eps': False},
    'dcgan.Generator': {'epsilon': 1e-3},
    'dcgan.Discriminator': {'epsilon': 1e-3},
    'translate.ResNet': {'padding': 'SAME'},
  },
  3: {'*': {'spectral_always': True}},
}


def _older_rules(config, version: int) -> Iterator[tuple[list[str], Any]]:
  """Yields the path and the value of each field that the run lacks."""
  for table in (rules for added, rules in RULES.items() if added > version):
    for name, value in table.items():
      yield name.split('.'), value
  networks = {
    name: group['name']
    for name, group in config.items()
    if is_group(group)
    and 'optimizer' in group
    and isinstance(group.get('name'), str)  # Other values are refused later.
  }
  for table in (r for added, r in NETWORK_RULES.items() if added > version):
    for network, kind in networks.items():
      for field, value in (table.get('*', {}) | table.get(kind, {})).items():
        yield [network, *field.split('.')], value


def rules_of(record: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the old rules that a run keeps, by dotted field.

  Args:
    record: a `config.json`, or what a checkpoint holds of it: 'config' and, in
      newer formats, 'format' and 'rules'.

  Raises:
    UserError: for a format that only newer code knows.
  """
  version = record.get('format', 1)
  if type(version) is not int or not 1 <= version <= FORMAT:
    raise errors.UserError(
      f'format={version!r} of config.json is unknown: this code reads formats '
      f'1 to {FORMAT}. Use the code that made the run (git '
      f'{record.get("git")}).'
    )
  rules = dict(record.get('rules', {}))
  for path, value in _older_rules(record['config'], version):
    group = record['config']
    for name in path[:-1]:
      group = group.get(name) if is_group(group) else None
    if not is_group(group) or path[-1] in group:
      continue
    if NEEDED.get(path[-1], path[-1]) in (path[-1], *group):
      rules['.'.join(path)] = value
  return rules


def apply_rules(config, rules: Mapping[str, Any]) -> None:
  """Sets fields by dotted name, in a dict or a config."""
  for name, value in rules.items():
    *groups, last = name.split('.')
    group = config
    for part in groups:
      group = group[part]
    if hasattr(group, 'unlocked'):
      with group.unlocked():
        group[last] = value
    else:
      group[last] = value
