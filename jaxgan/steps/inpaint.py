"""Image completion: context encoders and context-conditional GANs.

Every example gets a hole of its own, a square at a random place. The generator
fills it; the discriminator tells completed images from real ones, or patches
from real patches (Pathak et al. 2016, https://arxiv.org/abs/1604.07379; Denton
et al. 2016, https://arxiv.org/abs/1611.06430).

  method = inpaint.Inpaint(inpaint_models.UNet(shape), ..., shape=shape)
  state = inpaint.init(method, key)
  state, metrics = inpaint.train_step(method, state, {'image': images}, key)
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import image_to_image, losses, tricks
from jaxgan.config import networks as networks_lib
from jaxgan.core import masks, noise
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec

SHOWN_IMAGES = 10  # in the grid
DISTANCES = {'l1': jnp.abs, 'mse': jnp.square}
_ONE_OF = {
  'output': ('image', 'patch'),
  'reconstruction.distance': DISTANCES,
  'reconstruction.region': ('hole', 'all'),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inpaint(tricks.Adversary):
  """The parts of the game that never change, with those of `Adversary`.

  Attributes:
    generator: images with holes [B, H, W, C + extra channels] to whole images
      [B, H, W, C] or to patches [B, S, S, C].
    discriminator: images or patches to logits [B] or maps of them [B, h, w].
    shape: (H, W, C).
    mask_size: S, side of the hole.
    generator_optimizer: moves the generator.
    discriminator_optimizer: moves the discriminator.
    mask_value: what the hole is filled with in the generator's input.
    mask_channel: the generator also sees where the hole is.
    noise_channels: channels of Gaussian noise that it also sees.
    output: whether it makes an 'image' or a 'patch'.
    compositing: the discriminator sees the known pixels with what the generator
      made in the hole; without, it sees the output alone.
    loss: a row of `losses.PAIRS`.
    reconstruction: weight of the generator's distance to the true image.
    distance: of pixels, a key of `DISTANCES`.
    region: whether that counts the 'hole' or 'all' of the image.
    class_weight: of the discriminator's cross-entropy between classes and fake.
    num_classes: classes of its head; 0 is no head.
  """

  generator: nn.Module
  discriminator: nn.Module
  shape: tuple[int, int, int]
  mask_size: int
  generator_optimizer: optax.GradientTransformation = optax.adam(2e-4, b1=0.5)
  discriminator_optimizer: optax.GradientTransformation = optax.adam(
    2e-4, b1=0.5
  )
  mask_value: float = 0.0
  mask_channel: bool = False
  noise_channels: int = 0
  output: str = 'image'
  compositing: bool = True
  loss: losses.Pair = losses.PAIRS['least_squares']
  reconstruction: float = 0.0
  distance: str = 'l1'
  region: str = 'hole'
  class_weight: float = 0.0
  num_classes: int = 0


def from_config(config, spec: Spec, axis_name: str | None = None) -> Inpaint:
  """Builds the method; the only reader of the config for this algorithm."""
  _refuse(config, spec)
  fields = tricks.from_config(config, spec, axis_name, 'class_weight')
  num_classes = spec.num_classes if config.class_weight else 0
  for player in ('generator', 'discriminator'):
    fields[player], fields[f'{player}_optimizer'] = networks_lib.build_network(
      config,
      player,
      config.batch_size,
      shape=spec.shape,
      patch_size=config.mask.size,
      num_classes=num_classes,
      axis_name=axis_name,
    )
  method = Inpaint(
    **fields,
    shape=spec.shape,
    num_classes=num_classes,
    class_weight=config.class_weight,
    **{f'mask_{name}': value for name, value in config.mask.items()},
    noise_channels=config.noise_channels,
    output=config.output,
    compositing=config.compositing,
    reconstruction=config.reconstruction.weight,
    distance=config.reconstruction.distance,
    region=config.reconstruction.region,
  )
  wanted = _output_shape(method)
  made = tricks.made_shape(method.generator, _input_example(method))
  if made != wanted:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes {made} and '
      f'output={config.output!r} with mask.size={config.mask.size} needs '
      f'{wanted}; choose the other output or another network'
    )
  return method


def _refuse(config, spec: Spec) -> None:
  """Raises a UserError for values that are unknown or exclude each other."""
  tricks.refuse_unknown(config, _ONE_OF)
  weights = {
    'noise_channels': config.noise_channels,
    'class_weight': config.class_weight,
    'reconstruction.weight': config.reconstruction.weight,
  }
  for name, value in weights.items():
    if value < 0:
      raise errors.UserError(f'{name}={value} must be at least 0')
  if not spec.is_image:
    raise errors.UserError(
      f'data of shape {spec.shape} are no images to complete; choose others'
    )
  if not 1 <= config.mask.size <= min(spec.shape[:2]):
    raise errors.UserError(
      f'mask.size={config.mask.size} must be in 1..{min(spec.shape[:2])}, the '
      'shorter side of the images'
    )
  if config.output == 'patch' and config.reconstruction.region == 'all':
    raise errors.UserError(
      "reconstruction.region='all' needs output='image'; a patch is no more "
      "than the hole: set reconstruction.region='hole'"
    )


def _input_example(method: Inpaint):
  height, width, channels = method.shape
  extra = method.mask_channel + method.noise_channels
  return jnp.zeros((1, height, width, channels + extra))


def _output_shape(method: Inpaint) -> tuple[int, ...]:
  if method.output == 'image':
    return method.shape
  return (method.mask_size, method.mask_size, method.shape[-1])


def _shown_shape(method: Inpaint) -> tuple[int, ...]:
  return method.shape if method.compositing else _output_shape(method)


def modules(method: Inpaint):
  """Both networks with an example of their inputs, for tables."""
  shown = tricks.shown_example(method, _shown_shape(method))
  return {
    'generator': (method.generator, (_input_example(method),)),
    'discriminator': (method.discriminator, (shown,)),
  }


def expected(method: Inpaint) -> dict[str, float]:
  """Losses and D(x) where completions are distributed as reals.

  A reconstruction term draws the generator elsewhere: then there are none.
  """
  return {} if method.reconstruction else tricks.expected(method.loss)


def draws(method: Inpaint) -> int:
  """Batches of real images that a round takes: both players see the same."""
  del method
  return 1


def init(method: Inpaint, key: jax.Array) -> TrainState:
  """The state before the first round."""
  networks = tricks.init(method, modules(method), key)
  ema, extra = image_to_image.start(networks, ('generator',))
  extra |= tricks.create_pool(method, _shown_shape(method))
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def train_step(method: Inpaint, state: TrainState, batch, key):
  """One round: the discriminator, then the generator, with holes of their own.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'image' [B, H, W, C] in [-1, 1], and 'label' [B] if classes count.
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics.
  """
  keys = jax.random.split(jax.random.fold_in(key, state.step))
  state, metrics = discriminator_step(method, state, batch, keys[0])
  state, found = generator_step(method, state, batch, keys[1])
  return state.replace(step=state.step + 1), metrics | found


def _see(method: Inpaint, image, mask_key, noise_key, axis_name=None):
  """Holes of images, and what the generator sees of these."""
  where = masks.holes(
    mask_key, len(image), method.shape, method.mask_size, axis_name
  )
  seen = masks.inputs(
    image,
    where,
    noise_key,
    method.mask_value,
    method.mask_channel,
    method.noise_channels,
    axis_name,
  )
  return where, seen


def _fill(method: Inpaint, params, stats, image, key, train=True):
  """Makes holes and fills them.

  Returns:
    The generator's output, the holes and its mutable collections.
  """
  *keys, dropout_key = jax.random.split(key, 3)
  where, seen = _see(method, image, *keys, method.axis_name)
  output, stats = state_lib.apply(
    method.generator, params, stats, seen, train=train, key=dropout_key
  )
  return output, where, stats


def _shown(method: Inpaint, image, output, where: masks.Holes):
  """What the discriminator sees of reals and of fakes."""
  if method.compositing:
    return {'real': image, 'fake': masks.complete(image, output, where)}
  if method.output == 'patch':
    image = masks.cut(image, where.corner, method.mask_size)
  return {'real': image, 'fake': output}


def discriminator_step(method: Inpaint, state: TrainState, batch, key):
  """Updates the discriminator alone. batch: as in `train_step`."""
  fill_key, key = jax.random.split(key)
  keys = noise.keys(key, 'replay', 'real', 'fake')
  generator, image = state.networks['generator'], batch['image']
  output, where, _ = _fill(
    method,
    generator.params,
    generator.stats,
    image,
    fill_key,
    train=method.fakes == 'batch',
  )
  images = _shown(method, image, output, where)
  images['fake'], state = discriminator_lib.recall(
    method, state, images['fake'], keys['replay']
  )
  shown = {
    kind: (discriminator_lib.show(method, state, x, keys[kind]),)
    for kind, x in images.items()
  }

  def terms(outputs, look):
    """Classes of reals, and one more class that fakes have."""
    del look
    if not method.num_classes:
      return {}
    label = batch['label']
    fake = jnp.full_like(label, method.num_classes)
    targets = {'real': label, 'fake': fake}
    values = [
      discriminator_lib.classification(said, targets[kind])
      for kind, said in outputs.items()
    ]
    return {'class_loss': (sum(values), method.class_weight)}

  player = state_lib.player(method, 'discriminator')
  return discriminator_lib.update(method, state, player, shown, key, terms)


def _reconstruction(method: Inpaint, output, image, where: masks.Holes):
  """Mean distance of the output to the truth.

  Pathak et al. 2016 (https://arxiv.org/abs/1604.07379), equation 1, is 'mse' in
  the 'hole'.
  """
  if method.region == 'hole':
    image = masks.cut(image, where.corner, method.mask_size)
    if method.output == 'image':
      output = masks.cut(output, where.corner, method.mask_size)
  return jnp.mean(DISTANCES[method.distance](output - image))


def generator_step(method: Inpaint, state: TrainState, batch, key):
  """Updates the generator alone, and its average.

  Pathak et al. 2016, equation 3: the sum of both losses by their weights.
  """
  image = batch['image']
  generator = state.networks['generator']
  discriminator = state_lib.player(method, 'discriminator')
  keys = noise.keys(
    jax.random.fold_in(key, 1), 'real_show', 'fake_show', 'real', 'fake'
  )

  def judge(kind, x):
    shown = discriminator_lib.show(method, state, x, keys[f'{kind}_show'])
    return discriminator_lib.ask(state, discriminator, (shown,), keys[kind])

  def loss_fn(params):
    output, where, stats = _fill(method, params, generator.stats, image, key)
    # Compiled, logits that a loss does not look at are not computed.
    said = [
      judge(kind, x) for kind, x in _shown(method, image, output, where).items()
    ]
    metrics = {
      'loss': discriminator_lib.generator_loss(method, state, *said),
      'reconstruction': _reconstruction(method, output, image, where),
    }
    total = method.adversarial * metrics['loss']
    total += method.reconstruction * metrics['reconstruction']
    return total, (stats, metrics)

  player = state_lib.player(method, 'generator')
  state, metrics = state_lib.descend(state, player, loss_fn, method.axis_name)
  return image_to_image.follow(
    method, state, ('generator',), len(image)
  ), metrics


def fill(method: Inpaint, state: TrainState, image, key):
  """Completes images with averaged weights.

  Args:
    method: the parts that never change.
    state: a state.
    image: [N, H, W, C] in [-1, 1].
    key: any key; the hole of image i depends on it and on i alone.

  Returns:
    Images with holes, completed images [N, H, W, C], and the holes.
  """
  where, seen = _see(method, image, *jax.random.split(key))
  run = state_lib.inference(method.generator)
  output = run(image_to_image.weights(state, 'generator'), seen)
  masked = seen[..., : method.shape[-1]]
  return masked, masks.complete(image, output, where), where


def served(method: Inpaint, state: TrainState):
  """Images, and which of their pixels are known, to completed ones.

  See `jaxgan.steps`. What is missing in an image is to be a square as in
  training; a generator of patches puts its own at the top left of it.
  """
  run = state_lib.inference(method.generator)

  def function(weights, image, known):
    corner = jnp.stack(
      [jnp.argmin(jnp.all(known, axis=(axis, 3)), axis=1) for axis in (2, 1)],
      axis=1,
    )  # [B, 2]
    where = masks.Holes(corner, known)
    seen = masks.inputs(
      image,
      where,
      jax.random.key(0),
      method.mask_value,
      method.mask_channel,
      method.noise_channels,
    )
    completed = masks.complete(image, run(weights, seen), where)
    return jnp.where(known, image, completed)

  image = jnp.zeros((1, *method.shape))
  inputs = {'image': image, 'known': jnp.ones((1, *method.shape[:2], 1), bool)}
  weights = image_to_image.weights(state, 'generator')
  return {'generator': (function, weights, inputs)}


def sample(method: Inpaint, state: TrainState, key, num: int):
  """Raises: there is nothing to complete."""
  raise errors.UserError(
    "method='inpaint' completes images and draws none from noise; its pictures "
    'of held-out images are in the samples of the run'
  )


def preview(method: Inpaint, state: TrainState, batch, key):
  """Images with holes, completions, and the originals, a row of each.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, H, W, C] in [-1, 1], the same ones every time.
    key: the same key makes the same holes.

  Returns:
    'completions' [3, N, H, W, C].
  """
  image = batch['image']
  masked, completed, _ = fill(method, state, image, key)
  return {'completions': jnp.stack([masked, completed, image])}


def evaluate(method: Inpaint, state: TrainState, batch):
  """Errors in the holes of images that were never trained on.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, H, W, C] in [-1, 1].

  Returns:
    The mean absolute error on the scale of [-1, 1], and the ratio of the
    squared range of pixels to the mean square error, in decibels.
  """
  image = batch['image']
  _, completed, where = fill(method, state, image, jax.random.key(0))
  error = masks.cut(completed - image, where.corner, method.mask_size)
  return {
    'generator/held_out_l1': jnp.mean(jnp.abs(error)),
    'generator/held_out_psnr': 10.0 * jnp.log10(4.0 / jnp.mean(error**2)),
  }
