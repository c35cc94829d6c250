"""Adversarial flow models (AFM): GANs whose generators move noise little.

Lin et al. 2025 (https://arxiv.org/abs/2511.22475). The generator maps noise z
of the shape of an image to an image. The networks minimise the losses of
`steps/gan.py`, and the generator also minimises

  transport E |G(z) - z|^2,

a mean over pixels. Among all maps from noise to images, this term prefers the
one of optimal transport. So two trainings find the same map, and training is
stable without norms. `gradient_average` divides the gradient of the adversarial
loss by its size, and leaves that of this term as it is. One weight then fits
networks and images of all sizes.

With `any_step`, G(x_s, s, t) maps images of time s to images of time t < s,
where x_t = (1 - t) x + t n has the share t of noise n. With w = max(s - t,
0.001) an example has the penalties times w, and its transport over w.

  state, metrics = jax.jit(adversarial_flow.train_step, static_argnums=0)(
      method, adversarial_flow.init(method, key), {'image': images}, key)
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.adversarial import terms
from jaxgan.adversarial.penalties import strided
from jaxgan.adversarial.regularisers import Difference
from jaxgan.adversarial.terms import Scene
from jaxgan.config import validate
from jaxgan.config.fields import field, flatten
from jaxgan.config.schedules import replaced
from jaxgan.core import noise, switches
from jaxgan.data.dataset import Spec
from jaxgan.steps import gan
from jaxgan.steps.gan import GAN

# Everything else is as in `gan`.
init, modules, train_step = gan.init, gan.modules, gan.train_step
batches_per_round, evaluate = gan.batches_per_round, gan.evaluate
use_ema_weights = gan.use_ema_weights

FIELDS = dict(
  transport=field(0.2, 0),  # weight in the generator's loss
  any_step=field(False),  # G and D are given times
  sampling_steps=field(1, 1, 1_000),  # of any_step, from noise to an image
)
SHORTEST = 0.001  # step in the weights of an example
TIME_STREAM = 2**30  # keys of times; those of latents start at 0
# Values that other fields must have, without and with any_step.
ONE_STEP = {'sampling_steps': 1}
ANY_STEP = {
  'replay_size': 0,
  'pack': 1,
  'labelled': 0.0,
  'penalties.gradient_penalty': 0.0,
  'penalties.dragan': 0.0,
}


def lengths(scene: Scene):
  """Returns max(s - t, 0.001) of each example [B]; 1.0 for one step."""
  if 'times' not in scene.batch:
    return 1.0
  s, t = scene.batch['times'].T
  return jnp.maximum(s - t, SHORTEST)


def transport(scene: Scene):
  """Returns the mean of |G(z) - z|^2 over pixels, divided by the lengths."""
  moved = scene.generated.images.reshape(scene.z.shape) - scene.z
  return jnp.mean(jnp.mean(moved**2, axis=-1) / lengths(scene))


class WeightedDifference(Difference):
  """Finite differences of R1 and R2, each example times its length."""

  def __call__(self, scene: Scene):
    weights = strided(lengths(scene), self.stride)
    return jnp.mean(weights * self.values(scene))


def interpolate(image, noise, time):
  """Returns (1 - t) x + t n for images and noise [B, ...] and times [B]."""
  time = time.reshape(-1, *(1,) * (image.ndim - 1))
  return (1.0 - time) * image + time * noise


@dataclasses.dataclass(frozen=True)
class AdversarialFlow(GAN):
  """Networks and settings of an adversarial flow, beside those of `GAN`.

  Attributes:
    any_step: True for G(x_s, s, t) and D(x_t, t).
    sampling_steps: number of steps from noise to an image, with `any_step`.
  """

  any_step: bool = False
  sampling_steps: int = 1

  def label(self, batch) -> tuple:
    """Returns further inputs of both networks: labels, and times s and t."""
    y = super().label(batch)
    return (*(y or (None,)), batch['times']) if 'times' in batch else y

  def inputs(self, batch, key):
    """Returns the batch and latents [B, Z] of an update.

    Images of `any_step` are x_t, and the latents are x_s. Both are made of the
    same image, with different noise. s is uniform in [0, 1), t in [0, s).
    """
    batch, source = super().inputs(batch, key)
    if not self.any_step:
      return batch, source
    image = batch['image']
    keys = jax.random.fold_in(jax.random.fold_in(key, 0), TIME_STREAM)
    keys = noise.keys(keys, 's', 't', 'target')
    s = noise.uniform(keys['s'], len(image))
    t = s * noise.uniform(keys['t'], len(image))
    target = self.latents.sample(keys['target'], len(image))
    x_t = interpolate(image, target.reshape(image.shape), t)
    x_s = interpolate(image.reshape(source.shape), source, s)
    times = jnp.stack([s, t], axis=-1)
    return batch | {'image': x_t, 'times': times}, x_s


def decode(method, state, z, label=None):
  """Returns images [N, ...] of latents [N, Z], which are noise.

  `state` comes from `use_ema_weights`. Without labels [N], classes take turns.
  """
  if label is None:
    label = jnp.arange(len(z)) % max(method.num_classes, 1)
  function, weights, _ = export_functions(method, state)['generator']
  return function(weights, z, *((label,) if method.num_classes else ()))


def export_functions(method, state):
  """Returns the generator for export; see `jaxgan.steps`."""
  parts = gan.export_functions(method, state)['generator']
  if not method.any_step:
    return {'generator': parts}
  function, *others = parts

  def in_steps(weights, z, label=None):
    times = np.linspace(1.0, 0.0, method.sampling_steps + 1, dtype=np.float32)
    x = z
    for pair in itertools.pairwise(times):
      both = jnp.broadcast_to(jnp.array([pair]), (z.shape[0], 2))
      image = function(weights, x, label, both)
      x = image.reshape(z.shape)
    return image

  return {'generator': (in_steps, *others)}


def _refuse(config, spec: Spec) -> None:
  """Raises a UserError for settings that the method cannot have."""
  size = math.prod(spec.shape)
  if config.latent_size != size:
    raise errors.UserError(
      f'latent_size={config.latent_size} must be {size}, the numbers of an '
      f'image: the latents are noise of its shape. Set latent_size={size}.'
    )
  values, wanted = flatten(config), ONE_STEP
  if config.any_step:
    wanted = ANY_STEP
    if not switches.is_on(config.penalties_difference):
      raise errors.UserError(
        'penalties_difference=0.0 is exact, and any_step=True weighs finite '
        'differences. Set penalties_difference=0.01.'
      )
  for name, value in wanted.items():
    if not switches.is_known(values[name]) or values[name] != value:
      raise errors.UserError(
        f'{name}={values[name]} is not for any_step={config.any_step}. Set '
        f'{name}={value}.'
      )


def from_config(config, spec: Spec) -> AdversarialFlow:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  _refuse(config, spec)
  if config.any_step:
    names = ('generator.times', 'discriminator.times')
    with config.unlocked():
      config = replaced(config, dict.fromkeys(names, True))
  method = gan.from_config(config, spec)
  row = ('transport', transport, config.transport, ())
  fields = dict(vars(method))
  fields['generator_terms'] = terms.of_weights(row) + method.generator_terms
  if config.any_step:
    fields['discriminator_terms'] = tuple(
      dataclasses.replace(term, function=WeightedDifference(**vars(function)))
      if isinstance(function := term.function, Difference)
      else term
      for term in method.discriminator_terms
    )
  return AdversarialFlow(
    **fields, any_step=config.any_step, sampling_steps=config.sampling_steps
  )
