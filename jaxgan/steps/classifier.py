"""A classifier of images; its features are used by the scores.

The loss is the cross-entropy with softened labels (Szegedy et al. 2015,
https://arxiv.org/abs/1512.00567, section 7). Images are shifted at random. The
trained classifier uses EMA weights and averaged running statistics.

  method = classifier.Classifier(ConvNet(num_classes=10), (28, 28, 1), 10)
  state = classifier.init(method, key)
  state, metrics = jax.jit(classifier.train_step, static_argnums=0)(
      method, state, {'image': images, 'label': labels}, key)
  outputs = classifier.predict(method, state, images)
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import augment
from jaxgan.config import networks as networks_lib
from jaxgan.core import axis, noise, switches
from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec


def loss(method, networks, state, image, label, key):
  """Returns the cross-entropy with softened labels."""
  del state
  target = optax.smooth_labels(
    jax.nn.one_hot(label, method.num_classes), method.label_smoothing
  )
  output = networks['network'](image, key=key)
  value = jnp.mean(optax.softmax_cross_entropy(output.logits, target))
  metrics = {'loss': value, 'error': _error(output.logits, label)}
  return value, Aux({'network': output.stats}, {'network': metrics})


def train_step(method, state, batch, key):
  """Updates the network.

  Args:
    method: a `Classifier`.
    state: the state before the round.
    batch: 'image' [B, ...] in [-1, 1] and 'label' [B].
    key: the key of the run.

  Returns:
    The state after the round and a dict of scalar metrics.
  """
  keys = noise.keys(jax.random.fold_in(key, state.step), 'show', 'dropout')
  image, label = batch['image'], batch['label']
  for index, change in enumerate(method.augment):
    image = change(image, jax.random.fold_in(keys['show'], index))
  state, metrics = state_lib.gradient_step(
    *(method, state, ('network',), loss, image, label, keys['dropout'])
  )
  average = ema_lib.average(
    state.ema['network'],
    _averaged(state.networks['network']),
    state.step,
    len(image) * axis.size(),
    method.ema_halflife,
    method.ema_rampup,
    method.ema_counts_round,
  )
  state = state.replace(step=state.step + 1, ema={'network': average})
  return state, metrics


SHOWN_IMAGES = 1_000  # the preview shows the worst of these
PREVIEW_SIZE = 100


@dataclasses.dataclass(frozen=True)
class Classifier:
  """Network and settings of a classifier.

  Attributes:
    network: maps images [B, *shape] to logits [B, num_classes].
    shape: (height, width, channels) of an image.
    num_classes: number of classes in the data.
    network_optimizer: optimizer of the network.
    augment: rows of `augment.AUGMENTATIONS`.
    label_smoothing: share of each label that is spread over all classes.
    ema_halflife: half-life of the EMA weights, in images; 0 is off.
    ema_rampup: upper limit of the half-life, as a share of the images seen.
    ema_counts_round: see `ema.average`.
  """

  network: nn.Module
  shape: tuple[int, ...]
  num_classes: int
  network_optimizer: optax.GradientTransformation = optax.adam(1e-3)
  augment: tuple[Callable, ...] = ()
  label_smoothing: float = 0.0
  ema_halflife: float = 0.0
  ema_rampup: float = 0.0
  ema_counts_round: bool = False


def modules(method):
  """Returns the network with an example of its inputs."""
  return {'network': (method.network, (jnp.zeros((1, *method.shape)),))}


def _averaged(network: state_lib.Network):
  """Returns the averaged arrays of a network: weights and statistics."""
  return {'params': network.params, 'stats': network.stats}


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  (module, inputs), *_ = modules(method).values()
  network = state_lib.create(module, method.network_optimizer, key, *inputs)
  # A copy, because the state is donated and a buffer can be donated only once.
  average = jax.tree.map(jnp.copy, _averaged(network))
  return TrainState(
    jnp.zeros((), jnp.int32), {'network': network}, {'network': average}, {}
  )


def _error(logits, label):
  """Returns the share of examples whose largest logit is of a wrong class."""
  return jnp.mean(jnp.argmax(logits, axis=-1) != label)


def predict(method, state: TrainState, image):
  """Applies the network with EMA weights to images [N, ...] in [-1, 1].

  Returns:
    'logits' [N, num_classes] and 'features' [N, D].
  """
  average = state.ema['network']
  logits, sown, _ = state_lib.apply_and_look(
    method.network, average['params'], average['stats'], image, train=False
  )
  return {'logits': logits, 'features': sown['features']}


def evaluate(method, state: TrainState, batch):
  """Returns loss and error on held-out images with EMA weights."""
  logits, label = (
    predict(method, state, batch['image'])['logits'],
    batch['label'],
  )
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
  return {
    'network/held_out_loss': jnp.mean(loss),
    'network/held_out_error': _error(logits, label),
  }


def preview(method, state: TrainState, batch, key):
  """Returns the held-out images with the largest losses.

  Returns:
    'worst' [100, ...] or fewer, in descending order of the loss.
  """
  del key
  image, label = batch['image'], batch['label']
  logits = predict(method, state, image)['logits']
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
  return {'worst': image[jnp.argsort(-loss)[:PREVIEW_SIZE]]}


def from_config(config, spec: Spec) -> Classifier:
  """Builds the method; the only reader of the config for this algorithm."""
  if not spec.num_classes:
    raise errors.UserError(
      f"method='classifier' needs labels and data.source="
      f'{config.data.source!r} has none. Use data with labels, for example a '
      'folder with one folder per class.'
    )
  smoothing = config.label_smoothing
  if switches.is_known(smoothing) and not 0.0 <= smoothing < 1.0:
    raise errors.UserError(f'label_smoothing={smoothing} must be in [0, 1).')
  network, optimizer = networks_lib.build_network(
    config,
    'network',
    config.batch_size,
    shape=spec.shape,
    num_classes=spec.num_classes,
  )
  return Classifier(
    network,
    spec.shape,
    spec.num_classes,
    optimizer,
    augment=augment.find(
      config.augment, spec.is_image, config.augment_as_authors
    ),
    label_smoothing=config.label_smoothing,
    **networks_lib.averages(config),
  )
