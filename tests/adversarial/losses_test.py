"""Losses against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.adversarial import losses, soft_labels

REAL, FAKE = jnp.array([2.0, -1.0]), jnp.array([0.5, 1.5])


def log1p_exp(x):
  return np.log1p(np.exp(x))


SUM = np.log(np.exp([2.0, -1.0, 0.5, 1.5]).sum())
# Losses per example at the logits above: (discriminator, generator).
GOLDEN = {
  'non_saturating': (
    [log1p_exp(-2) + log1p_exp(0.5), log1p_exp(1) + log1p_exp(1.5)],
    [log1p_exp(-0.5), log1p_exp(-1.5)],
  ),
  'minimax': (
    [log1p_exp(-2) + log1p_exp(0.5), log1p_exp(1) + log1p_exp(1.5)],
    [-log1p_exp(0.5), -log1p_exp(1.5)],
  ),
  'least_squares': (
    [0.5 * 1 + 0.5 * 0.25, 0.5 * 4 + 0.5 * 2.25],
    [0.5 * 0.25, 0.5 * 0.25],
  ),
  'wasserstein': ([-1.5, 2.5], [-0.5, -1.5]),
  'hinge': ([0 + 1.5, 2 + 2.5], [-0.5, -1.5]),
  # Means: real 0.5, fake 1.0.
  'relativistic_average': (
    [
      log1p_exp(1.0 - 2.0) + log1p_exp(0.5 - 0.5),
      log1p_exp(1.0 + 1.0) + log1p_exp(1.5 - 0.5),
    ],
    [
      log1p_exp(0.5 - 0.5) + log1p_exp(2.0 - 1.0),
      log1p_exp(0.5 - 1.5) + log1p_exp(-1.0 - 1.0),
    ],
  ),
  'relativistic_pairing': (
    [log1p_exp(-1.5), log1p_exp(2.5)],
    [log1p_exp(1.5), log1p_exp(-2.5)],
  ),
  # Table 6 of f-GAN: activations g and conjugates f*(t), t = g(v).
  'kl': (
    [-2 + np.exp(0.5 - 1), 1 + np.exp(1.5 - 1)],
    [-0.5, -1.5],
  ),
  'reverse_kl': (  # t = -exp(-v), f*(t) = -1 - log(-t)
    [
      np.exp(-2.0) - 1 - np.log(np.exp(-0.5)),
      np.exp(1.0) - 1 - np.log(np.exp(-1.5)),
    ],
    [np.exp(-0.5), np.exp(-1.5)],
  ),
  'pearson': ([-2 + 0.0625 + 0.5, 1 + 0.5625 + 1.5], [-0.5, -1.5]),
  'squared_hellinger': (  # t = 1 - exp(-v), f*(t) = t / (1 - t)
    [
      -(1 - np.exp(-2.0)) + (1 - np.exp(-0.5)) / np.exp(-0.5),
      -(1 - np.exp(1.0)) + (1 - np.exp(-1.5)) / np.exp(-1.5),
    ],
    [np.exp(-0.5) - 1, np.exp(-1.5) - 1],
  ),
  'jensen_shannon': (  # t = log 2 - log(1 + exp(-v)), f*(t) = -log(2 - exp t)
    [
      -np.log(2 / (1 + np.exp(-2.0))) - np.log(2 - 2 / (1 + np.exp(-0.5))),
      -np.log(2 / (1 + np.exp(1.0))) - np.log(2 - 2 / (1 + np.exp(-1.5))),
    ],
    [-np.log(2 / (1 + np.exp(-0.5))), -np.log(2 / (1 + np.exp(-1.5)))],
  ),
  # (log D - log(1 - D))^2 / 2
  'boundary_seeking': (
    [log1p_exp(-2) + log1p_exp(0.5), log1p_exp(1) + log1p_exp(1.5)],
    [0.125, 1.125],
  ),
  'softmax': (
    [SUM - 2, SUM + 1],
    [SUM - 0.5 * (2 + 0.5), SUM - 0.5 * (-1 + 1.5)],
  ),
}


def test_every_loss_has_golden_values():
  assert GOLDEN.keys() == losses.PAIRS.keys()


@pytest.mark.parametrize('name', losses.PAIRS)
def test_golden_values(name):
  pair = losses.PAIRS[name]
  discriminator, generator = GOLDEN[name]
  np.testing.assert_allclose(
    pair.discriminator(REAL, FAKE), discriminator, rtol=1e-6
  )
  np.testing.assert_allclose(pair.generator(REAL, FAKE), generator, rtol=1e-6)


@pytest.mark.parametrize('name', losses.PAIRS)
def test_losses_are_per_example_and_finite_far_out(name):
  pair = losses.PAIRS[name]
  far = jnp.array([-1e4, 1e4, 0.0])
  for player in (pair.discriminator, pair.generator):
    assert player(far, -far).shape == (3,)
    assert jnp.isfinite(player(far, -far)).all()
    slope = jax.grad(lambda x, loss=player: loss(x, -x).sum())(far)
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize('name', losses.PAIRS)
def test_each_player_gains_where_it_should(name):
  """D from telling reals and fakes apart, G from fakes that look real."""
  pair = losses.PAIRS[name]
  up, down = jnp.full(4, 0.5), jnp.full(4, -0.5)
  assert (
    pair.discriminator(up, down).mean() < pair.discriminator(down, up).mean()
  )
  worse = 2.0 * down if name == 'boundary_seeking' else down  # 1/2 is best
  assert pair.generator(up, up).mean() < pair.generator(up, worse).mean()


@pytest.mark.parametrize(
  'name', ['kl', 'reverse_kl', 'pearson', 'squared_hellinger', 'jensen_shannon']
)
def test_divergence_of_equal_distributions_is_zero(name):
  found = losses.equilibrium(losses.PAIRS[name])
  assert found['discriminator'] == pytest.approx(0.0, abs=1e-5)


def test_exponentials_become_tangents():
  value = losses._exp(jnp.array([9.0, 10.0, 12.0]))
  e = np.exp(10.0)
  np.testing.assert_allclose(value, [np.exp(9.0), e, 3.0 * e], rtol=1e-6)
  assert jax.grad(losses._exp)(1e4) == pytest.approx(e, rel=1e-6)


def test_undecided_discriminator_loses_log_four():
  found = losses.equilibrium(losses.PAIRS['non_saturating'])
  assert found['discriminator'] == pytest.approx(np.log(4.0), abs=1e-6)
  assert found['generator'] == pytest.approx(np.log(2.0), abs=1e-6)
  assert found['output'] == pytest.approx(0.5, abs=1e-6)


def test_equilibrium_with_one_sided_smoothing():
  """Targets 0.9 and 0: D = 0.45, worked out by hand."""
  pair = soft_labels.smooth(losses.PAIRS['non_saturating'], real=0.1)
  found = losses.equilibrium(pair)
  assert found['output'] == pytest.approx(0.45, abs=1e-3)
  assert found['generator'] == pytest.approx(-np.log(0.45), abs=1e-3)
  entropy = -0.9 * np.log(0.45) - 0.1 * np.log(0.55) - np.log(0.55)
  assert found['discriminator'] == pytest.approx(entropy, abs=1e-5)


def test_equilibrium_leaves_out_what_is_open():
  found = losses.equilibrium(losses.PAIRS['wasserstein'])
  assert found.keys() == {'discriminator'}
  assert found['discriminator'] == pytest.approx(0.0, abs=1e-6)


def test_smoothing_is_cross_entropy_with_soft_targets():
  pair = soft_labels.smooth(losses.PAIRS['non_saturating'], real=0.1, fake=0.2)
  p_real, p_fake = jax.nn.sigmoid(REAL), jax.nn.sigmoid(FAKE)
  expected = -(0.9 * jnp.log(p_real) + 0.1 * jnp.log(1 - p_real))
  expected -= 0.2 * jnp.log(p_fake) + 0.8 * jnp.log(1 - p_fake)
  np.testing.assert_allclose(
    pair.discriminator(REAL, FAKE), expected, rtol=1e-5
  )
  np.testing.assert_allclose(
    pair.generator(REAL, FAKE),
    losses.PAIRS['non_saturating'].generator(REAL, FAKE),
  )


def test_smoothed_least_squares_has_the_gradient_of_soft_targets():
  pair = soft_labels.smooth(losses.PAIRS['least_squares'], real=0.1)
  slope = jax.grad(lambda x: pair.discriminator(x, FAKE).sum())(REAL)
  np.testing.assert_allclose(slope, REAL - 0.9, rtol=1e-6)


@pytest.mark.parametrize('share', [-0.1, 0.5])
def test_smoothing_refuses_shares_out_of_range(share):
  with pytest.raises(ValueError, match='shares'):
    soft_labels.smooth(losses.PAIRS['hinge'], real=share)


def test_smoothing_refuses_losses_without_labels():
  with pytest.raises(ValueError, match='relativistic'):
    soft_labels.smooth(losses.PAIRS['relativistic_pairing'], real=0.1)
