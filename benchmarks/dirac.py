"""Compares the Dirac-GAN with exact eigenvalues, radii and 500-step norms.

  python -m benchmarks.dirac

Every loss of `losses.PAIRS`, and penalties of `penalties.PENALTIES`, train the
games of `dirac_game.py` in float64. The table has these columns, with the exact
value in brackets where there is one:

  eigenvalues: of the Jacobian of both updates at the equilibrium, for a rate of
    1. Exact: -gamma / 2 +- sqrt(gamma^2 / 4 - d g), where d and g are the
    slopes of both losses in the fake's logit at 0. Equation 12 of Huang et al.
    2024 (R3GAN, https://arxiv.org/abs/2501.05441) lacks the square of the
    slope. Their Jacobian, equation 15, has it.
  radius: largest modulus of an eigenvalue of a round at the equilibrium, for a
    rate of 0.2. Above 1 the players move away. 'together' takes both gradients
    before both updates; 'alternating' is the order of `gan.train_step`. Without
    a penalty its radius is exactly 1 while the rate is small.
  norm: of (theta, psi) after 500 rounds at a rate of 0.2, from 1 each.
    'generator first' is the order of the authors' notebook, whose norms are
    the exact ones.

Exits with an error if a value is off by more than its digits.
"""

import decimal
import sys
import time

import jax
import numpy as np

from benchmarks import cli, dirac_game
from benchmarks.dirac_game import ORDERS, RATE, ROWS, Row

# Of eigenvalues and radii. Those of double eigenvalues lose half the digits.
TOLERANCE = 1e-6
HEAD = (
  *('', 'eigenvalues', 'radius together', 'radius alternating'),
  *('norm together', 'norm generator first', 'norm alternating'),
)


def _agree(value: float, printed: str) -> bool:
  """Returns True if a number rounds to a printed one."""
  unit = 10.0 ** decimal.Decimal(printed).as_tuple().exponent
  return abs(value - float(printed)) <= 0.5001 * unit


def _complex(pair: np.ndarray) -> str:
  first, second = pair
  if abs(first - second.conjugate()) > TOLERANCE or abs(first.imag) < 1e-4:
    return f'{first.real:z.5f}, {second.real:z.5f}'
  return f'{first.real:z.5f} ± {abs(first.imag):.5f}i'


def cells(row: Row) -> tuple[list[str], list[str]]:
  """Returns the cells of a row, and messages about wrong values."""
  messages, line = [], [row.name]

  def check(column: str, fits: bool, value: str, exact: str = ''):
    line.append(f'{value} ({exact})' if exact else value)
    if not fits:
      messages.append(f'{row.name}: {column} is {value} and not {exact}')

  values = dirac_game.solve(row)
  if row.slopes is None:
    line += [''] * 3
  else:
    flow = dirac_game.eigenvalues(values['flow'])
    exact = dirac_game.exact_eigenvalues(row)
    fits = np.abs(flow - exact).max() < TOLERANCE
    check('eigenvalues', fits, _complex(flow), _complex(exact))
    radius = np.abs(dirac_game.eigenvalues(values['together'])).max()
    exact = np.abs(1.0 + RATE * exact).max()
    fits = abs(radius - exact) < TOLERANCE
    check('radius together', fits, f'{radius:.6f}', f'{exact:.6f}')
    radius = np.abs(dirac_game.eigenvalues(values['alternating'])).max()
    exact = '' if row.penalty or row.deviation else '1.000000'
    fits = not exact or abs(radius - 1.0) < TOLERANCE
    check('radius alternating', fits, f'{radius:.6f}', exact)
  for order, exact in zip(ORDERS, (*row.norms, ''), strict=True):
    norm = float(values[f'norm {order.__name__}'])
    fits = not exact or _agree(norm, exact)
    check(f'norm {order.__name__}', fits, f'{norm:.5g}', exact)
  return line, messages


def main(argv) -> None:
  del argv
  jax.config.update('jax_platforms', 'cpu')  # Two numbers need no accelerator.
  jax.config.update('jax_enable_x64', True)
  start = time.perf_counter()
  rows = [cells(row) for row in ROWS]
  device = jax.devices()[0]
  print(
    f'{device.device_kind}, float64, jax {jax.__version__}, '
    f'{time.perf_counter() - start:.0f} s\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  for line, _ in rows:
    print(f'| {" | ".join(line)} |')
  if wrong := [message for _, messages in rows for message in messages]:
    sys.exit('error: ' + '; '.join(wrong))


if __name__ == '__main__':
  cli.run(main)
