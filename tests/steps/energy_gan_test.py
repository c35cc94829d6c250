"""EBGAN, MAGAN and BEGAN: values of the papers' formulas, states, errors."""

import types

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import thresholds
from runs import ROOT, module

from jaxgan import energy_gan, errors
from jaxgan.adversarial import energies
from jaxgan.adversarial.terms import Scene
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec
from jaxgan.models import energy

energy_gan = compiled.Compiled(energy_gan)
KINDS = ('ebgan', 'magan', 'began')


def config(kind='ebgan', **changed):
  config = module(ROOT / 'configs' / f'{kind}_mnist.py').get_config()
  config.batch_size = 8
  config.latent_size = 4
  config.generator.widths = config.discriminator.widths = (4, 4)
  config.discriminator.code_size = 6
  config.update_from_flattened_dict(changed)
  return config


def scene(real, fake, code=None, **extra):
  """A scene of mean energies of reals and fakes."""
  empty = dict.fromkeys(Scene._fields)
  outputs = {
    'on_real': Output(-jnp.array(real)),
    'on_fake': Output(-jnp.array(fake), {'features': code}),
  }
  state = types.SimpleNamespace(extra=extra)
  return Scene(**(empty | outputs | {'state': state}))


@pytest.mark.parametrize(
  ('distance', 'wanted'), [('l1', 0.75), ('l2', 0.75**2)]
)
def test_energy_is_the_mean_error_of_pixels(distance, wanted, key):
  network = energy.Discriminator((8, 8, 1), (2,), 3, distance)
  image = jnp.full((2, 8, 8, 1), 0.75)
  params = network.init(key, image, train=True)
  # With all weights zero, reconstructions are zero.
  params = jax.tree.map(jnp.zeros_like, {'params': params['params']})
  logits = network.apply(params, image, train=True)
  np.testing.assert_allclose(logits, [-wanted, -wanted], rtol=1e-6)


def test_hinge_is_equation_1_of_ebgan():
  """[m - E]+ of energies 0.2 and 3 with a margin of 1 is 0.8 and 0."""
  value = energies.Hinge(1.0)(scene([0.1], [0.2, 3.0]))
  np.testing.assert_allclose(value, 0.4, rtol=1e-6)
  loss = energy_gan.REALS.discriminator(jnp.array([-0.1]), jnp.array([-0.2]))
  np.testing.assert_allclose(loss, [0.1], rtol=1e-6)
  loss = energy_gan.REALS.generator(jnp.array([-0.1]), jnp.array([-0.2]))
  np.testing.assert_allclose(loss, [0.2], rtol=1e-6)


def test_pulling_away_is_equation_4_of_ebgan():
  code = jnp.array([[1.0, 0.0], [3.0, 3.0], [0.0, -2.0]])
  # Squared cosines of the pairs: 1/2, 0 and 1/2.
  value = energies.pulling_away(scene([0.0], [0.0], code))
  np.testing.assert_allclose(value, 2 * (0.5 + 0.0 + 0.5) / (3 * 2), rtol=1e-6)


def test_balance_is_the_rule_of_began():
  seen = scene([0.3, 0.5], [0.1], k=jnp.array(0.2))
  k, new = energies.Balance(0.5, 0.01)(seen, jnp.array(0.2))
  assert float(k) == pytest.approx(0.2)
  assert float(new) == pytest.approx(0.2 + 0.01 * (0.5 * 0.4 - 0.1))
  assert float(energies.share_of_fakes(seen)) == pytest.approx(-0.2 * 0.1)
  _, least = energies.Balance(0.5, 1.0)(scene([0.0], [9.0]), jnp.array(0.2))
  _, most = energies.Balance(0.5, 1.0)(scene([9.0], [0.0]), jnp.array(0.2))
  assert (float(least), float(most)) == (0.0, 1.0)


def test_convergence_is_the_measure_of_began():
  value = energies.Convergence(0.5)(scene([0.4], [0.1]))
  assert float(value) == pytest.approx(0.4 + abs(0.5 * 0.4 - 0.1))


def test_margin_falls_as_algorithm_1_of_magan():
  """Two rounds are an epoch; the first epoch has none before it."""
  rule = energies.Margin(2, 1.0)
  numbers, margins = rule.start(), []
  epochs = [
    (0.5, 0.6),  # No epoch before.
    (0.5, 0.7),  # Fakes have a higher energy than before: 0.5.
    (0.4, 0.6),  # Their energy fell.
    (0.4, 0.3),  # They have a lower energy than reals.
    (0.6, 0.9),  # Reals have an energy above the margin.
    (0.3, 1.0),  # 0.3.
  ]
  for real, fake in epochs:
    for shift in (-0.1, 0.1):
      margin, numbers = rule(scene([real + shift], [fake + shift]), numbers)
    margins.append(round(float(numbers['margin']), 5))
  assert margins == [1.0, 0.5, 0.5, 0.5, 0.5, 0.3]
  assert float(margin) == pytest.approx(0.5)  # of the last update


@pytest.mark.parametrize('kind', KINDS)
def test_rounds_train_and_show_reconstructions(kind, key):
  method = energy_gan.from_config(config(kind), Spec((8, 8, 1)))
  state = energy_gan.init(method, key)
  batch = {'image': jax.random.uniform(key, (8, 8, 8, 1), minval=-1.0)}
  for _ in range(2):
    state, metrics = energy_gan.train_step(method, state, batch, key)
  assert all(np.isfinite(value) for value in metrics.values())
  names = {
    'ebgan': ('discriminator/hinge', 'generator/pulling_away'),
    'magan': ('discriminator/hinge', 'discriminator/margin'),
    'began': ('discriminator/convergence', 'discriminator/k'),
  }
  assert set(names[kind]) <= metrics.keys()
  assert float(metrics['discriminator/loss']) == pytest.approx(
    -float(metrics['discriminator/real']), rel=1e-5
  )


def test_preview_has_reconstructions(key):
  method = energy_gan.from_config(config(), Spec((8, 8, 1)))
  batch = {'image': jnp.zeros((3, 8, 8, 1))}
  state = jax.eval_shape(lambda: energy_gan.init(method, key))
  shown = jax.eval_shape(
    lambda state: energy_gan.preview(method, state, batch, key), state
  )
  assert shown['samples'].shape == (100, 8, 8, 1)
  assert shown['reconstructions'].shape == (4, 3, 8, 8, 1)


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('loss', 'hinge', "loss='wasserstein'"),
    ('energy', 'gan', 'ebgan'),
    ('margin', 0.0, 'margin=0'),
    ('pack', 2, 'pack=1'),
    ('gamma', 0.7, 'gamma=0.7 has no effect'),
    ('margin_every', 5, 'margin_every=5 has no effect'),
    ('label_smoothing.real', 0.1, r'label_smoothing\.real=0'),
    ('discriminator_batches', 'apart', 'separate'),
    ('discriminator.name', 'dcgan.Discriminator', 'energy'),
  ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
  with pytest.raises(errors.UserError, match=message):
    energy_gan.from_config(config(**{field: value}), Spec((8, 8, 1)))


# The number of the configs' docstrings, after few rounds on embedded digits.
THRESHOLD = 0.5  # of the Frechet distance of random features


@pytest.mark.slow
@pytest.mark.parametrize(
  ('kind', 'rounds'), [('ebgan', 300), ('magan', 300), ('began', 600)]
)
@pytest.mark.trains_long
def test_samples_come_near_the_digits(kind, rounds):
  found = thresholds.of_samples(
    f'{kind}_mnist', rounds, **{'data.source': 'embedded'}
  )
  assert found < THRESHOLD


@pytest.mark.slow
def test_samples_of_a_generator_that_does_not_learn_are_far():
  found = thresholds.of_samples(
    'ebgan_mnist',
    10,
    **{'data.source': 'embedded', 'generator.optimizer.learning_rate': 1e-6},
  )
  assert found > 4 * THRESHOLD
