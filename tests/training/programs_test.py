"""A process that uses many methods does not keep all their programs."""

import dataclasses
import gc
import threading

import jax
import jax.numpy as jnp
import pytest
from runs import small

from jaxgan.training import caches, loop
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


@pytest.mark.slow
def test_many_runs_hold_no_more_than_two(tmp_path, monkeypatch):
  """Traces stay until the caches are cleared; all else ends with a run."""
  monkeypatch.setattr(caches, 'RUNS', 3)
  monkeypatch.setattr(caches, '_runs', 0)
  client = jax.devices()[0].client
  held, objects = [], []
  for index in range(12):
    config = small(**{'generator.widths': (16 + index,), 'num_steps': 6})
    loop.train(config, tmp_path / str(index))
    del config
    gc.collect()
    held.append(
      (
        len(client.live_arrays()),
        len(client.live_executables()),
        threading.active_count(),
      )
    )
    objects.append(len(gc.get_objects()))
  for counts in zip(*held, strict=True):
    assert max(counts[2:]) <= counts[1]
  # Runs 4, 7 and 10 start with empty caches.
  growth = objects[2] - objects[1]
  assert growth > 0
  assert abs(objects[9] - objects[3]) < growth
