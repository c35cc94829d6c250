"""Fields that a resumed run may change."""

from jaxgan.config.algorithms import GAME, VAE
from jaxgan.config.fields import RUN, build, flatten
from jaxgan.core import optim

# A resumed run may have other values of these fields, which change outputs or
# speed, and not the meaning of the state.
RESUMABLE_FIELDS = (
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
  'shard_parameters',
  'members_at_once',
  'accumulate',
  'profile_steps',
  'dry_run',
  'init_from',
  'palette',
  'data.resident_bytes',
  # The fingerprint of the data is compared instead.
  'data.path',
  'data.data_dir',
  'data.manual_dir',
  'data.download',
)


# Fields of games that old runs lack.
_LATER = (
  *('ada', 'flip_reals', 'lecam', 'lecam_decay', 'consistency'),
  *('frozen_layers', 'accumulate'),
  *('path_length', 'path_length_every', 'penalties_every'),
  *('running_statistics', 'penalties_difference', 'penalties_stride'),
  *('logit_centring', 'gradient_average', 'scale_alignment', 'ema_widths'),
)
# Fields that old runs lack, with the values that these runs had.
DEFAULTS_OF_OLD_RUNS = {
  name: RUN[name].default
  for name in ('seeds', 'sweep', 'sweep_as', 'schedules', 'precision')
} | flatten(build({name: GAME[name] for name in _LATER}))


# Fields of `steps/vae.py` that old runs lack.
_LATER_OF_VAE = build(
  {name: VAE[name] for name in ('conditional', 'corruption')}
)
# Fields of optimizers that old runs lack.
_LATER_OF_OPTIMIZERS = (
  *('weight_decay', 'clip_gradient', 'base_width', 'unit_weights'),
)


def _with_defaults(settings) -> dict:
  """Returns the fields of a run by dotted name, with those that it lacks."""
  fields = flatten(settings)
  later = {
    f'{name.removesuffix("name")}{field}': optim.FIELDS[field]
    for name in fields
    if name.endswith('.optimizer.name')
    for field in _LATER_OF_OPTIMIZERS
  }
  if fields.get('method') == 'vae':
    later |= flatten(_LATER_OF_VAE)
  return DEFAULTS_OF_OLD_RUNS | later | fields


def differences(recorded, config) -> list[str]:
  """Lists fields that a resume must not change: 'field: recorded -> new'."""
  old, new = map(_with_defaults, (recorded, config))
  for fields in (old, new):
    # The folder of the other images is a place, as data.path is.
    for name in ('data.pair', 'data.unpaired'):
      if str(fields.get(name, '')).startswith('folder:'):
        fields[name] = 'folder:'
  missing = object()

  def show(value):
    return 'absent' if value is missing else repr(value)

  return [
    f'{name}: {show(old.get(name, missing))} -> {show(new.get(name, missing))}'
    for name in sorted(old.keys() | new.keys())
    if name not in RESUMABLE_FIELDS
    and old.get(name, missing) != new.get(name, missing)
  ]
