"""Values of numeric fields as functions of the images seen.

  --config.schedules='penalties.r1=cosine:0.025->0.0025:2e7'

A schedule has a curve, two ends and a length in images. Later the value is the
second end, or a further number: 'cosine:0.2->0.005:1e8:0.001'. Several
schedules have ; between them. The training loop sets the values before each
round, from the number of images of all earlier rounds. So a resumed run has the
values of an unbroken run. Everywhere else, for example in previews, fields with
a schedule have the last value.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxgan import errors
from jaxgan.config.fields import defaults, flatten, is_group
from jaxgan.config.validate import validate

# name -> (share of the length in [0, 1]) -> share of the way in [0, 1].
CURVES: dict[str, Callable] = {
  'linear': lambda share: share,
  'cosine': lambda share: 0.5 - 0.5 * jnp.cos(jnp.pi * share),
}
FORM = "'FIELD=cosine:0.05->0.005:2e7'"


class Schedule(NamedTuple):
  """A number that depends on the images seen.

  Attributes:
    curve: a key of `CURVES`.
    start: value before the first image.
    end: value at the end of the curve.
    images: length of the curve.
    later: value from `images` on; None for `end`.
  """

  curve: str
  start: float
  end: float
  images: float
  later: float | None = None

  @property
  def last(self) -> float:
    return self.end if self.later is None else self.later

  def at(self, images):
    """Returns the value after a number of images, float32."""
    share = jnp.clip(jnp.asarray(images, jnp.float32) / self.images, 0.0, 1.0)
    way = CURVES[self.curve](share)
    value = self.start * (1.0 - way) + self.end * way
    return (
      value if self.later is None else jnp.where(share < 1, value, self.later)
    )


def replaced(config, values):
  """Returns a config with other values of some fields.

  Args:
    config: a config.
    values: values by dotted name, which may be traced.
  """
  config = config.copy_and_resolve_references()
  with config.ignore_type():
    for name, value in values.items():
      *groups, field = name.split('.')
      node = config
      for group in groups:
        node = node[group]
      node[field] = value
  return config


def read(config) -> dict[str, Schedule]:
  """Reads `config.schedules`: schedules by field.

  Raises:
    UserError: for an unknown field, for a text that is no schedule, or for an
      end that is out of the range of its field.
  """
  text, found = config.get('schedules', ''), {}  # Old configs have no field.
  for part in filter(str.strip, text.split(';')):
    name, equals, words = (word.strip() for word in part.partition('='))
    _check_field(name, config)
    if name in found:
      raise errors.UserError(
        f'schedules: {name!r} occurs twice. Remove one of the schedules.'
      )
    found[name] = _parse(name, words if equals else '')
  for end in ('start', 'end', 'last') if found else ():
    values = {name: getattr(s, end) for name, s in found.items()}
    try:
      validate(replaced(config, values))
    except errors.UserError as error:
      raise errors.UserError(f'schedules, at the {end}: {error}') from None
  return found


def at_ends(config):
  """Returns a config whose fields with a schedule have their last values."""
  ends = {name: schedule.last for name, schedule in read(config).items()}
  return replaced(config, ends) if ends else config


def both_ends(config) -> tuple:
  """Returns configs whose fields with a schedule have first and last values."""
  starts = {name: schedule.start for name, schedule in read(config).items()}
  return replaced(config, starts) if starts else config, at_ends(config)


def early_ends(config) -> list[str]:
  """Returns a line for each learning rate that is zero before the end."""
  lines, images = [], config.num_steps * config.batch_size
  for name, group in config.items():
    optimizer = group.get('optimizer') if is_group(group) else None
    if not is_group(optimizer) or optimizer.schedule == 'constant':
      continue
    end = optimizer.schedule_images + optimizer.warmup_images
    if end < images:
      lines.append(
        f'{name}.optimizer.schedule_images={optimizer.schedule_images} makes '
        f'the learning rate zero after round {end // config.batch_size:,} of '
        f'{config.num_steps:,}. Set it to {images - optimizer.warmup_images} '
        'for a new run, or num_steps to fewer rounds.'
      )
  return lines


def _parse(name: str, text: str) -> Schedule:
  """Returns the schedule of a text, for example 'cosine:0.05->0.005:2e7'."""
  curve, *rest = (word.strip() for word in text.split(':'))
  try:
    ends, *numbers = rest
    start, end = map(float, ends.split('->'))
    images, *later = map(float, numbers)
    (later,) = later or (None,)
  except ValueError:
    raise errors.UserError(
      f'schedules: {name}={text} is no schedule. Write {FORM}: a curve, two '
      'values, a number of images and, if it differs, a later value.'
    ) from None
  if curve not in CURVES:
    raise errors.unknown(f'schedules: {name}', curve, CURVES)
  if not 0 < images < math.inf:
    raise errors.UserError(
      f'schedules: {name}={text} has a length of {images:g} images. Set a '
      'positive number of images.'
    )
  return Schedule(curve, start, end, images, later)


def _check_field(name: str, config) -> None:
  """Raises a UserError for a field that is no real number of an algorithm."""
  flat, own = flatten(config), flatten(defaults())
  numbers = [k for k, v in flat.items() if type(v) is float and k not in own]
  if name not in numbers:
    raise errors.unknown('schedules', name, numbers)
