r"""Compares maps of adversarial flow models with maps of optimal transport.

  python -m benchmarks.quantile_map --picture=runs/maps.png
  python -m benchmarks.quantile_map --rounds=10000 --batch_size=1024

The second command has the rounds and the batch of the authors' notebook (Lin et
al. 2025, https://arxiv.org/abs/2511.22475), whose weight of transport is 0.05.

In one dimension noise z is normal, and the data are a mixture of four
Gaussians. Many maps make the data of the noise. The map that moves points least
is known: G(z) = Q(F(z)). F is the cumulative distribution of z, and Q are the
quantiles of the data. In two dimensions the data are a ring of eight Gaussians.
The picture shows where each z goes.

Columns, as mean and standard error over seeds:

  data: root mean square of sorted G(z) minus the quantiles of the data, the
    error of the distribution alone.
  map: root mean square of G(z) - Q(F(z)).
  rising: share of neighbours z < z' with G(z) < G(z').
  cost: mean |G(z) - z|^2 over its minimum among all maps to the same points. 1
    is optimal transport.

Networks are small, with leaky rectifiers. Apart from the weight of transport,
the rows have the losses of the paper. The rate of Adam falls to 0 as a cosine.
"""

import functools
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from PIL import Image, ImageDraw
from scipy import optimize, special

from benchmarks import cli, experiment
from jaxgan import adversarial_flow
from jaxgan.adversarial import losses, terms, tricks
from jaxgan.adversarial.regularisers import centring
from jaxgan.config import game_terms
from jaxgan.config.schedules import Schedule
from jaxgan.core import latents as latents_lib
from jaxgan.core import paths
from jaxgan.data.sources import toy
from jaxgan.models import mlp
from jaxgan.steps.adversarial_flow import AdversarialFlow, transport

_SEEDS = flags.DEFINE_integer('seeds', 4, 'Runs per row.', lower_bound=2)
_ROUNDS = flags.DEFINE_integer('rounds', 4_000, 'Rounds per run.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 256, 'Points per round.')
_RATE = flags.DEFINE_float('learning_rate', 2e-3, 'First rate of Adam.')
_WIDTHS = cli.define_integers('widths', [64, 64], 'Units of both networks.')
_PICTURE = flags.DEFINE_string('picture', '', 'PNG of maps in two dimensions.')

POINTS = 1_000
LINE = np.array([[-3.0], [-1.0], [1.0], [3.0]]), 0.25  # centres, deviation
RING = 2.5 * toy.ring_centres(), 0.1
# Weights of transport: a number, or its values at the first and the last image.
WEIGHTS = {'0': 0.0, '0.05': 0.05, '0.2 to 0.005': (0.2, 0.005)}
SIDE, REACH = 480, 3.2  # of a picture: pixels, and the largest coordinate
DARK, FAINT = (24, 24, 24), (150, 150, 150)


def method(dimensions: int, weight) -> AdversarialFlow:
  """Returns the method of a row of `WEIGHTS`."""
  widths, rounds = tuple(_WIDTHS.value), _ROUNDS.value
  adam = optax.adam(
    optax.cosine_decay_schedule(_RATE.value, rounds), b1=0.0, b2=0.9
  )
  if isinstance(weight, tuple):
    weight = Schedule('cosine', *weight, rounds * _BATCH_SIZE.value).at
  row = ('transport', transport, weight, ())
  return AdversarialFlow(
    mlp.Generator((dimensions,), widths, norm='none', bounded=False),
    mlp.Discriminator(widths),
    generator_optimizer=adam,
    discriminator_optimizer=adam,
    latents=latents_lib.single('normal', dimensions),
    loss=losses.PAIRS['relativistic_pairing'],
    discriminator_terms=(
      *game_terms.penalty_terms({'r1': 0.25, 'r2': 0.25}, epsilon=0.01),
      terms.Term('logit_centring', centring, 0.01, ('real', 'fake')),
    ),
    generator_terms=terms.of_weights(row),
    tricks=tricks.build(gradient_average=0.9),
  )


def data(mixture, key, num: int) -> jax.Array:
  """Draws points [num, dimensions] of a mixture."""
  centres, deviation = mixture
  one, other = jax.random.split(key)
  mode = jax.random.randint(one, (num,), 0, len(centres))
  points = jnp.asarray(centres, jnp.float32)[mode]
  return points + deviation * jax.random.normal(other, points.shape)


def train(mixture, weight, z: np.ndarray, seeds: int) -> np.ndarray:
  """Trains, and returns G(z) [seeds, N, dimensions]."""
  flow = method(z.shape[1], weight)
  keys = jax.vmap(jax.random.key)(jnp.arange(seeds))

  def one(state, key):
    own = jax.random.fold_in(jax.random.fold_in(key, 1), state.step)
    batch = {'image': data(mixture, own, _BATCH_SIZE.value)}
    return adversarial_flow.train_step(flow, state, batch, key)[0]

  @jax.jit
  def run(keys):
    states = jax.vmap(functools.partial(adversarial_flow.init, flow))(keys)
    body = lambda _, states: jax.vmap(one)(states, keys)
    states = jax.lax.fori_loop(0, _ROUNDS.value, body, states)
    decode = functools.partial(adversarial_flow.decode, flow)
    return jax.vmap(lambda state: decode(state, jnp.asarray(z)))(states)

  return np.asarray(run(keys))


def quantiles(mixture, shares: np.ndarray) -> np.ndarray:
  """Returns the quantiles of a mixture in one dimension, by bisection."""
  centres, deviation = mixture
  below, above = (np.full(shares.shape, x) for x in (-10.0, 10.0))
  for _ in range(60):
    middle = (below + above) / 2
    found = special.ndtr((middle[..., None] - centres[:, 0]) / deviation).mean(
      -1
    )
    below = np.where(found < shares, middle, below)
    above = np.where(found < shares, above, middle)
  return middle


def cost(z: np.ndarray, points: np.ndarray) -> float:
  """Returns the mean |G(z) - z|^2 over its minimum among permutations."""
  squares = ((z[:, None] - points[None]) ** 2).sum(-1)
  return (
    np.trace(squares) / squares[optimize.linear_sum_assignment(squares)].sum()
  )


def _root(x: np.ndarray) -> float:
  return float(np.sqrt(np.mean(x**2)))


def in_one_dimension(weight) -> list[str]:
  """Returns the cells of a row."""
  shares = (np.arange(POINTS) + 0.5) / POINTS
  z = special.ndtri(shares).astype(np.float32)
  made = train(LINE, weight, z[:, None], _SEEDS.value)[..., 0]
  best = quantiles(LINE, shares)
  mean = experiment.mean_and_error
  return [
    mean([_root(np.sort(x) - best) for x in made], 3),
    mean([_root(x - best) for x in made], 3),
    mean([100 * np.mean(np.diff(x) > 0) for x in made], 1, '%'),
    mean([cost(z[:, None], x[:, None]) for x in made], 3),
  ]


def in_two_dimensions(weight, z: np.ndarray):
  """Returns the cells of a row, and G(z) of the first seed."""
  made = train(RING, weight, z, _SEEDS.value)
  ratios = [cost(z, x) for x in made]
  return ['', '', '', experiment.mean_and_error(ratios, 3)], made[0]


def draw(z: np.ndarray, maps: dict[str, np.ndarray]) -> Image.Image:
  """Draws a line from each z to G(z), in the colour of the angle of z."""
  picture = Image.new('RGB', (SIDE * len(maps), SIDE), DARK)
  canvas = ImageDraw.Draw(picture)
  hues = (np.arctan2(z[:, 1], z[:, 0]) / (2 * np.pi) % 1 * 255).astype(int)
  one = Image.new('HSV', (1, 1))
  for index, (name, points) in enumerate(maps.items()):
    place = lambda x, index=index: (
      SIDE * index + (x[0] / REACH + 1) * SIDE / 2,
      (1 - x[1] / REACH) * SIDE / 2,
    )
    for start, end, hue in zip(z, points, hues, strict=True):
      one.putpixel((0, 0), (int(hue), 200, 255))
      colour = one.convert('RGB').getpixel((0, 0))
      canvas.line([place(start), place(end)], tuple(c // 3 for c in colour))
      x, y = place(end)
      canvas.ellipse([x - 2, y - 2, x + 2, y + 2], colour)
    canvas.text((SIDE * index + 8, 8), f'transport {name}', FAINT)
  return picture


def main(argv) -> None:
  del argv
  print(
    f'{_ROUNDS.value:,} rounds of {_BATCH_SIZE.value}, {_SEEDS.value} seeds, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}\n'
  )
  print('| transport | dimensions | data | map | rising | cost | seconds |')
  print('| --- ' * 7 + '|')
  rng, maps = np.random.default_rng(0), {}
  z = rng.standard_normal((POINTS // 2, 2)).astype(np.float32)
  for dimensions in (1, 2) if _PICTURE.value else (1,):
    for name, weight in WEIGHTS.items():
      start = time.perf_counter()
      if dimensions == 1:
        cells = in_one_dimension(weight)
      else:
        cells, maps[name] = in_two_dimensions(weight, z)
      cells.append(f'{time.perf_counter() - start:.0f}')
      print(f'| {name} | {dimensions} | {" | ".join(cells)} |', flush=True)
  if maps:
    path = pathlib.Path(_PICTURE.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    with paths.replacing(path) as temporary:
      draw(z, maps).save(temporary, format='PNG')


if __name__ == '__main__':
  cli.run(main)
