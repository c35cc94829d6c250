"""Sets how tests compile, which is nearly all of their time.

Most programs of tests are tiny and run once. Kernels by LLVM without
optimizations, and without XLA's newer emitters, compile three times as fast.
"""

import importlib.metadata

_VERSION = tuple(map(int, importlib.metadata.version('jaxlib').split('.')[:2]))
_FLAGS = ['--xla_cpu_parallel_codegen_split_count=1']
if _VERSION < (0, 11):  # Later versions have the newer emitters only.
  _FLAGS.append('--xla_cpu_use_fusion_emitters=false')
XLA_FLAGS = ' '.join(_FLAGS)
# Environment of processes that a test starts. Those that must compile as users
# do set `XLA_FLAGS` to ''.
FAST = {'XLA_FLAGS': XLA_FLAGS, 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
