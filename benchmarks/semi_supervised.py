"""Test errors of an MNIST classifier that learned from 100 labels.

  python -m benchmarks.semi_supervised --source=tfds --data_dir=PATH

Trains `configs/semi_supervised_mnist.py` with other known labels and weights
for every seed, and scores the last classifier on all test images. The table has
the numbers of Salimans et al. 2016 (https://arxiv.org/abs/1606.03498, table 1):
errors of 10,000 test images, mean and standard deviation over 10 sets of
labels. They train for 180,000 rounds of 100, with weight normalisation and an
averaged classifier, which this config lacks.
"""

import statistics

import jax
from absl import flags

from benchmarks import cli, experiment
from jaxgan import data
from jaxgan.core import pixels as pixels_lib

_LABELS = flags.DEFINE_integer('labels', 100, 'Number of known labels.')
_ROUNDS = flags.DEFINE_integer('rounds', 180_000, 'Rounds per run.')
_SEEDS = flags.DEFINE_integer('seeds', 10, 'Runs, each with its own labels.')
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

CHUNK = 1_000
# labels -> errors of feature matching with one network
PUBLISHED = {20: '1677 ± 452', 100: '93 ± 6.5', 200: '90 ± 4.2'}


def error(run, test) -> float:
  """Returns the share of wrong test images."""
  judge = jax.jit(run.algorithm.evaluate, static_argnums=0)
  wrong = 0.0
  for first in range(0, len(test['image']), CHUNK):
    batch = {name: x[first : first + CHUNK] for name, x in test.items()}
    batch['image'] = pixels_lib.to_float(batch['image'])
    scores = judge(run.method, run.state, batch)
    share = len(batch['image']) / len(test['image'])
    wrong += share * float(scores['discriminator/held_out_error'])
  return wrong


def main(argv) -> None:
  del argv
  config = experiment.load('semi_supervised_mnist')
  config.data.update(
    source=_SOURCE.value, data_dir=_DATA_DIR.value, labelled=_LABELS.value
  )
  config.data.source = data.resolve(config.data)
  config.num_steps = _ROUNDS.value
  test = experiment.read(config.data, 'test').columns
  print(
    f'{_ROUNDS.value:,} rounds of {config.batch_size}, data: '
    f'{config.data.source}, {len(test["image"]):,} test images, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}\n'
  )
  print('| | labels | sets of labels | errors of 10,000 | seconds |')
  print('| --- ' * 5 + '|')
  for labels, errors in PUBLISHED.items():
    print(f'| Salimans et al. | {labels} | 10 | {errors} | |')
  counts, seconds = [], []
  for seed in range(_SEEDS.value):
    config.data.labelled_seed = seed
    run, took = experiment.train(config, seed)
    counts.append(10_000 * error(run, test))
    seconds.append(took)
  errors = f'{statistics.fmean(counts):.0f}'
  if len(counts) > 1:
    errors += f' ± {statistics.stdev(counts):.0f}'
  print(
    f'| here | {_LABELS.value} | {len(counts)} | {errors} | '
    f'{statistics.fmean(seconds):.0f} |'
  )


if __name__ == '__main__':
  cli.run(main)
