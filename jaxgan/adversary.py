"""The discriminator's side of the game, for every algorithm that has one.

The method of such an algorithm extends `Adversary` by its own fields. It may
have any number of discriminators, and each is told apart by its `Player`.

A discriminator takes a tuple of inputs, images first, and after them what else
it looks at: labels, or an image that the first one was made from. It returns
logits, one an example [B] or a map [B, h, w], and may sow 'features' [B, D] and
'classes' [B, K]. Both kinds of images are 'real' and 'fake' throughout.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import augment, errors, losses, models, penalties, replay
from jaxgan import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState

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


class Player(NamedTuple):
  """A network that is trained: its name in the state, and what moves it."""

  name: str
  module: nn.Module
  optimizer: optax.GradientTransformation


def player(method, name: str) -> Player:
  """The fields `name` and `name_optimizer` of a method."""
  return Player(
    name, getattr(method, name), getattr(method, f'{name}_optimizer')
  )


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
    models.refuse_missing_labels(config[labels], spec, labels)
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
      if weight
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
    'label_noise/label_flip': config.get('label_noise')
    or config.get('label_flip'),
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
      player(method, name).optimizer,
      jax.random.fold_in(key, place),
      *inputs,
    )
    for place, (name, (module, inputs)) in enumerate(modules.items())
  }


def _seen(method: Adversary, state: TrainState, local: int):
  """Images that the run has seen before this round."""
  return state.step * state_lib.global_size(local, method.axis_name)


def show(method: Adversary, state: TrainState, x, key):
  """Images [B, ...] as a discriminator sees them: [B / pack, ...]."""
  keys = jax.random.split(key, len(method.augment) + 1)
  for place, change in enumerate(method.augment):
    x = change(x, keys[place], method.axis_name)
  if method.instance_noise:
    deviation = augment.fading(
      method.instance_noise,
      method.instance_noise_images,
      _seen(method, state, len(x)),
    )
    x = augment.instance_noise(x, keys[-1], deviation, method.axis_name)
  return augment.pack(x, method.pack)


def shown_example(method: Adversary, shape: tuple[int, ...]):
  """Zeros [1, ...] like what `show` makes of images of this shape."""
  images = jnp.zeros((method.pack, *shape))
  return augment.pack(images, method.pack)


def create_pool(method: Adversary, shape: tuple[int, ...]) -> dict[str, Any]:
  """What `recall` carries in the state's 'extra'; nothing where it is off."""
  if not method.replay_size:
    return {}
  return {'replay': replay.create(method.replay_size, shape)}


def recall(
  method: Adversary, state: TrainState, fake, key, pool: str = 'replay'
):
  """Fakes [B, ...], some of them earlier ones, and the state after it.

  Shrivastava et al. 2017 (https://arxiv.org/abs/1612.07828), section 2.3.
  """
  if not method.replay_size:
    return fake, state
  fake, held = replay.mix(
    state.extra[pool], fake, key, method.replay_share, method.axis_name
  )
  return fake, state.replace(extra=state.extra | {pool: held})


def judge(module: nn.Module, params, stats, inputs, key=None):
  """What a discriminator says of its inputs.

  Returns:
    'logits' [B] or [B, h, w] and what is sown, by name; and the mutable
    collections.
  """
  logits, sown, stats = state_lib.apply_and_look(
    module, params, stats, *inputs, key=key
  )
  return {'logits': logits, **sown}, stats


def per_example(values):
  """Means [B] over maps [B, h, w]; of one value an example, the value."""
  return values.reshape(len(values), -1).mean(-1) if values.ndim > 1 else values


def _gathered(method: Adversary, *values):
  """Values [B, ...] of the whole batch where a loss looks across it."""
  if method.axis_name is None or not method.loss.across_batch:
    return values
  # The transpose sums over devices, and the mean of gradients divides again.
  return jax.lax.all_gather(values, method.axis_name, tiled=True)


def generator_loss(method: Adversary, state: TrainState, on_real, on_fake):
  """The generator's mean loss, of what `judge` says of both kinds.

  With `top_k`, of the fakes that look most real (Sinha et al. 2020,
  https://arxiv.org/abs/2002.06224, section 3).
  """
  count = len(on_fake['logits']) * method.pack
  real, fake = _gathered(method, on_real['logits'], on_fake['logits'])
  each = per_example(method.loss.generator(real, fake))
  if method.top_k < 1.0:
    share = method.top_k
    if method.top_k_images:
      seen = _seen(method, state, count)
      share += augment.fading(1.0 - share, method.top_k_images, seen)
    each *= losses.top_share(per_example(fake), share, method.axis_name)
  return jnp.mean(each)


def classification(outputs, labels):
  """Mean cross-entropy of 'classes' [B, K]; labels: int [B]."""
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(outputs['classes'], labels)
  )


def descend(
  state: TrainState, player: Player, loss_fn, axis_name: str | None = None
):
  """One update of one network, and its metrics by full name.

  Args:
    state: the state before.
    player: the network.
    loss_fn: params -> (loss, (mutable collections, metrics by short name)).
    axis_name: mapped axis that splits the batch.
  """
  params = state.networks[player.name].params
  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(params)
  grads, metrics = state_lib.mean((grads, metrics), axis_name)
  return state_lib.move(
    state, player.name, player.optimizer, grads, stats, metrics
  )


def update(
  method: Adversary,
  state: TrainState,
  player: Player,
  shown: Mapping[str, tuple],
  key,
  terms: Callable | None = None,
):
  """Updates a discriminator alone, once or, with 'apart', on each kind.

  Args:
    method: the parts that never change.
    state: a state.
    player: the discriminator.
    shown: its inputs for 'real' and for 'fake'; penalties slope over the first.
    key: for this update.
    terms: (outputs, look) -> {metric: (value, weight)}, further losses. Outputs
      are what `judge` says, by kind; `look(inputs)` judges further inputs.

  Returns:
    The state after it and scalar metrics: 'loss', D(x) of each kind, values of
    penalties and terms, and norms.
  """
  if method.discriminator_batches != 'apart':
    return _update(method, state, player, shown, tuple(shown), key, terms)
  metrics = {}
  for kind in shown:
    state, found = _update(method, state, player, shown, (kind,), key, terms)
    found[f'{player.name}/loss'] += metrics.get(f'{player.name}/loss', 0.0)
    metrics |= found
  return state, metrics


def _update(method, state, player, shown, kinds, key, terms):
  """One optimizer update on reals, on fakes, or on both (`kinds`)."""
  names = ('labels', 'penalty', 'further', 'real', 'fake')
  keys = jax.random.split(jax.random.fold_in(key, 1), len(names))
  keys = dict(zip(names, keys, strict=True))
  network = state.networks[player.name]

  def judge_all(params):
    """Outputs by kind, and mutable collections."""
    if method.discriminator_batches == 'joint':
      both = jax.tree.map(
        lambda *parts: jnp.concatenate(parts), *(shown[kind] for kind in kinds)
      )
      outputs, stats = judge(
        player.module, params, network.stats, both, keys['real']
      )
      parts = jax.tree.map(lambda x: jnp.split(x, len(kinds)), outputs)
      split = {
        kind: {name: part[place] for name, part in parts.items()}
        for place, kind in enumerate(kinds)
      }
      return split, stats
    found, stats = {}, network.stats
    for kind in kinds:
      found[kind], stats = judge(
        player.module, params, stats, shown[kind], keys[kind]
      )
    return found, stats

  def loss_fn(params):
    outputs, stats = judge_all(params)
    logits = {kind: outputs[kind]['logits'] for kind in kinds}
    pair = _noisy(method, logits[kinds[0]], keys['labels'])
    if len(kinds) == 2:
      each = pair.discriminator(*_gathered(method, *logits.values()))
    else:
      each = getattr(pair, f'as_{kinds[0]}')(*logits.values())
    total = jnp.mean(each)
    metrics = {
      kind: jnp.mean(method.loss.output(logits[kind])) for kind in kinds
    }
    metrics['loss'] = total

    def look(inputs, key=keys['further']):
      return judge(player.module, params, network.stats, inputs, key)[0]

    further = terms(outputs, look) if terms else {}
    if 'real' in kinds:  # Penalties once, where updates are apart.
      real, *others = shown['real']

      def critic(x):
        return per_example(look((x, *others), keys['real'])['logits'])

      for penalty, weight in method.penalties:
        values = penalty(
          critic, real, shown['fake'][0], keys['penalty'], method.axis_name
        )
        further[penalty.__name__] = (jnp.mean(values), weight)
    for name, (value, weight) in further.items():
      metrics[name] = value
      total += weight * value
    return total, (stats, metrics)

  return descend(state, player, loss_fn, method.axis_name)


def _noisy(method: Adversary, logits, key) -> losses.Pair:
  """The losses with labels of their own for each of the logits' examples."""
  if not (method.label_noise or method.label_flip):
    return method.loss
  shares = losses.label_shares(
    key, len(logits), method.label_noise, method.label_flip, method.axis_name
  )
  shape = (-1,) + (1,) * (logits.ndim - 1)
  return losses.soften(method.loss, *(x.reshape(shape) for x in shares))
