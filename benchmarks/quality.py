r"""Quality of samples after a budget of seconds, beside PyTorch and Keras.

  python -m benchmarks.quality --source=tfds --data_dir=PATH \
      --torch_python=PYTHON --keras_python=PYTHON

Every config trains for the budget, see `quality_sides.py`. Samples of all sides
are scored as --mode=evaluate does. Sides take turns, seed by seed. The ratio
compares mean Frechet distances.
"""

import os
import platform
import statistics

import jax
from absl import flags

from benchmarks import cli, experiment
from benchmarks import quality_sides as sides_lib
from jaxgan import errors

_CONFIGS = flags.DEFINE_list(
  'configs', [], 'NAME or NAME:VARIANT (all of digits).'
)
_SECONDS = flags.DEFINE_float(
  'seconds', 260.0, 'Seconds of training per run.', lower_bound=1.0
)
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, and the most real images.'
)
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs per row.', lower_bound=1)

SCORES = ('frechet', 'precision', 'recall', 'rarest_class')
HEAD = ('', 'rounds', 'reals seen', *SCORES, "Frechet over jaxgan's")


def compare(configs) -> None:
  """Trains both sides and prints the table."""
  first = next(iter(configs.values())).data
  for name, config in configs.items():
    if config.data.image_size != first.image_size:
      raise errors.UserError(
        f'--configs={name}: images differ in size. Make a table for each size.'
      )
  versions = sides_lib.check(configs)
  judge = experiment.judge_of(first, _NUM.value)

  def run(side, config, seed):
    (reached,) = side(config, seed, [_SECONDS.value], _NUM.value)
    scores = judge.score(judge.see(reached.samples))
    return reached.rounds, reached.reals, scores

  print(
    f'{_SECONDS.value:g} s of training a run, with compilation, '
    f'{_SEEDS.value} seeds, {experiment.conditions(first, judge)}{versions}, '
    f'{os.cpu_count()} cores ({platform.machine()})\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  experiment.row(
    'real training images', ' | ', [judge.beside()['train']], SCORES
  )
  for name, config in configs.items():
    sides = sides_lib.sides_of(name)
    runs = {side: [] for side in sides}
    for seed in range(_SEEDS.value):
      for side, train in sides.items():
        runs[side].append(run(train, config, seed))
    means = {
      side: statistics.fmean(scores['frechet'] for *_, scores in results)
      for side, results in runs.items()
    }
    for side, results in runs.items():
      rounds, reals, scores = zip(*results, strict=True)
      before = ' | '.join(experiment.cell(x, ',.0f') for x in (rounds, reals))
      ratio = f'{means[side] / means["jaxgan"]:.2f}'
      experiment.row(f'{name}, {side}', before, scores, SCORES, ratio)


def main(argv) -> None:
  del argv
  # The first run of a user finds no compiled programs.
  jax.config.update('jax_enable_compilation_cache', False)
  names = _CONFIGS.value or sides_lib.DIGITS
  compare({name: sides_lib.load(name) for name in names})


if __name__ == '__main__':
  cli.run(main)
