"""Two players, one image batch: GAN, LSGAN, WGAN, WGAN-GP, R3GAN and others.

A round is `discriminator_steps` updates of the discriminator, each on images of
its own, then one update of the generator (Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661, algorithm 1).

  method = gan.GAN(mlp.Generator(shape=(28, 28, 1)), mlp.Discriminator())
  state = gan.init(method, key)
  state, metrics = jax.jit(gan.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors, losses, models, noise, penalties
from jaxgan import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState

# Latents that averaged weights are run on for their batch statistics.
STANDING_BATCHES, STANDING_BATCH_SIZE = 16, 128
PREVIEW_SIZE = 100


@dataclasses.dataclass(frozen=True)
class GAN:
  """The parts of the game that never change.

  Attributes:
    generator: latents [B, Z] (and labels [B]) to images.
    discriminator: images (and labels) to logits [B].
    generator_optimizer: moves the generator.
    discriminator_optimizer: moves the discriminator.
    loss: a row of `losses.PAIRS`.
    penalties: pairs of a row of `penalties.PENALTIES` and its weight.
    latent_size: Z.
    latent: sampler of latents, a row of `noise.LATENTS`.
    discriminator_steps: discriminator updates per round.
    num_classes: number of labels that both networks take; 0 for none.
    ema_halflife: of the generator's average, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
  """

  generator: nn.Module
  discriminator: nn.Module
  generator_optimizer: optax.GradientTransformation = optax.adam(2e-4, b1=0.5)
  discriminator_optimizer: optax.GradientTransformation = optax.adam(
    2e-4, b1=0.5
  )
  loss: losses.Pair = losses.PAIRS['non_saturating']
  penalties: tuple[tuple[Callable, float], ...] = ()
  latent_size: int = 100
  latent: Callable = noise.normal
  discriminator_steps: int = 1
  num_classes: int = 0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


def from_config(config, spec: Spec, axis_name: str | None = None) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  if config.loss not in losses.PAIRS:
    raise errors.unknown('loss', config.loss, losses.PAIRS)
  if config.latent not in noise.LATENTS:
    raise errors.unknown('latent', config.latent, noise.LATENTS)
  for name in config.penalties:
    if name not in penalties.PENALTIES:
      raise errors.unknown('penalties', name, penalties.PENALTIES)
  if config.conditional and not spec.num_classes:
    raise errors.UserError(
      'conditional=True needs labels and the data have none; set '
      'conditional=False or give a folder of class folders'
    )
  derived = {
    'shape': spec.shape,
    'num_classes': spec.num_classes if config.conditional else 0,
    'axis_name': axis_name,
  }
  networks, optimizers = {}, {}
  images_per_update = {
    'generator': config.batch_size,
    'discriminator': config.batch_size / config.discriminator_steps,
  }
  for player, images in images_per_update.items():
    networks[player], optimizers[player] = models.trained(
      config, player, images, **derived
    )
  try:
    loss = losses.smooth(losses.PAIRS[config.loss], **config.label_smoothing)
  except ValueError as error:
    raise errors.UserError(f'label_smoothing: {error}') from None
  method = GAN(
    **networks,
    **{f'{player}_optimizer': o for player, o in optimizers.items()},
    loss=loss,
    penalties=tuple(
      (penalties.PENALTIES[name], weight)
      for name, weight in sorted(config.penalties.items())
      if weight
    ),
    latent_size=config.latent_size,
    latent=noise.LATENTS[config.latent],
    discriminator_steps=config.discriminator_steps,
    num_classes=derived['num_classes'],
    ema_halflife=config.ema_halflife,
    ema_rampup=config.ema_rampup,
    axis_name=axis_name,
  )
  shape = jax.eval_shape(lambda: _example(method)).shape[1:]
  if shape != spec.shape:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes images of shape '
      f'{shape} and the data have {spec.shape}; set data.image_size and '
      'data.channels to what the network makes, or choose another network'
    )
  return method


def _example(method: GAN):
  """One image of an untrained generator."""
  key = jax.random.key(0)
  inputs = _inputs(
    method, jnp.zeros((1, method.latent_size)), jnp.zeros(1, int)
  )
  return method.generator.init_with_output(key, *inputs, train=False)[0]


def _inputs(method: GAN, x, label):
  return (x, label) if method.num_classes else (x,)


def modules(method: GAN):
  """Both networks with an example of their inputs, for tables."""
  z = jnp.zeros((1, method.latent_size))
  label = jnp.zeros(1, int)
  image = jax.eval_shape(lambda: _example(method))
  image = jnp.zeros(image.shape, image.dtype)
  return {
    'generator': (method.generator, _inputs(method, z, label)),
    'discriminator': (method.discriminator, _inputs(method, image, label)),
  }


def expected(method: GAN) -> dict[str, float]:
  """Losses and D(x) where fakes are distributed as reals."""
  found = losses.equilibrium(method.loss)
  names = {
    'discriminator/loss': 'discriminator',
    'generator/loss': 'generator',
    'discriminator/real': 'output',
    'discriminator/fake': 'output',
  }
  return {name: found[k] for name, k in names.items() if k in found}


def draws(method: GAN) -> int:
  """Batches of real images that a round takes."""
  return method.discriminator_steps


def init(method: GAN, key: jax.Array) -> TrainState:
  """The state before the first round."""
  optimizers = {
    'generator': method.generator_optimizer,
    'discriminator': method.discriminator_optimizer,
  }
  networks = {
    name: state_lib.create(
      module, optimizers[name], jax.random.fold_in(key, place), *inputs
    )
    for place, (name, (module, inputs)) in enumerate(modules(method).items())
  }
  # A copy: the state is donated, and a buffer can be given away only once.
  average = jax.tree.map(jnp.copy, networks['generator'].params)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    networks=networks,
    ema={'generator': average},
    extra={},
  )


def train_step(method: GAN, state: TrainState, batch, key):
  """One round.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'image' [K * B, ...] in [-1, 1], B images for each of the K updates
      of the discriminator, and 'label' [K * B] if the networks take labels.
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics; those of the
    discriminator are means over its updates.
  """
  key = jax.random.fold_in(key, state.step)
  generator_key, *keys = jax.random.split(key, method.discriminator_steps + 1)
  parts = jax.tree.map(
    lambda x: jnp.split(x, method.discriminator_steps), batch
  )
  found = []
  for place, part_key in enumerate(keys):
    part = {name: split[place] for name, split in parts.items()}
    state, metrics = discriminator_step(method, state, part, part_key)
    found.append(metrics)
  metrics = jax.tree.map(lambda *values: sum(values) / len(values), *found)
  state, generator_metrics = generator_step(method, state, part, generator_key)
  return state.replace(step=state.step + 1), metrics | generator_metrics


def _latents(method: GAN, key, count):
  return method.latent(key, count, (method.latent_size,), method.axis_name)


def _logits(method: GAN, params, stats, real, fake, label, key, joint=True):
  """Logits of reals and of fakes.

  Both go through the network together, unless it has batch statistics: those
  belong to one kind of image. Apart (`joint=False`), logits that a loss does
  not look at are not computed, and those that a penalty needs too, only once.
  """

  def critic(x, label, stats):
    return state_lib.apply(
      method.discriminator,
      params,
      stats,
      *_inputs(method, x, label),
      train=True,
      key=key,
    )

  if 'batch_stats' in stats or not joint:
    real_logits, stats = critic(real, label, stats)
    fake_logits, stats = critic(fake, label, stats)
  else:
    both = jnp.concatenate([real, fake])
    labels = None if label is None else jnp.concatenate([label, label])
    logits, stats = critic(both, labels, stats)
    real_logits, fake_logits = jnp.split(logits, 2)  # [B], [B]
  return real_logits, fake_logits, stats


def _losses(method: GAN, loss, real_logits, fake_logits):
  """Mean loss over the global batch."""
  if method.axis_name is not None and method.loss.across_batch:
    # The transpose sums over devices, and the mean of gradients divides again.
    real_logits, fake_logits = jax.lax.all_gather(
      (real_logits, fake_logits), method.axis_name, tiled=True
    )
  return jnp.mean(loss(real_logits, fake_logits))


def discriminator_step(method: GAN, state: TrainState, batch, key):
  """Updates the discriminator alone. batch: 'image' [B, ...], 'label' [B]."""
  real, label = batch['image'], batch.get('label')
  latent_key, penalty_key, dropout_key = jax.random.split(key, 3)
  generator = state.networks['generator']
  discriminator = state.networks['discriminator']
  z = _latents(method, latent_key, len(real))
  fake, _ = state_lib.apply(
    method.generator,
    generator.params,
    generator.stats,
    *_inputs(method, z, label),
    train=True,
    key=dropout_key,
  )

  def loss_fn(params):
    real_logits, fake_logits, stats = _logits(
      method,
      params,
      discriminator.stats,
      real,
      fake,
      label,
      dropout_key,
      joint=not method.penalties,
    )
    total = _losses(method, method.loss.discriminator, real_logits, fake_logits)
    metrics = {
      'loss': total,
      'real': jnp.mean(method.loss.output(real_logits)),
      'fake': jnp.mean(method.loss.output(fake_logits)),
    }

    def critic(x):
      return state_lib.apply(
        method.discriminator,
        params,
        discriminator.stats,
        *_inputs(method, x, label),
        train=True,
        key=dropout_key,
      )[0]

    for penalty, weight in method.penalties:
      values = penalty(critic, real, fake, penalty_key, method.axis_name)
      metrics[penalty.__name__] = jnp.mean(values)
      total += weight * metrics[penalty.__name__]
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(
    discriminator.params
  )
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  return state_lib.move(
    state,
    'discriminator',
    method.discriminator_optimizer,
    grads,
    stats,
    metrics,
  )


def generator_step(method: GAN, state: TrainState, batch, key):
  """Updates the generator alone, and its average."""
  real, label = batch['image'], batch.get('label')
  latent_key, dropout_key = jax.random.split(key)
  generator = state.networks['generator']
  discriminator = state.networks['discriminator']
  z = _latents(method, latent_key, len(real))

  def loss_fn(params):
    fake, stats = state_lib.apply(
      method.generator,
      params,
      generator.stats,
      *_inputs(method, z, label),
      train=True,
      key=dropout_key,
    )
    real_logits, fake_logits, _ = _logits(
      method,
      discriminator.params,
      discriminator.stats,
      real,
      fake,
      label,
      dropout_key,
      joint=False,
    )
    loss = _losses(method, method.loss.generator, real_logits, fake_logits)
    return loss, (stats, {'loss': loss})

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(generator.params)
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  state, metrics = state_lib.move(
    state, 'generator', method.generator_optimizer, grads, stats, metrics
  )
  average = state_lib.average(
    state.ema['generator'],
    state.networks['generator'].params,
    state.step,
    state_lib.global_size(len(real), method.axis_name),
    method.ema_halflife,
    method.ema_rampup,
  )
  return state.replace(ema={'generator': average}), metrics


def sample(method: GAN, state: TrainState, key, num: int, label=None):
  """Images [num, ...] in [-1, 1] from averaged weights.

  Args:
    method: the parts that never change.
    state: a state.
    key: any key; image i depends on it and on i alone.
    num: how many.
    label: classes [num] for conditional networks; by default all in turn.
  """
  if label is None:
    label = jnp.arange(num) % max(method.num_classes, 1)
  params = state.ema['generator']
  # The same statistics for every sample of a state, hence a key of their own.
  count = STANDING_BATCHES * STANDING_BATCH_SIZE
  z = method.latent(jax.random.key(0), count, (method.latent_size,))
  labels = jnp.arange(count) % max(method.num_classes, 1)
  batches = jax.tree.map(
    lambda x: x.reshape(STANDING_BATCHES, STANDING_BATCH_SIZE, *x.shape[1:]),
    _inputs(method, z, labels),
  )
  stats = state_lib.standing_stats(
    method.generator, params, state.networks['generator'].stats, batches
  )
  z = method.latent(key, num, (method.latent_size,))
  inputs = _inputs(method, z, label)
  return state_lib.apply(method.generator, params, stats, *inputs, train=False)[
    0
  ]


def evaluate(method: GAN, state: TrainState, batch):
  """What the discriminator says of real images that it never saw.

  Where this falls below its output on training images, it has learnt those by
  heart, and the generator learns nothing more from it.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1], and 'label' [N] if there are classes.
  """
  network = state.networks['discriminator']
  logits, _ = state_lib.apply(
    method.discriminator,
    network.params,
    network.stats,
    *_inputs(method, batch['image'], batch.get('label')),
    train=False,
  )
  return {'discriminator/held_out': jnp.mean(method.loss.output(logits))}


def preview(method: GAN, state: TrainState, batch, key):
  """A grid of samples, from the same latents whenever the key is the same."""
  del batch
  return {'samples': sample(method, state, key, PREVIEW_SIZE)}
