"""What never changes in a game against a discriminator.

The method of an algorithm with a discriminator, or with several, extends
`Adversary` by fields of its own; `jaxgan.discriminate` holds what they do.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import augment, image_pool, losses, penalties
from jaxgan.core import state as state_lib
from jaxgan.core import switches
from jaxgan.data import dataset
from jaxgan.data.dataset import Spec

ONE_OF = {
  'loss': losses.PAIRS,
  'discriminator_batches': ('separate', 'joint', 'apart'),
  'fakes': ('batch', 'running'),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversary:
  """The fields of every method with a discriminator.

  Attributes:
    loss: a row of `losses.PAIRS`.
    penalties: pairs of a row of `penalties.PENALTIES` and its weight.
    adversarial: weight of the generator's adversarial loss.
    discriminator_batches: 'separate' calls on reals and on fakes; 'joint', one
      call on both, so that batch statistics are of both; 'apart', an update on
      reals, then one on fakes.
    fakes: whether fakes for the discriminator have 'batch' or 'running'
      statistics.
    label_noise: largest random share taken from the discriminator's labels.
    label_flip: probability with which its labels are swapped.
    augment: rows of `augment.AUGMENTATIONS`.
    instance_noise: deviation of the noise on what the discriminator sees.
    instance_noise_images: images after which that noise is gone; 0 is never.
    pack: examples that the discriminator sees as one.
    top_k: share of fakes that the generator learns from, in the end.
    top_k_images: images after which it is reached; 0 is from the start.
    replay_size: earlier fakes that are kept; 0 is none.
    replay_share: share of fakes that are replaced by earlier ones.
    ema_halflife: of the generator's average, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
  """

  loss: losses.Pair = losses.PAIRS['non_saturating']
  penalties: tuple[tuple[Callable, float], ...] = ()
  adversarial: float = 1.0
  discriminator_batches: str = 'separate'
  fakes: str = 'batch'
  label_noise: float = 0.0
  label_flip: float = 0.0
  augment: tuple[Callable, ...] = ()
  instance_noise: float = 0.0
  instance_noise_images: int = 0
  pack: int = 1
  top_k: float = 1.0
  top_k_images: int = 0
  replay_size: int = 0
  replay_share: float = 0.0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


def from_config(
  config, spec: Spec, axis_name: str | None, labels: str = ''
) -> dict[str, Any]:
  """The fields of `Adversary` that a config sets; the others keep defaults.

  Args:
    config: of the run.
    spec: of the data.
    axis_name: of the mapped axis, if any.
    labels: the field of the config, if any, that brings labels into the game.

  Raises:
    UserError: for unknown names and for tricks that exclude each other.
  """
  refuse_unknown(config, ONE_OF)
  for name in config.penalties:
    if name not in penalties.PENALTIES:
      raise errors.unknown('penalties', name, penalties.PENALTIES)
  found = {
    field.name: config[field.name]
    for field in dataclasses.fields(Adversary)
    if field.name in config
  }
  if labels:
    dataset.refuse_missing_labels(config[labels], spec, labels)
    if config[labels] and found.get('pack', 1) > 1:
      raise errors.UserError(
        f'pack={found["pack"]} shows several images as one, which has no '
        f'label; set pack=1 or {labels}={type(config[labels])()}'
      )
  return found | {
    'loss': _loss(config),
    'penalties': tuple(
      (penalties.PENALTIES[name], weight)
      for name, weight in sorted(config.penalties.items())
      if switches.is_on(weight)
    ),
    'augment': augment.find(found.get('augment', ()), spec.is_image),
    'axis_name': axis_name,
  }


def refuse_unknown(config, tables: Mapping[str, Any]) -> None:
  """Raises a UserError for a value that is not in its field's table."""
  for name, known in tables.items():
    group, _, field = name.rpartition('.')
    value = (config[group] if group else config)[field]
    if value not in known:
      raise errors.unknown(name, value, known)


def _loss(config) -> losses.Pair:
  """The losses with softened labels, the generator's too where asked for."""
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
        f'{setting} needs a loss with one term for reals and one for fakes, '
        f'which loss={config.loss!r} has not; relativistic losses compare both'
      )
  try:
    softened = losses.smooth(pair, **soft)
  except ValueError as error:
    raise errors.UserError(f'label_smoothing: {error}') from None
  if not both:
    return softened
  share = soft['real']
  return softened._replace(
    generator=lambda real, fake: (
      (1.0 - share) * pair.generator(real, fake) + share * pair.as_fake(fake)
    )
  )


def expected(
  loss: losses.Pair,
  discriminator: str = 'discriminator',
  generator: str = 'generator',
) -> dict[str, float]:
  """Metrics of both players where fakes are distributed as reals."""
  found = losses.equilibrium(loss)
  names = {
    f'{discriminator}/loss': 'discriminator',
    f'{generator}/loss': 'generator',
    f'{discriminator}/real': 'output',
    f'{discriminator}/fake': 'output',
  }
  return {name: found[k] for name, k in names.items() if k in found}


def init(method: Adversary, modules, key: jax.Array) -> dict:
  """Fresh networks by name; modules: {name: (module, inputs)}, in order."""
  return {
    name: state_lib.create(
      module,
      state_lib.player(method, name).optimizer,
      jax.random.fold_in(key, place),
      *inputs,
    )
    for place, (name, (module, inputs)) in enumerate(modules.items())
  }


def shown_example(method: Adversary, shape: tuple[int, ...]):
  """Zeros [1, ...] like what `show` makes of images of this shape."""
  images = jnp.zeros((method.pack, *shape))
  return augment.pack(images, method.pack)


def create_pool(
  method: Adversary, shape: tuple[int, ...], name: str = 'replay'
) -> dict[str, Any]:
  """What `recall` keeps in the state's 'extra'; nothing where it is off."""
  if not method.replay_size:
    return {}
  return {name: image_pool.create(method.replay_size, shape)}


def made_shape(module: nn.Module, *inputs) -> tuple[int, ...]:
  """Shape of one image that an untrained generator makes of its inputs."""

  def run(key):
    return module.init_with_output(key, *inputs, train=False)[0]

  return jax.eval_shape(run, jax.random.key(0)).shape[1:]
