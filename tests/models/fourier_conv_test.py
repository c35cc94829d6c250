"""Convolutions as products of transforms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.layers import conv, conv_forms, fourier_conv

GEOMETRIES = {
  'tutorial': conv.Geometry((7, 7), (5, 5), 1, ((2, 2), (2, 2))),
  'oblong': conv.Geometry((5, 6), (4, 3), 1, ((1, 2), (1, 1))),
  'one-row': conv.Geometry((4, 7), (1, 7), 1, ((0, 0), (3, 3))),
  'unpadded': conv.Geometry((6, 5), (3, 5), 1, ((0, 0), (0, 0))),
  'full': conv.Geometry((3, 4), (3, 2), 1, ((2, 2), (1, 1))),
  'covering': conv.Geometry((2, 1), (5, 5), 1, ((2, 2), (2, 2))),
  'cut': conv.Geometry((6, 6), (2, 3), 1, ((-1, 0), (2, -2))),
}


@pytest.fixture
def images(key):
  """Of float64: x, w and y for a geometry."""

  def make(geometry, batch=3, inner=4, outer=2):
    shapes = (
      (batch, *geometry.size, inner),
      (*geometry.kernel, inner, outer),
      (batch, *geometry.output, outer),
    )
    keys = jax.random.split(key, 3)
    return [
      jax.random.normal(k, shape, jnp.float64)
      for k, shape in zip(keys, shapes, strict=True)
    ]

  with jax.enable_x64(True):
    yield make


def plain(x, w, geometry):
  return jax.lax.conv_general_dilated(
    x, w, (1, 1), geometry.pads, dimension_numbers=conv_forms.DIMENSIONS
  )


@functools.partial(jax.jit, static_argnums=3)
def both(x, w, y, geometry):
  expected, adjoint = jax.vjp(lambda x, w: plain(x, w, geometry), x, w)
  found = (
    fourier_conv.forward(x, w, geometry),
    fourier_conv.transposed(y, w, geometry),
    fourier_conv.kernel(x, y, geometry),
  )
  return found, (expected, *adjoint(y))


@pytest.mark.parametrize('name', GEOMETRIES)
def test_forward_equals_the_convolution(name, images):
  geometry = GEOMETRIES[name]
  x, w, y = images(geometry)
  for ours, theirs in zip(*both(x, w, y, geometry), strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_forward_rounds_as_the_convolution(images):
  geometry = GEOMETRIES['tutorial']
  x, w, _ = images(geometry, batch=8, inner=64, outer=32)
  exact = plain(x, w, geometry)
  x, w = x.astype(jnp.float32), w.astype(jnp.float32)
  found = fourier_conv.forward(x, w, geometry)
  ours = np.abs(found - exact)
  theirs = np.abs(plain(x, w, geometry) - exact)
  assert found.dtype == jnp.float32
  assert ours.mean() < 2 * theirs.mean()


def test_is_worth_for_large_kernels_and_many_channels():
  tutorial = GEOMETRIES['tutorial']
  wide = {'batch': 64, 'inner': 256, 'outer': 128, 'dtype': jnp.float32}
  large = tutorial._replace(size=(64, 64))
  small = tutorial._replace(kernel=(2, 2), pads=((0, 1), (0, 1)))
  assert fourier_conv.is_worth(tutorial, **wide)
  assert not fourier_conv.is_worth(large, **wide)
  assert not fourier_conv.is_worth(small, **wide)
  assert not fourier_conv.is_worth(tutorial._replace(stride=2), **wide)
  for changed in ({'inner': 1}, {'outer': 1}, {'batch': 1}):
    assert not fourier_conv.is_worth(tutorial, **wide | changed)
  assert not fourier_conv.is_worth(tutorial, **wide | {'dtype': jnp.bfloat16})


def test_rounding_error_is_relative_to_the_largest_result(key):
  """One corner is 1,000 times as bright, and errors reach the others."""
  geometry = GEOMETRIES['tutorial']
  x = jax.random.normal(key, (4, 7, 7, 8)).at[:, 0, 0].multiply(1000.0)
  w = jax.random.normal(jax.random.fold_in(key, 1), (5, 5, 8, 8))
  found = fourier_conv.forward(x, w, geometry)
  with jax.enable_x64(True):
    wide = [jnp.asarray(np.asarray(a), jnp.float64) for a in (x, w)]
    expected = fourier_conv.forward(*wide, geometry)
  error = np.abs(found - np.asarray(expected))
  assert error.max() < 1e-6 * np.abs(expected).max()
