"""InfoGAN: losses of codes, the head Q, scores, refused settings."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors, infogan
from jaxgan.adversarial.terms import Scene
from jaxgan.config import fields, presets
from jaxgan.core import latents as latents_lib
from jaxgan.core.latents import Latents
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec

infogan = compiled.Compiled(infogan)

CODES = Latents(latents_lib.parse('categorical 3 + uniform 2'))


def config(**changed):
  config = presets.game()
  config.update(presets.dcgan())
  config.update(fields.build(infogan.FIELDS))
  config.method = 'infogan'
  config.batch_size = 8
  config.codes, config.latent_size = 'categorical 3 + uniform 2', 4
  config.generator.widths = config.discriminator.widths = (4, 4)
  config.discriminator.conditioning = 'auxiliary'
  config.update_from_flattened_dict(changed)
  return config


def scene(predicted, z):
  empty = dict.fromkeys(Scene._fields)
  on_fake = Output(None, {'classes': predicted})
  return Scene(**(empty | {'on_fake': on_fake, 'z': z}))


def test_loss_of_a_category_is_its_cross_entropy():
  z = jnp.array([[0.0, 1.0, 0.0, 0.3, -0.2, 9.0]])
  logits = jnp.log(jnp.array([[0.2, 0.5, 0.3]]))
  predicted = jnp.concatenate([logits, jnp.zeros((1, 2))], axis=1)
  loss = infogan.CodeLoss(CODES, 'categorical')(scene(predicted, z))
  np.testing.assert_allclose(loss, -np.log(0.5), rtol=1e-6)


def test_loss_of_uniform_codes_is_half_the_squared_error():
  z = jnp.array([[0.0, 1.0, 0.0, 0.3, -0.2, 9.0]])
  predicted = jnp.array([[5.0, 5.0, 5.0, 0.0, 0.2]])
  loss = infogan.CodeLoss(CODES, 'uniform')(scene(predicted, z))
  np.testing.assert_allclose(loss, 0.5 * (0.3**2 + 0.4**2), rtol=1e-5)


def test_round_learns_the_codes(key):
  method = infogan.from_config(config(), Spec((8, 8, 1)))
  assert str(method.latents) == 'categorical 3 + uniform 2 + normal 4'
  state = infogan.init(method, key)
  batch = {'image': jax.random.uniform(key, (8, 8, 8, 1), minval=-1.0)}
  step = infogan.train_step
  for _ in range(60):
    state, metrics = step(method, state, batch, key)
  assert float(metrics['generator/categorical_loss']) < np.log(3)
  assert float(metrics['discriminator/uniform_loss']) >= 0.0
  codes = infogan.predict_codes(method, state, batch['image'])
  assert codes['categorical'].shape == (8, 3)
  assert codes['uniform'].shape == (8, 2)


def test_code_error_counts_classes_that_are_not_the_category(monkeypatch, key):
  """Two of the first category have class 7, one has 9; the others are right."""
  method = infogan.from_config(config(), Spec((8, 8, 1)))
  state = infogan.init(method, key)
  category = jnp.array([0, 0, 0, 1, 2, 2])
  monkeypatch.setattr(
    infogan.module,
    'predict_codes',
    lambda *_: {'categorical': jax.nn.one_hot(category, 3)},
  )
  batch = {
    'image': jnp.zeros((6, 8, 8, 1)),
    'label': jnp.array([7, 7, 9, 9, 3, 3]),
  }
  scores = infogan.evaluate(method, state, batch)
  np.testing.assert_allclose(
    scores['discriminator/code_error'], 1 / 6, rtol=1e-5
  )


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('codes', '', "codes='' is empty"),
    ('information', -1.0, 'information'),
    ('replay_size', 8, 'Set replay_size=0'),
    ('pack', 2, 'pack=1'),
    ('discriminator.conditioning', 'concat', "'auxiliary'"),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    infogan.from_config(config(**{field: value}), Spec((8, 8, 1)))
