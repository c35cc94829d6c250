"""The Dirac-GAN: eigenvalues, radii and 500-step norms against exact values.

  python -m benchmarks.dirac

Mescheder et al. 2018 (https://arxiv.org/abs/1801.04406), section 2: reals are
one point at 0, fakes one point theta, and the discriminator is psi * x. Every
loss of `losses.PAIRS`, and penalties of `penalties.PENALTIES`, move them by
gradient descent in float64 with the steps of `jaxgan.steps.gan`. Printed, the
exact value in brackets where there is one:

  eigenvalues: of the Jacobian of both updates at the equilibrium, a rate of 1.
    Exact: -gamma / 2 +- sqrt(gamma^2 / 4 - d g), where d and g are the slopes
    of both losses in the fake's logit at 0. Huang et al. 2024 (R3GAN,
    https://arxiv.org/abs/2501.05441) print equation 12 without the square of
    the slope; their Jacobian, equation 15, has it.
  radius: largest modulus of an eigenvalue of a round at the equilibrium, for a
    rate of 0.2; above 1 the players leave. 'together' takes both gradients
    before both updates, 'alternating' is the order of `gan.train_step`, which
    without a penalty turns without leaving: exactly 1 while the rate is small.
  norm: of (theta, psi) after 500 rounds at a rate of 0.2, from 1 each.
    'generator first' is the order of the authors' notebook, whose norms are
    the exact ones.

Ends with an error if a value is off by more than its digits.
"""

import cmath
import decimal
import functools
import sys
import time
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app

from jaxgan.adversarial import losses, penalties
from jaxgan.steps import gan

RATE, ROUNDS = 0.2, 500
TOLERANCE = 1e-6  # of eigenvalues and radii: double ones lose half the digits


class Point(nn.Module):
  """Fakes theta + deviation * z of latents z [B, 1]."""

  deviation: float = 0.0

  @nn.compact
  def __call__(self, z, *, train: bool):
    del train
    theta = self.param('place', lambda key: jnp.ones(()))
    return theta + self.deviation * z


class Slope(nn.Module):
  """Logits psi * x of points x [B, 1]; reals have the larger ones for -1."""

  @nn.compact
  def __call__(self, x, *, train: bool):
    del train
    return self.param('slope', lambda key: -jnp.ones(())) * x[:, 0]


class Row(NamedTuple):
  """A game, and what is known of it.

  Attributes:
    loss: a key of `losses.PAIRS`.
    slopes: d and g, of both players' losses at the equilibrium.
    penalty: a key of `penalties.PENALTIES`, or none.
    gamma: its weight is gamma / 2.
    deviation: of instance noise.
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
  # Of one real and one fake, both terms of the average compare the same two.
  Row('relativistic_average', (1.0, 1.0)),
  Row('wasserstein', (1.0, 1.0)),
  Row('hinge', (1.0, 1.0)),
  # No slope at 0: without a bias the discriminator cannot ask for 1.
  Row('least_squares', (0.0, 1.0)),
  Row('minimax', HALVES, 'r1', 0.3, norms=('2.64e-6', '2.30e-7')),
  Row('minimax', HALVES, 'r1', 1.0, norms=('9.5e-22', '7.5e-17')),
  Row('minimax', HALVES, 'r1', 2.0),
  Row('minimax', HALVES, 'r2', 0.3, norms=('2.64e-6', '2.30e-7')),
  Row('non_saturating', HALVES, 'r1', 0.3, norms=('2.2e-6', '1.5e-7')),
  Row('relativistic_pairing', HALVES, 'r1', 0.3, norms=('2.2e-6', '1.5e-7')),
  # A kink at 0: no Jacobian. Of reals without deviation, both are the same.
  Row('wasserstein', None, 'gradient_penalty', 0.7, norms=('1.80', '1.22')),
  Row('wasserstein', None, 'dragan', 0.7, norms=('1.80', '1.22')),
  Row('minimax', HALVES, deviation=0.7),
)


def method(row: Row, rate: float) -> gan.GAN:
  """The game as this project trains it."""
  chosen = ()
  if row.penalty:
    chosen = ((penalties.PENALTIES[row.penalty], row.gamma / 2.0),)
  return gan.GAN(
    Point(row.deviation),
    Slope(),
    generator_optimizer=optax.sgd(rate),
    discriminator_optimizer=optax.sgd(rate),
    latent_size=1,
    loss=losses.PAIRS[row.loss],
    penalties=chosen,
  )


def _parts(row: Row):
  # Two points at +- the deviation have the second moment of Gaussian noise,
  # and a Jacobian at 0 knows no other.
  z = jnp.array([[1.0], [-1.0]]) if row.deviation else jnp.zeros((1, 1))
  return {'image': row.deviation * z}, z, jax.random.key(0)


def together(game: gan.GAN, row: Row, state):
  """Both updates from the same state."""
  batch, z, key = _parts(row)
  one, _ = gan.discriminator_step(game, state, batch, z, key)
  other, _ = gan.generator_step(game, state, batch, z, key)
  moved = {
    'generator': other.networks['generator'],
    'discriminator': one.networks['discriminator'],
  }
  return state.replace(networks=moved)


def generator_first(game: gan.GAN, row: Row, state):
  batch, z, key = _parts(row)
  state, _ = gan.generator_step(game, state, batch, z, key)
  return gan.discriminator_step(game, state, batch, z, key)[0]


def alternating(game: gan.GAN, row: Row, state):
  """The order of `gan.train_step`."""
  batch, z, key = _parts(row)
  state, _ = gan.discriminator_step(game, state, batch, z, key)
  return gan.generator_step(game, state, batch, z, key)[0]


ORDERS = (together, generator_first, alternating)


def _round(row: Row, rate: float, order, point):
  """(theta, psi) after a round from a point [2]."""
  game = method(row, rate)
  state = gan.init(game, jax.random.key(0))
  networks = dict(state.networks)
  for place, (player, name) in enumerate(
    (('generator', 'place'), ('discriminator', 'slope'))
  ):
    params = {name: point[place]}
    networks[player] = networks[player].replace(params=params)
  after = order(game, row, state.replace(networks=networks)).networks
  return jnp.stack(
    [
      after['generator'].params['place'],
      after['discriminator'].params['slope'],
    ]
  )


def _norm(row: Row, order) -> jax.Array:
  turn = functools.partial(_round, row, RATE, order)
  point = jax.lax.fori_loop(
    0, ROUNDS, lambda _, x: turn(x), jnp.array([1.0, -1.0])
  )
  return jnp.linalg.norm(point)


@functools.partial(jax.jit, static_argnums=0)
def solve(row: Row) -> dict[str, jax.Array]:
  """Jacobians [2, 2] of rounds at 0, and norms after `ROUNDS` rounds."""

  def jacobian(rate, order):
    turn = functools.partial(_round, row, rate, order)
    return jax.jacfwd(turn)(jnp.zeros(2))

  found = {
    'flow': jacobian(1.0, together) - jnp.eye(2),
    'together': jacobian(RATE, together),
    'alternating': jacobian(RATE, alternating),
  }
  for order in ORDERS:
    found[f'norm {order.__name__}'] = _norm(row, order)
  return found


def eigenvalues(matrix) -> np.ndarray:
  """The one with the largest real part first, then imaginary part."""
  found = np.linalg.eigvals(np.asarray(matrix))
  return found[np.lexsort((-found.imag, -found.real))]


def exact_eigenvalues(row: Row) -> np.ndarray:
  """Of the flow, for a game that has a Jacobian."""
  d, g = row.slopes
  # The logistic losses curve by 1/4 on each kind: what noise adds to gamma.
  damping = 0.5 * row.gamma + 0.25 * row.deviation**2
  root = cmath.sqrt(damping**2 - d * g)
  return np.array([-damping + root, -damping - root])


def _agree(found: float, printed: str) -> bool:
  """Whether a number has the digits of a printed one."""
  unit = 10.0 ** decimal.Decimal(printed).as_tuple().exponent
  return abs(found - float(printed)) <= 0.5001 * unit


def _complex(pair: np.ndarray) -> str:
  first, second = pair
  if abs(first - second.conjugate()) > TOLERANCE or abs(first.imag) < 1e-4:
    return f'{first.real:z.5f}, {second.real:z.5f}'
  return f'{first.real:z.5f} ± {abs(first.imag):.5f}i'


def cells(row: Row) -> tuple[list[str], list[str]]:
  """A row of the table, and what is wrong with it."""
  wrong, line = [], [row.name]

  def check(what: str, fits: bool, found: str, known: str = ''):
    line.append(f'{found} ({known})' if known else found)
    if not fits:
      wrong.append(f'{row.name}: {what} is {found} and not {known}')

  found = solve(row)
  if row.slopes is None:
    line += [''] * 3
  else:
    flow, known = eigenvalues(found['flow']), exact_eigenvalues(row)
    fits = np.abs(flow - known).max() < TOLERANCE
    check('eigenvalues', fits, _complex(flow), _complex(known))
    radius = np.abs(eigenvalues(found['together'])).max()
    known = np.abs(1.0 + RATE * known).max()
    fits = abs(radius - known) < TOLERANCE
    check('radius together', fits, f'{radius:.6f}', f'{known:.6f}')
    radius = np.abs(eigenvalues(found['alternating'])).max()
    known = '' if row.penalty or row.deviation else '1.000000'
    fits = not known or abs(radius - 1.0) < TOLERANCE
    check('radius alternating', fits, f'{radius:.6f}', known)
  for order, known in zip(ORDERS, (*row.norms, ''), strict=True):
    norm = float(found[f'norm {order.__name__}'])
    fits = not known or _agree(norm, known)
    check(f'norm {order.__name__}', fits, f'{norm:.5g}', known)
  return line, wrong


def main(argv) -> None:
  del argv
  jax.config.update('jax_platforms', 'cpu')  # Points have no use for more.
  jax.config.update('jax_enable_x64', True)
  began = time.perf_counter()
  found = [cells(row) for row in ROWS]
  device = jax.devices()[0]
  print(
    f'{device.device_kind}, float64, jax {jax.__version__}, '
    f'{time.perf_counter() - began:.0f} s\n'
  )
  head = (
    *('', 'eigenvalues', 'radius together', 'radius alternating'),
    *('norm together', 'norm generator first', 'norm alternating'),
  )
  print(f'| {" | ".join(head)} |')
  print('| --- ' * len(head) + '|')
  for line, _ in found:
    print(f'| {" | ".join(line)} |')
  wrong = [text for _, texts in found for text in texts]
  if wrong:
    sys.exit('error: ' + '; '.join(wrong))


if __name__ == '__main__':
  app.run(main)
