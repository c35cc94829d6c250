"""Probability of the augmentation in `ada`: a number, or adaptive.

Karras et al. 2020 (https://arxiv.org/abs/2006.06676), section 3: p rises while
the discriminator overfits, and falls while it does not.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.adversarial.terms import Scene, Term
from jaxgan.core import axis
from jaxgan.core.state import TrainState

NAME = 'augment_p'  # of the metric, and of p in the state's 'extra'


@dataclasses.dataclass(frozen=True)
class Fixed:
  """A probability that is a number, which may have a schedule.

  The function of a term that logs p.
  """

  p: float

  def at(self, state: TrainState):
    """Returns p in a round."""
    del state
    return jnp.asarray(self.p, jnp.float32)

  def __call__(self, scene: Scene):
    return self.at(scene.state)


OFF = Fixed(0.0)


@dataclasses.dataclass(frozen=True)
class Adaptive:
  """A probability that keeps the mean sign of D(x) of reals at a target.

  Karras et al. 2020, section 3, r_t in equation 1. The function of a term with
  a state. The state has 'p'. Since the last move of p it has the sum of mean
  signs, the number of 'reals', and the 'count' of updates.

  Attributes:
    target: mean sign of the logits of reals, at which p stays.
    images: reals after which p has moved by one.
    interval: updates of the discriminator between two moves.
  """

  target: float = 0.6
  images: float = 500_000.0
  interval: int = 4

  def at(self, state: TrainState):
    """Returns p in a round."""
    return self._moved(state.extra[NAME])['p']

  def _moved(self, numbers):
    """Returns the numbers after a move of p, if it is due."""
    signs, count = numbers['signs'], numbers['count']
    error = signs / jnp.maximum(count, 1) - self.target
    p = numbers['p'] + jnp.sign(error) * numbers['reals'] / self.images
    moved = first_numbers() | {'p': jnp.clip(p, 0, 1)}
    is_due = count >= self.interval
    return jax.tree.map(lambda a, b: jnp.where(is_due, a, b), moved, numbers)

  def __call__(self, scene: Scene, numbers):
    """Returns p, and the numbers after an update of the discriminator."""
    numbers = self._moved(numbers)
    logits = jax.lax.stop_gradient(scene.on_real.logits)
    reals = 1.0 * len(scene.batch['image']) * axis.size()
    return numbers['p'], {
      'p': numbers['p'],
      'signs': numbers['signs'] + jnp.mean(jnp.sign(logits)),
      'reals': numbers['reals'] + reals,
      'count': numbers['count'] + 1,
    }


def first_numbers(key=None) -> dict[str, jax.Array]:
  """Returns the first state of `Adaptive`; p is 0."""
  del key
  numbers = {name: jnp.zeros(()) for name in ('p', 'signs', 'reals')}
  return numbers | {'count': jnp.zeros((), jnp.int32)}


def terms_of(strength: Fixed | Adaptive) -> tuple[Term, ...]:
  """Returns the discriminator's term that logs p and moves it, of weight 0."""
  init = first_numbers if isinstance(strength, Adaptive) else None
  return (Term(NAME, strength, 0.0, ('real',), init),)
