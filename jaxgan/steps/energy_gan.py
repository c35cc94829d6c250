"""GANs whose discriminator is an autoencoder: EBGAN, MAGAN and BEGAN.

The energy E(x) is the mean error of a reconstructed image. The generator always
minimises E(G(z)), and the discriminator minimises

  ebgan  E(x) + max(0, m - E(G(z)))   Zhao et al. 2016, equations 1 and 2
                                      (https://arxiv.org/abs/1609.03126)
  magan  the same with a margin m that falls to the mean energy of reals
                                      Wang et al. 2017, algorithm 1
                                      (https://arxiv.org/abs/1704.03817)
  began  E(x) - k E(G(z)), where k moves by lambda (gamma E(x) - E(G(z))) in
         [0, 1]                       Berthelot et al. 2017, section 3.4
                                      (https://arxiv.org/abs/1703.10717)

BEGAN measures convergence by M = E(x) + |gamma E(x) - E(G(z))|. `pulling_away`
weighs the mean squared cosine of codes of fakes (EBGAN, equation 4).

  state, metrics = jax.jit(energy_gan.train_step, static_argnums=0)(
      method, energy_gan.init(method, key), {'image': images}, key)

D(x) in metrics is minus the energy, so larger is more real, as in other games.
"""

import collections
import dataclasses

import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import energies, losses
from jaxgan.adversarial.terms import Term, of_weights
from jaxgan.config import validate
from jaxgan.config.fields import field, flatten
from jaxgan.core import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.steps import gan
from jaxgan.steps.gan import GAN

# Everything else is as in `gan`.
init, modules, train_step = gan.init, gan.modules, gan.train_step
batches_per_round, decode = gan.batches_per_round, gan.decode
evaluate, use_ema_weights = gan.evaluate, gan.use_ema_weights
export_functions = gan.export_functions

KINDS = ('ebgan', 'magan', 'began')
FIELDS = dict(
  energy=field('ebgan', one_of=KINDS),
  margin=field(1.0, above=0),  # m, of 'magan' the first one
  margin_every=field(140, 1, 2**20),  # rounds between two moves of m
  gamma=field(0.5, above=0, high=1),  # E(G(z)) / E(x) that BEGAN keeps
  balance=field(0.001, 0, 1),  # lambda, the step of k
  pulling_away=field(0.0, 0),  # weight in the generator's loss
)
# Fields that a kind of energy does not read.
UNREAD = {
  'ebgan': ('margin_every', 'gamma', 'balance'),
  'magan': ('gamma', 'balance'),
  'began': ('margin', 'margin_every'),
}
NEEDED = {
  'loss': 'wasserstein',  # The one loss of a critic without logarithms.
  'discriminator_batches': 'separate',
  **dict.fromkeys(('label_smoothing.real', 'label_smoothing.fake'), 0.0),
  **dict.fromkeys(('label_noise', 'label_flip'), 0.0),
  'conditional': False,
  'pack': 1,
}
SHOWN_IMAGES, SAMPLES = 10, 100


def _energy(logits):
  return -logits


# The energies of reals, and the generator's loss. Terms add energies of fakes.
REALS = losses.PAIRS['wasserstein']._replace(
  discriminator=losses.Sum(_energy, jnp.zeros_like), as_fake=jnp.zeros_like
)


def equilibrium_metrics(method) -> dict[str, float]:
  """Returns {}: energies at the equilibrium depend on the data."""
  del method
  return {}


def preview(method, state, batch, key):
  """Returns samples, and reconstructions of held-out images and of samples.

  Returns:
    'samples' [100, ...]; 'reconstructions' [4, N, ...], rows of images and of
    samples, each above their reconstructions.
  """
  D = state_lib.bind(method, state)['discriminator']
  frozen = use_ema_weights(method, state)
  samples = decode(method, frozen, method.latents.sample(key, SAMPLES))
  rows = []
  for images in (batch['image'], samples[: len(batch['image'])]):
    output = D(images, train=False, method='reconstruct')
    rows += [images, jnp.clip(output.images, -1.0, 1.0)]
  return collections.OrderedDict(
    samples=samples, reconstructions=jnp.stack(rows)
  )


def terms_of(config) -> tuple[Term, ...]:
  """Returns the terms of the discriminator of a kind of energy."""
  both = ('real', 'fake')
  if config.energy == 'ebgan':
    return (Term('hinge', energies.Hinge(config.margin), kinds=('fake',)),)
  if config.energy == 'magan':
    margin = energies.Margin(config.margin_every, config.margin)
    return (
      Term('hinge', energies.Hinge(), kinds=('fake',)),
      Term('margin', margin, 0.0, both, margin.start),
    )
  balance = energies.Balance(config.gamma, config.balance)
  return (
    Term('share_of_fakes', energies.share_of_fakes, kinds=('fake',)),
    Term('k', balance, 0.0, both, balance.start),
    Term('convergence', energies.Convergence(config.gamma), 0.0, both),
  )


def from_config(config, spec: Spec) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  values = flatten(config)
  for name, value in NEEDED.items():
    if values[name] != value:
      raise errors.UserError(
        f'{name}={values[name]!r} is not for energies. Set {name}={value!r}.'
      )
  for name in UNREAD[config.energy]:
    if config[name] != (default := FIELDS[name].default):
      raise errors.UserError(
        f'{name}={config[name]} has no effect with energy={config.energy!r}. '
        f'Set {name}={default}.'
      )
  if not config.discriminator.name.startswith('energy.'):
    raise errors.UserError(
      f'discriminator.name={config.discriminator.name!r} has no energy. Set '
      "discriminator.name='energy.Discriminator'."
    )
  method = gan.from_config(config, spec)
  apart = of_weights(
    ('pulling_away', energies.pulling_away, config.pulling_away, ())
  )
  return dataclasses.replace(
    method,
    loss=REALS,
    discriminator_terms=(*terms_of(config), *method.discriminator_terms),
    generator_terms=(*apart, *method.generator_terms),
  )
