r"""Exact likelihoods of Boltzmann and Helmholtz machines on bars and stripes.

  python -m benchmarks.bars --rounds=5000

The 14 images of 3 x 3 binary pixels have equal columns or equal rows (MacKay
2003, Information Theory, Inference, and Learning Algorithms, section 43.3). The
table has the mean of -log p(v) in nats over these images, summed over all
states. The best possible value is log 14 = 2.639; independent pixels with the
right means have 9 log 2 = 6.238.
"""

import time

from absl import flags

from benchmarks import bars_machines, cli

_ROUNDS = flags.DEFINE_integer(
  'rounds', 20_000, 'Rounds of each machine.', lower_bound=100
)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of each machine.', lower_bound=0)


def main(argv) -> None:
  del argv
  print('| | nats | seconds |\n| --- | --- | --- |')
  for name, (algorithm, method) in bars_machines.machines(
    _ROUNDS.value
  ).items():
    start = time.perf_counter()
    value = bars_machines.nats(algorithm, method, _ROUNDS.value, _SEED.value)
    seconds = time.perf_counter() - start
    print(f'| {name} | {value:.3f} | {seconds:.0f} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
