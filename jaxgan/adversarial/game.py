"""Fields that all methods with a discriminator share."""

import dataclasses

import optax

from jaxgan import errors
from jaxgan.adversarial import gradient_norm, losses, terms
from jaxgan.adversarial.terms import Term
from jaxgan.adversarial.tricks import Tricks

# Parts of 'extra'.
RESERVED = (
  *('replay', 'generator_stats', 'generator_widths'),
  gradient_norm.NAME,
)
METRICS = (
  *('loss', 'real', 'fake', 'reconstruction'),
  *('real_std', 'fake_std', 'real_variance', 'fake_variance'),
)
ADAM = optax.adam(2e-4, b1=0.5)  # default of methods built without a config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Game:
  """The parts of a game that never change.

  Attributes:
    loss: a row of `losses.PAIRS`.
    adversarial: weight of the generator's adversarial loss.
    tricks: changes between generator and discriminator; see `Tricks`.
    discriminator_terms: summands of the discriminator's loss.
    generator_terms: summands of the generator's loss.
    ema_halflife: half-life of the generator's EMA weights, in images; 0 is off.
    ema_rampup: upper limit of the half-life, as a share of the images seen.
    ema_counts_round: see `ema.average`.
    ema_widths: widths of power averages, instead of a half-life.
    accumulate: parts of a batch whose gradients are averaged, see
      `state.accumulated`.
    running_statistics: see `ema.use_averages`.
    lazy: 0, or in a step of terms apart the rounds between such steps, see
      `adversarial.lazy`.
  """

  loss: losses.Pair = losses.PAIRS['non_saturating']
  adversarial: float = 1.0
  tricks: Tricks = Tricks()
  discriminator_terms: tuple[Term, ...] = ()
  generator_terms: tuple[Term, ...] = ()
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False
  ema_widths: tuple[float, ...] = ()
  accumulate: int = 1
  running_statistics: bool = False
  lazy: int = 0


def first_extra(method: Game, shape: tuple[int, ...], key) -> dict:
  """Returns the initial 'extra' of a state: a pool, averages, states of terms.

  Args:
    method: the parts of the game that never change.
    shape: shape of an image in the pool of earlier fakes.
    key: key of the run.
  """
  both = (*method.discriminator_terms, *method.generator_terms)
  parts = method.tricks.replay_fakes.init(shape)
  parts |= method.tricks.normalise_gradient.init()
  _refuse_names(method)
  return parts | terms.first_states(both, key)


def _refuse_names(method: Game) -> None:
  """Raises a UserError for names of terms that other values have."""
  names = [
    term.name
    for term in (*method.discriminator_terms, *method.generator_terms)
    if term.init is not None
  ]
  for name in {*names, *RESERVED}:
    if names.count(name) + (name in RESERVED) > 1:
      raise errors.UserError(
        f'the term {name!r} has a state whose name is taken. Rename it.'
      )
  for term in (*method.discriminator_terms, *method.generator_terms):
    if term.name in METRICS:
      raise errors.UserError(
        f'the term {term.name!r} has the name of a metric. Rename it.'
      )


def refuse_terms(method: Game) -> None:
  """Raises a UserError for terms that a method with two games cannot use."""
  if method.generator_terms or any(t.init for t in method.discriminator_terms):
    raise errors.UserError(
      f'{type(method).__name__} has no generator_terms, and its '
      'discriminator_terms have no state. Remove them.'
    )
