"""Optimizers by name, with the schedules of `core.learning_rates`.

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
from jaxgan.core import switches, unit_weights
from jaxgan.core.learning_rates import SCHEDULES
from jaxgan.core.learning_rates import learning_rate as learning_rate
from jaxgan.core.ranges import MOST_UNITS, ranged


def adam(
  learning_rate: optax.Schedule,
  b1: float,
  b2: float,
  eps: float = 1e-8,
  keras_eps: bool = False,
  weight_decay: float = 0.0,
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
    weight_decay: share of each parameter, times the learning rate, that an
      update subtracts: AdamW, Loshchilov and Hutter 2019,
      https://arxiv.org/abs/1711.05101, algorithm 2.
  """

  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    count = jnp.zeros((), jnp.int32)
    return optax.ScaleByAdamState(count, zeros, jax.tree.map(jnp.copy, zeros))

  def update(grads, state, params=None):
    mu = jax.tree.map(lambda m, g: m + (1 - b1) * (g - m), state.mu, grads)
    nu = jax.tree.map(lambda v, g: v + (1 - b2) * (g * g - v), state.nu, grads)
    count = optax.safe_increment(state.count)
    root = jnp.sqrt(1 - b2**count)
    rate = learning_rate(state.count)
    size = rate * root / (1 - b1**count)
    added = eps if keras_eps else eps * root
    updates = jax.tree.map(
      lambda m, v: -size * m / (jnp.sqrt(v) + added), mu, nu
    )
    if switches.is_on(weight_decay):
      share = rate * weight_decay
      updates = jax.tree.map(lambda u, p: u - share * p, updates, params)
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
    weight_decay: see `adam`; 0 is off.
    clip_gradient: limit of the norm of all gradients together; larger ones are
      shortened to it (Pascanu et al. 2013, https://arxiv.org/abs/1211.5063,
      algorithm 1). 0 is off.
    base_width: width of a network for which `learning_rate` is meant. The rate
      is multiplied by `base_width` / `width`, so that wider networks take
      smaller steps. 0 is off.
    clip_weights: limit of all weights, see `clip_weights`; 0 is off.
    historical_averaging: weight of the pull to the mean; 0 is off.
    unit_weights: True to keep the kernels of R3GAN2 at unit weights, see
      `core.unit_weights`.
    images_per_update: images seen between two updates.
    width: width of the network.
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
  weight_decay: float = ranged(0.0, 0)
  clip_gradient: float = ranged(0.0, 0)
  base_width: int = ranged(0, 0, MOST_UNITS)
  clip_weights: float = ranged(0.0, 0)
  historical_averaging: float = ranged(0.0, 0)
  unit_weights: bool = False
  images_per_update: float = 1.0
  width: int = 0

  def transformation(self, field: str = 'optimizer'):
    """Returns the optimizer as an `optax.GradientTransformation`."""
    share = self.base_width / self.width if self.base_width else 1
    rate = learning_rate(
      self.learning_rate * share,
      self.schedule,
      self.schedule_images,
      self.warmup_images,
      field,
    )
    images = float(self.images_per_update)
    optimizer = OPTIMIZERS[self.name](
      lambda updates: rate(updates * images),
      *(self.b1, self.b2, self.eps),
      *([self.keras_eps, self.weight_decay] if self.name == 'adam' else []),
    )
    if switches.is_on(self.clip_gradient):
      clip = optax.clip_by_global_norm(self.clip_gradient)
      optimizer = optax.chain(clip, optimizer)
    if self.clip_weights:
      optimizer = optax.chain(optimizer, clip_weights(self.clip_weights))
    if self.unit_weights:
      optimizer = optax.chain(optimizer, unit_weights.keep_unit())
    if switches.is_on(self.historical_averaging):
      optimizer = optax.chain(
        historical_averaging(self.historical_averaging), optimizer
      )
    return optimizer

  def init(self, params):
    return self.transformation().init(params)

  def update(self, grads, state, params=None):
    return self.transformation().update(grads, state, params)


# Fields that a config has; the others follow from the run.
FIELDS = {
  f.name: f.default
  for f in dataclasses.fields(Optimizer)
  if f.name not in ('images_per_update', 'width')
}


def build(
  settings: Mapping[str, Any],
  images_per_update: float,
  field: str = 'optimizer',
  width: int = 0,
) -> Optimizer:
  """Returns the optimizer that settings describe.

  Args:
    settings: fields of `Optimizer`.
    images_per_update: images seen between two updates.
    field: config field, for errors.
    width: width of the network; 0 if it has no single one.

  Raises:
    UserError: for an unknown name or field, a schedule without a length, and
      fields that the optimizer or the network does not know.
  """
  if settings['name'] not in OPTIMIZERS:
    raise errors.unknown(f'{field}.name', settings['name'], OPTIMIZERS)
  for setting in settings:
    if setting not in FIELDS:
      raise errors.unknown(field, setting, FIELDS)
  decay, base = (settings.get(k, 0) for k in ('weight_decay', 'base_width'))
  if switches.is_on(decay) and settings['name'] != 'adam':
    raise errors.UserError(
      f'{field}.weight_decay={decay} is for Adam. Set {field}.name=adam or '
      f'{field}.weight_decay=0.0.'
    )
  if base and not width:
    raise errors.UserError(
      f'{field}.base_width={base} is for networks with a field width, as '
      f'transformers. Set {field}.base_width=0.'
    )
  optimizer = Optimizer(
    **settings, images_per_update=images_per_update, width=width
  )
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
