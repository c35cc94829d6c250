"""The Dirac-GAN: games of two numbers whose motion is known exactly.

Mescheder et al. 2018 (https://arxiv.org/abs/1801.04406), section 2: reals are
one point at 0, fakes one point theta, and the discriminator is psi * x. Both
players move by gradient descent with the steps of `jaxgan.steps.gan`.
"""

import cmath
import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import gan
from jaxgan.adversarial import losses
from jaxgan.config import game_terms
from jaxgan.core import latents as latents_lib

RATE, ROUNDS = 0.2, 500


class Point(nn.Module):
  """Fakes theta + deviation * z of latents z [B, 1]."""

  deviation: float = 0.0

  @nn.compact
  def __call__(self, z, *, train: bool):
    del train
    theta = self.param('place', lambda key: jnp.ones(()))
    return theta + self.deviation * z


class Slope(nn.Module):
  """Logits psi * x of points x [B, 1]; psi starts at -1."""

  @nn.compact
  def __call__(self, x, *, train: bool):
    del train
    return self.param('slope', lambda key: -jnp.ones(())) * x[:, 0]


class Row(NamedTuple):
  """A game, and its exact values.

  Attributes:
    loss: a key of `losses.PAIRS`.
    slopes: d and g, of both players' losses at the equilibrium.
    penalty: a key of `penalties.PENALTIES`, or none.
    gamma: twice the weight of the penalty.
    deviation: standard deviation of instance noise.
    norms: 'together' and 'generator first' after 500 rounds, as printed digits.
  """

  loss: str
  slopes: tuple[float, float] | None = None
  penalty: str = ''
  gamma: float = 0.0
  deviation: float = 0.0
  norms: tuple[str, str] = ('', '')

  @property
  def name(self) -> str:
    parts = [self.loss]
    if self.penalty:
      parts.append(f'{self.penalty} {self.gamma:g}')
    if self.deviation:
      parts.append(f'instance noise {self.deviation:g}')
    return ' + '.join(parts)


HALVES = (0.5, 0.5)
ROWS = (
  Row('minimax', HALVES, norms=('3.0969', '1.4210')),
  Row('non_saturating', HALVES, norms=('0.6402', '0.2839')),
  Row('relativistic_pairing', HALVES, norms=('0.6402', '0.2839')),
  # With one real and one fake, both terms of the average compare the same two.
  Row('relativistic_average', (1.0, 1.0)),
  Row('wasserstein', (1.0, 1.0)),
  Row('hinge', (1.0, 1.0)),
  # The slope at 0 is 0: without a bias the discriminator cannot reach 1.
  Row('least_squares', (0.0, 1.0)),
  Row('minimax', HALVES, 'r1', 0.3, norms=('2.64e-6', '2.30e-7')),
  Row('minimax', HALVES, 'r1', 1.0, norms=('9.5e-22', '7.5e-17')),
  Row('minimax', HALVES, 'r1', 2.0),
  Row('minimax', HALVES, 'r2', 0.3, norms=('2.64e-6', '2.30e-7')),
  Row('non_saturating', HALVES, 'r1', 0.3, norms=('2.2e-6', '1.5e-7')),
  Row('relativistic_pairing', HALVES, 'r1', 0.3, norms=('2.2e-6', '1.5e-7')),
  # These have a kink at 0, so there is no Jacobian. Both penalties are the
  # same for reals without deviation.
  Row('wasserstein', None, 'gradient_penalty', 0.7, norms=('1.80', '1.22')),
  Row('wasserstein', None, 'dragan', 0.7, norms=('1.80', '1.22')),
  Row('minimax', HALVES, deviation=0.7),
)


def method(row: Row, rate: float) -> gan.GAN:
  """Returns the game as this project trains it."""
  weights = {row.penalty: row.gamma / 2.0} if row.penalty else {}
  return gan.GAN(
    Point(row.deviation),
    Slope(),
    generator_optimizer=optax.sgd(rate),
    discriminator_optimizer=optax.sgd(rate),
    latents=latents_lib.single('normal', 1),
    loss=losses.PAIRS[row.loss],
    discriminator_terms=game_terms.penalty_terms(weights),
  )


def _inputs(row: Row):
  # Two points at +- the deviation have the second moment of Gaussian noise.
  # The Jacobian at 0 depends on no other moment.
  z = jnp.array([[1.0], [-1.0]]) if row.deviation else jnp.zeros((1, 1))
  return {'image': row.deviation * z}, z, jax.random.key(0)


def together(game: gan.GAN, row: Row, state):
  """Updates both players from the same state."""
  batch, z, key = _inputs(row)
  after_discriminator, _ = gan.discriminator_step(game, state, batch, z, key)
  after_generator, _ = gan.generator_step(game, state, batch, z, key)
  networks = {
    'generator': after_generator.networks['generator'],
    'discriminator': after_discriminator.networks['discriminator'],
  }
  return state.replace(networks=networks)


def generator_first(game: gan.GAN, row: Row, state):
  """Updates the generator, then the discriminator."""
  batch, z, key = _inputs(row)
  state, _ = gan.generator_step(game, state, batch, z, key)
  return gan.discriminator_step(game, state, batch, z, key)[0]


def alternating(game: gan.GAN, row: Row, state):
  """Updates the discriminator, then the generator, as `gan.train_step`."""
  batch, z, key = _inputs(row)
  state, _ = gan.discriminator_step(game, state, batch, z, key)
  return gan.generator_step(game, state, batch, z, key)[0]


ORDERS = (together, generator_first, alternating)


def _round(row: Row, rate: float, order, point):
  """Returns (theta, psi) after a round from a point [2]."""
  game = method(row, rate)
  state = gan.init(game, jax.random.key(0))
  networks = dict(state.networks)
  for index, (player, name) in enumerate(
    (('generator', 'place'), ('discriminator', 'slope'))
  ):
    params = {name: point[index]}
    networks[player] = networks[player].replace(params=params)
  after = order(game, row, state.replace(networks=networks)).networks
  return jnp.stack(
    [
      after['generator'].params['place'],
      after['discriminator'].params['slope'],
    ]
  )


def _norm(row: Row, order) -> jax.Array:
  step = functools.partial(_round, row, RATE, order)
  point = jax.lax.fori_loop(
    0, ROUNDS, lambda _, x: step(x), jnp.array([1.0, -1.0])
  )
  return jnp.linalg.norm(point)


@functools.partial(jax.jit, static_argnums=0)
def solve(row: Row) -> dict[str, jax.Array]:
  """Returns Jacobians [2, 2] at 0, and norms after `ROUNDS` rounds."""

  def jacobian(rate, order):
    step = functools.partial(_round, row, rate, order)
    return jax.jacfwd(step)(jnp.zeros(2))

  values = {
    'flow': jacobian(1.0, together) - jnp.eye(2),
    'together': jacobian(RATE, together),
    'alternating': jacobian(RATE, alternating),
  }
  for order in ORDERS:
    values[f'norm {order.__name__}'] = _norm(row, order)
  return values


def eigenvalues(matrix) -> np.ndarray:
  """Returns eigenvalues by decreasing real part, then imaginary part."""
  values = np.linalg.eigvals(np.asarray(matrix))
  return values[np.lexsort((-values.imag, -values.real))]


def exact_eigenvalues(row: Row) -> np.ndarray:
  """Returns the eigenvalues of the flow of a game that has a Jacobian."""
  d, g = row.slopes
  # The logistic losses curve by 1/4 on each kind, which noise adds to gamma.
  damping = 0.5 * row.gamma + 0.25 * row.deviation**2
  root = cmath.sqrt(damping**2 - d * g)
  return np.array([-damping + root, -damping - root])
