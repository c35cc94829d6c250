"""Learning-rate schedules by name.

Schedules are functions of images seen, so they do not depend on the batch size.
"""

import optax

from jaxgan import errors


def constant(peak: float, images: int) -> optax.Schedule:
  del images
  return optax.constant_schedule(peak)


def late_linear(peak: float, images: int) -> optax.Schedule:
  """Constant for the first half, then linear to zero.

  Zhu et al. 2017 (https://arxiv.org/abs/1703.10593), section 4.
  """
  half = images // 2
  return optax.linear_schedule(peak, 0.0, images - half, transition_begin=half)


# name -> (peak, images until zero) -> schedule over images.
SCHEDULES = {
  'constant': constant,
  'late_linear': late_linear,
  'linear': lambda peak, images: optax.linear_schedule(peak, 0.0, images),
  'cosine': optax.cosine_decay_schedule,
}


def learning_rate(
  peak: float,
  schedule: str = 'constant',
  schedule_images: int = 0,
  warmup_images: int = 0,
  field: str = 'optimizer',
) -> optax.Schedule:
  """Returns the learning rate as a function of images seen.

  Args:
    peak: the highest rate.
    schedule: a key of `SCHEDULES`; follows the warm-up.
    schedule_images: images after which a decaying schedule reaches zero.
    warmup_images: images of a linear rise from zero, before the schedule.
    field: config field, for errors.
  """
  if schedule not in SCHEDULES:
    raise errors.unknown(f'{field}.schedule', schedule, SCHEDULES)
  if schedule != 'constant' and schedule_images <= 0:
    raise errors.UserError(
      f'{field}.schedule_images={schedule_images} must be positive. Set '
      f'the number of images after which the {schedule} schedule reaches zero.'
    )
  # Floats, because integers of 32 bits count no more than 2e9 images.
  schedule_images, warmup_images = 1.0 * schedule_images, 1.0 * warmup_images
  after = SCHEDULES[schedule](peak, schedule_images)
  if not warmup_images:
    return after
  rise = optax.linear_schedule(0.0, peak, warmup_images)
  return optax.join_schedules([rise, after], [warmup_images])
