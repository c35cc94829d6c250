"""Optimizers and learning-rate schedules by name.

Schedules are functions of images seen, so that a change of the batch size does
not change them. Nothing of a schedule is kept in the optimizer's state but the
number of updates.
"""

from collections.abc import Mapping
from typing import Any

import optax

from jaxgan import errors, penalties

OPTIMIZERS = {
  'adam': optax.adam,
  'adamw': optax.adamw,
  'rmsprop': optax.rmsprop,
  'sgd': optax.sgd,
}


def constant(peak: float, images: int) -> optax.Schedule:
  del images
  return optax.constant_schedule(peak)


# name -> (peak, images until zero) -> schedule over images.
SCHEDULES = {
  'constant': constant,
  'linear': lambda peak, images: optax.linear_schedule(peak, 0.0, images),
  'cosine': optax.cosine_decay_schedule,
}


def learning_rate(
  peak: float,
  schedule: str = 'constant',
  schedule_images: int = 0,
  warmup_images: int = 0,
) -> optax.Schedule:
  """Images seen -> learning rate.

  Args:
    peak: the highest rate.
    schedule: a key of `SCHEDULES`: what follows the warm-up.
    schedule_images: images after which a decaying schedule reaches zero.
    warmup_images: images of a linear rise from zero, before the schedule.
  """
  if schedule not in SCHEDULES:
    raise errors.unknown('optimizer.schedule', schedule, SCHEDULES)
  if schedule != 'constant' and schedule_images <= 0:
    raise errors.UserError(
      f'optimizer.schedule_images={schedule_images} must be positive: the '
      f'number of images after which the {schedule} schedule reaches zero'
    )
  after = SCHEDULES[schedule](peak, schedule_images)
  if not warmup_images:
    return after
  rise = optax.linear_schedule(0.0, peak, warmup_images)
  return optax.join_schedules([rise, after], [warmup_images])


def build(
  settings: Mapping[str, Any], images_per_update: int
) -> optax.GradientTransformation:
  """The optimizer that `settings` describe.

  Args:
    settings: 'name' (a key of `OPTIMIZERS`), 'learning_rate', optionally
      'schedule', 'schedule_images', 'warmup_images' (see `learning_rate`) and
      'clip_weights' (0 is off); all others go to the optax function.
    images_per_update: images seen between two updates.
  """
  settings = dict(settings)
  name = settings.pop('name')
  if name not in OPTIMIZERS:
    raise errors.unknown('optimizer.name', name, OPTIMIZERS)
  clip = settings.pop('clip_weights', 0.0)
  rate = learning_rate(
    settings.pop('learning_rate'),
    **{
      field: settings.pop(field)
      for field in ('schedule', 'schedule_images', 'warmup_images')
      if field in settings
    },
  )
  try:
    optimizer = OPTIMIZERS[name](
      lambda updates: rate(updates * images_per_update), **settings
    )
  except TypeError as error:
    raise errors.UserError(f'optimizer {name!r}: {error}') from None
  if clip:
    optimizer = optax.chain(optimizer, penalties.clip_weights(clip))
  return optimizer
