r"""All losses on one network: what scores of MNIST samples they reach.

  python -m benchmarks.losses --source=tfds --data_dir=PATH
  python -m benchmarks.losses --source=tfds --data_dir=PATH --seeds=5 \
      --rounds=94000

The first is reduced, for two cores. Every row of `losses.PAIRS` trains the
networks of `configs/gan_mnist.py` with its recipe, R1 and averaged weights
included; two rows are recipes of tutorials on the same networks, at equal
images seen. Scored as --mode=evaluate does.
"""

import sys

from absl import app, flags

from benchmarks import experiment
from jaxgan import data
from jaxgan.adversarial import losses

_LOSSES = flags.DEFINE_list('losses', [], 'Names of rows; none is all.')
_ROUNDS = flags.DEFINE_integer('rounds', 3_000, 'Of each run, of 64 images.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each row.')
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Samples, and at most so many reals.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'As config.data.source.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'As config.data.data_dir.')

SCORES = (
  *('frechet', 'kernel', 'precision', 'recall', 'density', 'coverage'),
  'rarest_class',
)


def rows() -> dict[str, object]:
  """Name -> config."""
  default = experiment.load('gan_mnist')
  images = _ROUNDS.value * default.batch_size
  found = {
    name: experiment.changed(default, {'loss': name}) for name in losses.PAIRS
  }
  found['wasserstein, gradient penalty'] = experiment.changed(
    found['wasserstein'],
    {'penalties.r1': 0.0, 'penalties.gradient_penalty': 10.0},
  )
  for name in ('gan', 'lsgan'):
    found[f'{name} tutorial'] = experiment.load(f'{name}_mnist:tutorial')
  settings = {'source': _SOURCE.value, 'data_dir': _DATA_DIR.value}
  settings['source'] = data.resolve(experiment.changed(default.data, settings))
  for config in found.values():
    config.data.update(settings)
    config.num_steps = -(-images // config.batch_size)
  return found


def main(argv) -> None:
  del argv
  known = rows()
  for name in _LOSSES.value:
    if name not in known:
      sys.exit(f'error: --losses: {name!r} is unknown; known: {[*known]}')
  configs = {name: known[name] for name in _LOSSES.value or known}
  experiment.compare(configs, _SEEDS.value, _NUM.value, SCORES)


if __name__ == '__main__':
  app.run(main)
