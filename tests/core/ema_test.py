"""Power averages: weights of rounds, widths, and several in one run."""

import functools

import games
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import small

from jaxgan import errors, gan
from jaxgan.config import game as game_config
from jaxgan.core import ema
from jaxgan.data import Spec
from jaxgan.models import mlp


@pytest.mark.parametrize('width', [0.01, 0.05, 0.1, 0.28])
def test_power_has_the_width(width):
  """The deviation of t under the density (p + 1) t^p in [0, 1]."""
  p = ema.power(width)
  mean, square = (p + 1) / (p + 2), (p + 1) / (p + 3)
  assert np.sqrt(square - mean**2) == pytest.approx(width, rel=1e-6)


def test_power_average_weights_rounds_by_a_power():
  """Karras et al. 2024, equation 127: beta = (1 - 1 / t)^(p + 1)."""
  width, rounds = 0.1, 400
  values = np.random.default_rng(0).normal(size=rounds)
  step = functools.partial(
    ema.average, batch_size=64, halflife=0.0, rampup=0.0, width=width
  )

  def one(average, value_and_step):
    value, number = value_and_step
    return step(average, value, number), None

  found, _ = jax.lax.scan(
    one, jnp.zeros(()), (jnp.asarray(values, jnp.float32), jnp.arange(rounds))
  )
  t, p = np.arange(1, rounds + 1), ema.power(width)
  weights = t ** (p + 1.0) - (t - 1) ** (p + 1.0)
  expected = np.sum(weights * values) / np.sum(weights)
  assert float(found) == pytest.approx(expected, abs=1e-4)


def test_a_run_keeps_averages_of_all_widths(key):
  method = gan.GAN(
    mlp.Generator((4, 4, 1), widths=(8,)),
    mlp.Discriminator(widths=(8,)),
    **games.fields(latent_size=2),
    ema_widths=(0.05, 0.2),
  )
  state = gan.init(method, key)
  step = jax.jit(functools.partial(gan.train_step, method))
  params = []
  for _ in range(3):
    state, _ = step(state, {'image': jnp.zeros((4, 4, 4, 1))}, key)
    params.append(state.networks['generator'].params)
  for index, width in enumerate(method.ema_widths):
    found = ema.use_width(state, 'generator', index).ema['generator']
    average = params[0]
    for number, new in enumerate(params):
      share = (number / (number + 1)) ** (ema.power(width) + 1)
      average = jax.tree.map(
        lambda a, p, share=share: share * a + (1 - share) * p, average, new
      )
    for ours, theirs in zip(
      jax.tree.leaves(found), jax.tree.leaves(average), strict=True
    ):
      np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_widths_exclude_a_half_life():
  config = small(ema_halflife=10.0, ema_widths=(0.05,))
  with pytest.raises(errors.UserError, match=r'ema_halflife=10\.0.*ema_widths'):
    game_config.fields(config, Spec((8, 8, 1), 0, ()))


def test_widths_of_averages_refuse_fields_of_a_half_life():
  config = small(ema_halflife=0.0, ema_counts_round=True, ema_widths=(0.05,))
  with pytest.raises(errors.UserError, match='ema_counts_round=True has no'):
    game_config.fields(config, Spec((8, 8, 1), 0, ()))
