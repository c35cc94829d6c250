"""docs/play/: rounds equal those of jaxgan, and the page works in a browser."""

import json
import pathlib
import shutil
import subprocess

import jax
import numpy as np
import optax
import pages
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
      game.latents.sample(jax.random.fold_in(k, 0), BATCH)
      for k in (*keys, last)
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
  listed = jax.tree.map(
    lambda x: np.asarray(x).tolist(), for_node, is_leaf=is_array
  )
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


@pytest.fixture(scope='module')
def browser():
  with pages.chromium() as browser:
    yield browser


@pytest.fixture
def page(browser):
  """The page from a file. It must load nothing else and raise no error."""
  page = browser.new_page(viewport={'width': 1366, 'height': 1200})
  page.set_default_timeout(120_000)
  requests, failures = [], []
  page.on('request', lambda request: requests.append(request.url))
  page.on('pageerror', lambda error: failures.append(str(error)))
  page.on('console', lambda message: failures.append(message.text))
  page.goto((FOLDER / 'index.html').as_uri())
  yield page
  assert failures == []
  own = (FOLDER.as_uri() + '/', 'data:')
  assert requests
  assert all(url.startswith(own) for url in requests), requests
  page.close()


WEIGHTS = """(name) =>
  Play.networks[name].params.map((p) => [...p.data]).flat()"""


def both(page):
  """All weights of both networks."""
  names = ('generator', 'discriminator')
  return [np.array(page.evaluate(WEIGHTS, name)) for name in names]


def slide(page, name, value):
  page.locator(f'#{name}').evaluate(
    '(e, value) => { e.value = value; e.dispatchEvent(new Event("input")); }',
    str(value),
  )


def step(page):
  """Trains one round and returns the changes of both networks."""
  before = both(page)
  page.locator('#step').click()
  return [y - x for x, y in zip(before, both(page), strict=True)]


def is_equal(x, y):
  return all(np.array_equal(a, b) for a, b in zip(x, y, strict=True))


def pixels(page, name):
  page.evaluate('new Promise(requestAnimationFrame)')
  return page.evaluate(f'element("{name}").toDataURL()')


@pytest.mark.slow
def test_page_trains_and_pauses(page):
  first, picture = both(page), pixels(page, 'plane')
  page.locator('#start').click()
  page.wait_for_function('Play.round >= 3')
  page.locator('#start').click()
  rounds = page.evaluate('Play.round')
  assert not is_equal(first, both(page))
  assert pixels(page, 'plane') != picture
  for _ in range(3):
    page.evaluate('new Promise(requestAnimationFrame)')
  assert page.evaluate('Play.round') == rounds
  assert page.locator('#round').inner_text() == str(rounds)
  assert page.evaluate('Play.losses.generator.length') == rounds
  step(page)
  assert page.evaluate('Play.round') == rounds + 1
  page.locator('#reset').click()
  assert page.evaluate('Play.round') == 0
  assert is_equal(first, both(page))
  page.locator('#speed').select_option('1')
  page.locator('#start').click()
  page.wait_for_function('Play.round >= 2')


@pytest.mark.slow
def test_controls_change_what_they_should(page):
  def again():
    page.locator('#reset').click()
    return step(page)

  start = again()
  assert is_equal(start, again())
  for name, values in (
    ('loss', ('minimax', 'least_squares', 'hinge', 'wasserstein')),
    ('penalty', ('none', 'r1', 'gradient_penalty')),
  ):
    select = page.locator(f'#{name}')
    before = select.input_value()
    seen = [start]
    for value in values:
      select.select_option(value)
      change = again()
      assert not any(is_equal(change, other) for other in seen), value
      seen.append(change)
    select.select_option(before)
  # The first step of Adam has the size of the rate.
  slide(page, 'generator', -3)
  assert np.abs(again()[0]).max() == pytest.approx(1e-3, rel=1e-3)
  slide(page, 'discriminator', -2)
  assert np.abs(again()[1]).max() == pytest.approx(1e-2, rel=1e-3)
  slide(page, 'weight', 1)
  assert not np.array_equal(again()[1], start[1])
  assert page.locator('output[for=weight]').inner_text() == '10'
  slide(page, 'steps', 3)
  again()
  count = 'Play.networks.discriminator.count'
  assert page.evaluate(count) == 3
  first = both(page)
  page.locator('#seed').fill('7')
  assert page.evaluate('Play.round') == 0
  page.locator('#reset').click()
  assert not is_equal(first, both(page))


@pytest.mark.slow
def test_visitor_picks_and_draws_points(page):
  seen = [page.evaluate('Play.points')]
  for shape in ('grid', 'spiral'):
    page.locator(f'[data-shape={shape}]').click()
    seen.append(page.evaluate('Play.points'))
  assert len({json.dumps(points) for points in seen}) == 3
  page.locator('[data-shape=drawn]').click()
  page.locator('#start').click()
  page.wait_for_function('!Play.running')
  assert 'Draw some points' in page.locator('#message').inner_text()
  box = page.locator('#plane').bounding_box()
  x, y = box['x'] + 0.75 * box['width'], box['y'] + 0.25 * box['height']
  page.mouse.move(x, y)
  page.mouse.down()
  page.mouse.move(x + 1, y)
  page.mouse.up()
  page.mouse.move(x - 50, y)
  points = np.array(page.evaluate('Play.points'))
  assert len(points) == 8
  np.testing.assert_allclose(points.mean(axis=0), (1.5, 1.5), atol=0.15)
  assert all(np.abs(change).max() > 0 for change in step(page))


@pytest.mark.slow
def test_presets_start_their_game(page):
  fields = '[Play.penalty, Play.weight, Play.generator, Play.discriminator]'
  settings = []
  for name in ('A GAN that works', 'Mode collapse', 'R1 and R2 cure it'):
    page.locator('.preset', has_text=name).first.click()
    page.wait_for_function('Play.round >= 1')
    settings.append(page.evaluate(fields))
    page.locator('#start').click()
  works, collapse, cured = settings
  assert works[0] == cured[0] == 'r1_r2'
  assert collapse[0] == 'none'
  assert collapse[2:] == cured[2:]


@pytest.mark.slow
def test_mode_collapse_is_cured_by_penalties(page):
  """The presets show what their sentences say."""
  covered = []
  for name in ('Mode collapse', 'R1 and R2 cure it'):
    page.locator('.preset', has_text=name).first.click()
    page.locator('#start').click()
    page.locator('#reset').click()
    shares = []
    for rounds in (300, 100, 100, 100):
      page.evaluate(f'for (let k = 0; k < {rounds}; k++) Play.train()')
      page.evaluate('new Promise(requestAnimationFrame)')
      shares.append(int(page.locator('#covered').inner_text().rstrip(' %')))
    covered.append(np.mean(shares))
  collapsed, cured = covered
  assert collapsed < 45 < 70 < cured


@pytest.mark.slow
def test_dirac_gan_of_the_page(page):
  distance = 'Math.hypot(...Dirac.path.at(-1))'
  train = 'for (let k = 0; k < 400; k++) element("dirac-step").click()'
  ends = []
  for name in ('The circle', 'Outwards', 'R1 pulls inwards'):
    page.locator('.preset', has_text=name).first.click()
    page.wait_for_function('Dirac.path.length > 2')
    page.locator('#dirac-start').click()
    page.locator('#dirac-reset').click()
    page.evaluate(train)
    ends.append(page.evaluate(distance))
  circle, outwards, inwards = ends
  assert inwards < 1e-2 < 1.2 < circle < 1.7 < outwards
  page.locator('#dirac-order').select_option('together')
  page.locator('#dirac-loss').select_option('wasserstein')
  slide(page, 'dirac-weight', 0)
  slide(page, 'dirac-rate', 0.1)
  page.locator('#circle').click(position={'x': 270, 'y': 180})
  np.testing.assert_allclose(page.evaluate('Dirac.path'), [[1, 0]], atol=0.02)
  page.locator('#dirac-step').click()
  (theta, psi), after = page.evaluate('Dirac.path')
  expected = [theta + 0.1 * psi, psi - 0.1 * theta]
  np.testing.assert_allclose(after, expected, atol=1e-12)
  round_text = "document.querySelector('#dirac-round').innerText"
  page.wait_for_function(f"{round_text} === '1'")  # with the next frame
