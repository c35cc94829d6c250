"""Digests of arrays, and comparison of trees of arrays."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors


def paths(tree) -> dict[str, Any]:
  """Returns all leaves by path, as 'networks/generator/params'."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in leaves
  }


def with_leaves(tree, leaves: dict[str, Any]):
  """Returns a tree of the same form with leaves by path, see `paths`."""

  def pick(path, leaf):
    del leaf
    return leaves[jax.tree_util.keystr(path, simple=True, separator='/')]

  return jax.tree_util.tree_map_with_path(pick, tree)


def compute(tree) -> dict[str, str]:
  """Returns a digest of type, shape and bytes of every array, by path."""
  by_path = {}
  for path, leaf in paths(tree).items():
    leaf = np.asarray(leaf)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f'{leaf.dtype} {leaf.shape}'.encode())
    digest.update(leaf.tobytes())
    by_path[path] = digest.hexdigest()
  return by_path


def check(tree, expected: dict[str, str]) -> None:
  """Raises a ValueError unless the digests of a tree are the expected ones."""
  actual = compute(tree)
  wrong = [path for path in expected if actual.get(path) != expected[path]]
  if wrong or actual.keys() != expected.keys():
    raise ValueError(f'digests differ: {", ".join(wrong[:3])}')


def not_finite(tree) -> dict[str, str]:
  """Counts numbers that are not finite, by path of the array."""
  counts = {}
  for path, leaf in paths(tree).items():
    if jnp.issubdtype(leaf.dtype, jnp.inexact):
      bad = int(np.size(leaf) - np.isfinite(leaf).sum())
      if bad:
        counts[path] = f'{bad} of {np.size(leaf)}'
  return counts


def mismatches(stored, expected) -> list[str]:
  """Compares shapes and types on disk with those of a state."""

  def describe(leaves, path):
    leaf = leaves.get(path)
    return 'absent' if leaf is None else f'{leaf.dtype}{list(leaf.shape)}'

  stored, expected = paths(stored), paths(expected)
  return [
    f'{path}: {describe(stored, path)} -> {describe(expected, path)}'
    for path in sorted(stored.keys() | expected.keys())
    if describe(stored, path) != describe(expected, path)
  ]


def refuse(folder, different: list[str]) -> None:
  """Raises a UserError if the list of `mismatches` is not empty."""
  if different:
    raise errors.UserError(
      f'{folder} does not fit the networks of the config. Use the config that '
      'wrote it, or another workdir. Differences: '
      + '; '.join(different[:5])
      + (f'; and {len(different) - 5} more' if len(different) > 5 else '')
    )
