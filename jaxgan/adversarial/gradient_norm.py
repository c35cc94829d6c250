"""Changes of the gradient at the generator's output."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.core import axis
from jaxgan.core.state import TrainState

NAME = 'output_gradient'  # of the average in the state's 'extra'
EPSILON = 1e-8


def unchanged(gradient):
  """Returns its argument."""
  return gradient


@dataclasses.dataclass(frozen=True)
class OutputGradient:
  """Applies a function to the gradient at the generator's output.

  The gradient is that of the adversarial loss, and of terms that look at the
  discriminator's inputs or outputs.

  Attributes:
    change: gradient -> gradient, of the shape of the images.
  """

  change: Callable = unchanged

  def __call__(self, images):
    """Returns the images; their gradient passes through `change`."""
    if self.change is unchanged:
      return images

    @jax.custom_vjp
    def identity(x):
      return x

    identity.defvjp(
      lambda x: (x, None), lambda _, gradient: (self.change(gradient),)
    )
    return identity(images)


@dataclasses.dataclass(frozen=True)
class NormaliseGradient:
  """Divides the gradient that the discriminator sends to the generator.

  Lin et al. 2025 (https://arxiv.org/abs/2511.22475), section 3: the gradient g
  of n numbers at the generator's output becomes

    g / sqrt(average of n |g|^2),

  so that weights of other terms of the generator mean the same for every size
  of the networks and of the images. The average begins with its first value.
  The authors' code begins with zero, and its first steps are up to three times
  as long.

  Attributes:
    decay: decay of the average per update; 0 is off.
  """

  decay: float = 0.0

  def init(self) -> dict:
    """Returns the first average as a part of 'extra'; {} if this is off."""
    if not self.decay:
      return {}
    return {NAME: {name: jnp.zeros(()) for name in ('square', 'weight')}}

  def __call__(self, judge: Callable, images, state: TrainState):
    """Returns the loss and `Aux` of `judge`, with a normalised gradient.

    Args:
      judge: images -> (loss, `Aux`). What the loss gets of the generator's
        output in another way than by its argument keeps its gradient.
      images: output of the generator, an array or a tuple of arrays.
      state: the state before the update.
    """
    if not self.decay:
      return judge(images)
    frozen = jax.lax.stop_gradient(images)
    loss, pull, aux = jax.vjp(judge, frozen, has_aux=True)
    (slope,) = pull(jnp.ones_like(loss))
    slope = jax.lax.stop_gradient(slope)
    leaves = jax.tree.leaves(slope)
    # The mean over devices has the scale of the global batch: each device has
    # the gradient of the mean over its own examples.
    square = axis.mean(sum(x.size * jnp.vdot(x, x) for x in leaves))
    mix = lambda old, new: self.decay * old + (1.0 - self.decay) * new
    old = state.extra[NAME]
    new = {
      'square': mix(old['square'], square),
      'weight': mix(old['weight'], 1),
    }
    divisor = jnp.sqrt(new['square'] / new['weight']) + EPSILON
    moved = sum(
      jnp.vdot(g, x - kept) / divisor
      for g, x, kept in zip(
        leaves, *map(jax.tree.leaves, (images, frozen)), strict=True
      )
    )
    return loss + moved, aux._replace(extra={**aux.extra, NAME: new})
