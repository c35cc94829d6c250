"""Terms of discriminators whose logits are minus an energy.

See `steps/energy_gan.py`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.adversarial.terms import Scene
from jaxgan.core import axis
from jaxgan.metrics.likelihood import flat

BEFORE_FIRST = 1e30  # energy of the rounds before the first ones
LEAST_LENGTH = 1e-12  # squared, of codes whose cosine is taken


def energies(scene: Scene):
  """Returns the mean energies of reals and fakes."""
  outputs = (scene.on_real, scene.on_fake)
  return tuple(-jnp.mean(output.logits) for output in outputs)


@dataclasses.dataclass(frozen=True)
class Hinge:
  """max(0, m - E(G(z))), the function of a term.

  Attributes:
    margin: m; 0 takes the margin from the state, see `Margin`.
  """

  margin: float = 0.0

  def __call__(self, scene: Scene):
    margin = self.margin or scene.state.extra['margin']['margin']
    return jnp.mean(jax.nn.relu(margin + scene.on_fake.logits))


@dataclasses.dataclass(frozen=True)
class Margin:
  """The margin of MAGAN, the function of a term with a state.

  Wang et al. 2017, algorithm 1. Every `every` rounds the margin becomes the
  mean energy of reals in these rounds. Three conditions must hold: this energy
  is below the margin, it is below the energy of fakes, and the latter did not
  fall since the rounds before. Energies of fakes are those of the
  discriminator's update; the paper takes those of the generator's.
  """

  every: int
  first: float

  def start(self, key=None) -> dict[str, jax.Array]:
    """Returns the first state; there are no rounds before."""
    del key
    zeros = {name: jnp.zeros(()) for name in ('real', 'fake', 'count')}
    first = {'margin': self.first, 'before': BEFORE_FIRST}
    return zeros | {name: jnp.float32(value) for name, value in first.items()}

  def __call__(self, scene: Scene, numbers):
    """Returns the margin of this update, and the next state."""
    margin, before = numbers['margin'], numbers['before']
    real, fake = jax.lax.stop_gradient(axis.mean_of_devices(energies(scene)))
    real, fake = numbers['real'] + real, numbers['fake'] + fake
    count = numbers['count'] + 1.0
    falls = (real / count < margin) & (real < fake) & (before <= fake)
    moved = self.start() | {
      'margin': jnp.where(falls, real / count, margin),
      'before': fake,
    }
    kept = numbers | {'real': real, 'fake': fake, 'count': count}
    is_due = count >= self.every
    return margin, jax.tree.map(
      lambda a, b: jnp.where(is_due, a, b), moved, kept
    )


def share_of_fakes(scene: Scene):
  """Returns -k E(G(z)), the function of a term."""
  return -scene.state.extra['k'] * energies(scene)[1]


@dataclasses.dataclass(frozen=True)
class Balance:
  """k of BEGAN, the function of a term with a state."""

  gamma: float
  step: float

  def start(self, key=None) -> jax.Array:
    """Returns the first k, 0."""
    del key
    return jnp.zeros(())

  def __call__(self, scene: Scene, k):
    """Returns k of this update, and the next k."""
    real, fake = jax.lax.stop_gradient(axis.mean_of_devices(energies(scene)))
    return k, jnp.clip(k + self.step * (self.gamma * real - fake), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Convergence:
  """M = E(x) + |gamma E(x) - E(G(z))|, the function of a term."""

  gamma: float

  def __call__(self, scene: Scene):
    real, fake = axis.mean_of_devices(energies(scene))
    return real + jnp.abs(self.gamma * real - fake)


def pulling_away(scene: Scene):
  """Returns the mean squared cosine of different codes of fakes.

  Zhao et al. 2016, equation 4, over the global batch.
  """
  code = axis.gather(flat(scene.on_fake.sown['features']))
  square = jnp.sum(code**2, axis=1, keepdims=True)
  code = code * jax.lax.rsqrt(square + LEAST_LENGTH)
  alike = (code @ code.T) ** 2
  count = len(code)
  return (jnp.sum(alike) - jnp.trace(alike)) / (count * (count - 1))
