"""Fields that every experiment has, what they may be, and what a resume allows.

A file in `configs/` starts from `defaults()`, adds what it takes of
`jaxgan.presets`, and changes what its experiment needs. Config files are Python
and are executed: run only those you trust.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import ml_collections

from jaxgan import errors
from jaxgan.data import images
from jaxgan.visual import palette

# A run may go on with other values of these: they change what is written when,
# or how fast, and not what the state means.
HARMLESS = (
  'num_steps',
  'log_every',
  'sample_every',
  'checkpoint_every',
  'eval_every',
  'eval_images',
  'eval_scores',
  'eval_features',
  'steps_per_call',
  'keep',
  'keep_period',
  'engine',
  'members_at_once',
  'profile_steps',
  'dry_run',
  'init_from',
  'palette',
  'data.resident_bytes',
  # The data's own fingerprint is compared instead.
  'data.path',
  'data.data_dir',
  'data.manual_dir',
  'data.download',
)

# Fields that runs lack which were begun before these were there.
LATER = {'seeds': 1, 'sweep': '', 'sweep_as': 'grid', 'precision': 'f32'}

ENGINES = ('auto', 'jit', 'pmap')
PRECISIONS = ('f32', 'tf32', 'bf16')


def defaults() -> ml_collections.ConfigDict:
  """The fields of the loop, the data and the checkpoints."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.seeds = 1  # members of a population: seeds from `seed` on
  config.sweep = ''  # and values: 'penalties.r1=0,1; adversarial=1,2'
  config.sweep_as = 'grid'  # all combinations; or pairs: first values together
  config.members_at_once = 0  # under vmap; 0: all on accelerators, one on CPUs
  config.num_steps = 10_000  # rounds: all updates of both networks
  config.batch_size = 64  # over all devices

  config.data = ml_collections.ConfigDict()
  config.data.source = 'auto'  # auto, embedded, tfds, folder or toy
  config.data.name = 'mnist'  # of a TFDS set or a toy
  config.data.version = ''  # of a TFDS set; '' is the newest
  config.data.data_dir = ''  # prepared TFDS data; '' is TFDS' own default
  config.data.manual_dir = ''  # original files to prepare a TFDS set from
  config.data.download = False  # whether a TFDS set may be downloaded
  config.data.path = ''  # of a folder of images
  config.data.held_out = 0.0  # share of a folder that is not trained on
  config.data.classes = ()  # names of the classes to use; () is all
  config.data.limit = 0  # the first so many examples; 0 is all
  config.data.shuffle = True  # an order of its own for every epoch
  config.data.image_size = 0  # side of the square to resize to; 0 leaves as is
  config.data.resize = 'crop'  # to the square: crop the centre, or stretch
  config.data.channels = 0  # 1 or 3; 0 leaves as is
  config.data.max_pixels = 64_000_000  # larger files are refused
  config.data.on_bad = 'error'  # files that can't be read: error or skip
  config.data.resident_bytes = 2 * 1024**3  # larger sets are streamed

  config.log_every = 100
  config.sample_every = 1_000
  config.checkpoint_every = 1_000
  config.eval_every = 0  # scores on held-out images; 0 is off
  config.eval_images = 0  # samples that are scored then, see evaluate.py; or 0
  config.eval_scores = ()  # keys of scores.SCORES; () is all
  config.eval_features = 'classifier'  # or inception:PATH
  config.palette = 0  # colours of what --mode=sample draws; 0 is all
  config.keep = 3  # newest checkpoints that are kept
  config.keep_period = 0  # and every checkpoint at a multiple of this; 0: none
  config.init_from = ''  # workdir to take the first weights from

  config.engine = 'auto'  # pmap on several devices, jit on one
  config.precision = 'f32'  # f32, tf32 or bf16: see jaxgan/models/__init__.py
  # Rounds per compiled call (a scan). Of the DCGAN tutorial 8.3 a second so on
  # two cores, 7.2 one by one; 5 take 2 s where a round takes 0.4.
  config.steps_per_call = 5
  config.profile_steps = ()  # as 100,110: a trace of the rounds between
  config.dry_run = False  # compile a round, print what it costs, run nothing
  return config


def vary(config, variants, name: str) -> None:
  """Applies a config file's variant; '' is the default one.

  Raises:
    UserError: if there is no such variant.
  """
  if name not in variants:
    raise errors.unknown('variant', name, variants)
  variants[name](config)


def flatten(config) -> dict[str, Any]:
  """The fields of a config by dotted name; sequences become lists."""

  def walk(node, prefix) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
      if isinstance(value, (dict, ml_collections.ConfigDict)):
        yield from walk(value, f'{prefix}{name}.')
      else:
        is_sequence = isinstance(value, (tuple, list))
        yield prefix + name, list(value) if is_sequence else value

  return dict(walk(config, ''))


def differences(recorded, config) -> list[str]:
  """'field: recorded -> new' for fields that a resume must not change."""
  old, new = (LATER | flatten(fields) for fields in (recorded, config))
  missing = object()

  def show(value):
    return 'absent' if value is missing else repr(value)

  return [
    f'{name}: {show(old.get(name, missing))} -> {show(new.get(name, missing))}'
    for name in sorted(old.keys() | new.keys())
    if name not in HARMLESS and old.get(name, missing) != new.get(name, missing)
  ]


def from_json(fields) -> ml_collections.ConfigDict:
  """A recorded config; lists become the tuples that they were."""

  def thaw(value):
    if isinstance(value, dict):
      return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, list):
      return tuple(map(thaw, value))
    return value

  return ml_collections.ConfigDict(thaw(fields))


# Of networks and optimizers: what these must be below.
_NOT_NEGATIVE = {
  'dropout': 1,
  'minibatch_kernels': 2**31,
  'b1': 1,
  'b2': 1,
  'eps': math.inf,
  'clip_weights': math.inf,
  'historical_averaging': math.inf,
  'schedule_images': math.inf,
  'warmup_images': math.inf,
}


def _are_widths(value) -> bool:
  return isinstance(value, list) and all(
    isinstance(width, int) and 0 < width < 2**31 for width in value
  )


def _problems(config) -> Iterator[str]:
  fields = flatten(config)
  for name, value in fields.items():
    if isinstance(value, float) and not math.isfinite(value):
      yield f'{name}={value} must be finite'
    elif name.endswith('learning_rate') and value <= 0:
      yield f'{name}={value} must be positive'
    elif isinstance(value, int) and abs(value) >= 2**63:
      yield f'{name}={value} must be below 2**63'
    elif name.endswith('widths') and not _are_widths(value):
      yield f'{name}={value} must hold positive whole numbers, as (64, 128)'
    elif name.endswith('virtual_batch') and not 0 <= value < 2**31:
      yield f'{name}={value} must be in 0..2**31 - 1'
    elif name.startswith('penalties.') and value < 0:
      yield f'{name}={value} must not be negative'
  at_least = {
    'batch_size': 1,
    'steps_per_call': 1,
    'keep': 1,
    'num_steps': 0,
    'log_every': 1,
    'sample_every': 0,
    'checkpoint_every': 0,
    'eval_every': 0,
    'eval_images': 0,
    'keep_period': 0,
    'palette': 0,
    'seed': 0,
    'seeds': 1,
    'members_at_once': 0,
    'data.image_size': 0,
    'data.limit': 0,
    'data.labelled': 1,
    'data.labelled_seed': 0,
    'data.max_pixels': 1,
    'data.resident_bytes': 0,
    'discriminator_steps': 1,
    'latent_size': 1,
    'ema_halflife': 0,
    'ema_rampup': 0,
    'label_noise': 0,
    'label_flip': 0,
    'instance_noise': 0,
    'instance_noise_images': 0,
    'pack': 1,
    'top_k': 0,
    'top_k_images': 0,
    'replay_size': 0,
    'replay_share': 0,
    'adversarial': 0,
    'feature_matching': 0,
    'auxiliary': 0,
    'labelled': 0,
    'reconstruction': 0,
    'cycle': 0,
    'identity': 0,
  }
  for name, least in at_least.items():
    if name in fields and fields[name] < least:
      yield f'{name}={fields[name]} must be at least {least}'
  for name, value in fields.items():
    group, _, last = name.rpartition('.')
    below = _NOT_NEGATIVE.get(last)
    if group and below and not 0 <= value < below:
      yield f'{name}={value} must be in [0, {below:g})'
  if fields['batch_size'] >= 2**31:
    yield f'batch_size={fields["batch_size"]} must be below 2**31'
  for name in ('label_noise', 'label_flip', 'top_k', 'replay_share'):
    if fields.get(name, 0.0) > 1.0:
      yield f'{name}={fields[name]} must be at most 1'
  if not 0 <= fields['data.held_out'] < 1:
    yield f'data.held_out={fields["data.held_out"]} must be in [0, 1)'
  if fields['palette'] > palette.MOST_COLOURS:
    yield (
      f'palette={fields["palette"]} must be at most {palette.MOST_COLOURS}'
    )
  if fields['seed'] >= 2**32:
    yield f'seed={fields["seed"]} must be below 2**32'
  if fields['data.image_size'] ** 2 * 3 > fields['data.max_pixels']:
    yield (
      f'data.image_size={fields["data.image_size"]} is more than '
      'data.max_pixels allows'
    )
  window = fields['profile_steps']
  if window and not (
    len(window) == 2
    and all(type(step) is int for step in window)
    and 0 <= window[0] < window[1]
  ):
    yield (
      f'profile_steps={tuple(window)} must be the first round and the one '
      'after the last, as 100,110'
    )
  one_of = {
    'engine': ENGINES,
    'sweep_as': ('grid', 'pairs'),
    'precision': PRECISIONS,
    'data.resize': images.RESIZES,
    'data.on_bad': ('error', 'skip'),
    'data.channels': (0, 1, 3),
  }
  for name, known in one_of.items():
    if fields[name] not in known:
      yield f'{name}={fields[name]!r} must be one of {list(known)}'


def missing(config, error: Exception) -> str:
  """The field whose lack raised an error of a config; '' of other errors."""
  # All that ml_collections says is the field, in quotes that are escaped.
  found = re.fullmatch(r'[\'"\\]*(\w+)[\'"\\]*(nDid you mean.*)?', str(error))
  known = '.'.join(flatten(config)).split('.')
  return found[1] if found and found[1] not in known else ''


def validate(config) -> None:
  """Raises a UserError that lists all values out of range."""
  problems = list(_problems(config))
  if problems:
    raise errors.UserError('; '.join(problems))
