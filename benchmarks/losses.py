r"""Scores of MNIST samples for every loss, on the same networks.

  python -m benchmarks.losses --source=tfds --data_dir=PATH
  python -m benchmarks.losses --source=tfds --data_dir=PATH --seeds=5 \
      --rounds=94000

The first command is reduced, for two cores. Every row of `losses.PAIRS` trains
the networks of `configs/gan_mnist.py` with its recipe, including R1 and
averaged weights. Two rows are recipes of tutorials on the same networks, with
as many images. Scores are those of --mode=evaluate.
"""

from absl import flags

from benchmarks import cli, experiment
from jaxgan import data
from jaxgan.adversarial import losses

_LOSSES = flags.DEFINE_list('losses', [], 'Names of rows (all).')
_ROUNDS = flags.DEFINE_integer('rounds', 3_000, 'Rounds of 64 images per run.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs per row.')
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, and the most real images.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

SCORES = (
  *('frechet', 'kernel', 'precision', 'recall', 'density', 'coverage'),
  'rarest_class',
)


def rows() -> dict[str, object]:
  """Returns the config of every row by name."""
  default = experiment.load('gan_mnist')
  images = _ROUNDS.value * default.batch_size
  configs = {
    name: experiment.changed(default, {'loss': name}) for name in losses.PAIRS
  }
  configs['wasserstein, gradient penalty'] = experiment.changed(
    configs['wasserstein'],
    {'penalties.r1': 0.0, 'penalties.gradient_penalty': 10.0},
  )
  for name in ('gan', 'lsgan'):
    configs[f'{name} tutorial'] = experiment.load(f'{name}_mnist:tutorial')
  settings = {'source': _SOURCE.value, 'data_dir': _DATA_DIR.value}
  settings['source'] = data.resolve(experiment.changed(default.data, settings))
  for config in configs.values():
    config.data.update(settings)
    config.num_steps = -(-images // config.batch_size)
  return configs


def main(argv) -> None:
  del argv
  known = rows()
  cli.check_names('losses', _LOSSES.value, known)
  configs = {name: known[name] for name in _LOSSES.value or known}
  experiment.compare(configs, _SEEDS.value, _NUM.value, SCORES)


if __name__ == '__main__':
  cli.run(main)
