"""SRGAN: photographs at four times the resolution.

Ledig et al. 2016 (https://arxiv.org/abs/1609.04802), equation 3: the generator
minimises a content loss and an adversarial loss, as in `steps/pix2pix.py`,

  reconstruction |x - G(s)| - adversarial log D(G(s)).

The content loss of the paper is a squared distance of VGG features. This
package does not contain VGG, so the mean absolute error of pixels replaces it.
The generator alone, with adversarial=0, is SRResNet. A source s has the size of
x, with large pixels, see `data.pair='low:4'`.

  state, metrics = jax.jit(srgan.train_step, static_argnums=0)(
      method, srgan.init(method, key), {'image': images, 'source': low}, key)
"""

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import image_to_image
from jaxgan.data.dataset import Spec
from jaxgan.steps import pix2pix
from jaxgan.steps.pix2pix import Pix2Pix

# Everything else is as in `pix2pix`.
init, modules, train_step = pix2pix.init, pix2pix.modules, pix2pix.train_step
export_functions, SHOWN_IMAGES = pix2pix.export_functions, pix2pix.SHOWN_IMAGES


def bicubic(method, source):
  """Returns sources [N, H, W, C] of large pixels, enlarged by cubic splines."""
  factor = method.generator.factor
  small = source[:, ::factor, ::factor]
  rows, columns = (n * factor for n in small.shape[1:3])
  large = jax.image.resize(
    small, (len(small), rows, columns, small.shape[-1]), 'bicubic'
  )
  return jnp.clip(large[:, : source.shape[1], : source.shape[2]], -1.0, 1.0)


def evaluate(method, state, batch):
  """Returns errors on held-out pairs, see `pix2pix.evaluate`.

  'held_out_psnr_bicubic' is the ratio in decibels of bicubic enlargement, which
  a generator without an adversarial loss exceeds.
  """
  error = bicubic(method, batch['source']) - batch['image']
  square = jnp.mean(error**2, axis=(1, 2, 3))
  decibels = 10.0 * jnp.log10(4.0 / jnp.maximum(square, pix2pix.LEAST_SQUARE))
  return pix2pix.evaluate(method, state, batch) | {
    'generator/held_out_psnr_bicubic': jnp.mean(decibels)
  }


def preview(method, state, batch, key):
  """Returns 'enlarged' [4, N, ...]: sources, bicubic, generated, originals."""
  source = batch['source']
  output = image_to_image.translate(method, state, 'generator', source, key)
  rows = (source, bicubic(method, source), output, batch['image'])
  return {'enlarged': image_to_image.rows(*rows)}


def from_config(config, spec: Spec) -> Pix2Pix:
  """Builds the method; the only reader of the config for this algorithm."""
  factor = config.generator.get('factor', 0)
  if config.data.get('pair') != f'low:{factor}':
    raise errors.UserError(
      f'data.pair={config.data.get("pair", "")!r} is not what the generator '
      f"enlarges. Set data.pair='low:{factor}', or generator.factor."
    )
  return pix2pix.from_config(config, spec)
