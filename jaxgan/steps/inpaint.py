"""Image completion: context encoders and context-conditional GANs.

Pathak et al. 2016 (https://arxiv.org/abs/1604.07379), equation 3; Denton et al.
2016 (https://arxiv.org/abs/1611.06430). Each example x has a square hole at a
random position. The generator G fills the hole. The discriminator distinguishes
completed images from real images, or patches from real patches. G minimises

  -adversarial log D(G(holes(x))) + reconstruction distance(x, G(holes(x))).

  method = inpaint.Inpaint(inpaint_models.UNet(shape), ..., shape=shape)
  state = inpaint.init(method, key)
  state, metrics = inpaint.train_step(method, state, {'image': images}, key)
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.adversarial import completion, losses
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import game as game_lib
from jaxgan.adversarial.completion import Mask, Reconstruction
from jaxgan.adversarial.game import ADAM, Game
from jaxgan.adversarial.terms import Scene, add_up
from jaxgan.config import completion as completion_config
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import masks, noise
from jaxgan.core import state as state_lib
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the loss -log D(x) - log(1 - D(G(holes(x)))), with terms."""
  fill_key, key = jax.random.split(key)
  keys = noise.keys(key, 'replay', 'real', 'fake')
  G, x = networks['generator'], batch['image']
  output, holes = _fill(method, G, x, fill_key, method.tricks.batch_fakes)
  real, fake = completion.shown(method, x, output.images, holes)
  fake, pool = method.tricks.replay_fakes(state, fake, keys['replay'])
  real = method.tricks.augment_inputs(state, real, keys['real'])
  fake = method.tricks.augment_inputs(state, fake, keys['fake'])
  keys = discriminator_lib.loss_keys(key)
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, batch, 'discriminator'),
    *((real,), (fake,), keys, apply, pool),
  )


def generator_loss(method, networks, state, batch, key):
  """Returns the weighted sum of both losses (equation 3), with terms."""
  names = ('real_show', 'fake_show', 'real', 'fake')
  keys = noise.keys(jax.random.fold_in(key, 1), *names)
  D, G, x = networks['discriminator'], networks['generator'], batch['image']
  output, holes = _fill(method, G, x, key)
  error = method.reconstruction(x, output.images, holes, method.mask.size)
  images = method.tricks.output_gradient(output.images)
  real, fake = completion.shown(method, x, images, holes)
  real = (method.tricks.augment_inputs(state, real, keys['real_show']),)
  fake = (method.tricks.augment_inputs(state, fake, keys['fake_show']),)
  loss, *outputs = discriminator_lib.generator_loss(
    method, state, D, real, fake, keys
  )
  total = method.adversarial * loss + method.reconstruction.weight * error
  seen = (method, state, batch, networks, D, real, fake, *outputs, keys)
  scene = Scene(*seen, generated=output)
  total, values, extra = add_up(method.generator_terms, total, scene)
  metrics = {'loss': loss, 'reconstruction': error} | values
  return total, Aux({'generator': output.stats}, {'generator': metrics}, extra)


def train_step(method, state, batch, key):
  """Trains one round: the discriminator, then the generator, with new holes.

  Args:
    method: an `Inpaint`.
    state: the state before the round.
    batch: 'image' [B, H, W, C] in [-1, 1], and 'label' [B] with `num_classes`.
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics.
  """
  keys = jax.random.split(jax.random.fold_in(key, state.step))
  state, metrics = discriminator_step(method, state, batch, keys[0])
  state, values = generator_step(method, state, batch, keys[1])
  return state.replace(step=state.step + 1), metrics | values


SHOWN_IMAGES = 10  # in the grid


def discriminator_step(method, state: TrainState, batch, key):
  """Updates the discriminator alone; see `train_step` for `batch`."""
  return discriminator_lib.update(
    method, state, 'discriminator', discriminator_loss, batch, key
  )


def generator_step(method, state: TrainState, batch, key):
  """Updates the generator alone, and its EMA weights."""
  state, metrics = state_lib.gradient_step(
    method, state, ('generator',), generator_loss, batch, key
  )
  return ema_lib.follow(method, state, len(batch['image'])), metrics


def _fill(method, generator, image, key, train: bool = True):
  """Makes holes; returns the generator's output and the holes."""
  *keys, dropout_key = jax.random.split(key, 3)
  seen, holes = method.mask(image, *keys)
  return generator(seen, key=dropout_key, train=train), holes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inpaint(Game):
  """Networks and settings, in addition to those of `Game`.

  Attributes:
    generator: maps images with holes [B, H, W, C + extra channels] to images
      [B, H, W, C] or to patches [B, S, S, C].
    discriminator: maps images or patches to logits [B] or [B, h, w].
    shape: (H, W, C).
    mask: makes the holes.
    generator_optimizer: optimizer of the generator.
    discriminator_optimizer: optimizer of the discriminator.
    output: 'image' or 'patch'.
    compositing: True if the discriminator sees the known pixels around the
      completed hole; False if it sees the generator's output alone.
    reconstruction: the generator's distance to the true image.
    num_classes: classes of the discriminator's head; 0 for no head.
  """

  generator: nn.Module
  discriminator: nn.Module
  shape: tuple[int, int, int]
  mask: Mask
  generator_optimizer: optax.GradientTransformation = ADAM
  discriminator_optimizer: optax.GradientTransformation = ADAM
  output: str = 'image'
  compositing: bool = True
  loss: losses.Pair = losses.PAIRS['least_squares']
  reconstruction: Reconstruction = Reconstruction()
  num_classes: int = 0


def _output_shape(method) -> tuple[int, ...]:
  if method.output == 'image':
    return method.shape
  return (method.mask.size, method.mask.size, method.shape[-1])


def _shown_shape(method) -> tuple[int, ...]:
  return method.shape if method.compositing else _output_shape(method)


def modules(method):
  """Returns both networks with an example of their inputs."""
  *size, channels = method.shape
  seen = jnp.zeros((1, *size, channels + method.mask.extra_channels))
  shown = method.tricks.example(_shown_shape(method))
  return {
    'generator': (method.generator, (seen,)),
    'discriminator': (method.discriminator, (shown,)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, ('generator',), with_stats=True)
  extra |= game_lib.first_extra(method, _shown_shape(method), key)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def fill(method, state: TrainState, image, key):
  """Completes images [N, H, W, C] in [-1, 1] with EMA weights.

  Returns images with holes, completed images, and the holes. The hole of image
  i depends only on the key and on i.
  """
  seen, holes = method.mask(image, *jax.random.split(key))
  run = state_lib.inference(method.generator)
  output = run(ema_lib.variables(state, 'generator'), seen)
  masked = seen[..., : method.shape[-1]]
  return masked, masks.complete(image, output, holes), holes


def export_functions(method, state: TrainState):
  """Returns a function of images and known pixels; see `jaxgan.steps`.

  The missing pixels must be a square of the size in training. A patch is placed
  at the top left of the missing pixels.
  """
  run = state_lib.inference(method.generator)

  def function(weights, image, known):
    holes = completion.holes_of(known)
    seen = method.mask.fill(image, holes, jax.random.key(0))
    completed = masks.complete(image, run(weights, seen), holes)
    return jnp.where(known, image, completed)

  image = jnp.zeros((1, *method.shape))
  inputs = {'image': image, 'known': jnp.ones((1, *method.shape[:2], 1), bool)}
  weights = ema_lib.variables(state, 'generator')
  return {'generator': (function, weights, inputs)}


def preview(method, state: TrainState, batch, key):
  """Returns 'completions' [3, N, H, W, C]: holes, completions, originals."""
  masked, completed, _ = fill(method, state, batch['image'], key)
  return {'completions': jnp.stack([masked, completed, batch['image']])}


def evaluate(method, state: TrainState, batch):
  """Returns errors in the holes of held-out images.

  The errors are the mean absolute error on the scale of [-1, 1], and the ratio
  of the squared range of pixels to the mean square error, in decibels.
  """
  image = batch['image']
  _, completed, holes = fill(method, state, image, jax.random.key(0))
  error = masks.cut(completed - image, holes.corner, method.mask.size)
  return {
    'generator/held_out_l1': jnp.mean(jnp.abs(error)),
    'generator/held_out_psnr': 10.0 * jnp.log10(4.0 / jnp.mean(error**2)),
  }


def from_config(config, spec: Spec) -> Inpaint:
  """Builds the method; the only reader of the config for this algorithm."""
  fields = completion_config.fields(config, spec)
  derived = {
    'shape': spec.shape,
    'patch_size': config.mask.size,
    'num_classes': fields['num_classes'],
  }
  for name in ('generator', 'discriminator'):
    fields |= networks_lib.network_fields(
      config, name, config.batch_size, **derived
    )
  method = Inpaint(**fields)
  module, inputs = modules(method)['generator']
  shape = state_lib.made_shape(module, *inputs)
  completion_config.refuse_output(config, shape, _output_shape(method))
  return method
