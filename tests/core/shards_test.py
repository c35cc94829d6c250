"""The split side of an array, and the bytes of each device."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from jaxgan.core import shards
from jaxgan.core.axis import AXIS


@pytest.mark.parametrize(
  ('shape', 'count', 'expected'),
  [
    ((256, 512), 8, (None, AXIS)),
    ((512, 256), 8, (AXIS,)),
    ((256, 256), 8, (None, AXIS)),  # the last of equal sides
    ((4, 4, 64, 60), 8, (None, None, AXIS)),  # 60 is no multiple of 8
    ((2**20 + 1,), 8, ()),  # no side is a multiple
    ((16, 16), 8, ()),  # small
    ((), 8, ()),
    ((512, 256), 1, ()),
  ],
)
def test_spec_splits_the_largest_multiple(shape, count, expected):
  assert shards.spec(shape, count) == PartitionSpec(*expected)


def test_num_bytes_divides_large_arrays():
  tree = {
    'kernel': jax.ShapeDtypeStruct((256, 512), jnp.float32),
    'bias': jax.ShapeDtypeStruct((512,), jnp.float32),
  }
  assert shards.num_bytes(tree) == 4 * (256 * 512 + 512)
  assert shards.num_bytes(tree, 8) == 4 * (256 * 512 // 8 + 512)


def test_split_and_gather_are_identities_outside_of_split_state():
  tree = {'kernel': jnp.ones((256, 512))}
  assert shards.split(tree) is tree
  assert shards.gather(tree) is tree
