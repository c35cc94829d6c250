r"""Score against seconds of training, beside PyTorch and Keras, as a picture.

  python -m benchmarks.time_to_quality --out=FOLDER --source=tfds \
      --data_dir=PATH --torch_python=PYTHON --keras_python=PYTHON

Trains configs with some seeds on all sides (`quality_sides.py`), and scores
samples at times that double until the budget. Writes FOLDER/log.jsonl, one line
per score, and draws FOLDER/time_to_quality.png from it: mean and range over
seeds. Runs that are complete in the log are not repeated, so a stopped
benchmark is continued by the same command, and a complete one is drawn again.
"""

import os
import pathlib
import platform

import jax
from absl import flags

from benchmarks import cli, experiment, quality_log
from benchmarks import quality_sides as sides_lib

_CONFIGS = flags.DEFINE_list(
  'configs', ['gan_mnist', 'dcgan_mnist', 'wgan_mnist'], 'NAME or NAME:VARIANT.'
)
_SECONDS = flags.DEFINE_float(
  'seconds', 256.0, 'Seconds of training per run.', lower_bound=1.0
)
_SCORES = flags.DEFINE_integer(
  'scored', 6, 'Times at which a run is scored.', lower_bound=1
)
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, and the most real images.'
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs per line.', lower_bound=1)
_OUT = flags.DEFINE_string('out', 'runs/time_to_quality', 'Folder to write to.')

SHOWN = ('frechet', 'precision', 'recall', 'rarest_class')


def times() -> list[float]:
  """Returns the times at which runs are scored, in seconds."""
  return [_SECONDS.value / 2**k for k in reversed(range(_SCORES.value))]


def run(configs, path: pathlib.Path) -> None:
  """Trains what the log lacks, and appends to the log."""
  first = next(iter(configs.values())).data
  versions = sides_lib.check(configs)
  judge = experiment.judge_of(first, _NUM.value)
  conditions = (
    f'{experiment.conditions(first, judge)}{versions}, '
    f'{os.cpu_count()} cores ({platform.machine()})'
  )
  done = {
    (line['config'], line['side'], line['seed'])
    for line in quality_log.read(path)
    if line['index'] == _SCORES.value - 1
  }
  for name, config in configs.items():
    for seed in range(_SEEDS.value):
      for side, train in sides_lib.sides_of(name).items():
        if (name, side, seed) in done:
          continue
        lines = []
        for reached in train(config, seed, times(), _NUM.value):
          scores = judge.score(judge.see(reached.samples))
          lines.append(
            {
              'config': name,
              'side': side,
              'seed': seed,
              'index': len(lines),
              'seconds': round(reached.seconds, 2),
              'rounds': reached.rounds,
              **{key: scores[key] for key in SHOWN},
              'conditions': conditions,
            }
          )
        quality_log.write(path, [*quality_log.read(path), *lines])


def main(argv) -> None:
  del argv
  # The first run of a user finds no compiled programs.
  jax.config.update('jax_enable_compilation_cache', False)
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  run(
    {name: sides_lib.load(name) for name in _CONFIGS.value}, out / 'log.jsonl'
  )
  quality_log.draw(
    quality_log.read(out / 'log.jsonl'), out / 'time_to_quality.png'
  )
  print(out / 'time_to_quality.png')


if __name__ == '__main__':
  cli.run(main)
