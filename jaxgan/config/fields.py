"""Fields that every experiment has, with their defaults and ranges.

A table of fields is a nested dict. Each entry is declared once, with its
default and its range, by `field`. `build` makes a config of a table.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

from jaxgan import data as data_lib
from jaxgan import errors
from jaxgan.core import ranges
from jaxgan.core.ranges import MOST_ROUNDS, Range
from jaxgan.data import images
from jaxgan.metrics import scores
from jaxgan.visual import palette

ENGINES = ('auto', 'jit', 'pmap')
PRECISIONS = ('f32', 'tf32', 'bf16')
MOST_MEMBERS = 10_000
MOST_SIDE = 2**15  # of an image, in pixels


@dataclasses.dataclass(frozen=True)
class Field:
  """A config field.

  Attributes:
    default: value of a new config.
    range: values that the field may have.
  """

  default: Any
  range: Range


def field(default, low=None, high=None, **limits) -> Field:
  """Declares a config field.

  Args:
    default: value of a new config, which has the type of all values.
    low: smallest value.
    high: largest value.
    **limits: see `ranges.of_default`.
  """
  return Field(default, ranges.of_default(default, low, high, **limits))


def build(table: Mapping[str, Any], **changed) -> ml_collections.ConfigDict:
  """Returns a config with the defaults of a table of fields.

  Args:
    table: fields by name; a dict is a group of fields.
    **changed: values that differ from the defaults.
  """

  def value(entry):
    return entry.default if isinstance(entry, Field) else build(entry)

  defaults = {name: value(entry) for name, entry in table.items()}
  return ml_collections.ConfigDict(defaults | changed)


def _is_window(steps) -> bool:
  return not steps or (len(steps) == 2 and 0 <= steps[0] < steps[1])


def _is_interval(values) -> bool:
  return not values or (len(values) == 2 and values[0] < values[1])


def _is_sample(count: int) -> bool:
  return count != 1


_INTERVAL = 'must be the values of black and white, as 0,4095'


RUN = dict(
  seed=field(0, 0, 2**32 - 1),
  # Members of a population have the seeds from `seed` on.
  seeds=field(1, 1, MOST_MEMBERS),
  sweep=field(''),  # and values: 'penalties.r1=0,1; adversarial=1,2'
  # All combinations, or pairs: first values together, then the second ones.
  sweep_as=field('grid', one_of=('grid', 'pairs')),
  # Fields that vary in training: 'penalties.r1=cosine:0.05->0.005:2e7; ...'.
  schedules=field(''),
  # Members under vmap; 0: all members on accelerators, a single one on CPUs.
  members_at_once=field(0, 0, MOST_MEMBERS),
  num_steps=field(10_000, 0, MOST_ROUNDS),  # rounds: updates of all networks
  batch_size=field(64, 1, 2**31 - 1),  # over all devices
  data=dict(
    source=field('auto', one_of=('auto', *data_lib.SOURCES)),
    name=field('mnist'),  # of a TFDS set, a toy or procedural images
    version=field(''),  # of a TFDS set; '' is the newest
    data_dir=field(''),  # prepared TFDS data; '' is the default of TFDS
    manual_dir=field(''),  # original files to prepare a TFDS set from
    download=field(False),  # True to download a TFDS set
    path=field(''),  # of a folder of images
    held_out=field(0.0, 0, below=1),  # share of a folder not trained on
    # Seed of that split; -1 is the rule of format 1, see config/formats.py.
    held_out_seed=field(0, -1, 2**32 - 1),
    classes=field(()),  # names of the classes to use; () is all
    limit=field(0, 0),  # number of first examples to use; 0 is all
    shuffle=field(True),  # every epoch has an order of its own
    # With shuffle=False: True drops the examples after the last full batch.
    drop_remainder=field(False),
    # Side of the square to resize to; 0 keeps the size.
    image_size=field(0, 0, MOST_SIDE),
    # To the square: crop the centre, or stretch.
    resize=field('crop', one_of=images.RESIZES),
    # 0: grey or RGB, as the files are; 4: RGB and transparency.
    channels=field(0, one_of=(0, 1, 3, 4)),
    # Black and white of pictures of more than 8 bits, as (0,4095); () is what
    # the format says.
    range=field((), items=float, rule=_is_interval, message=_INTERVAL),
    max_pixels=field(64_000_000, 1),  # larger files are refused
    # Unreadable files: raise an error, or skip.
    on_bad=field('error', one_of=('error', 'skip')),
    resident_bytes=field(2 * 1024**3, 0),  # larger sets are streamed
  ),
  log_every=field(100, 1, MOST_ROUNDS),
  sample_every=field(1_000, 0, MOST_ROUNDS),
  checkpoint_every=field(1_000, 0, MOST_ROUNDS),
  eval_every=field(0, 0, MOST_ROUNDS),  # held-out scores; 0 is off
  # Samples to score then; 0 is off.
  eval_images=field(
    0, 0, scores.MOST_IMAGES, rule=_is_sample, message='must be 0 or at least 2'
  ),
  eval_scores=field((), items=str, one_of=scores.SCORES),  # () is all
  eval_features=field(
    'classifier',
    rule=scores.is_features,
    message=f'must be {scores.FEATURES}',
  ),
  # Colours of samples that --mode=sample draws; 0 is all.
  palette=field(0, 0, palette.MOST_COLOURS),
  keep=field(3, 1, MOST_ROUNDS),  # newest checkpoints to keep
  # Checkpoints at multiples of this number of rounds are kept too; 0: none.
  keep_period=field(0, 0, MOST_ROUNDS),
  init_from=field(''),  # workdir to take the first weights from
  engine=field('auto', one_of=ENGINES),  # auto: pmap on several devices
  shard_parameters=field(False),  # splits the state over devices, engine jit
  precision=field('f32', one_of=PRECISIONS),  # see jaxgan/models/__init__.py
  steps_per_call=field(5, 1, 100_000),  # rounds per compiled call, a scan
  # First and last round of a trace, as 100,110.
  profile_steps=field(
    (),
    items=int,
    rule=_is_window,
    message='must be the first round and the round after the last, as 100,110',
  ),
  dry_run=field(False),  # compile a round, print its costs, train nothing
)
# Further fields of `configs/folder.py`.
FOLDER = dict(
  from_pictures=field(True),  # choose networks by them, see config/pictures.py
)


def defaults() -> ml_collections.ConfigDict:
  """Returns the fields of the loop, the data and the checkpoints."""
  return build(RUN)


def vary(config, variants, name: str) -> None:
  """Applies a variant of a config file.

  Args:
    config: fields to change.
    variants: {name: function that changes a config}.
    name: name of the variant; '' is the default variant.

  Raises:
    UserError: for an unknown variant.
  """
  if name not in variants:
    raise errors.unknown('variant', name, variants)
  variants[name](config)


def is_group(value) -> bool:
  """Returns True for a group of fields."""
  return isinstance(value, (dict, ml_collections.ConfigDict))


def flatten(config) -> dict[str, Any]:
  """Returns the fields of a config by dotted name; sequences become lists."""

  def walk(node, prefix) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
      if is_group(value):
        yield from walk(value, f'{prefix}{name}.')
      else:
        is_sequence = isinstance(value, (tuple, list))
        yield prefix + name, list(value) if is_sequence else value

  return dict(walk(config, ''))


def from_json(fields) -> ml_collections.ConfigDict:
  """Restores a recorded config; lists become tuples."""

  def thaw(value):
    if isinstance(value, dict):
      return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, list):
      return tuple(map(thaw, value))
    return value

  return ml_collections.ConfigDict(thaw(fields))
