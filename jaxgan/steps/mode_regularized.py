"""Mode-regularised GANs: every image has a latent, so no mode is missed.

Che et al. 2016 (https://arxiv.org/abs/1612.02136), sections 3.1 and 3.2. The
discriminator D sees images alone, as in `steps/gan.py`. Encoder E and generator
G then minimise, together,

  adversarial (-log D(G(z)))
    + reconstruction |x - G(E(x))|^2 + mode_regularizer (-log D(G(E(x)))),

where the square is a mean over pixels in [0, 1]. There is no MDGAN.
"""

import dataclasses
import functools

import jax

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import noise
from jaxgan.core.pixels import to_pixels
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.steps import _with_encoder, gan
from jaxgan.steps._with_encoder import reconstruct
from jaxgan.steps.adversarial_autoencoder import square_error

decode, use_ema_weights = gan.decode, gan.use_ema_weights
export_functions, preview = gan.export_functions, _with_encoder.preview
SHOWN_IMAGES = _with_encoder.ROW

FIELDS = _with_encoder.FIELDS | dict(
  reconstruction=field(10.0, 0),  # lambda_1 in the loss of E and G
  mode_regularizer=field(0.2, 0),  # lambda_2
)


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the loss -log D(x) - log(1 - D(G(z))), with terms."""
  keys = noise.keys(key, 'latents', 'generator')
  z = method.latents.sample(keys['latents'], len(batch['image']))
  train, G = method.tricks.batch_fakes, networks['generator']
  fake = G(z, key=keys['generator'], train=train).images
  further = (discriminator_lib.loss_keys(key), apply, None)
  seen = ('discriminator', (batch['image'],), (fake,), *further)
  return discriminator_lib.discriminator_loss(
    method, networks, state, batch, *seen
  )


def joint_loss(method, networks, state, batch, key):
  """Returns the weighted sum of the three losses of encoder and generator."""
  names = ('latents', 'generator', 'encoder', 'decoder', 'real', 'fake')
  keys, image = noise.keys(key, *names), batch['image']
  z = method.latents.sample(keys['latents'], len(image))
  G, D = networks['generator'], networks['discriminator']
  code = networks['encoder'](to_pixels(image), key=keys['encoder'])
  fake = G(z, key=keys['generator'])
  made = G(code.value, key=keys['decoder'])
  error = square_error(image, made.images)
  judge = functools.partial(
    discriminator_lib.generator_loss, method, state, D, (image,), keys=keys
  )
  loss, coverage = judge((fake.images,))[0], judge((made.images,))[0]
  total = method.adversarial * loss + method.reconstruction * error
  total += method.mode_regularizer * coverage
  losses = {'generator': {'loss': loss, 'mse': error}}
  losses |= {'encoder': {'loss': coverage}}
  return total, Aux({'generator': fake.stats, 'encoder': code.stats}, losses)


def train_step(method, state, batch, key):
  """Trains one round, see `_with_encoder.train_step`."""
  losses = (discriminator_loss, joint_loss)
  return _with_encoder.train_step(method, state, batch, key, *losses)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModeRegularized(_with_encoder.WithEncoder):
  """Networks and settings, in addition to those of `WithEncoder`."""

  reconstruction: float = 10.0  # lambda_1, weight of the square error
  mode_regularizer: float = 0.2  # lambda_2, weight of -log D(G(E(x)))


def modules(method):
  """Returns all networks with an example of their inputs."""
  return _with_encoder.modules(method, lambda image, code: image)


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _with_encoder.init(method, modules(method), key)


def evaluate(method, state: TrainState, batch):
  """Returns D(x) and the square error of held-out images."""
  _, made = reconstruct(method, state, batch['image'])
  scores = gan.evaluate(method, state, {'image': batch['image']})
  error = square_error(batch['image'], made)
  return scores | {'generator/held_out_mse': error}


def from_config(config, spec: Spec) -> ModeRegularized:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  _with_encoder.refuse_batch_norm(config)
  weights = {k: config[k] for k in ('reconstruction', 'mode_regularizer')}
  return _with_encoder.build(config, spec, ModeRegularized, **weights)
