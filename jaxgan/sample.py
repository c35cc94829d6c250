"""Images from a trained run: reads its checkpoint and its config, no data."""

import functools
import pathlib

import jax

from jaxgan import checkpoint, errors, steps
from jaxgan import config as config_lib
from jaxgan import record as record_lib
from jaxgan.data.dataset import Spec
from jaxgan.visual import grid

MOST_IMAGES = 10_000


def restore(workdir):
  """A finished or stopped run's algorithm, method and newest valid state.

  Returns:
    The module in `jaxgan.steps`, its method, and the TrainState.

  Raises:
    UserError: if there is no run.
  """
  workdir = pathlib.Path(workdir)
  record = record_lib.read(workdir)
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run; give the --workdir of one'
    )
  config = config_lib.from_json(record['config'])
  found = record['data']
  spec = Spec(
    tuple(found['shape']), found['num_classes'], tuple(found['classes'])
  )
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, spec)
  like = jax.eval_shape(
    functools.partial(algorithm.init, method), jax.random.key(0)
  )
  state, _ = checkpoint.load(workdir, like)
  return algorithm, method, state


def sample(workdir, num: int, seed: int) -> pathlib.Path:
  """Writes a grid of samples from averaged weights.

  Args:
    workdir: of the run.
    num: how many images.
    seed: the same seed gives the same images.

  Returns:
    The PNG file, named after step, number and seed.
  """
  if not 1 <= num <= MOST_IMAGES:
    raise errors.UserError(f'--num={num} must be in 1..{MOST_IMAGES}')
  if not 0 <= seed < 2**32:
    raise errors.UserError(f'--seed={seed} must be in 0..{2**32 - 1}')
  workdir = pathlib.Path(workdir).absolute()
  algorithm, method, state = restore(workdir)
  draw = jax.jit(algorithm.sample, static_argnums=(0, 3))
  images = jax.device_get(draw(method, state, jax.random.key(seed), num))
  step = int(state.step)
  caption = f'step {step:,}  seed {seed}  samples'
  path = workdir / f'sample_step{step}_num{num}_seed{seed}.png'
  grid.save(path, grid.draw(images, caption))
  return path
