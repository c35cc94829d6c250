"""Losses whose labels are softened or flipped."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.adversarial import losses
from jaxgan.core import noise, switches


def smooth(
  pair: losses.Pair, real: float = 0.0, fake: float = 0.0
) -> losses.Pair:
  """Softens the discriminator's labels; the generator's loss is unchanged.

  A share `real` of each real label goes to the class fake, and a share `fake`
  of each fake label to the class real. For logistic losses the targets become
  1 - real and fake (Salimans et al. 2016, https://arxiv.org/abs/1606.03498,
  section 3.4: one-sided, fake = 0). For least squares the loss differs from one
  with softened targets by a constant. In expectation, smoothing equals flipping
  the same share of labels.

  Args:
    pair: a row of `losses.PAIRS`.
    real: share in [0, 0.5) taken from the label of reals.
    fake: share in [0, 0.5) taken from the label of fakes.

  Raises:
    ValueError: if the loss has no separate terms for reals and fakes.
  """
  known = [x for x in (real, fake) if not isinstance(x, jax.core.Tracer)]
  if not all(0.0 <= share < 0.5 for share in known):
    raise ValueError(
      f'real={real} and fake={fake} are shares and must be in [0, 0.5).'
    )
  if not (switches.is_on(real) or switches.is_on(fake)):
    return pair
  if pair.as_real is None:
    raise ValueError(
      'label smoothing is incompatible with relativistic losses, which have no '
      'separate terms for reals and fakes. Set real=0 and fake=0.'
    )
  return soften(pair, real, fake)


@dataclasses.dataclass(frozen=True)
class Soft:
  """A loss term that gives a share of its label to the other class."""

  own: Callable
  other: Callable
  share: float | jax.Array

  def __call__(self, logits):
    share = self.share
    if isinstance(share, jax.Array) and share.ndim:
      share = share.reshape(-1, *(1,) * (logits.ndim - 1))
    return (1.0 - share) * self.own(logits) + share * self.other(logits)


def soften(pair: losses.Pair, real, fake) -> losses.Pair:
  """Returns losses with softened labels; see `smooth`.

  Shares are numbers or arrays [B] in [0, 1]. A share of 1 is a flipped label.
  """
  as_real = Soft(pair.as_real, pair.as_fake, real)
  as_fake = Soft(pair.as_fake, pair.as_real, fake)
  return pair._replace(
    discriminator=losses.Sum(as_real, as_fake), as_real=as_real, as_fake=as_fake
  )


@dataclasses.dataclass(frozen=True)
class SoftGenerator:
  """A generator loss mixed with a share of the discriminator's fake term."""

  generator: losses.Loss
  as_fake: Callable
  share: float

  def __call__(self, real, fake):
    return (1.0 - self.share) * self.generator(
      real, fake
    ) + self.share * self.as_fake(fake)


def label_shares(key, count: int, noise_share: float, flip: float):
  """Draws the shares [count] of the other class, for reals and for fakes.

  The shares are uniform in [0, noise_share). A share `flip` of all labels is
  flipped (https://github.com/soumith/ganhacks, tricks 6).
  """
  u = noise.uniform(key, count, (2, 2))
  shares = noise_share * u[:, 0]
  shares = jnp.where(u[:, 1] < flip, 1.0 - shares, shares)
  return shares[:, 0], shares[:, 1]
