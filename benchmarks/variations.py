"""Changes one field of a config at a time, for `benchmarks/scaling.py`."""

from collections.abc import Iterator

from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.training import devices as devices_lib


def wider(config, factor: float) -> dict:
  """Returns fields of networks whose widths are multiplied by a factor."""
  return {
    name: tuple(max(round(factor * width), 1) for width in value)
    for name, value in config_lib.flatten(config).items()
    if name.endswith('.widths')
  }


def rows_of(config, values) -> Iterator[tuple[str, str, object]]:
  """Yields the varied name, its value and the config of every row.

  Args:
    config: the base.
    values: lists of texts by name, from the flags.

  Raises:
    UserError: if a value is not a positive number.
  """
  yield 'base', '', config
  for name, texts in values.items():
    for text in texts:
      value = _number(name, text)
      for varied, fields in _fields(config, name, value).items():
        yield varied, text, experiment.changed(config, fields)


def _number(name: str, text: str):
  kind = float if name == 'width' else int
  try:
    value = kind(text)
  except ValueError:
    value = 0
  if value <= 0:
    raise errors.UserError(
      f'--{name}={text} needs positive numbers of type {kind.__name__}.'
    )
  return value


def _fields(config, name: str, value) -> dict[str, dict]:
  """Returns the changed fields by name of a row."""
  if name == 'width':
    return {name: wider(config, value)}
  if name == 'images':
    return {name: {'data.limit': value}}
  if name == 'image_size':
    return {name: {'data.image_size': value}}
  if name == 'seeds':
    per_device = value // devices_lib.make_for_members(value).num_devices
    return {
      f'seeds, {kind}': {'seeds': value, 'members_at_once': at_once}
      for kind, at_once in {'in turn': 1, 'together': per_device}.items()
    }
  return {name: {name: value}}
