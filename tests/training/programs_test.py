"""A process that uses many methods does not keep all their programs."""

import dataclasses
import gc

import jax
import jax.numpy as jnp

from jaxgan.training import compile as compile_lib


@dataclasses.dataclass(frozen=True)
class Method:
  value: int


def scaled(method, x, count=1):
  return x * method.value + count


def test_jit_method_shares_programs_of_equal_methods():
  one = compile_lib.jit_method(scaled, Method(3), 1)
  assert compile_lib.jit_method(scaled, Method(3), 1) is one
  assert one(jnp.float32(2.0), 4) == 10.0
  assert compile_lib.jit_method(scaled, Method(5))(jnp.float32(2.0)) == 11.0


def test_jit_method_drops_programs_of_old_methods():
  client = jax.devices()[0].client
  x = jnp.float32(1.0)
  counts = []
  for first in (0, 100):
    for value in range(first, first + compile_lib.PROGRAMS + 4):
      compile_lib.jit_method(scaled, Method(value))(x)
    gc.collect()
    counts.append(len(client.live_executables()))
  assert counts[1] <= counts[0] + 1
