"""Adversarial variational Bayes: a VAE whose posterior has no formula.

Mescheder et al. 2017 (https://arxiv.org/abs/1701.04722), algorithm 1. The
encoder E sees pixels and noise, so q(z|x) may have any shape. A discriminator T
sees pairs of an image and a code, and minimises

  -log sigmoid(T(x, E(x))) - log(1 - sigmoid(T(x, z))),    z ~ p(z).

At its optimum T = log q(z|x) - log p(z). Encoder and decoder ('generator') then
minimise adversarial T(x, E(x)) - log p(x|E(x)), pixels being Bernoulli numbers.
"""

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.pixels import to_images, to_pixels
from jaxgan.core.state import Aux
from jaxgan.metrics.likelihood import Bernoulli
from jaxgan.steps import _with_encoder, bigan, gan

init, modules, use_ema_weights = bigan.init, bigan.modules, gan.use_ema_weights
SHOWN_IMAGES, LIKELIHOOD = _with_encoder.ROW, Bernoulli()
NETWORKS = ('encoder', 'generator', 'discriminator')
# At the optimum of this loss alone T is the difference of logarithms.
LOSS = field('non_saturating', one_of=('non_saturating',))
FIELDS = _with_encoder.FIELDS | dict(loss=LOSS)


def discriminator_loss(method, networks, state, batch, key, apply):
  """Returns the logistic loss of T, with terms."""
  keys, x = noise.keys(key, 'prior', 'encoder'), batch['image']
  E, train = networks['encoder'], method.tricks.batch_fakes
  code = E(to_pixels(x), key=keys['encoder'], train=train).value
  z = method.latents.sample(keys['prior'], len(x))
  pairs = ((bigan.pair(x, code),), (bigan.pair(x, z),))
  return discriminator_lib.discriminator_loss(
    *(method, networks, state, batch, 'discriminator', *pairs),
    *(discriminator_lib.loss_keys(key), apply, None),
  )


def joint_loss(method, networks, state, batch, key, train=True):
  """Returns the negative bound by T, in nats per image, with T's weight."""
  del state
  keys, x = noise.keys(key, *NETWORKS), batch['image']

  def run(name, inputs):
    return networks[name](inputs, key=keys[name], train=train)

  code = run('encoder', to_pixels(x))
  made = run('generator', code.value)
  kl = jnp.mean(run('discriminator', bigan.pair(x, code.value)).logits)
  nats = -jnp.mean(LIKELIHOOD.log_density(made.value, to_pixels(x)))
  metrics = {'encoder': {'kl': kl}, 'generator': {'reconstruction': nats}}
  stats = {'encoder': code.stats, 'generator': made.stats}
  return method.adversarial * kl + nats, Aux(stats, metrics)


def train_step(method, state, batch, key):
  """Trains one round, see `_with_encoder.train_step`."""
  losses = (discriminator_loss, joint_loss)
  return _with_encoder.train_step(method, state, batch, key, *losses)


def equilibrium_metrics(_):
  return {}  # The codes of one image are no draws of the prior.


def decode(method, state, z, label=None):
  """Returns mean images [N, ...] in [-1, 1] of latents [N, Z]."""
  return to_images(LIKELIHOOD.mean(gan.decode(method, state, z, label)))


def export_functions(method, state):
  """Returns the decoder for export; see `jaxgan.steps`."""
  run, *others = gan.export_functions(method, state)['generator']
  function = lambda *x: to_images(LIKELIHOOD.mean(run(*x)))
  return {'generator': (function, *others)}


def preview(method, state, batch, key):
  """Returns samples and reconstructions, see `_with_encoder.preview`."""
  return _with_encoder.preview(method, state, batch, key, decode)


def evaluate(method, state, batch):
  """Returns nats per held-out image with EMA weights; T estimates 'kl'."""
  params = {name: state.ema[name] for name in NETWORKS[:2]}
  networks = state_lib.bind(method, use_ema_weights(method, state), params)
  inputs = (networks, state, batch, jax.random.key(0))
  values = joint_loss(method, *inputs, train=False)[1].metrics
  kl, nats = values['encoder']['kl'], values['generator']['reconstruction']
  scores = {'loss': kl + nats, 'kl': kl, 'reconstruction': nats}
  return {f'avb/held_out_{name}': value for name, value in scores.items()}


def from_config(config, spec):
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  if not config.encoder.get('noise_size', 0):
    raise errors.UserError(
      "method='avb' needs an encoder with noise. Set encoder.noise_size=32."
    )
  return _with_encoder.build(config, spec, _with_encoder.WithEncoder)
