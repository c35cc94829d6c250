"""Two players: GAN, LSGAN, WGAN, conditional GANs, ACGAN, R3GAN and others.

A round is `discriminator_steps` updates of the discriminator, each on images of
its own, then one update of the generator (Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661, algorithm 1).

  method = gan.GAN(mlp.Generator(shape=(28, 28, 1)), mlp.Discriminator())
  state = gan.init(method, key)
  state, metrics = jax.jit(gan.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import tricks
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import noise, switches
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState
from jaxgan.data import dataset
from jaxgan.data.dataset import Spec

# Latents that averaged weights are run on for their batch statistics.
STANDING_BATCHES, STANDING_BATCH_SIZE = 16, 128
PREVIEW_SIZE = 100
SHOWN_IMAGES = 0


@dataclasses.dataclass(frozen=True)
class GAN(tricks.Adversary):
  """The parts of the game that never change, with those of `Adversary`.

  Attributes:
    generator: latents [B, Z] (and labels [B]) to images.
    discriminator: images (and labels) to logits [B].
    generator_optimizer: moves the generator.
    discriminator_optimizer: moves the discriminator.
    latent_size: Z.
    latent: name of what latents are drawn from, a key of `noise.LATENTS`.
    latent_reuse: the generator's update takes the latents of the
      discriminator's last one.
    discriminator_steps: discriminator updates per round.
    real_reuse: all discriminator updates of a round see the same reals.
    feature_matching: weight of the generator's distance between mean features.
    auxiliary: weight of both players' classification loss.
    labelled: weight of the discriminator's classification of labelled images
      (Salimans et al. 2016, section 5), which the batch then holds.
    num_classes: number of labels that both networks take; 0 for none.
  """

  generator: nn.Module
  discriminator: nn.Module
  generator_optimizer: optax.GradientTransformation = optax.adam(2e-4, b1=0.5)
  discriminator_optimizer: optax.GradientTransformation = optax.adam(
    2e-4, b1=0.5
  )
  latent_size: int = 100
  latent: str = 'normal'
  latent_reuse: bool = False
  discriminator_steps: int = 1
  real_reuse: bool = False
  feature_matching: float = 0.0
  auxiliary: float = 0.0
  labelled: float = 0.0
  num_classes: int = 0


# Fields of the config that are fields of the method, beside the adversary's.
_COPIED = (
  *('latent_size', 'latent', 'latent_reuse', 'discriminator_steps'),
  *('real_reuse', 'feature_matching', 'auxiliary', 'labelled'),
)


def from_config(config, spec: Spec, axis_name: str | None = None) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  tricks.refuse_unknown(config, {'latent': noise.LATENTS})
  fields = tricks.from_config(config, spec, axis_name, 'conditional')
  dataset.refuse_missing_labels(config.labelled, spec, 'labelled')
  num_classes = spec.num_classes if config.conditional else 0
  classes = spec.num_classes if config.labelled else num_classes
  for player, images, told in (
    ('generator', config.batch_size, num_classes),
    ('discriminator', config.batch_size / config.discriminator_steps, classes),
  ):
    fields[player], fields[f'{player}_optimizer'] = networks_lib.build_network(
      config,
      player,
      images,
      num_classes=told,
      shape=spec.shape,
      axis_name=axis_name,
    )
  fields |= {name: config[name] for name in _COPIED}
  method = GAN(num_classes=num_classes, **fields)
  head = getattr(method.discriminator, 'conditioning', '')
  if switches.is_on(method.labelled) and not (
    head == 'classes' and 'labelled' in config.data
  ):
    raise errors.UserError(
      f'labelled={method.labelled} needs '
      "discriminator.conditioning='classes' and a field data.labelled; start "
      'from configs/semi_supervised_mnist.py'
    )
  if switches.is_on(method.auxiliary) and not (
    num_classes and head == 'auxiliary'
  ):
    raise errors.UserError(
      f'auxiliary={method.auxiliary} needs conditional=True and '
      "discriminator.conditioning='auxiliary'"
    )
  if method.replay_size and num_classes:
    raise errors.UserError(
      f'replay_size={method.replay_size} shows earlier images, whose labels '
      'are not kept; set replay_size=0 or conditional=False'
    )
  if _image_shape(method) != spec.shape:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes images of shape '
      f'{_image_shape(method)} and the data have {spec.shape}; set '
      'data.image_size and data.channels to what the network makes, or choose '
      'another network'
    )
  return method


def _inputs(method: GAN, x, label):
  return (x, label) if method.num_classes else (x,)


def _latent_example(method: GAN):
  z, label = jnp.zeros((1, method.latent_size)), jnp.zeros(1, int)
  return _inputs(method, z, label)


def _image_shape(method: GAN) -> tuple[int, ...]:
  return tricks.made_shape(method.generator, *_latent_example(method))


def modules(method: GAN):
  """Both networks with an example of their inputs, for tables."""
  shown = tricks.shown_example(method, _image_shape(method))
  shown = _inputs(method, shown, jnp.zeros(1, int))
  return {
    'generator': (method.generator, _latent_example(method)),
    'discriminator': (method.discriminator, shown),
  }


def expected(method: GAN) -> dict[str, float]:
  """Losses and D(x) where fakes are distributed as reals."""
  return tricks.expected(method.loss)


def draws(method: GAN) -> int:
  """Batches of real images that a round takes."""
  return 1 if method.real_reuse else method.discriminator_steps


def init(method: GAN, key: jax.Array) -> TrainState:
  """The state before the first round."""
  networks = tricks.init(method, modules(method), key)
  # A copy: the state is donated, and a buffer can be given away only once.
  average = jax.tree.map(jnp.copy, networks['generator'].params)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    networks=networks,
    ema={'generator': average},
    extra=tricks.create_pool(method, _image_shape(method)),
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
  count = method.discriminator_steps
  key = jax.random.fold_in(key, state.step)
  generator_key, *keys = jax.random.split(key, count + 1)

  def split(x):
    x = x.reshape(draws(method), -1, *x.shape[1:])
    return jnp.broadcast_to(x, (count, *x.shape[1:]))  # All may see the same.

  def update(state, inputs):
    part, key = inputs
    z = _latents(method, key, len(part['image']))
    return discriminator_step(method, state, part, z, key)

  parts = jax.tree.map(split, batch)
  state, found = jax.lax.scan(update, state, (parts, jnp.stack(keys)))
  metrics = jax.tree.map(lambda x: jnp.mean(x, axis=0), found)
  # Its fakes have the labels of the last reals.
  part = jax.tree.map(lambda x: x[-1], parts)
  z_key = keys[-1] if method.latent_reuse else generator_key
  z = _latents(method, z_key, len(part['image']))
  state, generator_metrics = generator_step(
    method, state, part, z, generator_key
  )
  return state.replace(step=state.step + 1), metrics | generator_metrics


def _latents(method: GAN, key, count):
  key = jax.random.fold_in(key, 0)
  draw = noise.LATENTS[method.latent]
  return draw(key, count, (method.latent_size,), method.axis_name)


def _generate(method: GAN, params, stats, z, label, key, train=True):
  """Images [B, ...] and the generator's mutable collections."""
  return state_lib.apply(
    method.generator,
    params,
    stats,
    *_inputs(method, z, label),
    train=train,
    key=key,
  )


def discriminator_step(method: GAN, state: TrainState, batch, z, key):
  """Updates the discriminator alone.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [B, ...], and 'label' [B] if the networks take labels.
    z: latents [B, Z] of the fakes, which have the labels of the reals.
    key: for this update.
  """
  keys = noise.keys(key, 'dropout', 'replay', 'real', 'fake')
  generator, label = state.networks['generator'], batch.get('label')
  fake, _ = _generate(
    method,
    generator.params,
    generator.stats,
    z,
    label,
    keys['dropout'],
    train=method.fakes == 'batch',
  )
  fake, state = discriminator_lib.recall(method, state, fake, keys['replay'])
  shown = {
    kind: _inputs(
      method, discriminator_lib.show(method, state, x, keys[kind]), label
    )
    for kind, x in {'real': batch['image'], 'fake': fake}.items()
  }

  def terms(outputs, look):
    found = {}
    if switches.is_on(method.auxiliary):
      # Odena et al. 2017 (https://arxiv.org/abs/1610.09585), equation 3.
      for kind, said in outputs.items():
        value = discriminator_lib.classification(said, label)
        found[f'{kind}_class_loss'] = (value, method.auxiliary)
    if method.labelled and 'real' in outputs:  # Once, where updates are apart.
      said = look(_inputs(method, batch['labelled_image'], label))
      value = discriminator_lib.classification(said, batch['labelled_label'])
      found['labelled_loss'] = (value, method.labelled)
    return found

  player = state_lib.player(method, 'discriminator')
  return discriminator_lib.update(method, state, player, shown, key, terms)


def generator_step(method: GAN, state: TrainState, batch, z, key):
  """Updates the generator alone, and its average; see `discriminator_step`."""
  key = jax.random.fold_in(key, 1)
  names = ('dropout', 'real_show', 'fake_show', 'real', 'fake')
  keys = noise.keys(key, *names)
  real, label = batch['image'], batch.get('label')
  stats = state.networks['generator'].stats
  discriminator = state_lib.player(method, 'discriminator')

  def judge(x, kind):
    shown = discriminator_lib.show(method, state, x, keys[f'{kind}_show'])
    inputs = _inputs(method, shown, label)
    return discriminator_lib.ask(state, discriminator, inputs, keys[kind])

  def loss_fn(params):
    fake, after = _generate(method, params, stats, z, label, keys['dropout'])
    # Compiled, what a loss does not look at is not computed.
    on_real, on_fake = judge(real, 'real'), judge(fake, 'fake')
    metrics = {
      'loss': discriminator_lib.generator_loss(method, state, on_real, on_fake)
    }
    total = method.adversarial * metrics['loss']
    if switches.is_on(method.feature_matching):
      # Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.1.
      means = [jnp.mean(x['features'], axis=0) for x in (on_real, on_fake)]
      real_mean, fake_mean = state_lib.mean(means, method.axis_name)
      metrics['feature_matching'] = jnp.mean((real_mean - fake_mean) ** 2)
      total += method.feature_matching * metrics['feature_matching']
    if switches.is_on(method.auxiliary):
      metrics['class_loss'] = discriminator_lib.classification(on_fake, label)
      total += method.auxiliary * metrics['class_loss']
    return total, (after, metrics)

  player = state_lib.player(method, 'generator')
  state, metrics = state_lib.descend(state, player, loss_fn, method.axis_name)
  average = discriminator_lib.average(
    method,
    state,
    state.ema['generator'],
    state.networks['generator'].params,
    len(real),
  )
  return state.replace(ema={'generator': average}), metrics


def latent_space(method: GAN) -> tuple[str, int]:
  """What latents are drawn from, a key of `noise.LATENTS`, and their size."""
  return method.latent, method.latent_size


def latents(method: GAN, key, num: int):
  """Latents [num, Z]; row i depends on the key and on i alone."""
  return noise.LATENTS[method.latent](key, num, (method.latent_size,))


def settle(method: GAN, state: TrainState) -> TrainState:
  """A state for `decode`: averaged weights with statistics of their own."""
  count = STANDING_BATCHES * STANDING_BATCH_SIZE
  labels = jnp.arange(count) % max(method.num_classes, 1)
  # The same statistics for every sample of a state, hence a key of their own.
  batches = jax.tree.map(
    lambda x: x.reshape(STANDING_BATCHES, STANDING_BATCH_SIZE, *x.shape[1:]),
    _inputs(method, latents(method, jax.random.key(0), count), labels),
  )
  network = state.networks['generator']
  params = state.ema['generator']
  stats = ema_lib.standing_stats(
    method.generator, params, network.stats, batches
  )
  network = network.replace(params=params, stats=stats)
  return state.replace(networks=state.networks | {'generator': network})


def decode(method: GAN, state: TrainState, z, label=None):
  """Images [N, ...] in [-1, 1] of latents [N, Z].

  Args:
    method: the parts that never change.
    state: what `settle` made of a state.
    z: latents.
    label: classes [N] for conditional networks; by default all in turn.
  """
  if label is None:
    label = jnp.arange(len(z)) % max(method.num_classes, 1)
  network = state.networks['generator']
  key = jax.random.key(0)  # Of dropout, where it stays on.
  return _generate(
    method, network.params, network.stats, z, label, key, train=False
  )[0]


def served(method: GAN, state: TrainState):
  """Latents [B, Z] (and labels [B]) to images; see `jaxgan.steps`."""
  network = state.networks['generator']
  inputs = zip(('latent', 'label'), _latent_example(method), strict=False)
  return {
    'generator': (
      state_lib.inference(method.generator),
      {'params': network.params, **network.stats},
      dict(inputs),
    )
  }


def sample(method: GAN, state: TrainState, key, num: int, label=None):
  """Images [num, ...] in [-1, 1]; image i depends on `key` and on i alone."""
  z = latents(method, key, num)
  return decode(method, settle(method, state), z, label)


def evaluate(method: GAN, state: TrainState, batch):
  """What the discriminator says of real images; see `discriminate.held_out`.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1], and 'label' [N] if there are classes.
  """
  player, label = state_lib.player(method, 'discriminator'), batch.get('label')
  inputs = _inputs(method, batch['image'], label)
  return discriminator_lib.held_out(method, state, player, inputs, label)


def preview(method: GAN, state: TrainState, batch, key):
  """A grid of samples, from the same latents whenever the key is the same."""
  del batch
  return {'samples': sample(method, state, key, PREVIEW_SIZE)}
