"""Terms and the augmenting pipe of a game, from a config."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgan import errors, models
from jaxgan.adversarial import ada, adaptive, augment, penalties, terms
from jaxgan.adversarial import path_length as path_lib
from jaxgan.adversarial.regularisers import (
  Consistency,
  Difference,
  LeCam,
  PenaltyBefore,
  alignment,
  centring,
  first_sums,
)
from jaxgan.adversarial.terms import Penalty, Term
from jaxgan.core import switches
from jaxgan.data.dataset import Spec

# Losses whose logits are positive for images that look real.
_SIGNED = ('non_saturating', 'minimax', 'hinge')


def pipe_fields(config, spec: Spec) -> dict[str, Any]:
  """Returns the arguments of `tricks.build` for the group 'ada'; {} for none.

  Raises:
    UserError: for points, for fields that exclude each other, and for an
      adaptive p whose loss has no signs.
  """
  settings = config.get('ada', {'pipe': ''})
  if not settings['pipe']:
    return {}
  if not spec.is_image:
    raise errors.UserError(
      f'ada.pipe={settings["pipe"]!r} is for images and the data are points. '
      "Set ada.pipe=''."
    )
  pipe, target = ada.PIPES[settings['pipe']], settings['target']
  pack, weights = config.get('pack', 1), config.get('penalties', {})
  if pack > 1 and any(switches.is_on(weight) for weight in weights.values()):
    raise errors.UserError(
      f'ada.pipe={settings["pipe"]!r} has penalties on images before the pipe, '
      f'and pack={pack} shows several as one. Set pack=1.'
    )
  if switches.is_on(settings['p']) and switches.is_on(target):
    raise errors.UserError(
      f'ada.p={settings["p"]} has no effect with ada.target={target}, which '
      'adapts p. Set ada.target=0 or ada.p=0.'
    )
  if not switches.is_on(target):
    return {'pipe': pipe, 'strength': adaptive.Fixed(settings['p'])}
  if config.loss not in _SIGNED:
    raise errors.UserError(
      f'ada.target={target} needs logits that are positive for reals, and '
      f'those of loss={config.loss!r} need not be. Set ada.target=0, and a '
      'value or a schedule of ada.p.'
    )
  moves = (target, settings['images'], settings['interval'])
  return {'pipe': pipe, 'strength': adaptive.Adaptive(*moves)}


def regularisers_of(config, spec: Spec) -> tuple[Term, ...]:
  """Returns the terms of LeCam, centring and consistency that have a weight.

  Raises:
    UserError: for LeCam and centring in updates on reals or fakes alone, and
      for consistency of points or of packed images.
  """
  weight = config.get('lecam', 0.0)
  if switches.is_on(weight) and config.discriminator_batches == 'apart':
    raise errors.UserError(
      f'lecam={weight} compares reals with fakes, and '
      "discriminator_batches='apart' has an update for each. Set "
      "discriminator_batches='separate'."
    )
  settings = config.get('consistency', {'real': 0.0, 'fake': 0.0})
  rows = augment.find(
    settings.get('changes', ()) if spec.is_image else (),
    spec.is_image,
    config.get('augment_as_authors', True),
  )
  for kind in ('real', 'fake'):
    if not switches.is_on(settings[kind]):
      continue
    text = f'consistency.{kind}={settings[kind]} changes single images'
    if not spec.is_image:
      raise errors.UserError(
        f'{text}, and the data are points. Set consistency.{kind}=0.0.'
      )
    if config.get('pack', 1) > 1:
      raise errors.UserError(
        f'{text}, and pack={config.pack} shows several as one. Set pack=1.'
      )
  centred = config.get('logit_centring', 0.0)
  if switches.is_on(centred) and config.discriminator_batches == 'apart':
    raise errors.UserError(
      f'logit_centring={centred} adds logits of reals and fakes, and '
      "discriminator_batches='apart' has an update for each. Set "
      "discriminator_batches='separate'."
    )
  lecam, both = LeCam(config.get('lecam_decay', 0.0)), ('real', 'fake')
  return (
    *terms.of_weights(
      ('lecam', lecam, weight, both, first_sums),
      ('logit_centring', centring, centred, both),
    ),
    *terms.of_weights(
      *(
        (f'{k}_consistency', Consistency(k, tuple(rows)), settings[k], (k,))
        for k in ('real', 'fake')
      )
    ),
  )


def alignment_terms(config) -> tuple[Term, ...]:
  """Returns the term of images of several depths if it has a weight.

  Raises:
    UserError: for a generator of single images.
  """
  weight = config.get('scale_alignment', 0.0)
  if switches.is_on(weight) and config.generator.get('outputs', 1) < 2:
    raise errors.UserError(
      f'scale_alignment={weight} needs images of several depths. Set '
      "scale_alignment=0.0, or generator.name='transformer.Generator' with "
      'generator.outputs above 1.'
    )
  return terms.of_weights(('scale_alignment', alignment, weight, ()))


def path_terms(config) -> tuple[Term, ...]:
  """Returns the term of path lengths if it has a weight.

  Raises:
    UserError: for a generator without styles.
  """
  weight = config.get('path_length', 0.0)
  if not switches.is_on(weight):
    return ()
  generator = config.generator
  module = models.known().get(generator.name)
  if generator.get('spectral_norm') or not all(
    hasattr(module, method) for method in path_lib.METHODS
  ):
    raise errors.UserError(
      f'path_length={weight} needs a generator with styles. Set path_length='
      "0.0, or generator.name='stylegan2.Generator' without spectral_norm."
    )
  every = config.path_length_every
  return (
    Term(
      path_lib.NAME,
      path_lib.path_length,
      weight,
      init=path_lib.start,
      every=every,
      apart=every > 1,
    ),
  )


def penalty_terms(
  weights: Mapping[str, float],
  every: int = 1,
  before: bool = False,
  epsilon: float = 0.0,
  stride: int = 1,
) -> tuple[Term, ...]:
  """Returns a term for each penalty with a weight.

  Args:
    weights: weights by name.
    every: rounds between gradient steps of the penalties, see
      `adversarial.lazy`; 1 adds the penalties to the loss.
    before: True for slopes with respect to images before augmentation.
    epsilon: step of the finite difference in place of the slopes of R1 and R2;
      0 is exact.
    stride: every how many examples one has a penalty.

  Raises:
    UserError: for an unknown penalty.
  """
  rows = []
  for name, weight in sorted(weights.items()):
    if name not in penalties.PENALTIES:
      raise errors.unknown('penalties', name, penalties.PENALTIES)
    rule = penalties.PENALTIES[name]
    kind = 'fake' if name == 'r2' else 'real'
    if name in ('r1', 'r2') and switches.is_on(epsilon):
      function = Difference(kind, epsilon, stride)
    elif before:
      function = PenaltyBefore(rule, kind, stride)
    else:
      function = Penalty(rule, stride)
    rows.append((name, function, weight, ('real',)))
  return tuple(
    dataclasses.replace(term, every=every, apart=every > 1)
    for term in terms.of_weights(*rows)
  )
