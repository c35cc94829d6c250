"""VQ-VAE: an autoencoder with discrete codes, and a prior that draws them.

Van den Oord et al. 2017 (https://arxiv.org/abs/1711.00937), equation 3. Every
feature z of the encoder is replaced by the nearest code e, and encoder, decoder
and codebook minimise, with sg for values without a gradient,

  |x - decoder(e)|^2 + |sg(z) - e|^2 + commitment |z - sg(e)|^2,

as means over pixels and over features. The gradient of the first term at e is
copied to z (straight through). The prior minimises -log p of the codes, row by
row. It shares no weight with the others, so all learn in one run.

  state, metrics = jax.jit(vqvae.train_step, static_argnums=0)(
      method, vqvae.init(method, key), {'image': images}, key)

Latents are quantiles of the prior's distributions, in [-1, 1).
"""

import collections
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.config import networks as networks_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import axis
from jaxgan.core import ema as ema_lib
from jaxgan.core import latents as latents_lib
from jaxgan.core import state as state_lib
from jaxgan.core.ranges import MOST_UNITS
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.steps._encoder_decoder import averaged

stop = jax.lax.stop_gradient


def loss(method, networks, state, x):
  """Returns the sum of equation 3 and of the prior's nats, and `Aux`."""
  del state
  z, _, stats = networks['encoder'](x)
  e, index = networks['codebook'](z).value
  decoded = networks['decoder'](z + stop(e - z)).value
  logits = networks['prior'](index.reshape(len(x), -1)).value
  reconstruction = jnp.mean((x - decoded) ** 2)
  codebook, commitment = ((a - b) ** 2 for a, b in ((stop(z), e), (z, stop(e))))
  total = reconstruction + jnp.mean(codebook + method.commitment * commitment)
  metrics = {
    'loss': total,
    'reconstruction': reconstruction,
    'distance': jnp.mean(commitment),
    'prior': nats(logits, index),
    'perplexity': perplexity(axis.mean_of_devices(shares(method, index))),
  }
  return total + metrics['prior'], Aux({'encoder': stats}, {'vqvae': metrics})


def nats(logits, index):
  """Returns the mean of -log p for logits [B, T, K] and codes [B, h, w]."""
  score = optax.softmax_cross_entropy_with_integer_labels
  return jnp.mean(score(logits, index.reshape(logits.shape[:-1])))


def shares(method, index):
  """Returns the share [K] of each code among codes [B, h, w]."""
  return jnp.mean(jax.nn.one_hot(index.ravel(), method.codebook.codes), axis=0)


def perplexity(shares):
  """Returns exp of the entropy of shares [K], in 1..K."""
  return jnp.exp(jnp.sum(jax.scipy.special.entr(shares)))


def train_step(method, state, batch, key):
  """Updates all four networks.

  'loss' is that of equation 3, 'distance' the mean |z - e|^2, 'prior' counts
  nats per code, and 'perplexity' is that of the batch's codes.
  """
  del key  # Nothing is random.
  images = batch['image']
  step = state_lib.gradient_step
  state, metrics = step(method, state, NETWORKS, loss, images)
  state = ema_lib.follow(method, state, len(images))
  return state.replace(step=state.step + 1), metrics


NETWORKS = ('encoder', 'codebook', 'decoder', 'prior')
FIELDS = dict(
  codes=field(64, 2, MOST_UNITS),  # K
  code_channels=field(16, 1, MOST_UNITS),  # D
  commitment=field(0.25, 0),  # beta
)
SMOOTH_LATENTS = False  # Codes are drawn.
SHOWN_IMAGES, PREVIEW_SIZE = 10, 100
ADAM = optax.adam(1e-3)  # default of methods built without a config


@dataclasses.dataclass(frozen=True)
class VQVAE:
  """Networks and settings of a VQ-VAE.

  Attributes:
    encoder: maps images [B, *shape] in [-1, 1] to features [B, h, w, D].
    codebook: maps features to codes [B, h, w, D] and numbers [B, h, w].
    prior: maps numbers [B, h * w] to logits [B, h * w, K], given those before.
    shape: (height, width, channels) of an image.
    commitment: beta, weight of the commitment.
    ema_halflife, ema_rampup, ema_counts_round: see `ema.average`.
  """

  encoder: nn.Module
  codebook: nn.Module
  decoder: nn.Module
  prior: nn.Module
  shape: tuple[int, ...]
  encoder_optimizer: optax.GradientTransformation = ADAM
  codebook_optimizer: optax.GradientTransformation = ADAM
  decoder_optimizer: optax.GradientTransformation = ADAM
  prior_optimizer: optax.GradientTransformation = ADAM
  commitment: float = 0.25
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False

  @property
  def code_shape(self) -> tuple[int, int, int]:
    image = jnp.zeros((1, *self.shape))
    return state_lib.made_shape(self.encoder, image)

  @property
  def latents(self) -> latents_lib.Latents:
    rows, columns, _ = self.code_shape
    return latents_lib.single('uniform', rows * columns)


def modules(method):
  """Returns all networks with an example of their inputs."""
  code = jnp.zeros((1, *method.code_shape))
  return {
    'encoder': (method.encoder, (jnp.zeros((1, *method.shape)),)),
    'codebook': (method.codebook, (code,)),
    'decoder': (method.decoder, (code,)),
    'prior': (method.prior, (jnp.zeros((1, method.latents.size), int),)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, NETWORKS, with_stats=True)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def encode(method, state: TrainState, images):
  """Returns codes [N, h, w, D] and their numbers [N, h, w] of images."""
  features = averaged(method, state, 'encoder', images)
  return averaged(method, state, 'codebook', features)


def reconstruct(method, state: TrainState, code):
  """Returns images [N, ...] in [-1, 1] of codes [N, h, w, D]."""
  return jnp.clip(averaged(method, state, 'decoder', code), -1.0, 1.0)


def draw(method, state: TrainState, z):
  """Returns numbers [N, h * w] of codes that the prior has at quantiles z."""
  quantiles = (z + 1.0) / 2.0

  def one(t, index):
    logits = averaged(method, state, 'prior', index)[:, t]
    ends = jnp.cumsum(jax.nn.softmax(logits), axis=-1)[:, :-1]
    code = jnp.sum(quantiles[:, t, None] >= ends, axis=-1)
    return index.at[:, t].set(code)

  return jax.lax.fori_loop(0, z.shape[1], one, jnp.zeros(z.shape, int))


def decode(method, state: TrainState, z, label=None):
  """Returns images [N, ...] in [-1, 1] of latents [N, h * w]."""
  del label  # No VQ-VAE here is conditional.
  index = draw(method, state, z).reshape(len(z), *method.code_shape[:2])
  params = {'params': state.ema['codebook']}
  code = method.codebook.apply(params, index, method='find')
  return reconstruct(method, state, code)


def evaluate(method, state: TrainState, batch):
  """Returns scores of held-out images with EMA weights.

  'held_out_mse' is of pixels in [-1, 1], 'held_out_prior' in nats per code.
  'held_out_perplexity' is exp of the entropy of codes, and 'held_out_used' the
  share of codes that any image has.
  """
  images = batch['image']
  code, index = encode(method, state, images)
  logits = averaged(method, state, 'prior', index.reshape(len(index), -1))
  error = reconstruct(method, state, code) - images
  used = shares(method, index)
  return {
    'vqvae/held_out_mse': jnp.mean(error**2),
    'vqvae/held_out_prior': nats(logits, index),
    'vqvae/held_out_perplexity': perplexity(used),
    'vqvae/held_out_used': jnp.mean(used > 0),
  }


def preview(method, state: TrainState, batch, key):
  """Returns 'samples' [100, ...] and 'reconstructions' [2, N, ...]."""
  images = batch['image']
  made = reconstruct(method, state, encode(method, state, images)[0])
  samples = decode(method, state, method.latents.sample(key, PREVIEW_SIZE))
  rows = jnp.stack([images, made])
  return collections.OrderedDict(samples=samples, reconstructions=rows)


def export_functions(method, state: TrainState):
  """Returns the autoencoder for export; see `jaxgan.steps`."""
  encoder, codebook, decoder = (
    state_lib.inference(getattr(method, name)) for name in NETWORKS[:3]
  )

  def function(weights, images):
    code, _ = codebook(weights['codebook'], encoder(weights['encoder'], images))
    return jnp.clip(decoder(weights['decoder'], code), -1.0, 1.0)

  weights = {name: ema_lib.variables(state, name) for name in NETWORKS[:3]}
  example = jnp.zeros((1, *method.shape))
  return {'autoencoder': (function, weights, {'image': example})}


def from_config(config, spec: Spec) -> VQVAE:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  derived = dict(codes=config.codes, channels=config.code_channels)
  fields = networks_lib.encoder_and_decoder(config, spec, **derived)
  for name in ('codebook', 'prior'):
    words = (config, name, config.batch_size)
    fields |= networks_lib.network_fields(*words, **derived)
  if not config.encoder.name.startswith('vq.'):
    raise errors.UserError(
      f'encoder.name={config.encoder.name!r} makes no map of features. Set '
      "encoder.name='vq.Encoder'."
    )
  return VQVAE(**fields, commitment=config.commitment)
