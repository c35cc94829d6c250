"""The benchmarks: those that take seconds run whole, others in small."""

import os
import pathlib
import subprocess
import sys

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import dirac, kmeans
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


@pytest.mark.slow
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


def small(name: str, *flags: str) -> dict[str, list[str]]:
  done = run(name, *flags)
  assert done.returncode == 0, done.stderr
  return table(done.stdout)


@pytest.mark.slow
def test_mixtures_are_beside_an_exact_sampler(tmp_path):
  names = ['non-saturating', 'relativistic, R1 + R2, lazy', 'WGAN-GP']
  done = run(
    'mixtures',
    *('--rounds=16', '--batch_size=8', '--seeds=2', '--mixtures=ring,grid'),
    '--methods=' + ','.join(f'"{name}"' for name in names),
    f'--out={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  rows = [line.split(' | ') for line in done.stdout.splitlines()]
  rows = {tuple(row[:2]): row[2:] for row in rows if row[0].startswith('| ')}
  for mixture in ('ring', 'grid'):
    for name in names:
      assert (f'| {mixture}', name) in rows
  assert rows['| grid', 'exact sampler'][:2] == ['25.0 ± 0.0', '98.9 ± 0.1%']
  assert len(list(tmp_path.glob('*.png'))) == 6


@pytest.mark.slow
def test_likelihoods_are_beside_the_published_ones():
  rows = small(
    'likelihood',
    *('--source=embedded', '--rounds=20', '--k=1,2'),
    *('--images=20', '--importance_samples=50'),
  )
  assert {'VAE, here', 'IWAE, here', 'IWAE, published'} <= rows.keys()
  # Pixels that are 1 with probability 0.5 have 543 nats.
  assert 100.0 < float(rows['VAE, here'][1].split()[0]) < 600.0


@pytest.mark.slow
def test_parzen_windows_like_centroids():
  rows = small(
    'parzen', '--source=embedded', '--rounds=10', '--num=500', '--passes=2'
  )
  nats = {
    name: float(row[0].split()[0])
    for name, row in rows.items()
    if row[1].startswith('0.')  # Others have no bandwidth.
  }
  assert nats['gan_mnist, 10 rounds, 500 samples'] < 0.0
  assert nats['500 training images'] < nats['500 centroids, 2 passes']


# The benchmark with a classifier that is trained for a moment only.
QUALITY = """
from absl import app
from benchmarks import quality
from jaxgan import presets
whole = presets.classifier
def small():
  found = whole()
  found.num_steps = 30
  found.network.widths, found.network.features = (8,), 16
  return found
presets.classifier = small
app.run(quality.main)
"""


@pytest.mark.slow
def test_quality_is_beside_real_images_and_peers(tmp_path):
  """Without `TORCH_PYTHON`, a Python with torch, there are no peers."""
  torch = os.environ.get('TORCH_PYTHON')
  flags = ['--source=embedded', '--seconds=3', '--num=100', '--seeds=2']
  flags += ['--configs=gan_mnist']
  flags += [f'--torch_python={torch}' if torch else '--peers=false']
  done = subprocess.run(
    [sys.executable, '-c', QUALITY, *flags],
    cwd=ROOT,
    env=os.environ | {'XLA_FLAGS': '', 'XDG_CACHE_HOME': str(tmp_path)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  rows = table(done.stdout)
  assert 'real training images' in rows
  for side in ('jaxgan', 'PyTorch')[: 2 if torch else 1]:
    rounds, reals, frechet, *_ = rows[f'gan_mnist, {side}']
    assert int(rounds.split()[0].replace(',', '')) > 0
    assert ' to ' in reals
    assert float(frechet.split()[0]) > 0.0
  assert rows['gan_mnist, jaxgan'][-1] == '1.00'


def test_centroids_are_means_of_what_is_nearest():
  rng = np.random.default_rng(0)
  centres = np.array([20, 120, 220]).reshape(3, 1, 1, 1)
  images = centres[np.arange(300) % 3] + rng.integers(-9, 10, (300, 2, 2, 1))
  found = kmeans.centroids(images.astype(np.uint8), 3, 2)
  for place in range(3):
    mean = images[place::3].mean(axis=0) / 127.5 - 1.0
    np.testing.assert_allclose(found[place], mean, atol=1e-5)


def test_the_dirac_gan_alternates_as_training_does(key):
  row = next(row for row in dirac.ROWS if row.penalty == 'r1')
  game = dirac.method(row, 0.2)
  state = gan.init(game, key)
  after, _ = gan.train_step(game, state, {'image': jnp.zeros((1, 1))}, key)
  found = dirac.alternating(game, row, state)
  chex.assert_trees_all_equal(found.networks, after.networks)
