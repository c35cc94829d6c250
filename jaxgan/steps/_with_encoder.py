"""Parts that GANs with an encoder share.

Encoder and generator have one loss and one update, after that of the
discriminator. Both have EMA weights.
"""

import collections
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import game as game_lib
from jaxgan.adversarial.game import ADAM
from jaxgan.config import algorithms
from jaxgan.config import game as game_config
from jaxgan.config import networks as networks_lib
from jaxgan.config.fields import field
from jaxgan.core import ema as ema_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.ranges import MOST_UNITS
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec
from jaxgan.steps import _encoder_decoder, gan

NETWORKS = ('generator', 'encoder')
ROW, PREVIEW_SIZE = 10, 100  # reconstructions and samples
FIELDS = dict(
  latent_size=field(50, 1, MOST_UNITS),
  latent=field('normal', one_of=noise.LATENTS),
  adversarial=field(1.0, 0),  # weight in the loss of encoder and generator
  running_statistics=field(False),  # of samples; False: those of EMA weights
  **algorithms.adversarial_fields('non_saturating', {}),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithEncoder(gan.GAN):
  """Networks and settings, in addition to those of `GAN`.

  Attributes:
    encoder: maps pixels [B, ...] in [0, 1] to codes [B, Z].
    encoder_optimizer: optimizer of the encoder.
  """

  encoder: nn.Module
  encoder_optimizer: optax.GradientTransformation = ADAM


def modules(method, discriminated):
  """Returns all networks with an example of their inputs.

  `discriminated` maps images and codes to an input of the discriminator.
  """
  z = jnp.zeros((1, method.latents.size))
  image = jnp.zeros((1, *state_lib.made_shape(method.generator, z)))
  return {
    'generator': (method.generator, (z,)),
    'encoder': (method.encoder, (image,)),
    'discriminator': (method.discriminator, (discriminated(image, z),)),
  }


def init(method, networks, key: jax.Array) -> TrainState:
  """Returns the state before the first round, for the result of `modules`."""
  networks = state_lib.create_all(method, networks, key)
  ema, _ = ema_lib.start(networks, NETWORKS)
  first = game_lib.first_extra(method, (method.latents.size,), key)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, first)


def train_step(method, state, batch, key, discriminator_loss, joint_loss):
  """Trains one round: the discriminator, then encoder and generator together.

  Other args and results are those of `gan.train_step`.
  """
  keys = jax.random.split(jax.random.fold_in(key, state.step))
  state, metrics = discriminator_lib.update(
    method, state, 'discriminator', discriminator_loss, batch, keys[0]
  )
  state, values = state_lib.gradient_step(
    method, state, NETWORKS, joint_loss, batch, keys[1]
  )
  state = ema_lib.follow(method, state, len(batch['image']))
  return state.replace(step=state.step + 1), metrics | values


def reconstruct(method, state: TrainState, images, decode=gan.decode):
  """Returns codes [N, Z], or their means, and images G(E(x))."""
  code = _encoder_decoder.encode(method, state, images)
  return code, decode(method, gan.use_ema_weights(method, state), code)


def preview(method, state: TrainState, batch, key, decode=gan.decode):
  """Returns samples, and rows of images above their reconstructions."""
  images = batch['image'][:ROW]
  z = method.latents.sample(key, PREVIEW_SIZE)
  _, made = reconstruct(method, state, images, decode)
  return collections.OrderedDict(
    samples=decode(method, gan.use_ema_weights(method, state), z),
    reconstructions=jnp.stack([images, made]),
  )


def refuse_batch_norm(config) -> None:
  """Raises a UserError if the generator has statistics of the prior."""
  if config.generator.get('norm', 'none') == 'batch':
    raise errors.UserError(
      "generator.norm='batch' has statistics of the prior, and "
      f'method={config.method!r} also decodes other codes. Set '
      "generator.norm='layer' or 'none'."
    )


def build(config, spec: Spec, kind: type, parts: int = 1, **fields) -> Any:
  """Returns a method of a subclass of `WithEncoder`.

  `parts` is the number of outputs of the encoder for each number of a code, and
  `fields` are further fields of the method.
  """
  networks_lib.refuse_points(config, spec)
  latents = networks_lib.latents(config)
  derived = {'shape': spec.shape, 'code_size': parts * latents.size}
  fields |= game_config.fields(config, spec)
  for name in ('generator', 'encoder', 'discriminator'):
    fields |= networks_lib.network_fields(
      config, name, config.batch_size, **derived
    )
  method = kind(**fields, latents=latents)
  example = (jnp.zeros((1, latents.size)),)
  game_config.refuse_shape(config, (method.generator, example), spec.shape)
  return method
