"""InfoGAN: a GAN whose codes are found again in its images.

Chen et al. 2016 (https://arxiv.org/abs/1606.03657), equation 6. Latents are
codes c and noise z. A head Q on the discriminator's body predicts the codes of
a fake, and both networks minimise the loss of `steps/gan.py` plus

  -information E log Q(c | G(z, c)),

a bound on the mutual information of codes and images (equation 5). Q is a
softmax for a categorical code, and a Gaussian of variance 1 for uniform codes.

  state, metrics = jax.jit(infogan.train_step, static_argnums=0)(
      method, infogan.init(method, key), {'image': images}, key)
"""

import dataclasses

import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial.terms import Scene, Term
from jaxgan.config import networks as networks_lib
from jaxgan.config import validate
from jaxgan.config.fields import field
from jaxgan.core import latents as latents_lib
from jaxgan.core import state as state_lib
from jaxgan.core.latents import Latents
from jaxgan.data.dataset import Spec
from jaxgan.steps import gan
from jaxgan.steps.gan import GAN

# Everything else is as in `gan`.
init, modules, train_step = gan.init, gan.modules, gan.train_step
batches_per_round, decode = gan.batches_per_round, gan.decode
export_functions, use_ema_weights = gan.export_functions, gan.use_ema_weights

FIELDS = dict(
  codes=field('categorical 10 + uniform 2'),
  information=field(1.0, 0),  # weight of the codes' log-likelihood
)
HEAD = 'classes'  # name of the output of Q
UNIFORM_WEIGHT = 0.1  # of uniform codes, as in the authors' code


@dataclasses.dataclass(frozen=True)
class CodeLoss:
  """Minus the log of Q(c | x) for one of the codes, the function of a term."""

  codes: Latents
  name: str

  def __call__(self, scene: Scene):
    """Returns nats per image, up to a constant for uniform codes."""
    predicted = self.codes.split(scene.on_fake.sown[HEAD])[self.name]
    code = self.codes.split(scene.z[:, : self.codes.size])[self.name]
    if self.name.startswith('categorical'):
      return jnp.mean(optax.softmax_cross_entropy(predicted, code))
    return jnp.mean(0.5 * jnp.sum((code - predicted) ** 2, axis=-1))


def predict_codes(method, state, images):
  """Returns Q's parts for images [N, H, W, C]: logits, or means, by name."""
  D = state_lib.bind(method, state)['discriminator']
  codes = Latents(method.latents.parts[:-1])
  return codes.split(D(images, train=False).sown[HEAD])


def evaluate(method, state, batch):
  """Judges held-out images; see `discriminator.held_out`.

  With labels, 'code_error' is the share of images whose class is not the most
  frequent one of their category, found on the same images.
  """
  scores = gan.evaluate(method, state, {'image': batch['image']})
  code = predict_codes(method, state, batch['image']).get('categorical')
  if code is not None and 'label' in batch:
    category, label = jnp.argmax(code, axis=-1), batch['label']
    alike = (category[:, None] == category[None]) & (
      label[:, None] == label[None]
    )
    votes = jnp.sum(alike, axis=1)  # [N]: images of the category and class
    members = category[None] == jnp.arange(code.shape[-1])[:, None]  # [K, N]
    right = jnp.sum(jnp.max(jnp.where(members, votes[None], 0), axis=1))
    scores['discriminator/code_error'] = 1.0 - right / len(label)
  return scores


def from_config(config, spec: Spec) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  validate(config, FIELDS)
  codes = Latents(latents_lib.parse(config.codes))
  if not codes.parts:
    raise errors.UserError(
      f"codes={config.codes!r} is empty. Set codes='categorical 10 + uniform "
      "2', or method='gan'."
    )
  for name in ('replay_size', 'conditional', 'auxiliary', 'labelled'):
    if config[name]:
      raise errors.UserError(
        f'{name}={config[name]} is not for method={config.method!r}, whose '
        f'codes belong to new fakes. Set {name}={type(config[name])()}.'
      )
  if config.pack > 1 or config.discriminator.conditioning != 'auxiliary':
    raise errors.UserError(
      "method='infogan' needs pack=1 and discriminator.conditioning="
      "'auxiliary', a head that sees one image. Set both."
    )
  images = config.batch_size / config.discriminator_steps
  discriminator = networks_lib.network_fields(
    config, 'discriminator', images, num_classes=codes.size, shape=spec.shape
  )
  method = gan.from_config(config, spec)
  weights = {'categorical': 1.0, 'uniform': UNIFORM_WEIGHT}
  terms = tuple(
    Term(
      f'{part.name}_loss',
      CodeLoss(codes, part.name),
      config.information * weights.get(part.distribution, UNIFORM_WEIGHT),
      kinds=('fake',),
    )
    for part in codes.parts
  )
  return dataclasses.replace(
    method,
    **discriminator,
    discriminator_terms=(*method.discriminator_terms, *terms),
    generator_terms=(*terms, *method.generator_terms),
  )
