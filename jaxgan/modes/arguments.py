"""Flags `--config.data.FIELD` of modes that read no config file."""

import re

from jaxgan import modes

_DATA = 'config.data.'


def take_data_fields(argv) -> tuple[list[str], dict[str, str]]:
  """Separates --config.data.FIELD=VALUE from the flags that absl parses.

  Args:
    argv: the command line.

  Returns:
    The other words, and the values by field. For --mode=train, whose config
    has these fields, `argv` and no values.
  """
  words = _joined(argv[1:])
  given = [re.fullmatch(r'--?([\w.]+)=(.*)', word, re.DOTALL) for word in words]
  values = {match[1]: match[2] for match in given if match}
  mode = modes.MODES.get(values.get('mode', 'train'))
  if 'config' in values or mode is None or mode.trains:
    return argv, {}
  fields = {
    name.removeprefix(_DATA): value
    for name, value in values.items()
    if name.startswith(_DATA)
  }
  others = [w for w in words if not w.lstrip('-').startswith(_DATA)]
  return [argv[0], *others], fields


def _joined(words) -> list[str]:
  """Joins the words of `--config.data.FIELD VALUE` and of `--mode VALUE`."""
  joined, words = [], list(words)
  while words:
    word = words.pop(0)
    if re.fullmatch(r'--?(mode|config\.data\.\w+)', word) and words:
      word += f'={words.pop(0)}'
    joined.append(word)
  return joined
