"""Holes and reconstruction losses of image completion, from a config."""

from typing import Any

from jaxgan import errors
from jaxgan.adversarial import completion, terms
from jaxgan.config import game
from jaxgan.data.dataset import Spec

_ONE_OF = {
  'output': completion.OUTPUTS,
  'reconstruction.distance': completion.DISTANCES,
  'reconstruction.region': completion.REGIONS,
}


def fields(config, spec: Spec) -> dict[str, Any]:
  """Returns the fields of `steps.inpaint.Inpaint` but the networks.

  Raises:
    UserError: for values that are unknown or exclude each other.
  """
  game.refuse_unknown(config, _ONE_OF)
  weights = {
    'noise_channels': config.noise_channels,
    'class_weight': config.class_weight,
    'reconstruction.weight': config.reconstruction.weight,
  }
  for name, value in weights.items():
    if value < 0:
      raise errors.UserError(f'{name}={value} must be at least 0.')
  if not spec.is_image:
    raise errors.UserError(
      f"method='inpaint' needs images and the data have shape {spec.shape}. "
      'Set another data.name.'
    )
  if not 1 <= config.mask.size <= min(spec.shape[:2]):
    raise errors.UserError(
      f'mask.size={config.mask.size} must be in 1..{min(spec.shape[:2])}, the '
      'shorter side of the images.'
    )
  if config.output == 'patch' and config.reconstruction.region == 'all':
    raise errors.UserError(
      "reconstruction.region='all' needs output='image', as a patch covers the "
      "hole alone. Set reconstruction.region='hole'."
    )
  shared = game.fields(config, spec, 'class_weight')
  shared['discriminator_terms'] = (
    *terms.of_weights(
      ('class_loss', terms.real_classes, config.class_weight, ('real',)),
      ('class_loss', terms.fake_as_class, config.class_weight, ('fake',)),
    ),
    *shared['discriminator_terms'],
  )
  return shared | {
    'shape': spec.shape,
    'mask': completion.Mask(
      **config.mask, noise_channels=config.noise_channels
    ),
    'reconstruction': completion.Reconstruction(**config.reconstruction),
    'output': config.output,
    'compositing': config.compositing,
    'num_classes': spec.num_classes if config.class_weight else 0,
  }


def refuse_output(config, made, wanted) -> None:
  """Raises a UserError if the generator's output has another shape."""
  if made != wanted:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes {made}, and '
      f'output={config.output!r} with mask.size={config.mask.size} needs '
      f'{wanted}. Choose the other output or another network.'
    )
