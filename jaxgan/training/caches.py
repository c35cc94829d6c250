"""Forgets what JAX remembers of earlier runs of this process.

JAX keeps the trace of each of its own functions (`jnp.add`, `jax.random.normal`
and others) for all shapes that they have seen, without a limit. Networks of
many runs have many shapes. What a run itself holds, its arrays, compiled
programs and threads, ends with the run.
"""

import gc

import jax

# Runs between two calls of `jax.clear_caches`.
RUNS = 1
_runs = 0  # since the last call


def count_run() -> None:
  """Counts a run that starts; clears the caches of JAX after `RUNS` runs.

  Functions that the user has compiled are compiled again at their next call,
  from the compilation cache on the disk.
  """
  global _runs
  if _runs >= RUNS:
    jax.clear_caches()
    gc.collect()  # Traces and functions refer to each other.
    _runs = 0
  _runs += 1
