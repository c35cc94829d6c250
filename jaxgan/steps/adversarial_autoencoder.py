"""Adversarial autoencoders: codes of images are distributed as a prior.

Makhzani et al. 2015 (https://arxiv.org/abs/1511.05644), section 2. A
discriminator D distinguishes draws z of the prior from codes E(x). A round
first updates D, on the loss

  -log D(z) - log(1 - D(E(x))).

Then encoder E and generator G, the decoder, together minimise

  reconstruction |x - G(E(x))|^2 - adversarial log D(E(x)),

where the square is a mean over pixels in [0, 1]. The paper's two phases are two
updates of E; here one update has the weighted sum. Samples are G(z).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import noise
from jaxgan.core.pixels import to_pixels
from jaxgan.core.ranges import MOST_UNITS
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics import wasserstein
from jaxgan.metrics.likelihood import flat
from jaxgan.steps import _encoder_decoder, _with_encoder, gan
from jaxgan.steps._with_encoder import reconstruct
from jaxgan.visual import plane

# Samples are those of `gan`.
decode, use_ema_weights = gan.decode, gan.use_ema_weights
export_functions = gan.export_functions

FIELDS = _with_encoder.FIELDS | dict(
  latent_size=field(8, 1, MOST_UNITS),
  adversarial=field(0.001, 0),  # weights in the loss of encoder and generator
  reconstruction=field(0.999, 0),
)


def square_error(images: jax.Array, others: jax.Array) -> jax.Array:
  """Returns the mean square difference of pixels in [0, 1]."""
  return jnp.mean(flat(to_pixels(images) - to_pixels(others)) ** 2)


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the loss -log D(z) - log(1 - D(E(x))), with terms."""
  keys = noise.keys(key, 'prior', 'encoder')
  pixels, train = to_pixels(batch['image']), method.tricks.batch_fakes
  code = networks['encoder'](pixels, key=keys['encoder'], train=train).value
  z = method.latents.sample(keys['prior'], len(code))
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, batch, 'discriminator'),
    *((z,), (code,), discriminator_lib.loss_keys(key), apply, None),
  )


def joint_loss(method, networks, state, batch, key):
  """Returns the weighted sum of the square error and -log D(E(x))."""
  keys = noise.keys(key, 'prior', 'encoder', 'generator', 'real', 'fake')
  image = batch['image']
  code = networks['encoder'](to_pixels(image), key=keys['encoder'])
  made = networks['generator'](code.value, key=keys['generator'])
  error = square_error(image, made.images)
  z = method.latents.sample(keys['prior'], len(image))
  loss, *_ = discriminator_lib.generator_loss(
    method, state, networks['discriminator'], (z,), (code.value,), keys
  )
  total = method.reconstruction * error + method.adversarial * loss
  metrics = {'encoder': {'loss': loss}, 'generator': {'mse': error}}
  return total, Aux({'encoder': code.stats, 'generator': made.stats}, metrics)


def train_step(method, state, batch, key):
  """Trains one round, see `_with_encoder.train_step`."""
  losses = (discriminator_loss, joint_loss)
  return _with_encoder.train_step(method, state, batch, key, *losses)


SHOWN_IMAGES = 500  # codes in the plane
DIRECTIONS = 128  # of the distance between codes and prior


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialAutoencoder(_with_encoder.WithEncoder):
  """Networks and settings, in addition to those of `WithEncoder`.

  Attributes:
    adversarial: weight of -log D(E(x)).
    reconstruction: weight of the square error.
  """

  adversarial: float = 0.001
  reconstruction: float = 0.999


def modules(method):
  """Returns all networks with an example of their inputs."""
  return _with_encoder.modules(method, lambda image, code: code)


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _with_encoder.init(method, modules(method), key)


def evaluate(method, state: TrainState, batch):
  """Returns scores of held-out images with EMA weights.

  'encoder/held_out_distance' is the sliced Wasserstein distance of codes from
  as many draws of the prior, see `metrics.wasserstein`.
  """
  code, made = reconstruct(method, state, batch['image'])
  prior, directions = jax.random.split(jax.random.key(0))
  z = method.latents.sample(prior, len(code))
  distance = wasserstein.sliced(code, z, directions, DIRECTIONS)
  return {
    'generator/held_out_mse': square_error(batch['image'], made),
    'encoder/held_out_distance': distance,
  }


def preview(method, state: TrainState, batch, key):
  """Returns samples, reconstructions, and pictures of two latents.

  With two latents, 'manifold' has images of the plane, and 'codes' has codes of
  held-out images.
  """
  pictures = _with_encoder.preview(method, state, batch, key)
  if method.latents.size == 2:
    averaged = use_ema_weights(method, state)
    run = functools.partial(decode, method, averaged)
    pictures['manifold'] = _encoder_decoder.manifold(run)
    code = _encoder_decoder.encode(method, state, batch['image'])
    pictures['codes'] = plane.draw(code, batch.get('label'))
  return pictures


def from_config(config, spec: Spec) -> AdversarialAutoencoder:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  weights = {'reconstruction': config.reconstruction}
  return _with_encoder.build(config, spec, AdversarialAutoencoder, **weights)
