"""Ways through latent space have the shapes that geometry says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.core import interpolation, noise
from jaxgan.core import latents as latents_lib

# Compilation of many small programs takes half a minute.
pytestmark = pytest.mark.slow

SHARES = jnp.linspace(0.0, 1.0, 9)


def random(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def angles(points):
  """Angles between neighbours, in float64."""
  points = np.asarray(points, np.float64)
  unit = points / np.linalg.norm(points, axis=-1, keepdims=True)
  return np.arccos(np.clip((unit[1:] * unit[:-1]).sum(-1), -1, 1))


def test_ways_cover_all_distributions():
  assert interpolation.WAYS.keys() == noise.LATENTS.keys()


def test_slerp_halfway_between_unit_vectors_at_a_right_angle():
  a, b = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 1.0, 0.0])
  found = interpolation.slerp(a, b, 0.5)
  np.testing.assert_allclose(found, np.array([1, 1, 0]) / np.sqrt(2), atol=1e-6)


def test_slerp_equals_formula_of_the_paper():
  a, b = interpolation._unit(random(2, 7))[0]
  w = np.arccos(np.dot(a, b))
  for t in (0.1, 0.3, 0.9):
    expected = (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
    np.testing.assert_allclose(
      interpolation.slerp(a, b, t), expected, atol=1e-6
    )


@pytest.mark.parametrize('size', [2, 3, 100])
def test_slerp_keeps_equal_norms(size):
  a, b = noise.LATENTS['sphere'](jax.random.key(1), 2, (size,))
  norms = jnp.linalg.norm(interpolation.slerp(a, b, SHARES), axis=-1)
  np.testing.assert_allclose(norms, np.sqrt(size), rtol=1e-5)


def test_slerp_is_linear_in_the_norm():
  a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 6.0])
  norms = jnp.linalg.norm(interpolation.slerp(a, b, SHARES), axis=-1)
  np.testing.assert_allclose(norms, 2 + 4 * SHARES, rtol=1e-5)


@pytest.mark.parametrize('way', [interpolation.slerp, interpolation.lerp])
def test_slerp_and_lerp_return_exact_ends(way):
  a, b = random(5, 4), 3.0 * random(5, 4, seed=1)
  np.testing.assert_array_equal(way(a, b, 0.0), a)
  np.testing.assert_array_equal(way(a, b, 1.0), b)


def test_slerp_angles_grow_evenly():
  a, b = random(2, 10) * jnp.array([[1.0], [4.0]])
  steps = angles(interpolation.slerp(a, b, SHARES))
  np.testing.assert_allclose(steps, interpolation.angle(a, b) / 8, rtol=1e-4)


def test_slerp_of_parallel_vectors_is_a_line():
  a = random(6)
  for b in (a, 2.5 * a):
    found = interpolation.slerp(a, b, SHARES)
    expected = interpolation.lerp(a, b, SHARES)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('size', [2, 3, 100])
@pytest.mark.parametrize('nearly', [0.0, 1e-7, 1e-5, 1e-3])
def test_slerp_of_opposite_vectors_stays_on_the_sphere(size, nearly):
  a = random(size)
  b = -a + nearly * random(size, seed=1)
  found = interpolation.slerp(a, b, SHARES)
  norms = jnp.linalg.norm(found, axis=-1)
  np.testing.assert_allclose(norms, jnp.linalg.norm(a), rtol=1e-2)
  np.testing.assert_allclose(angles(found), np.pi / 8, rtol=1e-2)
  np.testing.assert_array_equal(found, interpolation.slerp(a, b, SHARES))


def test_slerp_without_an_arc_is_a_line():
  zero = jnp.zeros(3)
  for a, b in ((zero, random(3)), (zero, zero), (-jnp.ones(1), jnp.ones(1))):
    found = interpolation.slerp(a, b, SHARES)
    np.testing.assert_allclose(
      found, interpolation.lerp(a, b, SHARES), atol=1e-6
    )


def test_angle_keeps_digits_of_small_angles():
  a, b = jnp.array([1.0, 0.0]), jnp.array([1.0, 1e-5])
  np.testing.assert_allclose(interpolation.angle(a, b), 1e-5, rtol=1e-3)
  np.testing.assert_allclose(interpolation.angle(a, -a), np.pi, rtol=1e-6)


def closed_path(points, num, kind):
  latents = latents_lib.single(kind, points.shape[-1])
  return latents_lib.closed_path(points, num, latents)


@pytest.mark.parametrize('kind', noise.LATENTS)
def test_closed_path_goes_through_all_points(kind):
  points = jnp.eye(4) if kind != 'uniform' else 0.5 * jnp.eye(4)
  path = closed_path(points, 12, kind)
  # The legs of this path are equally long: three frames for each.
  np.testing.assert_array_equal(path[0], points[0])
  np.testing.assert_allclose(path[::3], points, atol=1e-5)
  # From the last to the first frame it is as far as between any others.
  assert path.shape == (12, 4)
  around = jnp.concatenate([path, path[:1]])
  if kind in ('uniform', 'categorical'):  # Straight lines.
    steps = jnp.linalg.norm(jnp.diff(around, axis=0), axis=-1)
    leg = np.linalg.norm(points[1] - points[0])
    np.testing.assert_allclose(steps, leg / 3, rtol=1e-4)
  else:
    np.testing.assert_allclose(angles(around), np.pi / 6, rtol=1e-3)


def test_closed_path_starts_at_any_point():
  """The path from the second point on is the same path, turned."""
  points = jnp.eye(4)
  one = closed_path(points, 12, 'normal')
  other = closed_path(jnp.roll(points, -1, axis=0), 12, 'normal')
  np.testing.assert_allclose(jnp.roll(one, -3, axis=0), other, atol=1e-5)


@pytest.mark.parametrize('kind', noise.LATENTS)
def test_closed_path_has_equal_steps_on_unequal_legs(kind):
  """Within a leg, and on both sides of a corner together."""
  points = noise.LATENTS[kind](jax.random.key(2), 5, (3,))
  _, measure = interpolation.WAYS[kind]
  path = closed_path(points, 600, kind)
  steps = np.asarray(measure(path, jnp.roll(path, -1, axis=0)))
  # At the corners the straight way is shorter.
  assert (np.abs(steps / np.median(steps) - 1) > 1e-2).sum() <= 5
  assert steps.max() < 1.01 * np.median(steps)
  whole = float(measure(points, jnp.roll(points, -1, axis=0)).sum())
  np.testing.assert_allclose(np.median(steps), whole / 600, rtol=1e-3)


def test_closed_path_of_sphere_latents_stays_on_the_sphere():
  points = noise.LATENTS['sphere'](jax.random.key(0), 6, (8,))
  path = closed_path(points, 100, 'sphere')
  norms = jnp.linalg.norm(path, axis=-1)
  np.testing.assert_allclose(norms, np.sqrt(8), rtol=1e-4)
  values = jnp.linspace(-2.5, 2.5, 5)
  walk = interpolation.walk(points, 3, values, 'sphere')
  np.testing.assert_allclose(
    jnp.linalg.norm(walk, axis=-1), np.sqrt(8), rtol=1e-4
  )


def test_closed_path_of_uniform_latents_stays_in_the_cube():
  points = noise.LATENTS['uniform'](jax.random.key(0), 6, (8,))
  assert jnp.abs(closed_path(points, 100, 'uniform')).max() <= 1.0


def test_closed_path_accepts_equal_points():
  points = jnp.ones((3, 4))
  for kind in noise.LATENTS:
    path = closed_path(points, 7, kind)
    np.testing.assert_allclose(path, np.ones((7, 4)), rtol=1e-6)


def test_closed_path_does_not_stop_at_repeated_points():
  points = jnp.eye(3)
  twice = points[jnp.array([0, 0, 1, 2])]
  np.testing.assert_allclose(
    closed_path(twice, 9, 'normal'),
    closed_path(points, 9, 'normal'),
    atol=1e-5,
  )


@pytest.mark.parametrize('kind', ['normal', 'uniform'])
def test_walk_changes_one_dimension(kind):
  points = noise.LATENTS[kind](jax.random.key(0), 4, (6,))
  values = jnp.linspace(-1.0, 1.0, 5)
  found = interpolation.walk(points, 2, values, kind)
  assert found.shape == (4, 5, 6)
  for row in found:
    np.testing.assert_array_equal(row[:, 2], values)
  others = jnp.array([0, 1, 3, 4, 5])
  for column in range(5):
    np.testing.assert_array_equal(
      found[:, column][:, others], points[:, others]
    )


def test_reach_by_distribution():
  assert interpolation.reach('normal', 100) == 3.0
  assert interpolation.reach('uniform', 100) == 1.0
  assert interpolation.reach('sphere', 100) == 3.0
  assert interpolation.reach('sphere', 4) == 2.0  # Its radius.
