r"""Modes of 2-D mixtures that each loss and penalty finds, all seeds at once.

  python -m benchmarks.mixtures --out=runs/mixtures
  python -m benchmarks.mixtures --mixtures=ring,grid --rounds=25000 \
      --batch_size=512 --seeds=10

The first command is reduced, for two cores. The second needs an accelerator.
It has the batch, rounds and hidden units of the Unrolled GAN's notebook (Metz
et al. 2017, https://arxiv.org/abs/1611.02163). Networks have leaky rectifiers
and no norm. The rate of Adam falls to 0 as a cosine. Every round has new
points. All seeds of a row are one program, `gan.train_step` under `vmap`.

Scores are those of PacGAN (Lin et al. 2018, https://arxiv.org/abs/1712.04086):
2,500 points after the last round, mean and standard error over seeds.

  modes: modes with a point within three deviations.
  high quality: share of points within three deviations of a mode. More than an
    exact sampler's 98.89% means that modes have shrunk.
  KL: divergence of the shares of these points by mode from uniform, in nats.
  spread: deviation within modes over an exact sampler's.

Rows of `PUBLISHED` have other networks (400 units, batch norm, maxout) and
400,000 rounds of 100. According to Huang et al. 2024 (R3GAN,
https://arxiv.org/abs/2501.05441), R1 alone diverges. Training also fails with
lazy penalties: every eighth round, at eight times the weight.
"""

import functools
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags

from benchmarks import cli, experiment
from jaxgan import gan
from jaxgan.adversarial import losses, tricks
from jaxgan.config import game_terms
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise
from jaxgan.data.sources import toy
from jaxgan.metrics import modes
from jaxgan.models import mlp
from jaxgan.visual import grid

_METHODS = flags.DEFINE_list('methods', [], 'Keys of METHODS (all).')
_MIXTURES = flags.DEFINE_list('mixtures', ['ring'], 'Keys of UNITS.')
_SEEDS = flags.DEFINE_integer('seeds', 5, 'Runs per row.')
_ROUNDS = flags.DEFINE_integer('rounds', 5_000, 'Rounds per run.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Points per round.')
_WIDTHS = cli.define_integers(
  'widths', [128, 128], 'Hidden units of both networks.'
)
_LATENT_SIZE = flags.DEFINE_integer('latent_size', 2, 'Size of normal latents.')
_RATE = flags.DEFINE_float('learning_rate', 2e-3, 'Initial rate of Adam.')
_GAMMA = flags.DEFINE_float('gamma', 0.2, 'Twice the weight of penalties.')
_OUT = flags.DEFINE_string('out', '', 'Folder for pictures of seed 0.')

POINTS = 2_500
UNITS = {'ring': 2.5, 'grid': 5.0}  # scale of the papers over toy.py
EVERY = 8  # rounds between lazy penalties
FAR = 1e3  # coordinate of points that are not finite, far from all modes

# name -> fields of a method; 'penalties' have a weight of gamma / 2.
METHODS = {
  'non-saturating': {},
  'non-saturating, R1': {'penalties': ('r1',)},
  'non-saturating, R1 + R2': {'penalties': ('r1', 'r2')},
  'non-saturating, R1 + R2, lazy': {'penalties': ('r1', 'r2'), 'lazy': True},
  'relativistic': {'loss': 'relativistic_pairing'},
  'relativistic, R1': {'loss': 'relativistic_pairing', 'penalties': ('r1',)},
  'relativistic, R1 + R2': {
    'loss': 'relativistic_pairing',
    'penalties': ('r1', 'r2'),
  },
  'relativistic, R1 + R2, lazy': {
    'loss': 'relativistic_pairing',
    'penalties': ('r1', 'r2'),
    'lazy': True,
  },
  # Weight and updates of the authors' toy experiments.
  'WGAN-GP': {
    'loss': 'wasserstein',
    'gradient_penalty': 0.1,
    'discriminator_steps': 5,
  },
  'packing of 2': {'pack': 2},
  'minibatch discrimination': {'minibatch_kernels': 16},
}

# mixture -> row -> modes, high quality, KL; standard errors over 10 runs.
# Lin et al. 2018, table 1.
PUBLISHED = {
  'ring': {
    'GAN': ('6.3 ± 0.5', '98.2 ± 0.2%', '0.45 ± 0.09'),
    'PacGAN2': ('7.9 ± 0.1', '95.6 ± 2.0%', '0.07 ± 0.03'),
    'PacGAN3': ('7.8 ± 0.1', '97.7 ± 0.3%', '0.10 ± 0.02'),
    'PacGAN4': ('7.8 ± 0.1', '95.9 ± 1.4%', '0.07 ± 0.02'),
  },
  'grid': {
    'GAN': ('17.3 ± 0.8', '94.8 ± 0.7%', '0.70 ± 0.07'),
    'PacGAN2': ('23.8 ± 0.7', '91.3 ± 0.8%', '0.13 ± 0.04'),
    'PacGAN3': ('24.6 ± 0.4', '94.2 ± 0.4%', '0.06 ± 0.02'),
    'PacGAN4': ('24.8 ± 0.2', '93.6 ± 0.6%', '0.04 ± 0.01'),
  },
}


def _method(fields, share: float = 1.0) -> gan.GAN:
  """Returns the method of a row, with penalties at `share` of their weight."""
  fields = dict(fields)
  fields.pop('lazy', None)
  kernels = fields.pop('minibatch_kernels', 0)
  weights = dict.fromkeys(
    fields.pop('penalties', ()), 0.5 * _GAMMA.value * share
  )
  weights['gradient_penalty'] = fields.pop('gradient_penalty', 0.0)
  widths = tuple(_WIDTHS.value)
  updates = _ROUNDS.value * fields.get('discriminator_steps', 1)
  adam = [
    optax.adam(optax.cosine_decay_schedule(_RATE.value, count), b1=0.5, b2=0.99)
    for count in (_ROUNDS.value, updates)
  ]
  return gan.GAN(
    mlp.Generator((2,), widths, norm='none', bounded=False),
    mlp.Discriminator(widths, minibatch_kernels=kernels),
    generator_optimizer=adam[0],
    discriminator_optimizer=adam[1],
    latents=latents_lib.single('normal', _LATENT_SIZE.value),
    loss=losses.PAIRS[fields.pop('loss', 'non_saturating')],
    discriminator_terms=game_terms.penalty_terms(weights),
    tricks=tricks.build(pack=fields.pop('pack', 1)),
    **fields,
  )


def _mixture(name: str) -> tuple[np.ndarray, float]:
  """Returns centres and deviation in the units of the papers."""
  centres, deviation = toy.MIXTURES[name]
  return UNITS[name] * centres, UNITS[name] * deviation


def exact(mixture: str, key, num: int) -> jax.Array:
  """Draws points [num, 2] of a mixture."""
  centres, deviation = _mixture(mixture)
  keys = noise.keys(key, 'mode', 'point')
  mode = jax.random.randint(keys['mode'], (num,), 0, len(centres))
  shift = deviation * jax.random.normal(keys['point'], (num, 2))
  return jnp.asarray(centres, jnp.float32)[mode] + shift


def train(mixture: str, fields, seeds: int) -> np.ndarray:
  """Trains, and returns points [seeds, POINTS, 2] of the generators."""
  if fields.get('lazy'):
    cycle = [_method(fields, EVERY)] + [_method(fields, 0.0)] * (EVERY - 1)
  else:
    cycle = [_method(fields)]
  keys = jax.vmap(jax.random.key)(jnp.arange(seeds))

  def one(method, state, key):
    data_key = jax.random.fold_in(jax.random.fold_in(key, 1), state.step)
    num = gan.batches_per_round(method) * _BATCH_SIZE.value
    batch = {'image': exact(mixture, data_key, num)}
    return gan.train_step(method, state, batch, key)[0]

  def rounds(states, _):
    first, *others = cycle
    states = jax.vmap(functools.partial(one, first))(states, keys)
    if others:
      plain = jax.vmap(functools.partial(one, others[0]))
      states = jax.lax.fori_loop(
        0, len(others), lambda _, states: plain(states, keys), states
      )
    return states, None

  @jax.jit
  def run(keys):
    states = jax.vmap(functools.partial(gan.init, cycle[0]))(keys)
    length = -(-_ROUNDS.value // len(cycle))
    states, _ = jax.lax.scan(rounds, states, None, length=length)
    sample = functools.partial(gan.sample, cycle[0], num=POINTS)
    return jax.vmap(sample)(states, keys)

  return np.asarray(run(keys))


def scores(mixture: str, points: np.ndarray) -> list[str]:
  """Returns cells of a row from points [seeds, POINTS, 2]."""
  points = np.nan_to_num(points, nan=FAR, posinf=FAR, neginf=-FAR)
  runs = [modes.mixture(some, *_mixture(mixture)) for some in points]
  mean = experiment.mean_and_error
  return [
    mean([modes.found(x.counts) for x in runs], 1),
    mean([100 * x.high_quality for x in runs], 1, '%'),
    mean([modes.divergence(x.counts) for x in runs], 4),
    mean([x.spread for x in runs], 2),
  ]


def _picture(mixture: str, name: str, points: np.ndarray) -> None:
  folder = pathlib.Path(_OUT.value)
  folder.mkdir(parents=True, exist_ok=True)
  words = ''.join(c if c.isalnum() else ' ' for c in name).lower().split()
  picture = grid.draw(
    points / UNITS[mixture], f'{name}, {_ROUNDS.value:,} rounds'
  )
  grid.save(folder / f'{mixture}_{"_".join(words)}.png', picture)


def main(argv) -> None:
  del argv
  names = _METHODS.value or list(METHODS)
  for flag, given, known in (
    ('methods', names, METHODS),
    ('mixtures', _MIXTURES.value, UNITS),
  ):
    cli.check_names(flag, given, known)
  seeds = _SEEDS.value
  print(
    f'{_ROUNDS.value:,} rounds of {_BATCH_SIZE.value}, {seeds} seeds, hidden '
    f'units {"-".join(map(str, _WIDTHS.value))}, gamma {_GAMMA.value:g}, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}\n'
  )
  print('| mixture | method | modes | high quality | KL | spread | seconds |')
  print('| --- ' * 7 + '|')
  for mixture in _MIXTURES.value:
    for name, numbers in PUBLISHED[mixture].items():
      print(f'| {mixture} | {name}, published | {" | ".join(numbers)} | | |')
    keys = jax.random.split(jax.random.key(0), seeds)
    points = np.stack([exact(mixture, key, POINTS) for key in keys])
    cells = ' | '.join(scores(mixture, points))
    print(f'| {mixture} | exact sampler | {cells} | |', flush=True)
    for name in names:
      start = time.perf_counter()
      points = train(mixture, METHODS[name], seeds)
      seconds = time.perf_counter() - start
      cells = ' | '.join([*scores(mixture, points), f'{seconds:.0f}'])
      print(f'| {mixture} | {name} | {cells} |', flush=True)
      if _OUT.value:
        _picture(mixture, name, points[0])


if __name__ == '__main__':
  cli.run(main)
