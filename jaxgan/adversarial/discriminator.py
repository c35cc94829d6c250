"""What a discriminator is shown, what it says, and how it learns.

A discriminator takes a tuple of inputs, images first, and after them what else
it looks at: labels, or an image that the first one was made from. It returns
logits, one an example [B] or a map [B, h, w], and may sow 'features' [B, D] and
'classes' [B, K]. `method` is any that extends `adversary.Adversary`, and both
kinds of images are 'real' and 'fake' throughout.
"""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.adversarial import augment, image_pool, losses
from jaxgan.adversarial.tricks import Adversary
from jaxgan.core import ema as ema_lib
from jaxgan.core import noise, switches
from jaxgan.core import state as state_lib
from jaxgan.core.state import Player, TrainState


def _seen(method: Adversary, state: TrainState, local: int):
  """Images that the run has seen before this round."""
  return state.step * state_lib.global_size(local, method.axis_name)


def show(method: Adversary, state: TrainState, x, key):
  """Images [B, ...] as a discriminator sees them: [B / pack, ...]."""
  keys = jax.random.split(key, len(method.augment) + 1)
  for place, change in enumerate(method.augment):
    x = change(x, keys[place], method.axis_name)
  if switches.is_on(method.instance_noise):
    deviation = augment.fading(
      method.instance_noise,
      method.instance_noise_images,
      _seen(method, state, len(x)),
    )
    x = augment.instance_noise(x, keys[-1], deviation, method.axis_name)
  return augment.pack(x, method.pack)


def recall(
  method: Adversary,
  state: TrainState,
  fake,
  key,
  name: str = 'replay',
  rule: Callable = image_pool.mix,
):
  """Fakes [B, ...], some of them earlier ones, and the state after it.

  Args:
    method: the parts that never change.
    state: a state.
    fake: new images.
    key: for this draw.
    name: of the pool in the state's 'extra'.
    rule: `replay.mix` or `replay.swap`.
  """
  if not method.replay_size:
    return fake, state
  fake, held = rule(
    state.extra[name], fake, key, method.replay_share, method.axis_name
  )
  return fake, state.replace(extra=state.extra | {name: held})


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


def ask(state: TrainState, player: Player, inputs, key):
  """What a discriminator says, as it is, while another network learns."""
  network = state.networks[player.name]
  return judge(player.module, network.params, network.stats, inputs, key)[0]


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
    for name in metrics:  # Norms are those of the last update.
      if name in found and not name.endswith('_norm'):
        found[name] += metrics[name]
    metrics |= found
  return state, metrics


def _update(method, state, player, shown, kinds, key, terms):
  """One optimizer update on reals, on fakes, or on both (`kinds`)."""
  keys = noise.keys(
    jax.random.fold_in(key, 1), 'labels', 'penalty', 'further', 'real', 'fake'
  )
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

  return state_lib.descend(state, player, loss_fn, method.axis_name)


def _noisy(method: Adversary, logits, key) -> losses.Pair:
  """The losses with labels of their own for each of the logits' examples."""
  if not (
    switches.is_on(method.label_noise) or switches.is_on(method.label_flip)
  ):
    return method.loss
  shares = losses.label_shares(
    key, len(logits), method.label_noise, method.label_flip, method.axis_name
  )
  shape = (-1,) + (1,) * (logits.ndim - 1)
  return losses.soften(method.loss, *(x.reshape(shape) for x in shares))


def average(method: Adversary, state: TrainState, old, new, local: int):
  """The generator's average after this round; `local` images a device."""
  return ema_lib.average(
    old,
    new,
    state.step,
    state_lib.global_size(local, method.axis_name),
    method.ema_halflife,
    method.ema_rampup,
  )


def held_out(
  method: Adversary, state: TrainState, player: Player, inputs, label
):
  """What a discriminator says of real images that it never saw.

  Where D(x) falls below its value on training images, it has learnt those by
  heart, and the generator learns nothing more from it.

  Args:
    method: the parts that never change.
    state: a state.
    player: the discriminator.
    inputs: its inputs, of which images [N, ...] come first and are packed.
    label: classes [N], for a network that tells them apart.

  Returns:
    'NAME/held_out', mean D(x), and 'NAME/held_out_error', the share that is
    classified wrong.
  """
  image, *others = inputs
  whole = len(image) // method.pack * method.pack
  image = augment.pack(image[:whole], method.pack)
  network = state.networks[player.name]
  logits, sown, _ = state_lib.apply_and_look(
    player.module, network.params, network.stats, image, *others, train=False
  )
  scores = {f'{player.name}/held_out': jnp.mean(method.loss.output(logits))}
  if 'classes' in sown:
    wrong = jnp.argmax(sown['classes'], axis=-1) != label
    scores[f'{player.name}/held_out_error'] = jnp.mean(wrong)
  return scores
