"""`import jaxgan`: what it gives, what it costs, and rounds on arrays."""

import subprocess
import sys

import chex
import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import errors, gan, steps
from jaxgan.core import latents as latents_lib
from jaxgan.models import dcgan, mlp


def test_every_name_is_there_and_documented():
  for name in jaxgan.__all__:
    assert getattr(jaxgan, name) is not None
    assert name in jaxgan.__doc__ or name in steps.known()
  assert set(jaxgan.__all__) <= set(dir(jaxgan))


def test_an_unknown_name_lists_the_known_ones():
  with pytest.raises(AttributeError, match='restore'):
    _ = jaxgan.nothing


def test_importing_costs_nothing_and_tensorflow_stays_out():
  code = (
    'import sys, jaxgan; assert "jax" not in sys.modules; '
    '[getattr(jaxgan, name) for name in jaxgan.__all__]; '
    'assert "tensorflow" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


METHOD = gan.GAN(
  mlp.Generator((4, 4, 1), widths=(8,)),
  mlp.Discriminator(widths=(8,)),
  latents=latents_lib.single('normal', 2),
)


def images():
  rng = np.random.default_rng(0)
  return {'image': rng.integers(0, 256, (32, 4, 4, 1), np.uint8)}


def test_rounds_in_two_calls_are_the_rounds_of_one(key):
  advance = jaxgan.trainer(
    gan, METHOD, images(), batch_size=8, rounds_per_call=2
  )

  def final(*parts):
    state = gan.init(METHOD, key)
    for rounds in parts:
      state, history = advance(state, rounds)
      assert history['discriminator/loss'].shape == (rounds,)
    return jax.tree.leaves(state.networks)

  for one, other in zip(final(4), final(2, 2), strict=True):
    np.testing.assert_array_equal(one, other)
  with pytest.raises(errors.UserError, match='rounds_per_call=2'):
    advance(gan.init(METHOD, key), 3)
  with pytest.raises(errors.UserError, match=r'rounds=4\.0'):
    advance(gan.init(METHOD, key), 4.0)


@pytest.mark.parametrize(
  ('changed', 'said'),
  [
    ({'arrays': {}}, 'image'),
    ({'arrays': images() | {'label': np.zeros(3, int)}}, "'label': 3"),
    ({'batch_size': 0}, 'batch_size=0'),
    ({'rounds_per_call': 0}, 'rounds_per_call=0'),
    ({'seed': -1}, 'seed=-1'),
  ],
)
def test_a_trainer_of_nonsense_is_refused(changed, said):
  fields = {'arrays': images(), 'batch_size': 8} | changed
  with pytest.raises(errors.UserError, match=said):
    jaxgan.trainer(gan, METHOD, fields.pop('arrays'), **fields)


@pytest.mark.slow
def test_numbers_of_64_bits_elsewhere_change_nothing(key):
  """For those who need them for what is beside the training."""
  arrays = images() | {'label': np.arange(32) % 3}
  method = gan.GAN(
    dcgan.Generator((4, 4, 1), widths=(4, 4), strides=(2, 2), num_classes=3),
    dcgan.Discriminator(widths=(4,), num_classes=3, conditioning='projection'),
    latents=latents_lib.single('normal', 8),
    num_classes=3,
  )

  def final():
    advance = jaxgan.trainer(gan, method, arrays, batch_size=8)
    init = jax.jit(gan.init, static_argnums=0)
    state, _ = advance(init(method, key), 2)
    return state.networks

  expected = final()
  with jax.enable_x64(True):
    found = final()
  chex.assert_trees_all_equal_dtypes(found, expected)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)
