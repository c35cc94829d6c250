"""Image to image from pairs: pix2pix.

Isola et al. 2017 (https://arxiv.org/abs/1611.07004), equation 4. A generator G
makes an image G(s) of a source s. A discriminator distinguishes G(s) from the
true image x, patch by patch, given the source. The default losses minimise

  -log D(x, s) - log(1 - D(G(s), s))    and
  -adversarial log D(G(s), s) + reconstruction |x - G(s)|.

  method = pix2pix.Pix2Pix(
      generator=translate.UNet((256, 256, 3)),
      discriminator=translate.PatchDiscriminator(),
      shape=(256, 256, 3), source_shape=(256, 256, 1))
  state = pix2pix.init(method, key)
  state, metrics = pix2pix.train_step(
      method, state, {'image': images, 'source': sources}, key)

The discriminator learns first, as in the other algorithms. The paper halves the
discriminator's loss, which does not change Adam's updates.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import game as game_lib
from jaxgan.adversarial import image_to_image
from jaxgan.adversarial.game import ADAM, Game
from jaxgan.adversarial.terms import Scene, add_up
from jaxgan.config import game as game_config
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the loss -log D(x, s) - log(1 - D(G(s), s)), with terms."""
  keys = _discriminator_keys(key)
  x, s = batch['image'], batch['source']
  G, train = networks['generator'], method.tricks.batch_fakes
  fake = G(s, key=jax.random.fold_in(key, 0), train=train).images
  # The pool keeps earlier fakes together with their sources.
  both = jnp.concatenate([fake, s], axis=-1)
  both, pool = method.tricks.replay_fakes(state, both, keys['replay'])
  fake = jnp.split(both, [method.shape[-1]], axis=-1)
  real = _inputs(method, state, (x, s), keys['real'])
  fake = _inputs(method, state, fake, keys['fake'])
  keys = discriminator_lib.loss_keys(keys['update'])
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, batch, 'discriminator'),
    *(real, fake, keys, apply, pool),
  )


def generator_loss(method, networks, state, batch, key):
  """Returns -adversarial log D(G(s), s) + reconstruction |x - G(s)|."""
  x, s = batch['image'], batch['source']
  D, G = networks['discriminator'], networks['generator']
  keys = noise.keys(jax.random.fold_in(key, 2), *GENERATOR_KEYS)
  generated = G(s, key=jax.random.fold_in(key, 0))
  error = jnp.mean(jnp.abs(generated.images - x))
  total, metrics = method.reconstruction * error, {'reconstruction': error}
  fake = method.tricks.output_gradient(generated.images)
  real = _inputs(method, state, (x, s), keys['real_show'])
  fake = _inputs(method, state, (fake, s), keys['fake_show'])
  loss, *outputs = discriminator_lib.generator_loss(
    method, state, D, real, fake, keys
  )
  if method.adversarial:
    metrics['loss'] = loss
    total += method.adversarial * loss
  seen = (method, state, batch, networks, D, real, fake, *outputs, keys)
  scene = Scene(*seen, generated=generated)
  total, values, extra = add_up(method.generator_terms, total, scene)
  metrics = {'generator': metrics | values}
  return total, Aux({'generator': generated.stats}, metrics, extra)


def train_step(method, state, batch, key):
  """Trains one round: the discriminator, then the generator.

  Both use the same outputs. With adversarial=0, D is not trained.

  Args:
    method: a `Pix2Pix`.
    state: the state before the round.
    batch: 'image' [B, H, W, C] and 'source' [B, H, W, D] in [-1, 1].
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics.
  """
  key = jax.random.fold_in(key, state.step)
  metrics = {}
  if method.adversarial:
    state, metrics = discriminator_step(method, state, batch, key)
  state, values = generator_step(method, state, batch, key)
  return state.replace(step=state.step + 1), metrics | values


GENERATOR_KEYS = ('real_show', 'fake_show', 'real', 'fake')
SHOWN_IMAGES = 10  # in the grid
LEAST_SQUARE = 1e-10  # keeps the decibels of a perfect image finite


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


def _discriminator_keys(key):
  names = ('replay', 'real', 'fake', 'update')
  return noise.keys(jax.random.fold_in(key, 1), *names)


def _inputs(method, state, images, key):
  """Augments an image and its source alike; drops an unused source."""
  images = tuple(images) if method.conditional else tuple(images)[:1]
  return tuple(method.tricks.augment_inputs(state, x, key) for x in images)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2Pix(Game):
  """Networks and settings, in addition to those of `Game`.

  Attributes:
    generator: maps sources [B, H, W, D] to images [B, H, W, C]. Its noise is
      dropout.
    discriminator: maps images, and sources if `conditional`, to logits [B] or
      [B, h, w].
    shape: (H, W, C).
    source_shape: (H, W, D).
    generator_optimizer: optimizer of the generator.
    discriminator_optimizer: optimizer of the discriminator.
    conditional: True if the discriminator sees the source.
    reconstruction: weight of the generator's mean absolute error.
  """

  generator: nn.Module
  discriminator: nn.Module
  shape: tuple[int, int, int]
  source_shape: tuple[int, int, int]
  generator_optimizer: optax.GradientTransformation = ADAM
  discriminator_optimizer: optax.GradientTransformation = ADAM
  conditional: bool = True
  reconstruction: float = 100.0


def modules(method):
  """Returns both networks with an example of their inputs."""
  shapes = (method.shape, method.source_shape)[: 1 + method.conditional]
  shown = tuple(method.tricks.example(shape) for shape in shapes)
  return {
    'generator': (method.generator, (jnp.zeros((1, *method.source_shape)),)),
    'discriminator': (method.discriminator, shown),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, ('generator',), with_stats=True)
  *size, channels = method.shape
  both = (*size, channels + method.source_shape[-1])
  extra |= game_lib.first_extra(method, both, key)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def export_functions(method, state: TrainState):
  """Returns the generator for export; see `jaxgan.steps`."""
  function = image_to_image.export_function(
    method, state, 'generator', method.source_shape
  )
  return {'generator': function}


def preview(method, state: TrainState, batch, key):
  """Returns 'translations' [3, N, H, W, C]: sources, outputs, true images."""
  s = batch['source']
  output = image_to_image.translate(method, state, 'generator', s, key)
  return {'translations': image_to_image.rows(s, output, batch['image'])}


def evaluate(method, state: TrainState, batch):
  """Returns errors on held-out pairs.

  Returns:
    'held_out_l1' is the mean absolute error on the scale of [-1, 1].
    'held_out_psnr' is the ratio of the squared range of pixels to the mean
    square error in decibels, a mean over images.
  """

  def score(key, image, source):
    output = image_to_image.translate(
      method, state, 'generator', source[None], key
    )[0]
    square = jnp.maximum(jnp.mean((output - image) ** 2), LEAST_SQUARE)
    return {
      'generator/held_out_l1': jnp.mean(jnp.abs(output - image)),
      'generator/held_out_psnr': 10.0 * jnp.log10(4.0 / square),
    }

  return image_to_image.mean_over_pairs(score, batch)


def from_config(config, spec: Spec) -> Pix2Pix:
  """Builds the method; the only reader of the config for this algorithm."""
  if not config.data.get('pair'):
    raise errors.UserError(
      "method='pix2pix' learns from pairs and the data have none. Set "
      "data.pair to the source of an image, for example data.pair='edges'."
    )
  if not config.adversarial and not config.reconstruction:
    raise errors.UserError(
      'adversarial=0 and reconstruction=0 leave nothing to learn. Set one.'
    )
  fields = game_config.fields(config, spec)
  for name in ('generator', 'discriminator'):
    fields |= networks_lib.network_fields(
      config, name, config.batch_size, shape=spec.shape
    )
  method = Pix2Pix(
    **fields,
    shape=spec.shape,
    source_shape=spec.source_shape,
    conditional=config.conditional,
    reconstruction=config.reconstruction,
  )
  game_config.refuse_shape(config, modules(method)['generator'], spec.shape)
  return method
