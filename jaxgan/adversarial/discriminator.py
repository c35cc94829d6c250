"""The discriminator's side of a round.

A discriminator takes a tuple of inputs: images, then labels or source images if
it is conditional. It returns logits, one per example [B] or a map [B, h, w],
and may sow 'features' [B, D] and 'classes' [B, K]. The two kinds of images are
called 'real' and 'fake' throughout.
"""

import dataclasses
from collections.abc import Callable

import flax
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import augment, lazy, losses
from jaxgan.adversarial.terms import ABSENT, SQUARE, Scene, discriminator_total
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.core.state import BoundNetwork, TrainState


def separate(discriminator: BoundNetwork, real, fake, keys):
  """Applies a discriminator to reals, then to fakes."""
  on_real = discriminator(*real, key=keys['real'])
  on_fake = discriminator.after(on_real)(*fake, key=keys['fake'])
  return on_real, on_fake


def joint(discriminator: BoundNetwork, real, fake, keys):
  """Applies a discriminator once to reals and fakes, as one batch."""
  both = jax.tree.map(lambda *parts: jnp.concatenate(parts), real, fake)
  output = discriminator(*both, key=keys['real'])
  parts = jax.tree.map(
    lambda x: jnp.split(x, 2), {'value': output.value, 'sown': output.sown}
  )
  return tuple(
    output._replace(
      value=parts['value'][index],
      sown={name: part[index] for name, part in parts['sown'].items()},
    )
    for index in range(2)
  )


def only_real(discriminator: BoundNetwork, real, fake, keys):
  """Applies a discriminator to reals alone."""
  del fake
  return discriminator(*real, key=keys['real']), ABSENT


def only_fake(discriminator: BoundNetwork, real, fake, keys):
  """Applies a discriminator to fakes alone."""
  del real
  return ABSENT, discriminator(*fake, key=keys['fake'])


# Config value -> one function for each gradient step on a batch. Each maps
# (discriminator, real, fake, keys) to (output for reals, output for fakes).
UPDATES = {
  'separate': (separate,),
  'joint': (joint,),
  'apart': (only_real, only_fake),
}


@dataclasses.dataclass(frozen=True)
class Freeze:
  """Keeps the weights of some layers (FreezeD).

  Mo et al. 2020 (https://arxiv.org/abs/2002.10964): a discriminator that starts
  from weights of another run keeps its lowest layers. Their gradients are zero,
  and so are the updates of all optimizers. Running statistics and vectors of
  spectral norm still change.

  Attributes:
    layers: names of modules, which are parts of the paths of parameters.
  """

  layers: tuple[str, ...] = ()

  def __call__(self, network: BoundNetwork) -> BoundNetwork:
    """Returns the network; no gradient reaches weights of frozen layers.

    Raises:
      UserError: for a layer that the network lacks.
    """
    if not self.layers:
      return network
    flat = flax.traverse_util.flatten_dict(network.params)
    names = {name for path in flat for name in path[:-1]}
    for layer in self.layers:
      if layer not in names:
        raise errors.unknown('frozen_layers', layer, names)
    kept = {
      path: jax.lax.stop_gradient(x) if set(path) & set(self.layers) else x
      for path, x in flat.items()
    }
    params = flax.traverse_util.unflatten_dict(kept)
    return dataclasses.replace(network, params=params)


def loss_keys(key) -> dict[str, jax.Array]:
  """Returns the keys of a discriminator's loss, by purpose."""
  names = ('labels', 'penalty', 'further', 'real', 'fake')
  return noise.keys(jax.random.fold_in(key, 1), *names)


def update_keys(key) -> dict[str, jax.Array]:
  """Returns the keys of an update of a discriminator, by purpose."""
  names = ('dropout', 'replay', 'real_show', 'fake_show')
  return noise.keys(key, *names) | loss_keys(key)


def discriminator_loss(
  method, networks, state, batch, name, real, fake, keys, apply, extra
):
  """Returns the loss of a discriminator with its terms, and `Aux`.

  Args:
    method: the parts of the algorithm that never change.
    networks: all networks by name, as functions.
    state: the state before.
    batch: the batch of the round.
    name: name of the discriminator.
    real: tuple of its inputs for reals.
    fake: tuple of its inputs for fakes.
    keys: result of `loss_keys`.
    apply: a function of `UPDATES`.
    extra: parts of the state's 'extra' that changed before.
  """
  on_real, on_fake = apply(networks[name], real, fake, keys)
  soft = method.tricks.soften_labels(method.loss, real[0], keys['labels'])
  loss = jnp.mean(soft.discriminator(on_real.logits, on_fake.logits))
  seen = (networks[name], real, fake, on_real, on_fake, keys)
  scene = Scene(method, state, batch, networks, *seen)
  return discriminator_total(method, name, loss, scene, extra)


def generator_loss(method, state, discriminator, real, fake, keys):
  """Returns a generator's adversarial loss, and the discriminator's outputs.

  Args:
    method: the parts of the algorithm that never change.
    state: the state before.
    discriminator: the discriminator as a function, with frozen weights.
    real: tuple of its inputs for reals.
    fake: tuple of its inputs for fakes.
    keys: PRNG keys 'real' and 'fake'.
  """
  on_real = discriminator(*real, key=keys['real'])
  on_fake = discriminator(*fake, key=keys['fake'])
  values = method.loss.generator(on_real.logits, on_fake.logits)
  values = method.tricks.select_fakes(state, values, on_fake.logits)
  return jnp.mean(values), on_real, on_fake


def update(
  method, state: TrainState, name: str, loss: Callable, *inputs
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Updates a discriminator once for each of `method.tricks.updates`.

  The steps of terms apart follow, see `lazy`.

  Args:
    method: the parts of the algorithm that never change.
    state: the state before.
    name: name of the discriminator.
    loss: (method, networks, state, *inputs, apply) -> (scalar, `Aux`), where
      `apply` is one of the updates.
    *inputs: further inputs of the loss.

  Returns:
    The next state and metrics: 'loss', mean and deviation of D(x) over images
    of each kind, values of terms, and norms. Losses of several updates are
    summed; norms are of the last update.
  """

  def with_frozen(method, networks, *inputs):
    frozen = {name: method.tricks.freeze(networks[name])}
    return loss(method, networks | frozen, *inputs)

  metrics, extra = {}, {}
  for apply in method.tricks.updates:
    # Every update sees the same replayed fakes and states of terms.
    before = state.extra
    state, values = state_lib.gradient_step(
      method, state, (name,), with_frozen, *inputs, apply
    )
    extra |= {k: v for k, v in state.extra.items() if v is not before.get(k)}
    state = state.replace(extra=before)
    for key, value in _with_deviations(values).items():
      is_sum = key in metrics and not key.endswith('_norm')
      metrics[key] = metrics[key] + value if is_sum else value
  state, values = lazy.steps(
    method,
    state.replace(extra=state.extra | extra),
    name,
    method.discriminator_terms,
    with_frozen,
    *inputs,
    separate,
  )
  return state, metrics | values


def _with_deviations(metrics: dict[str, jax.Array]) -> dict[str, jax.Array]:
  """Replaces mean squares by deviations; their means are metrics too."""
  metrics = dict(metrics)
  for name in [name for name in metrics if name.endswith(SQUARE)]:
    mean = name.removesuffix(SQUARE)
    variance = metrics.pop(name) - metrics[mean] ** 2
    metrics[f'{mean}_std'] = jnp.sqrt(jnp.maximum(variance, 0.0))
  return metrics


def held_out(method, state: TrainState, name: str, inputs, label):
  """Scores held-out real images with the discriminator.

  If D(x) is lower on held-out images than on training images, the
  discriminator has overfit.

  Args:
    method: the parts of the algorithm that never change.
    state: a state.
    name: name of the discriminator.
    inputs: tuple of its inputs; the images [N, ...] come first and are packed.
    label: classes [N], for a network that classifies; None for no classes.

  Returns:
    'NAME/held_out', mean D(x), and 'NAME/held_out_error', the classification
    error.
  """
  image, *others = inputs
  pack = method.tricks.pack
  image = jax.tree.map(
    lambda x: augment.pack(x[: len(x) // pack * pack], pack), image
  )
  network = state_lib.bind(method, state)[name]
  output = network(image, *others, train=False)
  scores = {f'{name}/held_out': jnp.mean(method.loss.output(output.logits))}
  if 'classes' in output.sown and label is not None:
    wrong = jnp.argmax(output.sown['classes'], axis=-1) != label
    scores[f'{name}/held_out_error'] = jnp.mean(wrong)
  return scores


def equilibrium_metrics(
  loss: losses.Pair,
  discriminator: str = 'discriminator',
  generator: str = 'generator',
) -> dict[str, float]:
  """Returns the metrics of both networks at the theoretical equilibrium."""
  values = losses.equilibrium(loss)
  names = {
    f'{discriminator}/loss': 'discriminator',
    f'{generator}/loss': 'generator',
    f'{discriminator}/real': 'output',
    f'{discriminator}/fake': 'output',
  }
  return {name: values[k] for name, k in names.items() if k in values}
