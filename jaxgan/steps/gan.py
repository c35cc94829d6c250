"""Generative adversarial networks: GAN, LSGAN, WGAN, conditional GANs, ACGAN.

Goodfellow et al. 2014 (https://arxiv.org/abs/1406.2661), algorithm 1. A round
takes k gradient steps on the discriminator D, then one on the generator G. With
the default losses of section 3 these minimise

  -log D(x) - log(1 - D(G(z)))    and    -log D(G(z)).

  method = gan.GAN(mlp.Generator(shape=(28, 28, 1)), mlp.Discriminator())
  state, metrics = jax.jit(gan.train_step, static_argnums=0)(
      method, gan.init(method, key), {'image': images}, key)
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import game as game_lib
from jaxgan.adversarial import lazy
from jaxgan.adversarial.game import ADAM, Game
from jaxgan.adversarial.terms import Scene, discriminator_total, generator_total
from jaxgan.config import game as game_config
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise, pixels
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec


def discriminator_loss(gan, networks, state, batch, z, key, apply):
  """Returns the loss of line 4, -log D(x) - log(1 - D(G(z))), with terms."""
  D, G, y = networks['discriminator'], networks['generator'], gan.label(batch)
  keys = discriminator_lib.update_keys(key)
  fake = G(z, *y, key=keys['dropout'], train=gan.tricks.batch_fakes).images
  made, pool = gan.tricks.replay_fakes(state, fake, keys['replay'])
  real, fake = gan.tricks.augment_both(state, batch['image'], made, keys)
  on_real, on_fake = apply(D, (real, *y), (fake, *y), keys)
  soft = gan.tricks.soften_labels(gan.loss, real, keys['labels'])
  loss = jnp.mean(soft.discriminator(on_real.logits, on_fake.logits))
  seen = (D, (real, *y), (fake, *y), on_real, on_fake, keys, z)
  scene = Scene(gan, state, batch, networks, *seen, made=made)
  return discriminator_total(gan, 'discriminator', loss, scene, pool)


def generator_loss(gan, networks, state, batch, z, key):
  """Returns the loss of line 7 as in section 3, -log D(G(z)), with terms."""
  D, G, y = networks['discriminator'], networks['generator'], gan.label(batch)
  keys = noise.keys(jax.random.fold_in(key, 1), *GENERATOR_KEYS)
  generated = G(z, *y, key=keys['dropout'])

  def judge(images):
    fake = gan.tricks.output_gradient(images)
    real, fake = gan.tricks.augment_both(state, batch['image'], fake, keys)
    on_real = D(real, *y, key=keys['real'])
    on_fake = D(fake, *y, key=keys['fake'])
    loss = gan.loss.generator(on_real.logits, on_fake.logits)
    loss = jnp.mean(gan.tricks.select_fakes(state, loss, on_fake.logits))
    seen = (D, (real, *y), (fake, *y), on_real, on_fake, keys, z)
    scene = Scene(gan, state, batch, networks, *seen, generated)
    return generator_total(gan, 'generator', loss, scene)

  return gan.tricks.normalise_gradient(judge, generated.images, state)


def train_step(gan, state, batch, key):
  """Trains one round: k discriminator updates, then one generator update.

  Args:
    gan: a `GAN`.
    state: the state before the round.
    batch: 'image' [k * B, ...] in [-1, 1], and 'label' [k * B] if used.
    key: the key of the run.

  Returns:
    The state after the round, and scalar metrics by name.
  """
  key = jax.random.fold_in(key, state.step)
  generator_key, *keys = jax.random.split(key, gan.discriminator_steps + 1)
  parts = jax.tree.map(lambda x: _split(gan, x), batch)

  def update(state, part_and_key):
    part, key = part_and_key
    return discriminator_step(gan, state, *gan.inputs(part, key), key)

  state, metrics = jax.lax.scan(update, state, (parts, jnp.stack(keys)))
  part = jax.tree.map(lambda x: x[-1], parts)
  part, z = gan.inputs(part, keys[-1] if gan.latent_reuse else generator_key)
  state, values = generator_step(gan, state, part, z, generator_key)
  metrics = jax.tree.map(jnp.mean, metrics) | values
  return state.replace(step=state.step + 1), metrics


STANDING_BATCHES, STANDING_BATCH_SIZE = 16, 128  # for statistics of EMA
GENERATOR_KEYS = ('dropout', 'real_show', 'fake_show', 'real', 'fake')


def discriminator_step(gan, state: TrainState, batch, z, key):
  """Updates the discriminator alone; z: latents [B, Z] of the fakes."""
  return discriminator_lib.update(
    gan, state, 'discriminator', discriminator_loss, batch, z, key
  )


def generator_step(gan, state: TrainState, batch, z, key):
  """Updates the generator alone, and its EMA; see `discriminator_step`."""
  loss = (generator_loss, batch, z, key)
  state, metrics = state_lib.gradient_step(gan, state, ('generator',), *loss)
  state, apart = lazy.steps(gan, state, 'generator', gan.generator_terms, *loss)
  return ema_lib.follow(gan, state, len(batch['image'])), metrics | apart


def _split(gan, x):
  """Splits [k * B, ...] into [k, B, ...]; a single batch is repeated."""
  x = x.reshape(batches_per_round(gan), -1, *x.shape[1:])
  return jnp.broadcast_to(x, (gan.discriminator_steps, *x.shape[1:]))


@dataclasses.dataclass(frozen=True)
class GAN(Game):
  """Networks and settings of a GAN, in addition to those of `Game`.

  Attributes:
    generator: maps latents [B, Z] (and labels [B]) to images, at all scales.
    discriminator: maps images (and labels) to logits [B].
    generator_optimizer, discriminator_optimizer: their optimizers.
    latents: distribution of z.
    latent_reuse: True if the generator's update has D's last latents.
    discriminator_steps: k, discriminator updates per round.
    real_reuse: True if all discriminator updates of a round see the same reals.
    num_classes: number of classes of conditional networks; 0 for none.
  """

  generator: nn.Module
  discriminator: nn.Module
  generator_optimizer: optax.GradientTransformation = ADAM
  discriminator_optimizer: optax.GradientTransformation = ADAM
  latents: latents_lib.Latents = latents_lib.single('normal', 100)
  latent_reuse: bool = False
  discriminator_steps: int = 1
  real_reuse: bool = False
  num_classes: int = 0

  def label(self, batch) -> tuple:  # further inputs of both networks
    return (batch['label'],) if self.num_classes else ()

  def inputs(self, batch, key):
    """Returns the batch of an update, and latents [B, Z] of its fakes."""
    key = jax.random.fold_in(key, 0)
    return batch, self.latents.sample(key, len(batch['image']))


def batches_per_round(gan) -> int:
  """Returns the number of batches of real images in a round."""
  return 1 if gan.real_reuse else gan.discriminator_steps


def modules(gan):
  """Returns both networks with an example of their inputs."""
  y = (jnp.zeros(1, int),) if gan.num_classes else ()
  z = (jnp.zeros((1, gan.latents.size)), *y)
  images = state_lib.output_shapes(gan.generator, *z)
  shown = jax.tree.map(lambda x: gan.tricks.example(x.shape[1:]), images)
  return {
    'generator': (gan.generator, z),
    'discriminator': (gan.discriminator, (shown, *y)),
  }


def init(gan, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  networks = state_lib.create_all(gan, modules(gan), key)
  ema, more = ema_lib.start(networks, ('generator',), widths=gan.ema_widths)
  generator, z = modules(gan)['generator']
  extra = game_lib.first_extra(gan, state_lib.made_shape(generator, *z), key)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra | more)


def use_ema_weights(gan, state: TrainState) -> TrainState:
  """Returns a state for `decode`, with EMA weights and new statistics."""
  count = STANDING_BATCHES * STANDING_BATCH_SIZE
  y = (jnp.arange(count) % gan.num_classes,) if gan.num_classes else ()
  batches = jax.tree.map(
    lambda x: x.reshape(STANDING_BATCHES, STANDING_BATCH_SIZE, *x.shape[1:]),
    (gan.latents.sample(jax.random.key(0), count), *y),
  )
  return ema_lib.use_averages(gan, state, 'generator', batches)


def decode(gan, state: TrainState, z, label=None):
  """Returns images [N, ...] in [-1, 1] of latents [N, Z].

  `state` comes from `use_ema_weights`. Without labels [N], classes take turns.
  """
  if label is None:
    label = jnp.arange(len(z)) % max(gan.num_classes, 1)
  G = state_lib.bind(gan, state)['generator']
  y = (label,) if gan.num_classes else ()
  images = G(z, *y, key=jax.random.key(0), train=False).images
  return jax.tree.leaves(images)[-1]


def evaluate(gan, state: TrainState, batch):
  """Judges held-out images; see `discriminator.held_out`."""
  name, y, label = 'discriminator', gan.label(batch), batch.get('label')
  image = pixels.at_scales_of(batch['image'], modules(gan)[name][1][0])
  return discriminator_lib.held_out(gan, state, name, (image, *y), label)


def export_functions(gan, state: TrainState):
  """Returns the generator for export; see `jaxgan.steps`."""
  network = state.networks['generator']
  module, example = modules(gan)['generator']
  function = lambda *x: jax.tree.leaves(state_lib.inference(module)(*x))[-1]
  weights = {'params': network.params, **network.stats}
  inputs = dict(zip(('latent', 'label'), example, strict=False))
  return {'generator': (function, weights, inputs)}


def from_config(config, spec: Spec) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  images, steps = config.batch_size, config.discriminator_steps
  num_classes = spec.num_classes if config.conditional else 0
  classes = spec.num_classes if config.labelled else num_classes
  latents = networks_lib.latents(config)
  build = functools.partial(
    networks_lib.network_fields, config, shape=spec.shape, latents=latents
  )
  game = game_config.fields(config, spec, 'conditional')
  for_g = images * lazy.share(game['generator_terms'])
  for_d = images / steps * lazy.share(game['discriminator_terms'])
  gan = GAN(
    **game,
    **build('generator', for_g, num_classes=num_classes),
    **build('discriminator', for_d, num_classes=classes),
    latents=latents,
    latent_reuse=config.latent_reuse,
    discriminator_steps=steps,
    real_reuse=config.real_reuse,
    num_classes=num_classes,
  )
  game_config.refuse_labels(config, spec, gan.discriminator)
  game_config.refuse_shape(config, modules(gan)['generator'], spec.shape)
  return gan
