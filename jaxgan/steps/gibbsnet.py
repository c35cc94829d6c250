"""GibbsNet: a chain of codes and images has the latents of the fakes.

Lamb et al. 2017 (https://arxiv.org/abs/1712.04120). Losses and networks are
those of ALI, see `steps/bigan.py`. ALI compares pairs (x, E(x)) with (G(z), z)
for z of a fixed prior. Here z is the end z_N of an unclamped chain,

  z_0 ~ p(z),    z_n ~ E(G(z_(n-1))),    n = 1 ... N,

with N = `chain`. Gradients flow through the last step alone. N = 0 is ALI.
Pictures of latents z_0 follow the means of the encoder, so that an image is a
function of its latents.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.core.pixels import to_pixels
from jaxgan.steps import _with_encoder, bigan, gan

init, modules, train_step = bigan.init, bigan.modules, bigan.train_step
evaluate, use_ema_weights = bigan.evaluate, gan.use_ema_weights
equilibrium_metrics = bigan.equilibrium_metrics
SHOWN_IMAGES, SHOWN_STEPS = _with_encoder.ROW, 9  # steps in pictures of chains

FIELDS = bigan.FIELDS | dict(
  stochastic=field(True),  # the encoder draws codes
  chain=field(3, 0, 100),  # N, steps from a code to an image and back
)


def walk(method, networks, z, key, train: bool):
  """Returns codes z_n [B, Z] that follow z_(n-1), and the images between."""
  keys = jax.random.split(key, 3)
  made = networks['generator'](z, key=keys[0], train=train).images
  code = networks['encoder'](to_pixels(made), key=keys[1], train=train)
  return bigan.codes_of(method, code.value, keys[2]), made


@dataclasses.dataclass(frozen=True, kw_only=True)
class GibbsNet(bigan.BiGAN):
  """Networks and settings of BiGAN, and N, the steps of a chain."""

  chain: int = 3

  def prior(self, networks, key, count: int, train: bool) -> jax.Array:
    """Returns the ends z_N [count, Z] of unclamped chains."""
    start, *keys = jax.random.split(key, self.chain + 1)
    z = self.latents.sample(start, count)
    for step_key in keys:
      z, _ = walk(self, networks, jax.lax.stop_gradient(z), step_key, train)
    return z


def export_functions(method, state):
  """Returns the images of chains of means, for export; see `jaxgan.steps`."""
  G, E = map(state_lib.inference, (method.generator, method.encoder))

  def function(weights, z):
    for _ in range(method.chain):
      code = E(weights['encoder'], to_pixels(G(weights['generator'], z)))
      z = code[:, : method.latents.size]
    return G(weights['generator'], z)

  weights = {k: ema_lib.variables(state, k) for k in _with_encoder.NETWORKS}
  example = jnp.zeros((1, method.latents.size))
  return {'sampler': (function, weights, {'latent': example})}


def decode(method, state, z, label=None):
  """Returns images [N, ...] in [-1, 1] of latents z_0 [N, Z]."""
  del label
  function, weights, _ = export_functions(method, state)['sampler']
  return function(weights, z)


def preview(method, state, batch, key):
  """Returns samples, reconstructions, and chains [N, 10, ...] from images."""
  pictures = _with_encoder.preview(method, state, batch, key)
  z = method.latents.sample(key, len(pictures['samples']))
  pictures['samples'] = decode(method, state, z)
  params = {name: state.ema[name] for name in _with_encoder.NETWORKS}
  networks = state_lib.bind(method, state, params)
  first, *keys = jax.random.split(key, SHOWN_STEPS + 1)
  pixels, columns = to_pixels(batch['image']), [batch['image']]
  code = networks['encoder'](pixels, key=first, train=False)
  z = bigan.codes_of(method, code.value, first)
  for step_key in keys:
    z, made = walk(method, networks, z, step_key, False)
    columns.append(made)
  pictures['chains'] = jnp.stack(columns, axis=1)
  return pictures


def from_config(config, spec):
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  _with_encoder.refuse_batch_norm(config)
  fields = dict(stochastic=config.stochastic, chain=config.chain)
  parts = 1 + config.stochastic
  return _with_encoder.build(config, spec, GibbsNet, parts, **fields)
