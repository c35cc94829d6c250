"""Sets how tests compile, which is nearly all of their time.

Most programs of tests are tiny and run once. Kernels by LLVM without
optimizations, and without XLA's newer emitters, compile three times as fast.
"""

XLA_FLAGS = (
  '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
)
# Environment of processes that a test starts. Those that must compile as users
# do set `XLA_FLAGS` to ''.
FAST = {'XLA_FLAGS': XLA_FLAGS, 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
