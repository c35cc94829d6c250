"""Losses, tricks and terms of a game against a discriminator, from a config."""

from collections.abc import Mapping
from typing import Any

from jaxgan import errors
from jaxgan.adversarial import (
  adaptive,
  augment,
  image_pool,
  losses,
  soft_labels,
  terms,
)
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import tricks as tricks_lib
from jaxgan.config import game_terms, networks
from jaxgan.config.fields import is_group
from jaxgan.core import state as state_lib
from jaxgan.core import switches
from jaxgan.data.dataset import Spec, refuse_missing_labels
from jaxgan.models.layers.layers import CLASS_LOGIT

ONE_OF = {
  'loss': losses.PAIRS,
  'discriminator_batches': discriminator_lib.UPDATES,
  'fakes': tricks_lib.FAKES,
}
# Config field -> argument of `tricks.build`, where the names differ.
_RENAMED = {'augment': 'augmentations'}


def fields(
  config, spec: Spec, labels: str = '', replay_rule=image_pool.mix
) -> dict[str, Any]:
  """Returns fields that methods with a discriminator share.

  Args:
    config: config of the run.
    spec: shape and labels of the data.
    labels: config field that turns labels on; '' for a game without labels.
    replay_rule: function that combines earlier fakes with new ones.

  Returns:
    The fields of `adversarial.game.Game`.

  Raises:
    UserError: for unknown names and for tricks that exclude each other.
  """
  refuse_unknown(config, ONE_OF)
  if labels:
    refuse_missing_labels(config[labels], spec, labels)
    pack = config.get('pack', 1)
    if config[labels] and pack > 1:
      raise errors.UserError(
        f'pack={pack} shows several images as one, which has no label. Set '
        f'pack=1 or {labels}={type(config[labels])()}.'
      )
  known = tricks_lib.build.__kwdefaults__
  values = {
    _RENAMED.get(name, name): value
    for name, value in config.items()
    if _RENAMED.get(name, name) in known
  }
  values['augmentations'] = augment.find(
    values.get('augmentations', ()),
    spec.is_image,
    config.get('augment_as_authors', True),
  )
  values |= game_terms.pipe_fields(config, spec)
  if values.get('flip_reals') and not spec.is_image:
    raise errors.UserError(
      'flip_reals=True is for images and the data are points. Set '
      'flip_reals=False.'
    )
  strength = values.get('strength')
  auxiliary = config.get('auxiliary', 0.0)
  # Logits of classes that are those of the game: fakes have a low one.
  network = config.get('discriminator')
  head = network.get('conditioning', '') if is_group(network) else ''
  of_fakes = 0.0 if head == CLASS_LOGIT else auxiliary
  labelled = config.get('labelled', 0.0)
  matching = config.get('feature_matching', 0.0)
  return {
    'loss': _loss(config),
    'adversarial': config.adversarial,
    'tricks': tricks_lib.build(**values, replay_rule=replay_rule),
    'discriminator_terms': (
      *terms.of_weights(
        ('real_class_loss', terms.real_classes, auxiliary, ('real',)),
        ('fake_class_loss', terms.fake_classes, of_fakes, ('fake',)),
        ('labelled_loss', terms.labelled_classes, labelled, ('real',)),
      ),
      *game_terms.penalty_terms(
        config.penalties,
        config.get('penalties_every', 1),
        'pipe' in values,
        config.get('penalties_difference', 0.0),
        config.get('penalties_stride', 1),
      ),
      *game_terms.regularisers_of(config, spec),
      *(adaptive.terms_of(strength) if strength else ()),
    ),
    'generator_terms': (
      *terms.of_weights(
        ('feature_matching', terms.feature_matching, matching, ()),
        ('class_loss', terms.fake_classes, auxiliary, ()),
      ),
      *game_terms.alignment_terms(config),
      *game_terms.path_terms(config),
    ),
    'accumulate': config.get('accumulate', 1),
    'running_statistics': config.get('running_statistics', False),
    **networks.averages(config),
    'ema_widths': _widths(config),
  }


def _widths(config) -> tuple[float, ...]:
  """Returns the widths of power averages, which need no half-life."""
  widths = tuple(config.get('ema_widths', ()))  # Old runs have no field.
  if widths and switches.is_on(config.ema_halflife):
    raise errors.UserError(
      f'ema_halflife={config.ema_halflife} has no effect with ema_widths='
      f'{widths}. Set ema_halflife=0.0 or ema_widths=().'
    )
  if widths and config.ema_counts_round:
    raise errors.UserError(
      f'ema_counts_round=True has no effect with ema_widths={widths}. Set '
      'ema_counts_round=False.'
    )
  return widths


def refuse_unknown(config, tables: Mapping[str, Any]) -> None:
  """Raises a UserError for a value that is not in its field's table."""
  for name, known in tables.items():
    group, _, field = name.rpartition('.')
    value = (config[group] if group else config)[field]
    if value not in known:
      raise errors.unknown(name, value, known)


def _loss(config) -> losses.Pair:
  """Returns the losses with smoothed labels.

  label_smoothing.generator=True smooths labels of the generator as well.
  """
  pair, soft = losses.PAIRS[config.loss], dict(config.label_smoothing)
  both = soft.pop('generator', False)
  for setting, is_set in {
    'label_noise/label_flip': switches.is_on(config.get('label_noise', 0.0))
    or switches.is_on(config.get('label_flip', 0.0)),
    "discriminator_batches='apart'": config.discriminator_batches == 'apart',
    'label_smoothing.generator=True': both,
  }.items():
    if is_set and pair.as_real is None:
      raise errors.UserError(
        f'{setting} is incompatible with loss={config.loss!r}, which has no '
        'separate real and fake terms. Choose another loss.'
      )
  try:
    softened = soft_labels.smooth(pair, **soft)
  except ValueError as error:
    raise errors.UserError(f'label_smoothing: {error}') from None
  if not both:
    return softened
  return softened._replace(
    generator=soft_labels.SoftGenerator(
      pair.generator, pair.as_fake, soft['real']
    )
  )


def refuse_labels(config, spec: Spec, discriminator) -> None:
  """Raises a UserError for uses of labels that exclude each other.

  Args:
    config: config of the run, with the fields of `presets.game`.
    spec: shape and labels of the data.
    discriminator: a module.
  """
  refuse_missing_labels(config.labelled, spec, 'labelled')
  head = getattr(discriminator, 'conditioning', '')
  if switches.is_on(config.labelled) and not (
    head == 'classes' and 'labelled' in config.data
  ):
    raise errors.UserError(
      f'labelled={config.labelled} needs '
      "discriminator.conditioning='classes' and a field data.labelled. Start "
      'from configs/semi_supervised_mnist.py.'
    )
  if switches.is_on(config.auxiliary) and not (
    config.conditional and head in ('auxiliary', CLASS_LOGIT)
  ):
    raise errors.UserError(
      f'auxiliary={config.auxiliary} needs conditional=True and '
      "discriminator.conditioning='auxiliary' or 'class_logit'."
    )
  if config.replay_size and config.conditional:
    raise errors.UserError(
      f'replay_size={config.replay_size} shows earlier images, whose labels '
      'are not kept. Set replay_size=0 or conditional=False.'
    )


def refuse_domains(config, spec: Spec) -> None:
  """Raises a UserError for data that are not two domains of images."""
  if not config.data.get('unpaired'):
    raise errors.UserError(
      "method='cyclegan' needs two domains. Set data.unpaired, for example to "
      "'classes', and data.classes to two classes."
    )
  if switches.is_on(config.identity) and spec.source_shape != spec.shape:
    raise errors.UserError(
      f'identity={config.identity} needs images of one shape, and the domains '
      f'have {spec.source_shape} and {spec.shape}. Set identity=0.0, or '
      'data.channels.'
    )


def refuse_shape(config, generator, shape: tuple[int, ...]) -> None:
  """Raises a UserError for a generator that makes images of another shape.

  Args:
    config: config of the run.
    generator: (module, examples of its inputs).
    shape: shape of the images of the data.
  """
  module, inputs = generator
  output = state_lib.made_shape(module, *inputs)
  if output != shape:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes images of shape '
      f'{output} and the data have {shape}. Set data.image_size and '
      'data.channels to the shape of the network, or choose another network.'
    )
