"""Restricted Boltzmann machines, trained by contrastive divergence.

Hinton 2002 (https://doi.org/10.1162/089976602760128018): the machine gives an
image v of binary pixels the probability exp(-F(v)) / Z, with the free energy

  F(v) = -b.v - sum_j log(1 + exp(c_j + (v W)_j)).

The gradient of -log p(v) is that of F(v) minus the mean gradient of F under the
model. CD-k takes that mean over images after k steps of Gibbs sampling from the
data. With `persistent` the chains continue from round to round (Tieleman 2008,
https://doi.org/10.1145/1390156.1390290).
"""

import collections
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.config import algorithms, validate
from jaxgan.config import networks as networks_lib
from jaxgan.config.fields import field
from jaxgan.core import axis, noise
from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.core.networks import BoundNetwork
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec
from jaxgan.metrics import partition
from jaxgan.metrics.likelihood import flat

FIELDS = dict(
  gibbs_steps=field(1, 1, 10_000),  # k
  persistent=field(True),  # chains continue from round to round
  # Distributions of the estimate of Z on held-out images.
  annealing=field(1_000, 1, 1_000_000),
  **algorithms.AVERAGES,
)


def loss(method, networks, state, v, dreams):
  """Returns the mean of F(v) minus the mean of F over the model's images."""
  del method, state
  machine = networks['machine']
  real, fake = machine(v).value, machine(dreams).value
  value = jnp.mean(real) - jnp.mean(fake)
  metrics = {'loss': value, 'free_energy': jnp.mean(real)}
  return value, Aux({}, {'machine': metrics})


def gibbs(machine: BoundNetwork, v: jax.Array, key, steps: int):
  """Returns binary images [B, ...] after steps of Gibbs sampling from v."""

  def step(index, v):
    hidden, visible = jax.random.split(jax.random.fold_in(key, index))
    logits = machine(v, train=False, method='hidden_logits').value
    h = noise.binary(hidden, jax.nn.sigmoid(logits))
    logits = machine(h, train=False, method='visible_logits').value
    return noise.binary(visible, jax.nn.sigmoid(logits))

  return jax.lax.fori_loop(0, steps, step, v)


def train_step(method, state, batch, key):
  """Updates the machine; args and results are those of `gan.train_step`.

  Pixels are drawn as 0 or 1. Where data and model agree, the mean loss is
  0. The loss does not measure the likelihood.
  """
  pixel_key, key = jax.random.split(jax.random.fold_in(key, state.step))
  v = noise.binary(pixel_key, to_pixels(batch['image']))
  chains, machine = state.extra.get('chains'), state_lib.bind(method, state)
  first = v if chains is None else chains[axis.indices(len(v))]
  dreams = gibbs(machine['machine'], first, key, method.gibbs_steps)
  if chains is not None:
    new = axis.gather(dreams)
    chains = chains.at[: len(new)].set(new)
    state = state.replace(extra=state.extra | {'chains': chains})
  state, metrics = state_lib.gradient_step(
    method, state, ('machine',), loss, v, dreams
  )
  state = ema_lib.follow(method, state, len(v))
  return state.replace(step=state.step + 1), metrics


SHOWN_IMAGES = 10
SHOWN_STEPS = (0, 1, 10, 100, 1_000)  # of the chains in the picture
SAMPLE_STEPS, PREVIEW_SIZE = 1_000, 100


@dataclasses.dataclass(frozen=True)
class RBM:
  """The machine and its settings.

  Attributes:
    machine: a `boltzmann.Restricted`.
    shape: (height, width, channels) of an image.
    machine_optimizer: its optimizer.
    gibbs_steps: k.
    chains: chains that continue, at least as many as images in a batch, or 0.
    annealing: distributions of the estimate of Z.
    ema_halflife, ema_rampup, ema_counts_round: see `ema.average`.
  """

  machine: nn.Module
  shape: tuple[int, ...]
  machine_optimizer: optax.GradientTransformation = optax.sgd(0.05)
  gibbs_steps: int = 1
  chains: int = 0
  annealing: int = 1_000
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False


def modules(method):
  """Returns the network with an example of its input."""
  return {'machine': (method.machine, (jnp.zeros((1, *method.shape)),))}


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round, with chains of noise."""
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, ('machine',))
  if method.chains:
    half = jnp.full((method.chains, *method.shape), 0.5)
    extra['chains'] = noise.binary(jax.random.fold_in(key, 1), half)
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def averaged(method, state: TrainState) -> BoundNetwork:
  """Returns the machine with EMA weights."""
  return BoundNetwork(method.machine, state.ema['machine'], {})


def means(machine: BoundNetwork, v: jax.Array) -> jax.Array:
  """Returns images in [-1, 1]: mean pixels, given mean hidden units of v."""
  h = jax.nn.sigmoid(machine(v, train=False, method='hidden_logits').value)
  logits = machine(h, train=False, method='visible_logits').value
  return to_images(jax.nn.sigmoid(logits))


def sample(method, state: TrainState, key, num: int, label=None):
  """Returns mean images [num, ...] in [-1, 1] after 1,000 Gibbs steps."""
  del label
  machine, half = averaged(method, state), jnp.full((num, *method.shape), 0.5)
  v = noise.binary(jax.random.fold_in(key, SAMPLE_STEPS), half)
  return means(machine, gibbs(machine, v, key, SAMPLE_STEPS))


PARAMETERS = ('kernel', 'visible_bias', 'hidden_bias')


def evaluate(method, state: TrainState, batch):
  """Returns scores of held-out images with EMA weights.

  'machine/held_out_nats' is -log p(v). Z is summed if the smaller layer has at
  most 12 units, and estimated otherwise; see `metrics.partition`.
  """
  machine = averaged(method, state)
  v = noise.binary(jax.random.key(1), to_pixels(batch['image']))
  weights = [machine.params[name] for name in PARAMETERS]
  if min(weights[0].shape) <= partition.MOST_SUMMED:
    log_z = partition.summed(*weights)
  else:
    mean, key = jnp.mean(flat(v), axis=0), jax.random.key(0)
    log_z = partition.annealed(*weights, mean, key, method.annealing)
  energy = jnp.mean(machine(v, train=False).value)
  return {'machine/held_out_nats': energy + log_z}


def preview(method, state: TrainState, batch, key):
  """Returns samples, chains and filters.

  'chains' [N, 5, ...] are held-out images after 0, 1, 10, 100 and 1,000 Gibbs
  steps; 'filters' [H, ...] are weights of at most 100 units, where grey is 0.
  """
  machine = averaged(method, state)
  v = noise.binary(jax.random.key(1), to_pixels(batch['image']))
  columns, before = [], 0
  for number in SHOWN_STEPS:
    v = gibbs(machine, v, jax.random.fold_in(key, number), number - before)
    columns.append(means(machine, v) if number else to_images(v))
    before = number
  filters = state.ema['machine']['kernel'].T[:PREVIEW_SIZE]
  filters = filters / jnp.max(jnp.abs(filters), axis=1, keepdims=True)
  return collections.OrderedDict(
    samples=sample(method, state, key, PREVIEW_SIZE),
    chains=jnp.stack(columns, axis=1),
    filters=filters.reshape(-1, *method.shape),
  )


def export_functions(method, state: TrainState):
  """Returns the mean reconstruction for export; see `jaxgan.steps`."""

  def function(weights, images):
    machine = BoundNetwork(method.machine, weights['params'], {})
    return means(machine, to_pixels(images))

  weights = {'params': state.ema['machine']}
  example = jnp.zeros((1, *method.shape))
  return {'autoencoder': (function, weights, {'image': example})}


def from_config(config, spec: Spec) -> RBM:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  networks_lib.refuse_points(config, spec)
  images = config.batch_size
  return RBM(
    **networks_lib.network_fields(config, 'machine', images, shape=spec.shape),
    **networks_lib.averages(config),
    shape=spec.shape,
    gibbs_steps=config.gibbs_steps,
    chains=images if config.persistent else 0,
    annealing=config.annealing,
  )
