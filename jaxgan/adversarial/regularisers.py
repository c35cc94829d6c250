"""Terms of the discriminator beside penalties on its own inputs."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import penalties
from jaxgan.adversarial.penalties import strided
from jaxgan.adversarial.terms import Scene, per_example

KINDS = ('real', 'fake')
CHANGE_STREAM = 2**29  # keys of `Consistency`, beside those of a network


@dataclasses.dataclass(frozen=True)
class LeCam:
  """Pulls D(x) of each kind to the average D(x) of the other kind.

  Tseng et al. 2021 (https://arxiv.org/abs/2104.03310), section 3:

    E (D(x) - a_F)^2 + E (D(G(z)) - a_R)^2,

  where a_R and a_F are moving averages of D(x) and D(G(z)) over earlier
  updates. In the first update the value is zero. The authors' code sets
  differences of the other sign to zero, and the paper does not. The function of
  a term with a state: the sums 'real' and 'fake', and their 'weight'.

  Attributes:
    decay: decay of the moving averages per update.
  """

  decay: float = 0.99

  def __call__(self, scene: Scene, sums):
    """Returns the value, and the sums after an update."""
    logits = {'real': scene.on_real.logits, 'fake': scene.on_fake.logits}
    weight = sums['weight']
    at_real, at_fake = (
      sums[kind] / jnp.where(weight > 0, weight, 1) for kind in ('real', 'fake')
    )
    value = jnp.mean((logits['real'] - at_fake) ** 2)
    value += jnp.mean((logits['fake'] - at_real) ** 2)
    new = {k: jnp.mean(jax.lax.stop_gradient(x)) for k, x in logits.items()}
    new['weight'] = jnp.ones(())
    mix = lambda a, b: self.decay * a + (1 - self.decay) * b
    return jnp.where(weight > 0, value, 0), jax.tree.map(mix, sums, new)


def first_sums(key) -> dict[str, jax.Array]:
  """Returns the first state of `LeCam`."""
  del key
  return {name: jnp.zeros(()) for name in ('real', 'fake', 'weight')}


def centring(scene: Scene):
  """Returns the mean of (D(x) + D(G(z)))^2 over pairs of a batch.

  Relativistic losses do not change if all logits move by a number. This term
  keeps them around zero: Lin et al. 2025, https://arxiv.org/abs/2511.22475,
  section 3, with a weight of 0.01.
  """
  return jnp.mean((scene.on_real.logits + scene.on_fake.logits) ** 2)


def alignment(scene: Scene):
  """Returns the distance of a generator's images to its last one.

  CAT, https://arxiv.org/abs/2605.26449: with images h_1 to h_n, the mean over k
  below n of |h_k - h_n|^2 / (n - k), in means over pixels. The gradient reaches
  both images.

  Raises:
    UserError: for a generator of single images.
  """
  images = scene.generated.images
  if not isinstance(images, tuple):
    raise errors.UserError(
      'scale_alignment compares images of several depths, and the generator '
      'makes one. Set scale_alignment=0.0, or '
      "generator.name='transformer.Generator'."
    )
  *others, last = images
  distances = [
    jnp.mean((image - last) ** 2) / (len(others) - index)
    for index, image in enumerate(others)
  ]
  return sum(distances) / len(distances)


@dataclasses.dataclass(frozen=True)
class Consistency:
  """The mean square of D(x) - D(T(x)), for random changes T of images.

  For reals: CR, Zhang et al. 2020 (https://arxiv.org/abs/1910.12027). With a
  second term for fakes: bCR, Zhao et al. 2021
  (https://arxiv.org/abs/2002.04724).

  Attributes:
    kind: 'real' or 'fake'.
    changes: rows of `augment.AUGMENTATIONS`, one after the other.
  """

  kind: str
  changes: tuple[Callable, ...]

  def __call__(self, scene: Scene):
    outputs = {'real': scene.on_real, 'fake': scene.on_fake}
    inputs = {'real': scene.real, 'fake': scene.fake}
    image, *others = inputs[self.kind]
    key = scene.keys[self.kind]
    for index, change in enumerate(self.changes):
      own = jax.random.fold_in(key, CHANGE_STREAM + index)
      image = jax.tree.map(lambda x, f=change, own=own: f(x, own), image)
    changed = scene.discriminator(image, *others, key=key)
    return jnp.mean((outputs[self.kind].logits - changed.logits) ** 2)


@dataclasses.dataclass(frozen=True)
class PenaltyBefore:
  """The mean of a row of `penalties.PENALTIES` on images before augmentation.

  The critic augments its images with the numbers of the update. So the slope is
  that with respect to images as they are, as in the code of Karras et al. 2020
  (ADA) and of R3GAN. The function of a term of `steps/gan.py`.

  Attributes:
    rule: a row of `penalties.PENALTIES`.
    kind: 'real' or 'fake', whose numbers the augmentation has.
    stride: every how many examples one has a penalty.
  """

  rule: Callable
  kind: str = 'real'
  stride: int = 1

  def __call__(self, scene: Scene):
    tricks, keys = scene.method.tricks, scene.keys
    real = tricks.prepare(scene.batch['image'], scene.made, keys)
    real, made = strided((real, scene.made), self.stride)
    others = strided(scene.real, self.stride)[1:]

    def critic(x):
      x = tricks.augment_inputs(scene.state, x, keys[f'{self.kind}_show'])
      output = scene.discriminator(x, *others, key=keys['real'])
      return per_example(output.logits)

    return jnp.mean(self.rule(critic, real, made, keys['penalty']))


@dataclasses.dataclass(frozen=True)
class Difference:
  """The mean of `penalties.difference` on images before augmentation.

  Both calls of the discriminator have the same augmentations and dropout. A
  real image is moved once for all its scales, and each scale of a fake has
  noise of its own, as in the code of GAT (https://arxiv.org/abs/2509.24935).
  The function of a term of `steps/gan.py`.

  Attributes:
    kind: 'real' for R1, 'fake' for R2.
    epsilon: deviation of the noise, in units of pixels.
    stride: every how many examples one has a penalty.
  """

  kind: str
  epsilon: float = 0.01
  stride: int = 1

  def __call__(self, scene: Scene):
    return jnp.mean(self.values(scene))

  def values(self, scene: Scene) -> jax.Array:
    """Returns the penalty of every `stride`-th example."""
    tricks, keys = scene.method.tricks, scene.keys
    images = {'real': scene.batch['image'], 'fake': scene.made}[self.kind]
    others = strided(scene.real, self.stride)[1:]

    def critic(x):
      if self.kind == 'real':
        x = tricks.prepare(x, scene.made, keys)
      x = tricks.augment_inputs(scene.state, x, keys[f'{self.kind}_show'])
      output = scene.discriminator(x, *others, key=keys[self.kind])
      return per_example(output.logits)

    key = jax.random.fold_in(keys['penalty'], KINDS.index(self.kind))
    images = strided(images, self.stride)
    return penalties.difference(critic, images, key, self.epsilon)
