"""Fast convolutions compute what XLA's own do, and so do their derivatives."""

import chex
import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxgan.models.layers import conv, conv_forms, fourier_conv

# Minutes of compilation: `./launch/test.sh -m slow` runs these.
pytestmark = pytest.mark.slow

CASES = [
  ((7, 6), 5, 2),
  ((8, 8), 4, 2),
  ((8, 5), 3, 1),
  ((5, 5), 1, 1),
  ((5, 7), 1, 2),
  ((9, 9), 2, 3),
  ((4, 4), 5, 4),
  ((6, 6), 4, 1),
  ((2, 2), 5, 2),  # kernels that cover the image, and what it becomes
  ((1, 2), 3, 1),
]


def plain(x, w, stride, padding='SAME'):
  return lax.conv_general_dilated(
    x, w, (stride,) * 2, padding, dimension_numbers=conv_forms.DIMENSIONS
  )


def plain_transposed(x, w, stride):
  return lax.conv_transpose(
    x, w, (stride,) * 2, 'SAME', dimension_numbers=conv_forms.DIMENSIONS
  )


def derivatives(function, x, w):
  """Values, gradients, and gradients of the squared slope in x."""

  def total(x, w):
    y = function(x, w)
    return jnp.sum(jnp.sin(y)), y

  def slope(x, w):
    return jnp.sum(jax.grad(total, has_aux=True)(x, w)[0] ** 2)

  first, y = jax.grad(total, argnums=(0, 1), has_aux=True)(x, w)
  return y, first, jax.grad(slope, argnums=(0, 1))(x, w)


def data(key, size, kernel, inner, outer):
  x = jax.random.normal(key, (2, *size, inner))
  w = jax.random.normal(key, (kernel, kernel, inner, outer))
  return x, w / kernel


@pytest.mark.parametrize(
  ('size', 'kernel', 'stride', 'inner', 'outer'),
  [(*case, *widths) for case in CASES for widths in ((1, 4), (3, 4), (3, 1))]
  # Which image is convolved depends on channels, and few are made by a product.
  + [((6, 5), 4, 1, conv.FEW + 1, outer) for outer in (conv.FEW, conv.FEW + 2)]
  + [((6, 5), 4, 1, conv.FEW, conv.FEW + 1), ((6, 5), 4, 1, 7, 6)],
)
def test_convolution(size, kernel, stride, inner, outer, key):
  x, w = data(key, size, kernel, inner, outer)
  found = derivatives(lambda x, w: conv.conv(x, w, stride), x, w)
  expected = derivatives(lambda x, w: plain(x, w, stride), x, w)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize('outer', [1, 3])
@pytest.mark.parametrize(('size', 'kernel', 'stride'), CASES)
def test_transposed_convolution(size, kernel, stride, outer, key):
  x, w = data(key, size, kernel, 4, outer)
  found = derivatives(lambda x, w: conv.conv_transpose(x, w, stride), x, w)
  expected = derivatives(lambda x, w: plain_transposed(x, w, stride), x, w)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
  ('ours', 'theirs'),
  [(conv.conv, plain), (conv.conv_transpose, plain_transposed)],
)
@pytest.mark.parametrize('kernel', [4, 5])
def test_where_transforms_are_worth_it(ours, theirs, kernel, key, monkeypatch):
  monkeypatch.setattr(fourier_conv, 'WORTH', 99.0)
  x, w = data(key, (5, 6), kernel, 4, 3)
  lowered = jax.jit(ours).lower(x, w).as_text()
  found = derivatives(lambda x, w: ours(x, w, 1), x, w)
  expected = derivatives(lambda x, w: theirs(x, w, 1), x, w)
  assert 'stablehlo.convolution' not in lowered
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize('size', [(7, 8), (4, 7), (8, 8)])
def test_transposed_convolution_to_a_size(size, key):
  """As the gradient of the convolution that leads from that size."""
  x, w = data(key, tuple(-(-n // 2) for n in size), 3, 4, 3)

  def transposed(x, w):
    flipped = jnp.swapaxes(w[::-1, ::-1], 2, 3)
    like = jnp.zeros((len(x), *size, w.shape[3]))
    return jax.vjp(lambda y: plain(y, flipped, 2), like)[1](x)[0]

  found = derivatives(lambda x, w: conv.conv_transpose(x, w, 2, size), x, w)
  expected = derivatives(transposed, x, w)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('channels', [(3, 2), (2, 9), (9, 6)])
def test_without_padding(stride, channels, key):
  x, w = data(key, (9, 8), 4, *channels)
  found = derivatives(lambda x, w: conv.conv(x, w, stride, 'VALID'), x, w)
  expected = derivatives(lambda x, w: plain(x, w, stride, 'VALID'), x, w)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-3)


def test_many_at_once(key):
  x, w = data(key, (6, 6), 3, 2, 2)
  many = jnp.stack([w, 2 * w])
  gradient = jax.grad(lambda w: jnp.sum(conv.conv(x, w, 2) ** 2))
  found = jax.vmap(gradient)(many)
  chex.assert_trees_all_close(
    found, jnp.stack([gradient(m) for m in many]), rtol=1e-4
  )


@pytest.mark.parametrize('inner', [1, 3])
@pytest.mark.parametrize(
  ('size', 'kernel', 'enlarged'),
  [
    ((5, 6), 3, (10, 12)),
    ((4, 3), 4, (8, 6)),
    ((3, 3), 5, (12, 12)),
    ((2, 3), 1, (6, 9)),
    ((2, 2), 7, (4, 4)),
    ((4, 4), 3, (7, 7)),  # a row and a column are cut off
    ((2, 4), 3, (6, 8)),  # thrice, twice
    ((5, 5), 3, (5, 5)),
  ],
)
def test_convolutions_of_enlarged_images(
  size, kernel, enlarged, inner, key, monkeypatch
):
  """As of an image whose pixels are repeated, and then cut."""
  monkeypatch.setattr(conv, 'SAVED', -9.0)  # Small ones gain nothing.

  def repeated(x, w):
    for axis in (1, 2):
      factor = -(-enlarged[axis - 1] // size[axis - 1])
      x = jnp.repeat(x, factor, axis=axis)
    return plain(x[:, : enlarged[0], : enlarged[1]], w, 1)

  x, w = data(key, size, kernel, inner, 4)
  chex.assert_trees_all_close(
    derivatives(lambda x, w: conv.conv_of_enlarged(x, w, enlarged), x, w),
    derivatives(repeated, x, w),
    rtol=1e-3,
    atol=1e-3,
  )
