"""Truncated latents: their distribution, and methods that draw them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgan import errors, gan
from jaxgan.core import latents as latents_lib
from jaxgan.models import mlp, stylegan2
from jaxgan.models.layers import spectral_norm

SHAPE = (4, 4, 1)


@pytest.mark.parametrize('limit', [0.04, 0.5, 1.0, 2.0])
def test_truncated_latents_have_the_truncated_distribution(limit, key):
  z = latents_lib.truncated(jax.random.normal(key, (4_000,)), limit)
  assert float(jnp.abs(z).max()) <= limit
  expected = stats.truncnorm(-limit, limit)
  assert stats.kstest(np.asarray(z), expected.cdf).pvalue > 0.01


def test_truncated_latents_keep_their_order_and_sign():
  z = jnp.linspace(-4.0, 4.0, 81)
  truncated = latents_lib.truncated(z, 1.5)
  assert (jnp.diff(truncated) > 0).all()
  np.testing.assert_allclose(truncated, -truncated[::-1], atol=1e-6)
  np.testing.assert_allclose(latents_lib.truncated(z, 10.0), z, atol=1e-3)
  assert not latents_lib.truncated(z, 0.0).any()


def test_truncate_limits_normal_parts_alone(key):
  parts = (('c', 'categorical', 3), ('u', 'uniform', 2), ('z', 'normal', 4))
  latents = latents_lib.Latents(tuple(latents_lib.Part(*p) for p in parts))
  method = gan.GAN(mlp.Generator(SHAPE), mlp.Discriminator(), latents=latents)
  z = latents.sample(key, 50)
  same, truncated = latents_lib.truncate(method, z, 0.5)
  before, after = (latents.split(x) for x in (z, truncated))
  for name in 'cu':
    np.testing.assert_array_equal(before[name], after[name])
  expected = latents_lib.truncated(before['z'], 0.5)
  np.testing.assert_array_equal(after['z'], expected)
  assert same is method


def test_truncate_sets_the_field_of_a_generator_with_styles():
  method = gan.GAN(stylegan2.Generator(SHAPE), stylegan2.Discriminator())
  z = jnp.ones((1, 100))
  truncated, same = latents_lib.truncate(method, z, 0.5)
  assert truncated.generator.truncation == 0.5
  assert same is z
  again = dataclasses.replace(truncated, generator=method.generator)
  assert again == method
  wrapped = spectral_norm.SpectralNorm(method.generator)
  method = dataclasses.replace(method, generator=wrapped)
  truncated, same = latents_lib.truncate(method, z, 0.5)
  assert truncated.generator.module.truncation == 0.5
  assert same is z


def test_truncate_refuses_latents_that_are_not_normal():
  latents = latents_lib.single('uniform', 3)
  method = gan.GAN(mlp.Generator(SHAPE), mlp.Discriminator(), latents=latents)
  with pytest.raises(errors.UserError, match=r"--truncation=0\.5.*'uniform 3'"):
    latents_lib.truncate(method, jnp.ones((1, 3)), 0.5)
