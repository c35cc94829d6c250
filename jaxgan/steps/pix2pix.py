"""Image to image from pairs: pix2pix.

A generator makes an image of a source; a discriminator tells it from the true
image, patch by patch, beside the source (Isola et al. 2017,
https://arxiv.org/abs/1611.07004).

  method = pix2pix.Pix2Pix(
      generator=translate.UNet((256, 256, 3)),
      discriminator=translate.PatchDiscriminator(),
      shape=(256, 256, 3), source_shape=(256, 256, 1))
  state = pix2pix.init(method, key)
  state, metrics = pix2pix.train_step(
      method, state, {'image': images, 'source': sources}, key)

The order is that of the other algorithms: the discriminator first. The paper
halves the discriminator's loss, which Adam does not notice.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import image_to_image, tricks
from jaxgan.config import networks as networks_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec

SHOWN_IMAGES = 10  # in the grid
LEAST_SQUARE = 1e-10  # keeps the decibels of a perfect image finite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2Pix(tricks.Adversary):
  """The parts of the game that never change, with those of `Adversary`.

  Attributes:
    generator: sources [B, H, W, D] to images [B, H, W, C]. Its noise is
      dropout.
    discriminator: images, and sources where it is conditional, to logits [B] or
      maps of them [B, h, w].
    shape: (H, W, C).
    source_shape: (H, W, D).
    generator_optimizer: moves the generator.
    discriminator_optimizer: moves the discriminator.
    conditional: the discriminator sees the source.
    reconstruction: weight of the generator's mean absolute error. With
      `adversarial` zero there is nothing else, and the discriminator rests.
  """

  generator: nn.Module
  discriminator: nn.Module
  shape: tuple[int, int, int]
  source_shape: tuple[int, int, int]
  generator_optimizer: optax.GradientTransformation = optax.adam(2e-4, b1=0.5)
  discriminator_optimizer: optax.GradientTransformation = optax.adam(
    2e-4, b1=0.5
  )
  conditional: bool = True
  reconstruction: float = 100.0


def from_config(config, spec: Spec, axis_name: str | None = None) -> Pix2Pix:
  """Builds the method; the only reader of the config for this algorithm."""
  if not config.data.get('pair'):
    raise errors.UserError(
      "method='pix2pix' learns from pairs and the data have none; say in "
      "data.pair what the source of an image is, as data.pair='edges'"
    )
  if not config.adversarial and not config.reconstruction:
    raise errors.UserError(
      'adversarial=0 and reconstruction=0 leave nothing to learn; set one'
    )
  fields = tricks.from_config(config, spec, axis_name)
  for player in ('generator', 'discriminator'):
    fields[player], fields[f'{player}_optimizer'] = networks_lib.build_network(
      config, player, config.batch_size, shape=spec.shape, axis_name=axis_name
    )
  method = Pix2Pix(
    **fields,
    shape=spec.shape,
    source_shape=spec.source_shape,
    conditional=config.conditional,
    reconstruction=config.reconstruction,
  )
  module, inputs = modules(method)['generator']
  image_to_image.refuse_shape(config, module, inputs, spec.shape)
  return method


def _example(shape):
  return jnp.zeros((1, *shape))


def _inputs(method: Pix2Pix, image, source):
  return (image, source) if method.conditional else (image,)


def modules(method: Pix2Pix):
  """Both networks with an example of their inputs, for tables."""
  shown = (
    tricks.shown_example(method, shape)
    for shape in (method.shape, method.source_shape)
  )
  return {
    'generator': (method.generator, (_example(method.source_shape),)),
    'discriminator': (method.discriminator, _inputs(method, *shown)),
  }


def expected(method: Pix2Pix) -> dict[str, float]:
  """Losses and D(x) where outputs are distributed as images.

  A reconstruction term draws the generator elsewhere: then there are none.
  """
  return {} if method.reconstruction else tricks.expected(method.loss)


def draws(method: Pix2Pix) -> int:
  """Batches of pairs that a round takes: both players see the same."""
  del method
  return 1


def init(method: Pix2Pix, key: jax.Array) -> TrainState:
  """The state before the first round."""
  networks = tricks.init(method, modules(method), key)
  ema, stats = image_to_image.start(networks, ['generator'])
  # Earlier outputs are kept beside their sources.
  *size, channels = method.shape
  both = (*size, channels + method.source_shape[-1])
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    networks=networks,
    ema=ema,
    extra=stats | tricks.create_pool(method, both),
  )


def train_step(method: Pix2Pix, state: TrainState, batch, key):
  """One round: the discriminator, then the generator, on the same outputs.

  Args:
    method: the parts that never change.
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
  state, found = generator_step(method, state, batch, key)
  return state.replace(step=state.step + 1), metrics | found


def _generate(method: Pix2Pix, params, stats, source, key, train=True):
  """Images [B, H, W, C] and mutable collections; one key, one noise."""
  return state_lib.apply(
    method.generator,
    params,
    stats,
    source,
    train=train,
    key=jax.random.fold_in(key, 0),
  )


def _show(method: Pix2Pix, state: TrainState, image, source, key):
  """The discriminator's inputs; both images are changed alike."""
  return tuple(
    discriminator_lib.show(method, state, x, key)
    for x in _inputs(method, image, source)
  )


def discriminator_step(method: Pix2Pix, state: TrainState, batch, key):
  """Updates the discriminator alone. batch: as in `train_step`."""
  keys = noise.keys(
    jax.random.fold_in(key, 1), 'replay', 'real', 'fake', 'update'
  )
  generator = state.networks['generator']
  image, source = batch['image'], batch['source']
  output, _ = _generate(
    method,
    generator.params,
    generator.stats,
    source,
    key,
    train=method.fakes == 'batch',
  )
  both, state = discriminator_lib.recall(
    method, state, jnp.concatenate([output, source], -1), keys['replay']
  )
  output, of = jnp.split(both, [method.shape[-1]], axis=-1)
  shown = {
    'real': _show(method, state, image, source, keys['real']),
    'fake': _show(method, state, output, of, keys['fake']),
  }
  player = state_lib.player(method, 'discriminator')
  return discriminator_lib.update(method, state, player, shown, keys['update'])


def generator_step(method: Pix2Pix, state: TrainState, batch, key):
  """Updates the generator alone, and its average.

  Isola et al. 2017, equation 4: the sum of both losses by their weights.
  """
  image, source = batch['image'], batch['source']
  stats = state.networks['generator'].stats
  discriminator = state_lib.player(method, 'discriminator')
  keys = noise.keys(
    jax.random.fold_in(key, 2), 'real_show', 'fake_show', 'real', 'fake'
  )

  def judge(kind, x):
    shown = _show(method, state, x, source, keys[f'{kind}_show'])
    return discriminator_lib.ask(state, discriminator, shown, keys[kind])

  def loss_fn(params):
    output, after = _generate(method, params, stats, source, key)
    metrics = {'reconstruction': jnp.mean(jnp.abs(output - image))}
    total = method.reconstruction * metrics['reconstruction']
    if method.adversarial:
      # Compiled, logits that a loss does not look at are not computed.
      said = judge('real', image), judge('fake', output)
      metrics['loss'] = discriminator_lib.generator_loss(method, state, *said)
      total += method.adversarial * metrics['loss']
    return total, (after, metrics)

  player = state_lib.player(method, 'generator')
  state, metrics = state_lib.descend(state, player, loss_fn, method.axis_name)
  return image_to_image.follow(
    method, state, ['generator'], len(image)
  ), metrics


def served(method: Pix2Pix, state: TrainState):
  """Sources [B, H, W, D] to images [B, H, W, C]; see `jaxgan.steps`."""
  shape = method.source_shape
  return {'generator': image_to_image.served(method, state, 'generator', shape)}


def sample(method: Pix2Pix, state: TrainState, key, num: int):
  """Raises: there is nothing to translate."""
  raise errors.UserError(
    "method='pix2pix' makes images of sources and draws none from noise; its "
    'pictures of held-out pairs are in the samples of the run'
  )


def preview(method: Pix2Pix, state: TrainState, batch, key):
  """Sources, outputs of averaged weights, and true images, a row of each.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' and 'source' [N, ...] in [-1, 1], the same ones every time.
    key: of the generator's noise.

  Returns:
    'translations' [3, N, H, W, C].
  """
  source = batch['source']
  output = image_to_image.translate(method, state, 'generator', source, key)
  return {'translations': image_to_image.rows(source, output, batch['image'])}


def evaluate(method: Pix2Pix, state: TrainState, batch):
  """Errors on pairs that were never trained on.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' and 'source' [N, ...] in [-1, 1].

  Returns:
    The mean absolute error on the scale of [-1, 1], and the mean over images of
    the ratio of the squared range of pixels to the mean square error, in
    decibels.
  """

  def score(key, image, source):
    source = source[None]
    output = image_to_image.translate(method, state, 'generator', source, key)[
      0
    ]
    square = jnp.maximum(jnp.mean((output - image) ** 2), LEAST_SQUARE)
    return {
      'generator/held_out_l1': jnp.mean(jnp.abs(output - image)),
      'generator/held_out_psnr': 10.0 * jnp.log10(4.0 / square),
    }

  return image_to_image.mean_of_each(score, batch)
