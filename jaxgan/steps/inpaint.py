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
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import errors, losses, models, noise, penalties
from jaxgan import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState

SHOWN_IMAGES = 10  # in the grid
DISTANCES = {'l1': jnp.abs, 'mse': jnp.square}
_ONE_OF = {
  'output': ('image', 'patch'),
  'discriminator_batches': ('separate', 'apart'),
  'fakes': ('batch', 'running'),
  'reconstruction.distance': tuple(DISTANCES),
  'reconstruction.region': ('hole', 'all'),
}


@dataclasses.dataclass(frozen=True)
class Inpaint:
  """The parts of the game that never change.

  Attributes:
    generator: images with holes [B, H, W, C + extra channels] to whole images
      [B, H, W, C] or to patches [B, S, S, C].
    discriminator: images or patches to logits [B] or maps of them [B, h, w].
    shape: (H, W, C).
    mask_size: S, side of the hole.
    mask_value: what the hole is filled with in the generator's input.
    mask_channel: the generator also sees where the hole is.
    noise_channels: channels of Gaussian noise that it also sees.
    output: whether it makes an 'image' or a 'patch'.
    compositing: the discriminator sees the known pixels with what the generator
      made in the hole; without, it sees the output alone.
    loss: a row of `losses.PAIRS`.
    adversarial: weight of the generator's adversarial loss.
    reconstruction: weight of its distance to the true image.
    distance: of pixels, a key of `DISTANCES`.
    region: whether that counts the 'hole' or 'all' of the image.
    class_weight: of the discriminator's cross-entropy between classes and fake.
    num_classes: classes of its head; 0 is no head.
    penalties: pairs of a row of `penalties.PENALTIES` and its weight.
    discriminator_batches: 'separate' calls on reals and fakes, or 'apart': an
      update on reals, then one on fakes.
    fakes: whether fakes for the discriminator have 'batch' or 'running'
      statistics.
    ema_halflife: of the generator's average, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
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
  adversarial: float = 1.0
  reconstruction: float = 0.0
  distance: str = 'l1'
  region: str = 'hole'
  class_weight: float = 0.0
  num_classes: int = 0
  penalties: tuple[tuple[Callable, float], ...] = ()
  discriminator_batches: str = 'separate'
  fakes: str = 'batch'
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


# Fields of the config that are fields of the method.
_COPIED = (
  *('noise_channels', 'output', 'compositing', 'adversarial', 'class_weight'),
  *('discriminator_batches', 'fakes', 'ema_halflife', 'ema_rampup'),
)


def from_config(config, spec: Spec, axis_name: str | None = None) -> Inpaint:
  """Builds the method; the only reader of the config for this algorithm."""
  _refuse(config, spec)
  num_classes = spec.num_classes if config.class_weight else 0
  networks = {}
  for player in ('generator', 'discriminator'):
    networks[player], networks[f'{player}_optimizer'] = models.trained(
      config,
      player,
      config.batch_size,
      shape=spec.shape,
      patch_size=config.mask.size,
      num_classes=num_classes,
      axis_name=axis_name,
    )
  pair = losses.PAIRS[config.loss]
  soft = dict(config.label_smoothing)
  also_generator = soft.pop('generator')
  try:
    loss = losses.smooth(pair, **soft)
  except ValueError as error:
    raise errors.UserError(f'label_smoothing: {error}') from None
  if also_generator:
    if pair.as_fake is None:
      raise errors.UserError(
        'label_smoothing.generator=True needs a loss with one term for reals '
        f'and one for fakes, which loss={config.loss!r} has not'
      )
    share = soft['real']
    loss = loss._replace(
      generator=lambda real, fake: (
        (1.0 - share) * pair.generator(real, fake) + share * pair.as_fake(fake)
      )
    )
  method = Inpaint(
    **networks,
    shape=spec.shape,
    loss=loss,
    num_classes=num_classes,
    penalties=tuple(
      (penalties.PENALTIES[name], weight)
      for name, weight in sorted(config.penalties.items())
      if weight
    ),
    axis_name=axis_name,
    **{f'mask_{name}': value for name, value in config.mask.items()},
    reconstruction=config.reconstruction.weight,
    distance=config.reconstruction.distance,
    region=config.reconstruction.region,
    **{name: config[name] for name in _COPIED},
  )
  made, wanted = _example(method).shape[1:], _output_shape(method)
  if made != wanted:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes {made} and '
      f'output={config.output!r} with mask.size={config.mask.size} needs '
      f'{wanted}; choose the other output or another network'
    )
  return method


def _refuse(config, spec: Spec) -> None:
  """Raises a UserError for values that are unknown or exclude each other."""
  if config.loss not in losses.PAIRS:
    raise errors.unknown('loss', config.loss, losses.PAIRS)
  for name in config.penalties:
    if name not in penalties.PENALTIES:
      raise errors.unknown('penalties', name, penalties.PENALTIES)
  for name, known in _ONE_OF.items():
    group, _, field = name.rpartition('.')
    value = (config[group] if group else config)[field]
    if value not in known:
      raise errors.unknown(name, value, known)
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
  if config.class_weight and not spec.num_classes:
    raise errors.UserError(
      f'class_weight={config.class_weight} needs labels and the data have '
      'none; set class_weight=0 or give a folder of class folders'
    )
  if config.output == 'patch' and config.reconstruction.region == 'all':
    raise errors.UserError(
      "reconstruction.region='all' needs output='image'; a patch is no more "
      "than the hole: set reconstruction.region='hole'"
    )
  if config.discriminator_batches == 'apart' and (
    losses.PAIRS[config.loss].as_real is None
  ):
    raise errors.UserError(
      "discriminator_batches='apart' needs a loss with one term for reals and "
      f'one for fakes, which loss={config.loss!r} has not'
    )


class Holes(NamedTuple):
  """Where pixels are missing.

  Attributes:
    corner: int [B, 2], top left of each hole.
    known: bool [B, H, W, 1], true outside of the hole.
  """

  corner: jax.Array
  known: jax.Array


def holes(method: Inpaint, key, count: int, axis_name=None) -> Holes:
  """One hole an example, uniform over all places where it fits."""
  size, sides = method.mask_size, np.array(method.shape[:2])
  u = noise.uniform(key, count, (2,), axis_name)
  corner = jnp.floor(u * (sides - size + 1)[None]).astype(int)

  def inside(first, length):  # [B, length]
    offset = jnp.arange(length)[None] - first[:, None]
    return (offset >= 0) & (offset < size)

  rows = inside(corner[:, 0], method.shape[0])[:, :, None, None]
  columns = inside(corner[:, 1], method.shape[1])[:, None, :, None]
  return Holes(corner, ~(rows & columns))


def cut(method: Inpaint, image, corner):
  """What lies in the holes: [B, H, W, C] to [B, S, S, C]."""
  size = (method.mask_size, method.mask_size, image.shape[-1])

  def one(image, corner):
    return jax.lax.dynamic_slice(image, (*corner, 0), size)

  return jax.vmap(one)(image, corner)


def complete(method: Inpaint, output, image, where: Holes):
  """Known pixels of `image` [B, H, W, C] and, in the holes, the output's.

  Denton et al. 2016 (https://arxiv.org/abs/1611.06430), section 3.2.
  """
  if method.output == 'patch':

    def paste(image, patch, corner):
      return jax.lax.dynamic_update_slice(image, patch, (*corner, 0))

    return jax.vmap(paste)(image, output, where.corner)
  return jnp.where(where.known, image, output)


def inputs(method: Inpaint, image, where: Holes, key, axis_name=None):
  """What the generator sees: [B, H, W, C + further channels]."""
  seen = [jnp.where(where.known, image, method.mask_value)]
  if method.mask_channel:
    seen.append(where.known.astype(image.dtype))
  if method.noise_channels:
    shape = (*image.shape[1:3], method.noise_channels)
    seen.append(noise.normal(key, len(image), shape, axis_name))
  return jnp.concatenate(seen, axis=-1)


def _input_example(method: Inpaint):
  extra = int(method.mask_channel) + method.noise_channels
  height, width, channels = method.shape
  return jnp.zeros((1, height, width, channels + extra))


def _output_shape(method: Inpaint) -> tuple[int, ...]:
  if method.output == 'image':
    return method.shape
  return (method.mask_size, method.mask_size, method.shape[-1])


def _example(method: Inpaint):
  """Shape and type of what an untrained generator makes of one image."""

  def run(key, x):
    return method.generator.init_with_output(key, x, train=False)[0]

  return jax.eval_shape(run, jax.random.key(0), _input_example(method))


def modules(method: Inpaint):
  """Both networks with an example of their inputs, for tables."""
  shown = method.shape if method.compositing else _output_shape(method)
  return {
    'generator': (method.generator, (_input_example(method),)),
    'discriminator': (method.discriminator, (jnp.zeros((1, *shown)),)),
  }


def expected(method: Inpaint) -> dict[str, float]:
  """Losses and D(x) where completions are distributed as reals.

  A reconstruction term draws the generator elsewhere: then there are none.
  """
  if method.reconstruction:
    return {}
  found = losses.equilibrium(method.loss)
  names = {
    'discriminator/loss': 'discriminator',
    'generator/loss': 'generator',
    'discriminator/real': 'output',
    'discriminator/fake': 'output',
  }
  return {name: found[k] for name, k in names.items() if k in found}


def draws(method: Inpaint) -> int:
  """Batches of real images that a round takes: both players see the same."""
  del method
  return 1


def init(method: Inpaint, key: jax.Array) -> TrainState:
  """The state before the first round."""
  networks = {
    name: state_lib.create(
      module,
      getattr(method, f'{name}_optimizer'),
      jax.random.fold_in(key, place),
      *example,
    )
    for place, (name, (module, example)) in enumerate(modules(method).items())
  }
  # A copy: the state is donated, and a buffer can be given away only once.
  average = jax.tree.map(jnp.copy, _averaged(networks['generator']))
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    networks=networks,
    ema={'generator': average[0]},
    extra={'generator_stats': average[1]},
  )


def _averaged(network: state_lib.Network):
  """What the generator's average is of.

  Running statistics are averaged with the weights, so that one image can be
  completed by itself. Whatever else a layer keeps is that of the newest.
  """
  return network.params, network.stats.get('batch_stats', {})


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


def _fill(method: Inpaint, params, stats, image, key, train=True):
  """Makes holes and fills them.

  Returns:
    The generator's output, the holes and its mutable collections.
  """
  mask_key, noise_key, dropout_key = jax.random.split(key, 3)
  where = holes(method, mask_key, len(image), method.axis_name)
  seen = inputs(method, image, where, noise_key, method.axis_name)
  output, stats = state_lib.apply(
    method.generator, params, stats, seen, train=train, key=dropout_key
  )
  return output, where, stats


def _shown(method: Inpaint, image, output, where: Holes):
  """What the discriminator sees of reals and of fakes."""
  if method.compositing:
    return {'real': image, 'fake': complete(method, output, image, where)}
  if method.output == 'patch':
    image = cut(method, image, where.corner)
  return {'real': image, 'fake': output}


def _judge(method: Inpaint, params, stats, x):
  """Logits, class logits [B, num_classes + 1] or None, mutable collections."""
  logits, after = method.discriminator.apply(
    {'params': params, **stats},
    x,
    train=True,
    mutable=[*stats, 'intermediates'],
  )
  # The class logits are all that is sown.
  sown = jax.tree.leaves(after.pop('intermediates', {}))
  return logits, sown[-1] if sown else None, after


def _mean_loss(method: Inpaint, loss, real_logits, fake_logits):
  """Mean over the global batch and over maps of logits."""
  if method.axis_name is not None and method.loss.across_batch:
    # The transpose sums over devices, and the mean of gradients divides again.
    real_logits, fake_logits = jax.lax.all_gather(
      (real_logits, fake_logits), method.axis_name, tiled=True
    )
  return jnp.mean(loss(real_logits, fake_logits))


def discriminator_step(method: Inpaint, state: TrainState, batch, key):
  """Updates the discriminator alone. batch: as in `train_step`."""
  fill_key, penalty_key = jax.random.split(key)
  generator, image = state.networks['generator'], batch['image']
  output, where, _ = _fill(
    method,
    generator.params,
    generator.stats,
    image,
    fill_key,
    train=method.fakes == 'batch',
  )
  shown = _shown(method, image, output, where)
  groups = [tuple(shown)]
  if method.discriminator_batches == 'apart':
    groups = [(kind,) for kind in shown]
  found = {}
  for kinds in groups:
    state, metrics = _discriminator_update(
      method, state, shown, kinds, batch.get('label'), penalty_key
    )
    for name in ('discriminator/loss', 'discriminator/class_loss'):
      if name in metrics:
        metrics[name] += found.get(name, 0.0)
    found |= metrics
  return state, found


def _discriminator_update(method, state, shown, kinds, label, key):
  """One optimizer update on reals, on fakes, or on both (`kinds`)."""
  network, pair = state.networks['discriminator'], method.loss

  def loss_fn(params):
    stats, logits, metrics = network.stats, {}, {}
    class_loss = jnp.zeros(())
    # Reals and fakes apart: batch statistics belong to one kind of image.
    for kind in kinds:
      logits[kind], classes, stats = _judge(method, params, stats, shown[kind])
      metrics[kind] = jnp.mean(pair.output(logits[kind]))
      if method.num_classes:
        is_real = kind == 'real'
        target = label if is_real else jnp.full_like(label, method.num_classes)
        class_loss += jnp.mean(
          optax.softmax_cross_entropy_with_integer_labels(classes, target)
        )
    if len(kinds) == 2:
      total = _mean_loss(method, pair.discriminator, *logits.values())
    else:
      total = jnp.mean(getattr(pair, f'as_{kinds[0]}')(*logits.values()))
    metrics['loss'] = total
    if method.num_classes:
      metrics['class_loss'] = class_loss
      total += method.class_weight * class_loss

    def critic(x):
      logits = _judge(method, params, network.stats, x)[0]
      return jnp.mean(logits.reshape(len(x), -1), axis=-1)

    if 'real' in kinds:  # Penalties once, where updates are apart.
      for penalty, weight in method.penalties:
        values = penalty(
          critic, shown['real'], shown['fake'], key, method.axis_name
        )
        metrics[penalty.__name__] = jnp.mean(values)
        total += weight * metrics[penalty.__name__]
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(network.params)
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  return state_lib.move(
    state,
    'discriminator',
    method.discriminator_optimizer,
    grads,
    stats,
    metrics,
  )


def _reconstruction(method: Inpaint, output, image, where: Holes):
  """Mean distance of the output to the truth.

  Pathak et al. 2016 (https://arxiv.org/abs/1604.07379), equation 1, is 'mse' in
  the 'hole'.
  """
  if method.region == 'hole':
    image = cut(method, image, where.corner)
    if method.output == 'image':
      output = cut(method, output, where.corner)
  return jnp.mean(DISTANCES[method.distance](output - image))


def generator_step(method: Inpaint, state: TrainState, batch, key):
  """Updates the generator alone, and its average.

  Pathak et al. 2016, equation 3: the sum of both losses by their weights.
  """
  image = batch['image']
  generator = state.networks['generator']
  network = state.networks['discriminator']

  def loss_fn(params):
    output, where, stats = _fill(method, params, generator.stats, image, key)
    shown = _shown(method, image, output, where)
    # Compiled, logits that a loss does not look at are not computed.
    logits = [
      _judge(method, network.params, network.stats, x)[0]
      for x in shown.values()
    ]
    metrics = {
      'loss': _mean_loss(method, method.loss.generator, *logits),
      'reconstruction': _reconstruction(method, output, image, where),
    }
    total = method.adversarial * metrics['loss']
    total += method.reconstruction * metrics['reconstruction']
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(generator.params)
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  state, metrics = state_lib.move(
    state, 'generator', method.generator_optimizer, grads, stats, metrics
  )
  params, stats = state_lib.average(
    (state.ema['generator'], state.extra['generator_stats']),
    _averaged(state.networks['generator']),
    state.step,
    state_lib.global_size(len(image), method.axis_name),
    method.ema_halflife,
    method.ema_rampup,
  )
  state = state.replace(
    ema={'generator': params}, extra={'generator_stats': stats}
  )
  return state, metrics


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
  mask_key, noise_key = jax.random.split(key)
  where = holes(method, mask_key, len(image))
  seen = inputs(method, image, where, noise_key)
  stats = state.networks['generator'].stats
  if 'batch_stats' in stats:
    stats = {**stats, 'batch_stats': state.extra['generator_stats']}
  output, _ = state_lib.apply(
    method.generator, state.ema['generator'], stats, seen, train=False
  )
  masked = seen[..., : method.shape[-1]]
  return masked, complete(method, output, image, where), where


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
  error = cut(method, completed - image, where.corner)
  return {
    'generator/held_out_l1': jnp.mean(jnp.abs(error)),
    'generator/held_out_psnr': 10.0 * jnp.log10(4.0 / jnp.mean(error**2)),
  }
