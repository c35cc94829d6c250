"""Helmholtz machines, trained by the wake-sleep algorithm.

Hinton et al. 1995 (https://doi.org/10.1126/science.7761831). A generative
network p(v, h) draws binary hidden units h from the top down to an image v. A
recognition network q(h|v) draws hidden units of an image. A round minimises

  wake:   -log p(v, h)   for an image v of the data and h from q(h|v),
  sleep:  -log q(h|v)    for h and v that the generative network dreams,

The generative network minimises the first loss, the recognition network the
second. Latents are uniform numbers in [-1, 1], one for each hidden unit: the
unit is 1 if its number is below its probability, scaled to this range.
"""

import collections
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.config import algorithms, validate
from jaxgan.config import networks as networks_lib
from jaxgan.config.fields import field
from jaxgan.core import ema as ema_lib
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.networks import BoundNetwork
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics import likelihood, partition

FIELDS = dict(
  held_out_samples=field(50, 1, 10_000),  # of the bound on held-out images
  **algorithms.AVERAGES,
)
SMOOTH_LATENTS = False  # Units are drawn.
NETWORKS = ('generative', 'recognition')


def log_probability(network: BoundNetwork, v, h) -> jax.Array:
  """Returns log p(v, h) or log q(h|v) [B] of images and hidden units."""
  return network(v, h, train=False, method='log_probability').value


def loss(method, networks, state, v, keys):
  """Returns the sum of both losses; each depends on one network alone."""
  del state
  generative, recognition = (networks[name] for name in NETWORKS)
  u, w = (noise.uniform(key, len(v), (method.size,)) for key in keys[:2])
  h = recognition(v, u, train=False).value
  wake = -jnp.mean(log_probability(generative, v, h))
  h, logits = generative(w, train=False, method='dream').value
  dream = noise.binary(keys[2], jax.lax.stop_gradient(jax.nn.sigmoid(logits)))
  sleep = -jnp.mean(log_probability(recognition, dream, h))
  metrics = {'generative': {'loss': wake}, 'recognition': {'loss': sleep}}
  return wake + sleep, Aux({}, metrics)


def train_step(method, state, batch, key):
  """Updates both networks; args and results are those of `gan.train_step`.

  Pixels are drawn as 0 or 1. Losses are nats per image.
  """
  pixel_key, *keys = jax.random.split(jax.random.fold_in(key, state.step), 4)
  v = noise.binary(pixel_key, to_pixels(batch['image']))
  state, metrics = state_lib.gradient_step(
    method, state, NETWORKS, loss, v, keys
  )
  state = ema_lib.follow(method, state, len(v))
  return state.replace(step=state.step + 1), metrics


PREVIEW_SIZE = 100


@dataclasses.dataclass(frozen=True)
class Helmholtz:
  """Networks and settings of a Helmholtz machine.

  Attributes:
    generative: a `boltzmann.Generative`.
    recognition: a `boltzmann.Recognition`.
    shape: (height, width, channels) of an image.
    latents: uniform numbers, one for each hidden unit.
    generative_optimizer, recognition_optimizer: their optimizers.
    held_out_samples: k of the bound on held-out images.
    ema_halflife, ema_rampup, ema_counts_round: see `ema.average`.
  """

  generative: nn.Module
  recognition: nn.Module
  shape: tuple[int, ...]
  latents: latents_lib.Latents
  generative_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  recognition_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  held_out_samples: int = 1
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False

  @property
  def size(self) -> int:
    """Hidden units of all layers together."""
    return self.latents.size


def modules(method):
  """Returns both networks with an example of their inputs."""
  u = jnp.zeros((1, method.size))
  return {
    'generative': (method.generative, (u,)),
    'recognition': (method.recognition, (jnp.zeros((1, *method.shape)), u)),
  }


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, NETWORKS)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def decode(method, state: TrainState, z, label=None):
  """Returns mean images [N, ...] in [-1, 1] of latents [N, H] in [-1, 1]."""
  del label  # The networks take none.
  function, weights, _ = export_functions(method, state)['generator']
  return function(weights, z)


def export_functions(method, state: TrainState):
  """Returns the generative network for export; see `jaxgan.steps`."""
  run = state_lib.inference(method.generative)

  def function(weights, z):
    return to_images(jax.nn.sigmoid(run(weights, to_pixels(z))))

  weights = ema_lib.variables(state, 'generative')
  return {
    'generator': (function, weights, {'latent': jnp.zeros((1, method.size))})
  }


def evaluate(method, state: TrainState, batch):
  """Returns scores of held-out images with EMA weights.

  'generative/held_out_bound_kK' is the negative bound of K samples in nats
  (Burda et al. 2015, equation 8). For at most 12 hidden units
  'generative/held_out_nats' is -log p(v), summed over their states.
  """
  v = noise.binary(jax.random.key(1), to_pixels(batch['image']))
  p, q = (
    BoundNetwork(getattr(method, name), state.ema[name], {})
    for name in NETWORKS
  )

  def log_weights(key):
    h = q(v, noise.uniform(key, len(v), (method.size,)), train=False).value
    return (log_probability(p, v, h) - log_probability(q, v, h))[:, None]

  count = method.held_out_samples
  bound = likelihood.estimate(log_weights, jax.random.key(0), count)
  scores = {f'generative/held_out_bound_k{count}': -jnp.mean(bound)}
  if method.size <= partition.MOST_SUMMED:
    states = partition.all_states(method.size)

    def one(v):
      rows = jnp.broadcast_to(v, (len(states), *v.shape))
      return jax.nn.logsumexp(log_probability(p, rows, states))

    scores['generative/held_out_nats'] = -jnp.mean(jax.lax.map(one, v))
  return scores


def preview(method, state: TrainState, batch, key):
  """Returns samples, and weights from at most 100 units next to the pixels."""
  del batch
  filters = state.ema['generative']['layers_0']['kernel'][:PREVIEW_SIZE]
  filters = filters / jnp.max(jnp.abs(filters), axis=1, keepdims=True)
  z = method.latents.sample(key, PREVIEW_SIZE)
  return collections.OrderedDict(
    samples=decode(method, state, z),
    filters=filters.reshape(-1, *method.shape),
  )


def from_config(config, spec: Spec) -> Helmholtz:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  networks_lib.refuse_points(config, spec)
  up, down = tuple(config.recognition.widths), tuple(config.generative.widths)
  if up != down:
    raise errors.UserError(
      f'recognition.widths={up} must be generative.widths={down}. Set both to '
      'the same.'
    )
  fields = networks_lib.averages(config)
  for name in NETWORKS:
    images = config.batch_size
    fields |= networks_lib.network_fields(
      config, name, images, shape=spec.shape
    )
  return Helmholtz(
    **fields,
    shape=spec.shape,
    latents=latents_lib.single('uniform', sum(down)),
    held_out_samples=config.held_out_samples,
  )
