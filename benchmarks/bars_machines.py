"""Machines of `bars.py`: bars and stripes, and small networks.

The 14 images of 3 x 3 binary pixels have equal columns or equal rows (MacKay
2003, Information Theory, Inference, and Learning Algorithms, section 43.3). The
table has the mean of -log p(v) in nats over these images, summed over all
states. The best possible value is log 14 = 2.639; independent pixels with the
right means have 9 log 2 = 6.238.
"""

import jax
import numpy as np

from jaxgan import helmholtz, rbm, trainer
from jaxgan.core import latents as latents_lib
from jaxgan.core import optim
from jaxgan.models import boltzmann

SHAPE, BATCH_SIZE, PER_CALL = (3, 3, 1), 70, 100
WIDTHS, HIDDEN = (8, 4), 8


def images() -> np.ndarray:
  """Returns all bars and stripes, [14, 3, 3, 1] in {-1, 1}."""
  lines = (np.arange(8)[:, None] >> np.arange(3)) % 2
  bars = np.broadcast_to(lines[:, None], (8, 3, 3))
  both = np.concatenate([bars, bars.transpose(0, 2, 1)])
  return 2.0 * np.unique(both, axis=0)[..., None].astype(np.float32) - 1.0


def _adam(rounds: int) -> optim.Optimizer:
  return optim.Optimizer(
    learning_rate=1e-2,
    b1=0.9,
    schedule='linear',
    schedule_images=rounds * BATCH_SIZE,
    images_per_update=BATCH_SIZE,
  )


def machines(rounds: int):
  """Returns the algorithm and the method of each row of the table."""
  kinds = {'CD-1': (1, 0), 'CD-10': (10, 0), 'PCD-1': (1, BATCH_SIZE)}
  rows = {
    f'RBM of {HIDDEN} units, {name}': (
      rbm,
      rbm.RBM(
        boltzmann.Restricted(SHAPE, HIDDEN),
        shape=SHAPE,
        machine_optimizer=_adam(rounds),
        gibbs_steps=steps,
        chains=chains,
      ),
    )
    for name, (steps, chains) in kinds.items()
  }
  rows[f'Helmholtz machine of {WIDTHS} units'] = (
    helmholtz,
    helmholtz.Helmholtz(
      boltzmann.Generative(SHAPE, WIDTHS),
      boltzmann.Recognition(WIDTHS),
      shape=SHAPE,
      latents=latents_lib.single('uniform', sum(WIDTHS)),
      generative_optimizer=_adam(rounds),
      recognition_optimizer=_adam(rounds),
    ),
  )
  return rows


def nats(algorithm, method, rounds: int, seed: int = 0) -> float:
  """Trains a machine on all images and returns the mean of -log p(v)."""
  arrays = {'image': np.tile(images(), (BATCH_SIZE // 14, 1, 1, 1))}
  advance = trainer(
    *(algorithm, method, arrays),
    batch_size=BATCH_SIZE,
    seed=seed,
    rounds_per_call=PER_CALL,
  )
  state, _ = advance(algorithm.init(method, jax.random.key(seed)), rounds)
  scores = algorithm.evaluate(method, state, {'image': images()})
  (value,) = (v for name, v in scores.items() if name.endswith('nats'))
  return float(value)
