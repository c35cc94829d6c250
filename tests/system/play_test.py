"""docs/play/: rounds equal those of jaxgan, and the page works in a browser."""

import json
import pathlib
import shutil
import subprocess

import jax
import numpy as np
import optax
import pytest

from benchmarks import dirac_game
from jaxgan.adversarial import discriminator, losses
from jaxgan.config import game_terms
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise
from jaxgan.models import mlp
from jaxgan.steps import gan

FOLDER = pathlib.Path(__file__).parents[2] / 'docs/play'
ROUNDS, BATCH, RATE = 20, 16, 2e-3
PENALTIES = {
  'none': (),
  'r1': ('r1',),
  'r1_r2': ('r1', 'r2'),
  'gradient_penalty': ('gradient_penalty',),
}

# Reads games from stdin, trains them, and writes weights and losses.
TRAIN = """
const Game = require(process.argv[1] + '/game.js');
const matrix = (rows) => Game.matrix(rows.length, rows[0].length, rows.flat());
const games = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(games.map((game) => {
  for (const name of ['generator', 'discriminator']) {
    game[name] = Game.network(game[name].map(matrix));
  }
  const losses = game.batches.map((batch) => Game.round(game, {
    reals: batch.reals.map(matrix),
    latents: batch.latents.map(matrix),
    shares: batch.shares.map(matrix),
  }));
  const weights = (name) => game[name].params.map((p) => [...p.data]);
  return {
    losses,
    generator: weights('generator'),
    discriminator: weights('discriminator'),
  };
})));
"""

# Prints the distance to 0 of each Dirac-GAN after many rounds.
DIRAC = """
const Game = require(process.argv[1] + '/game.js');
const games = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(games.map((game) => {
  let point = [1, -1];
  for (let k = 0; k < game.rounds; k++) point = Game.diracRound(game, point);
  return Math.hypot(...point);
})));
"""


def node(script, games):
  """Runs a script on games, and returns the results."""
  assert shutil.which('node'), 'Node.js is missing: apt-get install nodejs'
  done = subprocess.run(
    ['node', '-e', script, str(FOLDER)],
    input=json.dumps(games),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def method(loss, penalty, weight, steps):
  adam = lambda rate: optax.adam(rate, b1=0.5, b2=0.99)
  return gan.GAN(
    mlp.Generator((2,), (16, 16), norm='none', bounded=False),
    mlp.Discriminator((16, 16)),
    generator_optimizer=adam(RATE),
    discriminator_optimizer=adam(2 * RATE),
    latents=latents_lib.single('normal', 2),
    loss=losses.PAIRS[loss],
    discriminator_terms=game_terms.penalty_terms(
      dict.fromkeys(PENALTIES[penalty], weight)
    ),
    discriminator_steps=steps,
  )


def weights(network):
  """Kernels and biases in the order of the layers."""
  layers = [network.params[f'Dense_{k}'] for k in range(len(network.params))]
  return [
    np.asarray(x, np.float64)
    for layer in layers
    for x in (layer['kernel'], layer['bias'].reshape(1, -1))
  ]


def draws(game, key, step):
  """The latents and shares that `gan.train_step` draws in a round."""
  key = jax.random.fold_in(key, step)
  last, *keys = jax.random.split(key, game.discriminator_steps + 1)
  return {
    'latents': [
      game.latents.sample(jax.random.fold_in(k, 0), BATCH) for k in (*keys, last)
    ],
    'shares': [
      noise.uniform(discriminator.loss_keys(k)['penalty'], BATCH, (1,))
      for k in keys
    ],
  }


def trained(loss, penalty, weight, steps):
  """Trains in Python; returns the state, the losses and the game for node."""
  game, key = method(loss, penalty, weight, steps), jax.random.key(3)
  state = gan.init(game, key)
  reals = np.random.default_rng(0).normal(size=(ROUNDS, steps, BATCH, 2))
  train_step = jax.jit(gan.train_step, static_argnums=0)
  drawn = jax.jit(draws, static_argnums=0)
  start = {name: weights(state.networks[name]) for name in state.networks}
  batches, values = [], []
  for step in range(ROUNDS):
    batches.append(drawn(game, key, step) | {'reals': reals[step]})
    batch = {'image': reals[step].reshape(-1, 2).astype(np.float32)}
    state, metrics = train_step(game, state, batch, key)
    values.append([metrics[f'{name}/loss'] for name in state.networks])
  for_node = {
    **start,
    'loss': loss,
    'penalty': penalty,
    'weight': weight,
    'rates': {'generator': RATE, 'discriminator': 2 * RATE},
    'batches': batches,
  }
  listed = jax.tree.map(lambda x: np.asarray(x).tolist(), for_node, is_leaf=is_array)
  return state, np.array(values), listed


def is_array(x):
  return isinstance(x, np.ndarray | jax.Array)


GAMES = [
  ('non_saturating', 'none', 0.0, 1),
  ('non_saturating', 'r1_r2', 0.1, 2),
  ('minimax', 'r1', 1.0, 1),
  ('least_squares', 'none', 0.0, 2),
  ('hinge', 'r1_r2', 0.1, 1),
  ('wasserstein', 'gradient_penalty', 0.1, 2),
  ('relativistic_pairing', 'r1_r2', 0.1, 2),
]


@pytest.mark.slow
@pytest.mark.parametrize('game', GAMES, ids=lambda game: ' '.join(game[:2]))
def test_rounds_equal_those_of_jaxgan(game):
  state, values, for_node = trained(*game)
  (after,) = node(TRAIN, [for_node])
  differences, moves = [], []
  for name, network in state.networks.items():
    before = for_node[name]
    for old, x, y in zip(before, weights(network), after[name], strict=True):
      differences.append(np.abs(x.ravel() - y).max())
      moves.append(np.abs(x - old).max())
  assert max(moves) > 5 * RATE
  shown = [[x[name] for name in state.networks] for x in after['losses']]
  print(game, max(differences), np.abs(values - shown).max())
  assert max(differences) < 1e-4
  np.testing.assert_allclose(values, shown, atol=1e-4)


# The Jacobians of `dirac_game` prove the printed norms.
DIRAC_ROWS = [
  row for row in dirac_game.ROWS if row.norms[0] and row.penalty in ('', 'r1')
]


@pytest.mark.parametrize('row', DIRAC_ROWS, ids=lambda row: row.name)
def test_dirac_gan_ends_where_it_does_in_python(row):
  game = {
    'loss': row.loss,
    'weight': row.gamma / 2.0,
    'rate': dirac_game.RATE,
    'order': 'together',
    'rounds': dirac_game.ROUNDS,
  }
  (distance,) = node(DIRAC, [game])
  assert distance == pytest.approx(float(row.norms[0]), rel=0.02)


def test_dirac_gan_with_updates_in_turn_stays_on_a_closed_curve():
  game = {'loss': 'wasserstein', 'weight': 0.0, 'rate': 0.2}
  games = [
    game | {'order': order, 'rounds': rounds}
    for order in ('alternating', 'together')
    for rounds in (100, 1000)
  ]
  in_turn, later, together, outwards = node(DIRAC, games)
  # One round keeps theta^2 + psi^2 - rate * theta * psi.
  assert all(1.2 < distance < 1.6 for distance in (in_turn, later))
  assert outwards > 100 * together
