"""Fields of methods with a discriminator, from plain values."""

from jaxgan.adversarial import adaptive, augment, terms
from jaxgan.adversarial import tricks as tricks_lib
from jaxgan.adversarial.regularisers import Consistency, LeCam, first_sums
from jaxgan.core import latents as latents_lib

TERMS = (
  *('penalties', 'auxiliary', 'labelled', 'feature_matching', 'lecam'),
  'consistency',
)
CHANGES = (augment.flip, augment.translation)


def fields(latent_size: int = 0, latent: str = 'normal', **values) -> dict:
  """Returns fields of `GAN` and its like.

  Args:
    latent_size: of latents of one part; 0 for methods without latents.
    latent: a key of `noise.LATENTS`.
    **values: fields of the method, arguments of `tricks.build`, and weights of
      terms; 'penalties' holds pairs of a function and its weight, and
      'consistency' has weights by kind.
  """
  names = tricks_lib.build.__kwdefaults__
  tricks = {k: values.pop(k) for k in list(values) if k in names}
  if 'augment' in values:
    tricks['augmentations'] = values.pop('augment')
  weights = {name: values.pop(name, 0.0) for name in TERMS}
  if tricks:
    values['tricks'] = tricks_lib.build(**tricks)
  if latent_size:
    values['latents'] = latents_lib.single(latent, latent_size)
  auxiliary, matching = weights['auxiliary'], weights['feature_matching']
  penalties = tuple(
    terms.Term(rule.__name__, terms.Penalty(rule), weight, ('real',))
    for rule, weight in weights['penalties'] or ()
  )
  of_discriminator = terms.of_weights(
    ('real_class_loss', terms.real_classes, auxiliary, ('real',)),
    ('fake_class_loss', terms.fake_classes, auxiliary, ('fake',)),
    ('labelled_loss', terms.labelled_classes, weights['labelled'], ('real',)),
    *(
      ('lecam', LeCam(0.5), weights['lecam'], ('real', 'fake'), first_sums),
      *(
        (f'{kind}_consistency', Consistency(kind, CHANGES), weight, (kind,))
        for kind, weight in (weights['consistency'] or {}).items()
      ),
    ),
  )
  of_generator = terms.of_weights(
    ('feature_matching', terms.feature_matching, matching, ()),
    ('class_loss', terms.fake_classes, auxiliary, ()),
  )
  strength = tricks.get('strength')
  of_pipe = adaptive.terms_of(strength) if strength else ()
  return {
    'discriminator_terms': of_discriminator + penalties + of_pipe,
    'generator_terms': of_generator,
  } | values
