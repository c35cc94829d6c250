"""Optimizers and learning-rate schedules by name.

Schedules are functions of images seen, so they do not depend on the batch size.
The optimizer's state holds the number of updates and no other part of a
schedule.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import ranged


def adam(
  learning_rate: optax.Schedule,
  b1: float,
  b2: float,
  eps: float = 1e-8,
  keras_eps: bool = False,
) -> optax.GradientTransformation:
  """Returns Adam, equal to `optax.adam` up to rounding and faster on CPUs.

  Kingma and Ba 2014 (https://arxiv.org/abs/1412.6980), in the order of
  computation of section 2. The corrections of both moments are part of two
  scalars, the step size and eps. So no parameter is divided by a correction.

  Args:
    learning_rate: updates done -> learning rate.
    b1: decay of the mean.
    b2: decay of the mean square.
    eps: added to the root of the corrected mean square, as in PyTorch.
    keras_eps: True to add eps to the root before the correction, as in Keras
      (the paper's epsilon hat at the end of section 2). In the first update of
      b2=0.999, eps then counts 32 times as much.
  """

  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    count = jnp.zeros((), jnp.int32)
    return optax.ScaleByAdamState(count, zeros, jax.tree.map(jnp.copy, zeros))

  def update(grads, state, params=None):
    del params
    mu = jax.tree.map(lambda m, g: m + (1 - b1) * (g - m), state.mu, grads)
    nu = jax.tree.map(lambda v, g: v + (1 - b2) * (g * g - v), state.nu, grads)
    count = optax.safe_increment(state.count)
    root = jnp.sqrt(1 - b2**count)
    size = learning_rate(state.count) * root / (1 - b1**count)
    added = eps if keras_eps else eps * root
    updates = jax.tree.map(
      lambda m, v: -size * m / (jnp.sqrt(v) + added), mu, nu
    )
    return updates, optax.ScaleByAdamState(count, mu, nu)

  return optax.GradientTransformation(init, update)


# name -> (learning rate, b1, b2, eps) -> optimizer. b1 is the momentum, and b2
# the decay of the mean square. eps is added to the root of the mean square; in
# RMSprop, as in Keras, to the mean square. Plain descent ignores b2 and eps.
OPTIMIZERS = {
  'adam': adam,
  'rmsprop': lambda rate, b1, b2, eps: optax.rmsprop(
    rate, decay=b2, eps=eps, momentum=b1 or None
  ),
  'sgd': lambda rate, b1, b2, eps: optax.sgd(rate, momentum=b1 or None),
  'nesterov': lambda rate, b1, b2, eps: optax.sgd(
    rate, momentum=b1, nesterov=True
  ),
}


class HistoricalAveraging(NamedTuple):
  """State of `historical_averaging`.

  Attributes:
    count: number of updates.
    mean: mean of all parameters before these updates.
  """

  count: jax.Array
  mean: optax.Params


def historical_averaging(weight: float) -> optax.GradientTransformation:
  """Pulls parameters to their mean over the past.

  This transformation is the first one of a chain.

  Adds the gradient of weight * |theta - mean of theta_1..t|^2 (Salimans et al.
  2016, https://arxiv.org/abs/1606.03498, section 3.3).
  """

  def init(params):
    return HistoricalAveraging(
      jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params)
    )

  def update(grads, state, params):
    count = state.count + 1
    mean = jax.tree.map(lambda m, p: m + (p - m) / count, state.mean, params)
    grads = jax.tree.map(
      lambda g, p, m: g + 2.0 * weight * (p - m), grads, params, mean
    )
    return grads, HistoricalAveraging(count, mean)

  return optax.GradientTransformation(init, update)


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


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """An optimizer and its schedule.

  Optimizers compare by value. `init` and `update` have the signatures of
  `optax.GradientTransformation`.

  Attributes:
    name: a key of `OPTIMIZERS`.
    learning_rate: highest rate.
    b1: decay of the mean gradient (momentum).
    b2: decay of the mean square gradient.
    eps: added to the root of the mean square.
    keras_eps: True for the place of eps in Keras' Adam, see `adam`. Other
      optimizers ignore this field.
    schedule: a key of `SCHEDULES`.
    schedule_images: images after which a decaying schedule reaches zero.
    warmup_images: images of a linear rise from zero, before the schedule.
    clip_weights: limit of all weights, see `clip_weights`; 0 is off.
    historical_averaging: weight of the pull to the mean; 0 is off.
    images_per_update: images seen between two updates.
  """

  name: str = ranged('adam', one_of=OPTIMIZERS)
  learning_rate: float = ranged(2e-4, above=0)
  b1: float = ranged(0.5, 0, below=1)
  b2: float = ranged(0.999, 0, below=1)
  eps: float = ranged(1e-8, 0)
  keras_eps: bool = False
  schedule: str = ranged('constant', one_of=SCHEDULES)
  schedule_images: int = ranged(0, 0)
  warmup_images: int = ranged(0, 0)
  clip_weights: float = ranged(0.0, 0)
  historical_averaging: float = ranged(0.0, 0)
  images_per_update: float = 1.0

  def transformation(self, field: str = 'optimizer'):
    """Returns the optimizer as an `optax.GradientTransformation`."""
    rate = learning_rate(
      self.learning_rate,
      self.schedule,
      self.schedule_images,
      self.warmup_images,
      field,
    )
    images = float(self.images_per_update)
    optimizer = OPTIMIZERS[self.name](
      lambda updates: rate(updates * images),
      *(self.b1, self.b2, self.eps),
      *([self.keras_eps] if self.name == 'adam' else []),
    )
    if self.clip_weights:
      optimizer = optax.chain(optimizer, clip_weights(self.clip_weights))
    if switches.is_on(self.historical_averaging):
      optimizer = optax.chain(
        historical_averaging(self.historical_averaging), optimizer
      )
    return optimizer

  def init(self, params):
    return self.transformation().init(params)

  def update(self, grads, state, params=None):
    return self.transformation().update(grads, state, params)


def build(
  settings: Mapping[str, Any],
  images_per_update: float,
  field: str = 'optimizer',
) -> Optimizer:
  """Returns the optimizer that settings describe.

  Args:
    settings: fields of `Optimizer`.
    images_per_update: images seen between two updates.
    field: config field, for errors.

  Raises:
    UserError: for an unknown name or field, or a schedule without a length.
  """
  if settings['name'] not in OPTIMIZERS:
    raise errors.unknown(f'{field}.name', settings['name'], OPTIMIZERS)
  known = {f.name for f in dataclasses.fields(Optimizer)}
  for setting in settings:
    if setting not in known - {'images_per_update'}:
      raise errors.unknown(field, setting, known - {'images_per_update'})
  optimizer = Optimizer(**settings, images_per_update=images_per_update)
  optimizer.transformation(field)  # Raises for a schedule without a length.
  return optimizer


def clip_weights(limit: float) -> optax.GradientTransformation:
  """Shortens every update so that all weights stay in [-limit, limit].

  Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, algorithm 1, line 7.
  This transformation is the last one of a chain. Biases are clipped too, as in
  the authors' code.
  """

  def shorten(updates, params):
    return jax.tree.map(
      lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params
    )

  return optax.stateless(shorten)
