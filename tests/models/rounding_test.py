"""Rounding and padding of layers, beside exact arithmetic and sources."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.core import axis
from jaxgan.models.layers import conv, conv_forms, norms

# Mean 100, deviation 1. With E[x^2] - m^2, norms are wrong by 4e-3 and more.
FAR = (np.random.default_rng(0).normal(size=(8, 5, 4, 3)) + 100.0).astype('f')


def normalised(over):
  x = FAR.astype(np.float64)
  variance = x.var(axis=over, keepdims=True)
  return (x - x.mean(axis=over, keepdims=True)) / np.sqrt(variance + 1e-3)


@pytest.mark.parametrize(
  ('kind', 'over'),
  [('batch', (0, 1, 2)), ('layer', (3,)), ('instance', (1, 2))],
)
def test_norms_keep_their_digits_far_from_zero(kind, over, key):
  layer = norms.norm(kind, train=True)
  found, variables = jax.jit(layer.init_with_output)(key, FAR)
  np.testing.assert_allclose(found, normalised(over), atol=3e-4)
  if kind == 'batch':
    _, stats = layer.apply(variables, FAR, mutable=['batch_stats'])
    variance = FAR.astype(np.float64).var(axis=over)
    expected = 0.9 + 0.1 * variance
    np.testing.assert_allclose(stats['batch_stats']['var'], expected, rtol=1e-6)


def test_parts_of_a_batch_share_mean_and_variance(key):
  """The parts have means of their own, 99.5 and 100.5 among them."""
  x = jnp.asarray(FAR) + jnp.linspace(-0.5, 0.5, 8)[:, None, None, None]
  parts = x.reshape(4, 2, *x.shape[1:])

  variables = norms.norm('batch', train=True).init(key, x)

  def both(x):
    norm = norms.norm('batch', train=True)
    y, _ = norm.apply(variables, x, mutable=['batch_stats'])
    return y, norms.MinibatchStddev().apply({}, x)

  expected = both(x)
  found = jax.vmap(both, axis_name=axis.AXIS)(parts)
  for part, whole in zip(found, expected, strict=True):
    np.testing.assert_allclose(part.reshape(whole.shape), whole, atol=3e-5)


def test_deviation_over_the_batch_keeps_its_digits_far_from_zero():
  found = norms.MinibatchStddev().apply({}, FAR)[0, 0, 0, -1]
  expected = FAR.astype(np.float64).std(axis=0).mean()
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_virtual_norm_keeps_its_digits_far_from_zero(key):
  found, _ = norms.VirtualBatchNorm(5).init_with_output(key, FAR)
  reference, own = FAR[:5].astype(np.float64), FAR[5:].astype(np.float64)
  for row, x in zip(found[5:], own, strict=True):
    pixels = np.concatenate([reference, x[None]]).reshape(-1, 3)
    scaled = (x - pixels.mean(axis=0)) / np.sqrt(pixels.var(axis=0) + 1e-3)
    np.testing.assert_allclose(row, scaled, atol=5e-5)


def lax_conv(x, w, strides, pads, **fields):
  return lax.conv_general_dilated(
    x, w, strides, pads, dimension_numbers=conv_forms.DIMENSIONS, **fields
  )


@pytest.mark.parametrize('size', [(8, 6), (7, 8)])
def test_lower_padding_is_one_pixel_on_every_side(size, key):
  """PyTorch: a stride of 2, padding=1, and output_padding=1 to enlarge."""
  x = jax.random.normal(key, (1, *size, 2))
  w = jax.random.normal(key, (3, 3, 2, 2))
  found = conv.conv(x, w, 2, 'SAME_LOWER')
  one = ((1, 1), (1, 1))
  np.testing.assert_allclose(found, lax_conv(x, w, (2, 2), one), atol=1e-5)
  found = conv.conv_transpose(x, w, 2, padding='SAME_LOWER')
  # PyTorch puts 3 - 1 - 1 pixels before, and one more after, of zeros between.
  more = ((1, 2), (1, 2))
  expected = lax_conv(x, w, (1, 1), more, lhs_dilation=(2, 2))
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(('inner', 'outer'), [(16, 1), (16, 3)])
def test_convolutions_of_sixteen_bits_round_once(inner, outer, key):
  """These shapes add parts on CPUs; parts of 16 bits were wrong by 0.15."""
  x = jax.random.normal(key, (2, 6, 6, inner)).astype(jnp.bfloat16)
  w = jax.random.normal(key, (5, 5, inner, outer)).astype(jnp.bfloat16)
  found = jax.jit(conv.conv)(x, w)
  assert found.dtype == jnp.bfloat16
  expected = jax.jit(conv.conv)(x.astype('f'), w.astype('f'))
  found = found.astype('f')
  largest = jnp.abs(expected).max()
  np.testing.assert_allclose(
    found, expected, rtol=2.0**-8, atol=1e-6 * float(largest)
  )
