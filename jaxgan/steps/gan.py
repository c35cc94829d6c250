"""Two players: GAN, LSGAN, WGAN, conditional GANs, ACGAN, R3GAN and others.

A round is `discriminator_steps` updates of the discriminator, each on images of
its own, then one update of the generator (Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661, algorithm 1).

  method = gan.GAN(mlp.Generator(shape=(28, 28, 1)), mlp.Discriminator())
  state = gan.init(method, key)
  state, metrics = jax.jit(gan.train_step, static_argnums=0)(
      method, state, {'image': images}, key)
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import augment, errors, losses, models, noise, penalties, replay
from jaxgan import state as state_lib
from jaxgan.data.dataset import Spec
from jaxgan.state import TrainState

# Latents that averaged weights are run on for their batch statistics.
STANDING_BATCHES, STANDING_BATCH_SIZE = 16, 128
PREVIEW_SIZE = 100
SHOWN_IMAGES = 0


@dataclasses.dataclass(frozen=True)
class GAN:
  """The parts of the game that never change.

  Attributes:
    generator: latents [B, Z] (and labels [B]) to images.
    discriminator: images (and labels) to logits [B].
    generator_optimizer: moves the generator.
    discriminator_optimizer: moves the discriminator.
    loss: a row of `losses.PAIRS`.
    penalties: pairs of a row of `penalties.PENALTIES` and its weight.
    latent_size: Z.
    latent: name of what latents are drawn from, a key of `noise.LATENTS`.
    latent_reuse: the generator's update takes the latents of the
      discriminator's last one.
    discriminator_steps: discriminator updates per round.
    discriminator_batches: 'separate' calls on reals and on fakes; 'joint', one
      call on both, so that batch statistics are of both; 'apart', an update on
      reals, then one on fakes.
    real_reuse: all discriminator updates of a round see the same reals.
    fakes: whether fakes for the discriminator have 'batch' or 'running'
      statistics.
    label_noise: largest random share taken from the discriminator's labels.
    label_flip: probability with which its labels are swapped.
    adversarial: weight of the generator's adversarial loss.
    feature_matching: weight of its distance between mean features.
    auxiliary: weight of both players' classification loss.
    labelled: weight of the discriminator's classification of labelled images
      (Salimans et al. 2016, section 5), which the batch then holds.
    augment: rows of `augment.AUGMENTATIONS`.
    instance_noise: deviation of the noise on what the discriminator sees.
    instance_noise_images: images after which that noise is gone; 0 is never.
    pack: examples that the discriminator sees as one.
    top_k: share of fakes that the generator learns from, in the end.
    top_k_images: images after which it is reached; 0 is from the start.
    replay_size: earlier fakes that are kept; 0 is none.
    replay_share: share of fakes that are replaced by earlier ones.
    num_classes: number of labels that both networks take; 0 for none.
    ema_halflife: of the generator's average, in images; 0 for no average.
    ema_rampup: cap of the half-life, as a share of the images seen.
    axis_name: set where the caller maps the step over parts of the batch.
  """

  generator: nn.Module
  discriminator: nn.Module
  generator_optimizer: optax.GradientTransformation = optax.adam(2e-4, b1=0.5)
  discriminator_optimizer: optax.GradientTransformation = optax.adam(
    2e-4, b1=0.5
  )
  loss: losses.Pair = losses.PAIRS['non_saturating']
  penalties: tuple[tuple[Callable, float], ...] = ()
  latent_size: int = 100
  latent: str = 'normal'
  latent_reuse: bool = False
  discriminator_steps: int = 1
  discriminator_batches: str = 'separate'
  real_reuse: bool = False
  fakes: str = 'batch'
  label_noise: float = 0.0
  label_flip: float = 0.0
  adversarial: float = 1.0
  feature_matching: float = 0.0
  auxiliary: float = 0.0
  labelled: float = 0.0
  augment: tuple[Callable, ...] = ()
  instance_noise: float = 0.0
  instance_noise_images: int = 0
  pack: int = 1
  top_k: float = 1.0
  top_k_images: int = 0
  replay_size: int = 0
  replay_share: float = 0.0
  num_classes: int = 0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  axis_name: str | None = None


# Fields of the config that are fields of the method.
_COPIED = tuple(
  field.name
  for field in dataclasses.fields(GAN)
  if field.name
  not in {
    *('generator', 'discriminator', 'generator_optimizer', 'loss'),
    *('discriminator_optimizer', 'penalties', 'augment', 'num_classes'),
    'axis_name',
  }
)
_ONE_OF = {
  'latent': tuple(noise.LATENTS),
  'discriminator_batches': ('separate', 'joint', 'apart'),
  'fakes': ('batch', 'running'),
}


def from_config(config, spec: Spec, axis_name: str | None = None) -> GAN:
  """Builds the method; the only reader of the config for this algorithm."""
  if config.loss not in losses.PAIRS:
    raise errors.unknown('loss', config.loss, losses.PAIRS)
  for name, known in _ONE_OF.items():
    if config[name] not in known:
      raise errors.unknown(name, config[name], known)
  for name in config.penalties:
    if name not in penalties.PENALTIES:
      raise errors.unknown('penalties', name, penalties.PENALTIES)
  models.refuse_missing_labels(config.conditional, spec)
  models.refuse_missing_labels(config.labelled, spec, 'labelled')
  num_classes = spec.num_classes if config.conditional else 0
  derived = {'shape': spec.shape, 'axis_name': axis_name}
  classes = {
    'generator': num_classes,
    'discriminator': spec.num_classes if config.labelled else num_classes,
  }
  networks, optimizers = {}, {}
  images_per_update = {
    'generator': config.batch_size,
    'discriminator': config.batch_size / config.discriminator_steps,
  }
  for player, images in images_per_update.items():
    networks[player], optimizers[f'{player}_optimizer'] = models.trained(
      config, player, images, num_classes=classes[player], **derived
    )
  try:
    loss = losses.smooth(losses.PAIRS[config.loss], **config.label_smoothing)
  except ValueError as error:
    raise errors.UserError(f'label_smoothing: {error}') from None
  method = GAN(
    **networks,
    **optimizers,
    loss=loss,
    penalties=tuple(
      (penalties.PENALTIES[name], weight)
      for name, weight in sorted(config.penalties.items())
      if weight
    ),
    augment=augment.find(config.augment, spec.is_image),
    num_classes=num_classes,
    axis_name=axis_name,
    **{name: config[name] for name in _COPIED},
  )
  _refuse(method)
  shape = jax.eval_shape(lambda: _example(method)).shape[1:]
  if shape != spec.shape:
    raise errors.UserError(
      f'generator.name={config.generator.name!r} makes images of shape '
      f'{shape} and the data have {spec.shape}; set data.image_size and '
      'data.channels to what the network makes, or choose another network'
    )
  return method


def _refuse(method: GAN) -> None:
  """Raises a UserError for tricks that exclude each other."""
  labels = bool(method.label_noise or method.label_flip)
  apart = method.discriminator_batches == 'apart'
  for field, is_set in {
    'label_noise/label_flip': labels,
    'apart': apart,
  }.items():
    if is_set and method.loss.as_real is None:
      raise errors.UserError(
        f'{field} needs a loss with one term for reals and one for fakes; '
        'relativistic losses compare the two'
      )
  if method.num_classes and method.pack > 1:
    raise errors.UserError(
      f'pack={method.pack} shows several images as one, which has no label; '
      'set pack=1 or conditional=False'
    )
  if method.auxiliary and not (
    method.num_classes
    and getattr(method.discriminator, 'conditioning', '') == 'auxiliary'
  ):
    raise errors.UserError(
      f'auxiliary={method.auxiliary} needs conditional=True and '
      "discriminator.conditioning='auxiliary'"
    )


def _example(method: GAN):
  """One image of an untrained generator."""
  key = jax.random.key(0)
  inputs = _inputs(
    method, jnp.zeros((1, method.latent_size)), jnp.zeros(1, int)
  )
  return method.generator.init_with_output(key, *inputs, train=False)[0]


def _inputs(method: GAN, x, label):
  return (x, label) if method.num_classes else (x,)


def modules(method: GAN):
  """Both networks with an example of their inputs, for tables."""
  z = jnp.zeros((1, method.latent_size))
  label = jnp.zeros(1, int)
  image = jax.eval_shape(lambda: _example(method))
  shown = jax.eval_shape(
    lambda: augment.pack(
      jnp.zeros((method.pack, *image.shape[1:])), method.pack
    )
  )
  shown = jnp.zeros(shown.shape, shown.dtype)
  return {
    'generator': (method.generator, _inputs(method, z, label)),
    'discriminator': (method.discriminator, _inputs(method, shown, label)),
  }


def expected(method: GAN) -> dict[str, float]:
  """Losses and D(x) where fakes are distributed as reals."""
  found = losses.equilibrium(method.loss)
  names = {
    'discriminator/loss': 'discriminator',
    'generator/loss': 'generator',
    'discriminator/real': 'output',
    'discriminator/fake': 'output',
  }
  return {name: found[k] for name, k in names.items() if k in found}


def draws(method: GAN) -> int:
  """Batches of real images that a round takes."""
  return 1 if method.real_reuse else method.discriminator_steps


def init(method: GAN, key: jax.Array) -> TrainState:
  """The state before the first round."""
  optimizers = {
    'generator': method.generator_optimizer,
    'discriminator': method.discriminator_optimizer,
  }
  networks = {
    name: state_lib.create(
      module, optimizers[name], jax.random.fold_in(key, place), *inputs
    )
    for place, (name, (module, inputs)) in enumerate(modules(method).items())
  }
  # A copy: the state is donated, and a buffer can be given away only once.
  average = jax.tree.map(jnp.copy, networks['generator'].params)
  extra = {}
  if method.replay_size:
    shape = jax.eval_shape(lambda: _example(method)).shape[1:]
    extra['replay'] = replay.create(method.replay_size, shape)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    networks=networks,
    ema={'generator': average},
    extra=extra,
  )


def train_step(method: GAN, state: TrainState, batch, key):
  """One round.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'image' [K * B, ...] in [-1, 1], B images for each of the K updates
      of the discriminator, and 'label' [K * B] if the networks take labels.
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics; those of the
    discriminator are means over its updates.
  """
  key = jax.random.fold_in(key, state.step)
  generator_key, *keys = jax.random.split(key, method.discriminator_steps + 1)
  parts = jax.tree.map(lambda x: jnp.split(x, draws(method)), batch)
  found = []
  for place, part_key in enumerate(keys):
    place = min(place, draws(method) - 1)
    part = {name: split[place] for name, split in parts.items()}
    z = _latents(method, part_key, len(part['image']))
    state, metrics = discriminator_step(method, state, part, z, part_key)
    found.append(metrics)
  metrics = jax.tree.map(lambda *values: sum(values) / len(values), *found)
  if not method.latent_reuse:
    z = _latents(method, generator_key, len(part['image']))
  state, generator_metrics = generator_step(
    method, state, part, z, generator_key
  )
  return state.replace(step=state.step + 1), metrics | generator_metrics


def _latents(method: GAN, key, count):
  key = jax.random.fold_in(key, 0)
  draw = noise.LATENTS[method.latent]
  return draw(key, count, (method.latent_size,), method.axis_name)


def _generate(method: GAN, params, stats, z, label, key, train=True):
  """Images [B, ...] and the generator's mutable collections."""
  return state_lib.apply(
    method.generator,
    params,
    stats,
    *_inputs(method, z, label),
    train=train,
    key=key,
  )


def _seen(method: GAN, state: TrainState, local: int):
  """Images that the run has seen before this round."""
  return state.step * state_lib.global_size(local, method.axis_name)


def _show(method: GAN, state: TrainState, x, key):
  """Images [B, ...] as the discriminator sees them: [B / pack, ...]."""
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


def _judge(method: GAN, params, stats, x, label, key):
  """What the discriminator says of shown images.

  Returns:
    'logits' [B], 'features' [B, D] and 'classes' [B, num_classes] where the
    network has them; and its mutable collections.
  """
  logits, sown, stats = state_lib.apply_and_look(
    method.discriminator,
    params,
    stats,
    *_inputs(method, x, label),
    key=key,
  )
  return {'logits': logits, **sown}, stats


def _classification(outputs, label):
  """Cross-entropy [B] of the predicted classes."""
  return optax.softmax_cross_entropy_with_integer_labels(
    outputs['classes'], label
  )


def _gathered(method: GAN, *values):
  """Values [B] of the whole batch where a loss looks across it."""
  if method.axis_name is None or not method.loss.across_batch:
    return values
  # The transpose sums over devices, and the mean of gradients divides again.
  return jax.lax.all_gather(values, method.axis_name, tiled=True)


def discriminator_step(method: GAN, state: TrainState, batch, z, key):
  """Updates the discriminator alone.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [B, ...], and 'label' [B] if the networks take labels.
    z: latents [B, Z] of the fakes, which have the labels of the reals.
    key: for this update.
  """
  names = ('dropout', 'replay', 'real', 'fake')
  keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
  generator = state.networks['generator']
  fake, _ = _generate(
    method,
    generator.params,
    generator.stats,
    z,
    batch.get('label'),
    keys['dropout'],
    train=method.fakes == 'batch',
  )
  if method.replay_size:
    fake, pool = replay.mix(
      state.extra['replay'],
      fake,
      keys['replay'],
      method.replay_share,
      method.axis_name,
    )
    state = state.replace(extra=state.extra | {'replay': pool})
  shown = {
    'real': _show(method, state, batch['image'], keys['real']),
    'fake': _show(method, state, fake, keys['fake']),
  }
  if method.discriminator_batches != 'apart':
    return _discriminator_update(method, state, batch, shown, tuple(shown), key)
  metrics = {}
  for kind in shown:
    state, found = _discriminator_update(
      method, state, batch, shown, (kind,), key
    )
    found['discriminator/loss'] += metrics.get('discriminator/loss', 0.0)
    metrics |= found
  return state, metrics


def _discriminator_update(method, state, batch, shown, kinds, key):
  """One optimizer update on reals, on fakes, or on both ('kinds')."""
  names = ('labels', 'penalty', 'labelled', 'real', 'fake')
  keys = jax.random.split(jax.random.fold_in(key, 1), len(names))
  keys = dict(zip(names, keys, strict=True))
  network, label = state.networks['discriminator'], batch.get('label')
  pair = method.loss
  if method.label_noise or method.label_flip:
    shares = losses.label_shares(
      keys['labels'],
      len(shown['real']),
      method.label_noise,
      method.label_flip,
      method.axis_name,
    )
    pair = losses.soften(pair, *shares)

  def judge_all(params):
    if method.discriminator_batches == 'joint':
      both = jnp.concatenate([shown[kind] for kind in kinds])
      labels = None if label is None else jnp.tile(label, len(kinds))
      outputs, stats = _judge(
        method, params, network.stats, both, labels, keys['real']
      )
      parts = jax.tree.map(lambda x: jnp.split(x, len(kinds)), outputs)
      split = {
        kind: {name: part[place] for name, part in parts.items()}
        for place, kind in enumerate(kinds)
      }
      return split, stats
    found, stats = {}, network.stats
    for kind in kinds:
      found[kind], stats = _judge(
        method, params, stats, shown[kind], label, keys[kind]
      )
    return found, stats

  def loss_fn(params):
    outputs, stats = judge_all(params)
    logits = {kind: outputs[kind]['logits'] for kind in kinds}
    if len(kinds) == 2:
      each = pair.discriminator(*_gathered(method, *logits.values()))
    else:
      each = getattr(pair, f'as_{kinds[0]}')(*logits.values())
    total = jnp.mean(each)
    metrics = {
      kind: jnp.mean(method.loss.output(logits[kind])) for kind in kinds
    }
    metrics['loss'] = total
    if method.auxiliary:
      for kind in kinds:
        value = jnp.mean(_classification(outputs[kind], label))
        metrics[f'{kind}_class_loss'] = value
        total += method.auxiliary * value

    if method.labelled:
      on_labelled, _ = _judge(
        method,
        params,
        network.stats,
        batch['labelled_image'],
        label,
        keys['labelled'],
      )
      values = _classification(on_labelled, batch['labelled_label'])
      metrics['labelled_loss'] = jnp.mean(values)
      total += method.labelled * metrics['labelled_loss']

    def critic(x):
      found = _judge(method, params, network.stats, x, label, keys['real'])
      return found[0]['logits']

    if 'real' in kinds:  # Penalties once, where updates are apart.
      for penalty, weight in method.penalties:
        values = penalty(
          critic,
          shown['real'],
          shown['fake'],
          keys['penalty'],
          method.axis_name,
        )
        metrics[penalty.__name__] = jnp.mean(values)
        total += weight * metrics[penalty.__name__]
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(network.params)
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  return state_lib.move(
    state,
    'discriminator',
    method.discriminator_optimizer,
    grads,
    stats,
    metrics,
  )


def generator_step(method: GAN, state: TrainState, batch, z, key):
  """Updates the generator alone, and its average; see `discriminator_step`."""
  names = ('dropout', 'real_show', 'fake_show', 'real', 'fake')
  keys = jax.random.split(jax.random.fold_in(key, 1), len(names))
  keys = dict(zip(names, keys, strict=True))
  real, label = batch['image'], batch.get('label')
  generator = state.networks['generator']
  discriminator = state.networks['discriminator']

  def judge(x, kind):
    shown = _show(method, state, x, keys[f'{kind}_show'])
    network = discriminator
    return _judge(
      method, network.params, network.stats, shown, label, keys[kind]
    )[0]

  def loss_fn(params):
    fake, stats = _generate(
      method, params, generator.stats, z, label, keys['dropout']
    )
    # Compiled, what a loss does not look at is not computed.
    on_real, on_fake = judge(real, 'real'), judge(fake, 'fake')
    logits = on_fake['logits']
    each = method.loss.generator(*_gathered(method, on_real['logits'], logits))
    if method.top_k < 1.0:
      share = method.top_k
      if method.top_k_images:
        seen = _seen(method, state, len(real))
        share += augment.fading(1.0 - share, method.top_k_images, seen)
      each *= losses.top_share(logits, share, method.axis_name)
    metrics = {'loss': jnp.mean(each)}
    total = method.adversarial * metrics['loss']
    if method.feature_matching:
      # Salimans et al. 2016 (https://arxiv.org/abs/1606.03498), section 3.1.
      means = [jnp.mean(x['features'], axis=0) for x in (on_real, on_fake)]
      real_mean, fake_mean = state_lib.mean(means, method.axis_name)
      metrics['feature_matching'] = jnp.mean((real_mean - fake_mean) ** 2)
      total += method.feature_matching * metrics['feature_matching']
    if method.auxiliary:
      metrics['class_loss'] = jnp.mean(_classification(on_fake, label))
      total += method.auxiliary * metrics['class_loss']
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(generator.params)
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  state, metrics = state_lib.move(
    state, 'generator', method.generator_optimizer, grads, stats, metrics
  )
  average = state_lib.average(
    state.ema['generator'],
    state.networks['generator'].params,
    state.step,
    state_lib.global_size(len(real), method.axis_name),
    method.ema_halflife,
    method.ema_rampup,
  )
  return state.replace(ema={'generator': average}), metrics


def latent_space(method: GAN) -> tuple[str, int]:
  """What latents are drawn from, a key of `noise.LATENTS`, and their size."""
  return method.latent, method.latent_size


def latents(method: GAN, key, num: int):
  """Latents [num, Z]; row i depends on the key and on i alone."""
  return noise.LATENTS[method.latent](key, num, (method.latent_size,))


def settle(method: GAN, state: TrainState) -> TrainState:
  """A state for `decode`: averaged weights with statistics of their own."""
  count = STANDING_BATCHES * STANDING_BATCH_SIZE
  labels = jnp.arange(count) % max(method.num_classes, 1)
  # The same statistics for every sample of a state, hence a key of their own.
  batches = jax.tree.map(
    lambda x: x.reshape(STANDING_BATCHES, STANDING_BATCH_SIZE, *x.shape[1:]),
    _inputs(method, latents(method, jax.random.key(0), count), labels),
  )
  network = state.networks['generator']
  params = state.ema['generator']
  stats = state_lib.standing_stats(
    method.generator, params, network.stats, batches
  )
  network = network.replace(params=params, stats=stats)
  return state.replace(networks=state.networks | {'generator': network})


def decode(method: GAN, state: TrainState, z, label=None):
  """Images [N, ...] in [-1, 1] of latents [N, Z].

  Args:
    method: the parts that never change.
    state: what `settle` made of a state.
    z: latents.
    label: classes [N] for conditional networks; by default all in turn.
  """
  if label is None:
    label = jnp.arange(len(z)) % max(method.num_classes, 1)
  network = state.networks['generator']
  key = jax.random.key(0)  # Of dropout, where it stays on.
  return _generate(
    method, network.params, network.stats, z, label, key, train=False
  )[0]


def sample(method: GAN, state: TrainState, key, num: int, label=None):
  """Images [num, ...] in [-1, 1]; image i depends on `key` and on i alone."""
  z = latents(method, key, num)
  return decode(method, settle(method, state), z, label)


def evaluate(method: GAN, state: TrainState, batch):
  """What the discriminator says of real images that it never saw.

  With a classifier among its outputs, also the share that it classifies wrong.
  Where this falls below its output on training images, it has learnt those by
  heart, and the generator learns nothing more from it.

  Args:
    method: the parts that never change.
    state: a state.
    batch: 'image' [N, ...] in [-1, 1], and 'label' [N] if there are classes.
  """
  network = state.networks['discriminator']
  whole = len(batch['image']) // method.pack * method.pack
  image = augment.pack(batch['image'][:whole], method.pack)
  logits, sown = state_lib.apply_and_look(
    method.discriminator,
    network.params,
    network.stats,
    *_inputs(method, image, batch.get('label')),
    train=False,
  )[:2]
  scores = {'discriminator/held_out': jnp.mean(method.loss.output(logits))}
  if 'classes' in sown:
    wrong = jnp.argmax(sown['classes'], axis=-1) != batch['label']
    scores['discriminator/held_out_error'] = jnp.mean(wrong)
  return scores


def preview(method: GAN, state: TrainState, batch, key):
  """A grid of samples, from the same latents whenever the key is the same."""
  del batch
  return {'samples': sample(method, state, key, PREVIEW_SIZE)}
