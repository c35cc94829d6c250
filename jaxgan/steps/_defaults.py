"""Default functions of an algorithm; see `jaxgan.steps`.

Each function takes the algorithm before the arguments of the contract.
"""

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial.game import Game
from jaxgan.core.state import TrainState

PREVIEW_SIZE = 100


def batches_per_round(algorithm, method) -> int:
  """Returns 1: all networks see the same batch."""
  del algorithm, method
  return 1


def equilibrium_metrics(algorithm, method) -> dict[str, float]:
  """Returns losses and D(x) where fakes are distributed as reals.

  Returns {} without a discriminator, and with a reconstruction loss, which
  moves the equilibrium.
  """
  del algorithm
  if not isinstance(method, Game) or getattr(method, 'reconstruction', 0.0):
    return {}
  return discriminator_lib.equilibrium_metrics(method.loss)


def use_ema_weights(algorithm, method, state: TrainState) -> TrainState:
  """Returns the unchanged state."""
  del algorithm, method
  return state


def sample(algorithm, method, state: TrainState, key, num: int, label=None):
  """Returns images [num, ...] in [-1, 1]; image i depends on `key` and i.

  Raises:
    UserError: for a method without latents.
  """
  if not hasattr(method, 'latents'):
    raise errors.UserError(
      f'method={algorithm.name!r} makes no images from latents. Its pictures '
      'of held-out images are in the samples of the run.'
    )
  z = method.latents.sample(key, num)
  state = algorithm.use_ema_weights(method, state)
  return algorithm.decode(method, state, z, label)


def preview(algorithm, method, state: TrainState, batch, key):
  """Returns a grid of samples, whose latents depend on the key alone."""
  del batch
  return {'samples': algorithm.sample(method, state, key, PREVIEW_SIZE)}


def export_functions(algorithm, method, state: TrainState):
  """Raises an error: there is nothing to export.

  Raises:
    UserError: always.
  """
  del method, state
  raise errors.UserError(
    f'method={algorithm.name!r} makes no images, so there is nothing to export.'
  )


CONSTANTS = {'SHOWN_IMAGES': 0, 'SMOOTH_LATENTS': True}
FUNCTIONS = {
  function.__name__: function
  for function in (
    *(batches_per_round, equilibrium_metrics, use_ema_weights),
    *(sample, preview, export_functions),
  )
}
