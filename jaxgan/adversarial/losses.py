"""Adversarial losses over discriminator logits.

Every row of `PAIRS` has a loss for the discriminator and one for the generator.
Each maps (real_logits [B], fake_logits [B]) to a loss per example [B]; a step
takes the mean. All losses take both logits, because relativistic losses compare
them. The discriminator's loss is the sum of its terms for reals and fakes,
without a factor 1/2 unless the paper has one.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import axis

Loss = Callable[[jax.Array, jax.Array], jax.Array]
softplus = jax.nn.softplus
relu = jax.nn.relu


def _raw(logits):
  return logits


def _mean(logits):
  """Returns the mean over the global batch."""
  return axis.mean(logits.mean())


class Pair(NamedTuple):
  """The losses of both networks, each (real_logits, fake_logits) -> [B].

  Attributes:
    discriminator: loss of the discriminator.
    generator: loss of the generator.
    as_real: the discriminator's term for logits [B] labelled real; None if the
      loss is not a sum of a term for reals and a term for fakes.
    as_fake: the discriminator's term for logits [B] labelled fake, or None.
    output: logits -> D(x) as plotted in the paper.
  """

  discriminator: Loss
  generator: Loss
  as_real: Callable | None = None
  as_fake: Callable | None = None
  output: Callable = _raw


@dataclasses.dataclass(frozen=True)
class Sum:
  """A discriminator loss with one term for reals and one for fakes.

  A term whose logits are None is left out, in updates on reals or fakes alone.
  """

  as_real: Callable
  as_fake: Callable

  def __call__(self, real, fake):
    terms = [
      term(logits)
      for term, logits in ((self.as_real, real), (self.as_fake, fake))
      if logits is not None
    ]
    return sum(terms[1:], start=terms[0])


def _separable(as_real, as_fake, generator, output=_raw) -> Pair:
  return Pair(
    discriminator=Sum(as_real, as_fake),
    generator=lambda real, fake: generator(fake),
    as_real=as_real,
    as_fake=as_fake,
    output=output,
  )


STEEPEST = 10.0  # logit above which exponentials are straight lines


def _exp(x):
  """Returns exp(x), above `STEEPEST` its tangent, which does not overflow."""
  return jnp.exp(jnp.minimum(x, STEEPEST)) * (1.0 + relu(x - STEEPEST))


def _divergence(output, conjugate) -> Pair:
  """Returns the losses of an f-divergence.

  Nowozin et al. 2016 (https://arxiv.org/abs/1606.00709), equation 6 and table
  6. The generator has the loss of section 3.2, as in practice.

  Args:
    output: g, the activation of logits.
    conjugate: f* of g.
  """
  return _separable(
    as_real=lambda logits: -output(logits),
    as_fake=conjugate,
    generator=lambda fake: -output(fake),
    output=output,
  )


def _log_sum(*logits):
  """Returns the logarithm of the sum of exp(logits) over the global batch.

  A map of logits counts as its mean of exp(logits).
  """
  whole = jnp.concatenate([axis.gather(x) for x in logits])
  return jax.nn.logsumexp(whole) - np.log(whole.size / len(whole))


PAIRS = {
  # Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, section 3: the
  # generator maximises log D(G(z)).
  'non_saturating': _separable(
    as_real=lambda logits: softplus(-logits),
    as_fake=softplus,
    generator=lambda fake: softplus(-fake),
    output=jax.nn.sigmoid,
  ),
  # The same paper, equation 1: the generator minimises log(1 - D(G(z))).
  'minimax': _separable(
    as_real=lambda logits: softplus(-logits),
    as_fake=softplus,
    generator=lambda fake: -softplus(fake),
    output=jax.nn.sigmoid,
  ),
  # Mao et al. 2017, https://arxiv.org/abs/1611.04076, equation 9
  # (a = 0, b = c = 1).
  'least_squares': _separable(
    as_real=lambda logits: 0.5 * (logits - 1.0) ** 2,
    as_fake=lambda logits: 0.5 * logits**2,
    generator=lambda fake: 0.5 * (fake - 1.0) ** 2,
  ),
  # Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, equation 2.
  'wasserstein': _separable(
    as_real=lambda logits: -logits,
    as_fake=lambda logits: logits,
    generator=lambda fake: -fake,
  ),
  # Lim and Ye 2017, https://arxiv.org/abs/1705.02894; Miyato et al. 2018,
  # https://arxiv.org/abs/1802.05957, equations 16 and 17.
  'hinge': _separable(
    as_real=lambda logits: relu(1.0 - logits),
    as_fake=lambda logits: relu(1.0 + logits),
    generator=lambda fake: -fake,
  ),
  # Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734, section 4.2:
  # more real than the average fake.
  'relativistic_average': Pair(
    discriminator=lambda real, fake: (
      softplus(_mean(fake) - real) + softplus(fake - _mean(real))
    ),
    generator=lambda real, fake: (
      softplus(_mean(real) - fake) + softplus(real - _mean(fake))
    ),
  ),
  # The same paper, section 4.1; Huang et al. 2024 (R3GAN),
  # https://arxiv.org/abs/2501.05441, equation 2: more real than its partner.
  'relativistic_pairing': Pair(
    discriminator=lambda real, fake: softplus(fake - real),
    generator=lambda real, fake: softplus(real - fake),
  ),
  # Divergences of f-GAN, see `_divergence`: of Kullback and Leibler from data
  # to samples, and the reverse.
  'kl': _divergence(_raw, lambda logits: _exp(logits - 1.0)),
  'reverse_kl': _divergence(
    lambda logits: -_exp(-logits), lambda logits: logits - 1.0
  ),
  'pearson': _divergence(_raw, lambda logits: 0.25 * logits**2 + logits),
  'squared_hellinger': _divergence(
    lambda logits: 1.0 - _exp(-logits), lambda logits: _exp(logits) - 1.0
  ),
  'jensen_shannon': _divergence(
    lambda logits: np.log(2.0) - softplus(-logits),
    lambda logits: softplus(logits) - np.log(2.0),
  ),
  # Hjelm et al. 2018, https://arxiv.org/abs/1702.08431, equation 19: the
  # generator seeks the boundary, D(G(z)) = 1/2.
  'boundary_seeking': _separable(
    as_real=lambda logits: softplus(-logits),
    as_fake=softplus,
    generator=lambda fake: 0.5 * fake**2,
    output=jax.nn.sigmoid,
  ),
  # Lin 2017, https://arxiv.org/abs/1704.06191, equations 4 and 5: a softmax
  # over all reals and fakes of the batch. Its target is uniform on reals for
  # the discriminator, and on all for the generator.
  'softmax': Pair(
    discriminator=lambda real, fake: _log_sum(real, fake) - real,
    generator=lambda real, fake: _log_sum(real, fake) - 0.5 * (real + fake),
  ),
}


def top_share(logits, share):
  """Returns weights [B] of mean 1 that keep the highest `share` of logits [B].

  Sinha et al. 2020 (https://arxiv.org/abs/2002.06224), section 3: the generator
  learns from the fakes that look most real. At least one fake is kept.
  """
  logits = jax.lax.stop_gradient(logits)
  batch = axis.gather(logits)
  kept = jnp.maximum(jnp.round(share * len(batch)).astype(int), 1)
  threshold = jnp.sort(batch)[len(batch) - kept]
  return (logits >= threshold) / jnp.mean(batch >= threshold)


def equilibrium(pair: Pair) -> dict[str, float]:
  """Returns both losses and D(x) where fakes are distributed as reals.

  The best discriminator is then constant; the constant is searched on a fine
  grid. Values that depend on an arbitrary constant are left out, for example
  the generator's Wasserstein loss.

  Returns:
    A dict with some of 'discriminator', 'generator' and 'output'.
  """
  constants = np.linspace(-4.0, 4.0, 8001)

  def at(loss):
    values = jax.vmap(lambda c: loss(c[None], c[None])[0])
    return np.asarray(values(jnp.asarray(constants)), np.float64)

  discriminator = at(pair.discriminator)
  best = discriminator <= discriminator.min() + 1e-7
  outputs = np.asarray(pair.output(jnp.asarray(constants)), np.float64)
  equilibria = {
    'discriminator': discriminator[best],
    'generator': at(pair.generator)[best],
    'output': outputs[best],
  }
  return {
    name: float(np.median(values))
    for name, values in equilibria.items()
    if np.ptp(values) < 2e-2
  }


class Levels(NamedTuple):
  """Marks on the scales of a discriminator's loss and of its output.

  Attributes:
    least: smallest loss; None if the loss has no lower bound.
    equilibrium: loss at the theoretical equilibrium.
    slope: slope of the output D(x) at a logit of 0.
  """

  least: float | None
  equilibrium: float
  slope: float


def levels(pair: Pair) -> Levels:
  """Returns the marks of a loss; its minimum is searched on a grid."""
  at = jax.vmap(lambda r, f: pair.discriminator(r[None], f[None])[0])
  grid = jnp.linspace(-10.0, 10.0, 81)
  real, fake = (x.ravel() for x in jnp.meshgrid(grid, grid))
  least = float(at(real, fake).min())
  (beyond,) = at(jnp.array([20.0]), jnp.array([-20.0])).tolist()
  slope = float(jax.grad(pair.output)(0.0))
  is_bounded = beyond > least - 1.0
  return Levels(
    least if is_bounded else None, equilibrium(pair)['discriminator'], slope
  )
