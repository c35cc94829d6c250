"""Fields that a resumed run may change."""

from jaxgan.config.fields import flatten

# A run may go on with other values of these: they change what is written when,
# or how fast, and not what the state means.
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
DEFAULTS_OF_OLD_RUNS = {
  'seeds': 1,
  'sweep': '',
  'sweep_as': 'grid',
  'precision': 'f32',
}


def differences(recorded, config) -> list[str]:
  """'field: recorded -> new' for fields that a resume must not change."""
  old, new = (
    DEFAULTS_OF_OLD_RUNS | flatten(values) for values in (recorded, config)
  )
  missing = object()

  def show(value):
    return 'absent' if value is missing else repr(value)

  return [
    f'{name}: {show(old.get(name, missing))} -> {show(new.get(name, missing))}'
    for name in sorted(old.keys() | new.keys())
    if name not in RESUMABLE_FIELDS
    and old.get(name, missing) != new.get(name, missing)
  ]
