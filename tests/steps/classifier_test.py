"""The classifier learns, says what it saw, and is the same on any devices."""

import functools

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import classifier, errors
from jaxgan import config as config_lib
from jaxgan.config import presets
from jaxgan.data.dataset import Spec
from jaxgan.models import classifier as networks

classifier = compiled.Compiled(classifier)

SHAPE = (8, 6, 1)


def images(count, key):
  """Bright in the upper half, or in the lower half, by class."""
  label = jnp.arange(count) % 2
  upper = jnp.arange(8)[None, :, None, None] < 4
  bright = jnp.where(upper, 1.0 - 2.0 * label[:, None, None, None], 0.0)
  noise = 0.1 * jax.random.normal(key, (count, *SHAPE))
  return {'image': jnp.clip(bright + noise, -1, 1), 'label': label}


def make(**fields):
  network = networks.ConvNet((4,), 3, 8, num_classes=2)
  return classifier.Classifier(network, SHAPE, 2, **fields)


@functools.cache
def trained():
  method = make(
    network_optimizer=optax.adam(1e-2),
    ema_halflife=100.0,
    label_smoothing=0.1,
  )
  step = classifier.train_step
  state = classifier.init(method, jax.random.key(0))
  for turn in range(60):
    batch = images(16, jax.random.key(turn))
    state, metrics = step(method, state, batch, jax.random.key(1))
  return method, state, metrics


def test_it_learns_two_classes():
  method, state, metrics = trained()
  batch = images(64, jax.random.key(1000))
  scores = classifier.evaluate(method, state, batch)
  assert scores['network/held_out_error'] == 0.0
  assert metrics['network/error'] == 0.0
  # Labels of 0.95 and 0.05: no loss is below their entropy.
  assert 0.198 < metrics['network/loss'] < 0.4


def test_predictions_do_not_depend_on_the_batch():
  method, state, _ = trained()
  batch = images(6, jax.random.key(3))
  whole = classifier.predict(method, state, batch['image'])
  one = classifier.predict(method, state, batch['image'][2:3])
  assert whole['features'].shape == (6, 8)
  assert whole['logits'].shape == (6, 2)
  np.testing.assert_allclose(whole['logits'][2:3], one['logits'], rtol=1e-5)


def test_the_worst_come_first():
  method, state, _ = trained()
  batch = images(20, jax.random.key(4))
  batch['label'] = batch['label'].at[7].set(1 - batch['label'][7])
  found = classifier.preview(method, state, batch, None)['worst']
  np.testing.assert_array_equal(found[0], batch['image'][7])


def test_it_makes_no_images_and_needs_labels():
  method, state, _ = trained()
  with pytest.raises(errors.UserError, match='makes no images'):
    classifier.sample(method, state, None, 4)
  config = config_lib.defaults()
  config.label_smoothing = 0.0
  config.network = dict(
    name='classifier.ConvNet', optimizer=presets.optimizer()
  )
  with pytest.raises(errors.UserError, match='needs labels'):
    classifier.from_config(config, Spec((8, 8, 1)))
