"""CoGAN: pairs of images of two domains, learnt without pairs.

Liu and Tuzel 2016 (https://arxiv.org/abs/1606.07536), equation 2. Generators G1
and G2 map one z to an image of each domain, and a discriminator of each domain
judges its own images. Of a batch, domain 1 is 'image' and domain 2 is 'source'.
With the default losses of `steps/gan.py` the discriminators minimise the mean
over both domains i of

  -log D_i(x_i) - log(1 - D_i(G_i(z))).

Early layers of the generators and late layers of the discriminators are shared,
see `models/cogan.py`. Both domains share the latent and some layers.

  state, metrics = jax.jit(cogan.train_step, static_argnums=0)(
      method, cogan.init(method, key), {'image': a, 'source': b}, key)
"""

import collections
import dataclasses
import functools

import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import image_to_image
from jaxgan.config import networks as networks_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.data.dataset import Spec
from jaxgan.steps import gan
from jaxgan.steps.gan import GAN

# Everything else is as in `gan`; both images are channels of one.
init, modules = gan.init, gan.modules
batches_per_round, use_ema_weights = gan.batches_per_round, gan.use_ema_weights

FIELDS = dict(
  data=dict(
    unpaired=field('halves:outline'),  # the two domains, see data/pairs.py
  ),
)
SHOWN_IMAGES, PREVIEW_SIZE = 10, 60  # held-out images, and samples
ROW = 20  # samples in a row


@dataclasses.dataclass(frozen=True)
class CoGAN(GAN):
  """Networks and settings, those of `GAN`.

  Attributes:
    channels: channels of domain 1, which come first in images of the networks.
  """

  channels: int = 1


def joined(batch):
  """Returns the batch with both domains as channels of 'image'."""
  both = (batch['image'], batch['source'])
  return {'image': jnp.concatenate(both, axis=-1)}


def train_step(method, state, batch, key):
  """Trains one round, see `gan.train_step`.

  Args:
    method: a `CoGAN`.
    state: the state before the round.
    batch: 'image' and 'source' [k * B, ...] in [-1, 1], which do not belong
      together.
    key: the key of the run.
  """
  return gan.train_step(method, state, joined(batch), key)


def evaluate(method, state, batch):
  """Judges held-out images of both domains; see `discriminator.held_out`."""
  return gan.evaluate(method, state, joined(batch))


def decode_both(method, state, z):
  """Returns images [N, ...] of domain 1 and of domain 2 for latents [N, Z]."""
  return jnp.split(gan.decode(method, state, z), [method.channels], axis=-1)


def decode(method, state, z, label=None):
  """Returns images [N, ...] of domain 1, see `gan.decode`."""
  del label  # No CoGAN here is conditional.
  return decode_both(method, state, z)[0]


def preview(method, state, batch, key):
  """Returns samples of both domains, and images that the networks learn from.

  Returns:
    'samples' [6, 20, ...]: below a row of domain 1 is the row of domain 2 of
    the same latents. 'domains' [2, N, ...]: held-out images of each domain,
    which do not belong together.
  """
  frozen = use_ema_weights(method, state)
  z = method.latents.sample(key, PREVIEW_SIZE)
  pairs = image_to_image.rows(*decode_both(method, frozen, z))  # [2, 60, ...]
  pairs = pairs.reshape(2, -1, ROW, *pairs.shape[2:])
  pairs = jnp.swapaxes(pairs, 0, 1).reshape(-1, ROW, *pairs.shape[3:])
  domains = image_to_image.rows(batch['image'], batch['source'])
  return collections.OrderedDict(samples=pairs, domains=domains)


def export_functions(method, state):
  """Returns the generator of domain 1 for export; see `jaxgan.steps`."""
  function, *others = gan.export_functions(method, state)['generator']
  first = lambda *x: function(*x)[..., : method.channels]
  return {'generator': (first, *others)}


def from_config(config, spec: Spec) -> CoGAN:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  if not config.data.get('unpaired'):
    raise errors.UserError(
      "method='cogan' needs two domains. Set data.unpaired, for example to "
      "'halves:outline'."
    )
  for name, value in (
    *(('conditional', False), ('pack', 1), ('replay_size', 0)),
    *(('auxiliary', 0.0), ('labelled', 0.0)),
  ):
    if config[name] != value:
      raise errors.UserError(
        f'{name}={config[name]} is not for two domains. Set {name}={value}.'
      )
  for name in ('generator', 'discriminator'):
    if not config[name].name.startswith('cogan.'):
      raise errors.UserError(
        f'{name}.name={config[name].name!r} is a network of one domain. Set '
        f"{name}.name='cogan.{name.title()}'."
      )
  channels, source = spec.shape[-1], spec.source_shape[-1]
  shape = (*spec.shape[:-1], channels + source)
  both = dataclasses.replace(spec, shape=shape, num_classes=0, classes=())
  build = functools.partial(
    networks_lib.network_fields, config, shape=shape, source_channels=source
  )
  method = gan.from_config(config, both)
  fields = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
  images = config.batch_size
  fields |= build('generator', images)
  fields |= build('discriminator', images / config.discriminator_steps)
  return CoGAN(**fields, channels=channels)
