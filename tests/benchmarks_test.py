"""The benchmarks: those that take seconds run whole, others in small."""

import os
import pathlib
import subprocess
import sys

import chex
import jax.numpy as jnp

from benchmarks import dirac
from jaxgan.steps import gan

ROOT = pathlib.Path(__file__).parents[1]


def run(name: str, *flags: str) -> subprocess.CompletedProcess:
  """A benchmark in a process of its own, on one CPU device."""
  return subprocess.run(
    [sys.executable, '-m', f'benchmarks.{name}', *flags],
    cwd=ROOT,
    env=os.environ | {'XLA_FLAGS': '', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
    capture_output=True,
    text=True,
  )


def table(text: str) -> dict[str, list[str]]:
  """Cells of a Markdown table by the first of each row."""
  rows = [line for line in text.splitlines() if line.startswith('| ')]
  cells = [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows]
  return {first: others for first, *others in cells}


def test_the_dirac_gan_moves_as_theory_says():
  """Any value that is off ends it with an error."""
  done = run('dirac')
  assert done.returncode == 0, done.stderr
  rows = table(done.stdout)
  # Mescheder et al. 2018, section 3, and the square that R3GAN leaves out.
  assert rows['minimax'][1] == '1.004988 (1.004988)'
  assert rows['minimax + r1 0.3'][1] == '0.974679 (0.974679)'
  assert rows['minimax + r1 1'][0] == '-0.50000, -0.50000 (-0.50000, -0.50000)'
  theta = psi = 1.0
  for _ in range(500):  # Wasserstein, D first; without a penalty by hand.
    psi = psi + 0.2 * theta
    theta = theta - 0.2 * psi
  by_hand = (theta**2 + psi**2) ** 0.5
  assert abs(float(rows['wasserstein'][-1]) - by_hand) < 1e-4


def test_the_dirac_gan_alternates_as_training_does(key):
  row = next(row for row in dirac.ROWS if row.penalty == 'r1')
  game = dirac.method(row, 0.2)
  state = gan.init(game, key)
  after, _ = gan.train_step(game, state, {'image': jnp.zeros((1, 1))}, key)
  found = dirac.alternating(game, row, state)
  chex.assert_trees_all_equal(found.networks, after.networks)
