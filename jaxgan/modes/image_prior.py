"""Prior losses of the images that a search of latents finds."""

import functools

import jax
import jax.numpy as jnp

from jaxgan.adversarial import augment, terms
from jaxgan.core import state as state_lib
from jaxgan.modes import latent_search


def of_method(method, algorithm, state):
  """Returns the prior loss of `latent_search.search` and its weight.

  With a discriminator of images the loss is its log(1 - D(x)); a discriminator
  of packed images sees copies of the image. Otherwise the loss is -log p(z) of
  normal latents, and 0 of others.
  """
  if not _judges_images(method, algorithm, state):
    is_normal = {p.distribution for p in method.latents.parts} == {'normal'}
    return (
      lambda z, image: latent_search.gaussian_prior(z),
      latent_search.GAUSSIAN_WEIGHT if is_normal else 0.0,
    )
  network = state_lib.bind(method, state)['discriminator']
  pack = method.tricks.pack

  def prior_loss(z, image, *label):
    del z
    copies = augment.pack(image.repeat(pack, axis=0), pack)
    logits = network(copies, *label, train=False).logits
    return latent_search.discriminator_prior(terms.per_example(logits))

  return prior_loss, latent_search.PRIOR_WEIGHT


def _judges_images(method, algorithm, state) -> bool:
  """Returns False for discriminators of codes, of pairs, or of two images."""
  modules = algorithm.modules(method)
  if 'discriminator' not in modules:
    return False
  _, (seen, *_) = modules['discriminator']
  z = jax.ShapeDtypeStruct((1, method.latents.size), jnp.float32)
  made = jax.eval_shape(functools.partial(algorithm.decode, method), state, z)
  *_, seen = jax.tree.leaves(seen)
  return seen.shape[1:] == method.tricks.example(made.shape[1:]).shape[1:]
