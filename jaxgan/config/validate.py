"""Ranges of config fields."""

import math
import re
from collections.abc import Iterator

from jaxgan import errors
from jaxgan.config.fields import ENGINES, PRECISIONS, flatten
from jaxgan.data import images
from jaxgan.visual import palette

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
