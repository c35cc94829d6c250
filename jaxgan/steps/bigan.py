"""Bidirectional GANs: an encoder learns the inverse of the generator.

Donahue et al. 2017 (https://arxiv.org/abs/1605.09782), equation 2 and section
3.4; Dumoulin et al. 2017 (https://arxiv.org/abs/1606.00704), equation 2. The
discriminator D sees pairs of an image and a code, and minimises

  -log D(x, E(x)) - log(1 - D(G(z), z)).

Encoder E and generator G then minimise, together, the same loss with swapped
labels, -log(1 - D(x, E(x))) - log D(G(z), z). At the optimum G(E(x)) = x. With
`stochastic` (ALI) the encoder returns mean and log-variance of a Gaussian, from
which codes are drawn.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import noise
from jaxgan.core.pixels import to_pixels
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics import distances
from jaxgan.metrics.likelihood import flat
from jaxgan.steps import _with_encoder, gan
from jaxgan.steps._with_encoder import reconstruct

# Samples are those of `gan`.
decode, use_ema_weights = gan.decode, gan.use_ema_weights
export_functions, preview = gan.export_functions, _with_encoder.preview
SHOWN_IMAGES = _with_encoder.ROW

FIELDS = dict(
  **_with_encoder.FIELDS,
  stochastic=field(False),  # the encoder draws codes, as in ALI
)


def pair(images: jax.Array, codes: jax.Array) -> jax.Array:
  """Returns images [B, ...] and codes [B, Z] as rows [B, P + Z]."""
  return jnp.concatenate([flat(images), codes], axis=1)


def codes_of(method, output: jax.Array, key) -> jax.Array:
  """Returns codes [B, Z] of the encoder's output, drawn if `stochastic`."""
  if not method.stochastic:
    return output
  mean, log_variance = jnp.split(output, 2, axis=-1)
  draw = noise.normal(key, len(mean), mean.shape[1:])
  return mean + jnp.exp(0.5 * log_variance) * draw


def _pairs(method, networks, batch, key, train: bool):
  """Returns pairs (x, E(x)) and (G(z), z), and both outputs by network."""
  keys = noise.keys(key, 'latents', 'codes', 'generator', 'encoder')
  x = batch['image']
  z = method.prior(networks, keys['latents'], len(x), train)
  fake = networks['generator'](z, key=keys['generator'], train=train)
  code = networks['encoder'](to_pixels(x), key=keys['encoder'], train=train)
  real = pair(x, codes_of(method, code.value, keys['codes']))
  outputs = {'generator': fake, 'encoder': code}
  return real, pair(fake.images, z), outputs


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the loss -log D(x, E(x)) - log(1 - D(G(z), z)), with terms."""
  train = method.tricks.batch_fakes
  real, fake, _ = _pairs(method, networks, batch, key, train)
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, batch, 'discriminator'),
    *((real,), (fake,), discriminator_lib.loss_keys(key), apply, None),
  )


def joint_loss(method, networks, state, batch, key):
  """Returns the loss of encoder and generator, D's with swapped labels."""
  del state
  real, fake, outputs = _pairs(method, networks, batch, key, True)
  keys = discriminator_lib.loss_keys(key)
  on_real = networks['discriminator'](real, key=keys['real'])
  on_fake = networks['discriminator'](fake, key=keys['fake'])
  values = method.loss.discriminator(on_fake.logits, on_real.logits)
  loss = jnp.mean(values)
  stats = {name: output.stats for name, output in outputs.items()}
  return method.adversarial * loss, Aux(stats, {'generator': {'loss': loss}})


def train_step(method, state, batch, key):
  """Trains one round, see `_with_encoder.train_step`."""
  losses = (discriminator_loss, joint_loss)
  return _with_encoder.train_step(method, state, batch, key, *losses)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiGAN(_with_encoder.WithEncoder):
  """Networks and settings, in addition to those of `WithEncoder`.

  Attributes:
    stochastic: True to draw codes. The encoder then returns mean and
      log-variance [B, 2 Z].
  """

  stochastic: bool = False

  def prior(self, networks, key, count: int, train: bool) -> jax.Array:
    """Returns the latents [count, Z] of fakes."""
    del networks, train
    return self.latents.sample(key, count)


def modules(method):
  """Returns all networks with an example of their inputs."""
  return _with_encoder.modules(method, pair)


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  return _with_encoder.init(method, modules(method), key)


def equilibrium_metrics(method) -> dict[str, float]:
  """Returns metrics at the equilibrium; both losses are the discriminator's."""
  values = discriminator_lib.equilibrium_metrics(method.loss)
  name = 'discriminator/loss'
  return values | {'generator/loss': values[name]} if name in values else values


def evaluate(method, state: TrainState, batch):
  """Returns scores of held-out images with EMA weights.

  With labels there are errors of nearest neighbours among the held-out images:
  'encoder/neighbour_error', of codes and other codes, and
  'generator/reconstruction_error', of reconstructions and images.
  """
  images = batch['image']
  code, made = reconstruct(method, state, images)
  error = jnp.mean(flat(to_pixels(made) - to_pixels(images)) ** 2)
  scores = {'generator/held_out_mse': error}
  if 'label' in batch:
    label, count = batch['label'], len(images)
    alone = distances.squared(code, code) + jnp.diag(jnp.full(count, jnp.inf))
    between = distances.squared(flat(made), flat(images))
    for name, square in (
      ('encoder/neighbour_error', alone),
      ('generator/reconstruction_error', between),
    ):
      scores[name] = jnp.mean(label[jnp.argmin(square, axis=1)] != label)
  return scores


def from_config(config, spec: Spec) -> BiGAN:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  parts, fields = 1 + config.stochastic, {'stochastic': config.stochastic}
  return _with_encoder.build(config, spec, BiGAN, parts, **fields)
