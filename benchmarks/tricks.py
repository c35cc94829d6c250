"""Scores each trick on the default GAN of digits, one change at a time.

  python -m benchmarks.tricks --source=tfds --data_dir=PATH
  python -m benchmarks.tricks --tricks=none,packing --rounds=3000 --seeds=3
  python -m benchmarks.tricks --base=dcgan_mnist

Every row trains the config of `--base` with other values of some fields, for
the same number of rounds. Tricks whose fields the base lacks are left out.
Scores are those of --mode=evaluate, averaged over seeds: Frechet distance on
features of a classifier, precision, recall and the rarest class. Compare them
with the rows of `none` and of real training images.
"""

from absl import flags

from benchmarks import cli, experiment
from benchmarks.trick_fields import TRICKS
from jaxgan import config as config_lib
from jaxgan import data

_BASE = flags.DEFINE_string('base', 'gan_mnist', 'A file of configs/.')
_TRICKS = flags.DEFINE_list(
  'tricks', [], 'Keys of TRICKS (all that the base has).'
)
_ROUNDS = flags.DEFINE_integer('rounds', 3_000, 'Rounds per run.')
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs per row.')
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, and the most real images.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

SCORES = ('frechet', 'precision', 'recall', 'rarest_class')


def main(argv) -> None:
  del argv
  config = experiment.load(_BASE.value)
  fields = config_lib.flatten(config)
  known = [name for name in TRICKS if TRICKS[name].keys() <= fields.keys()]
  names = _TRICKS.value or known
  cli.check_names('tricks', names, known)
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  config.data.source = data.resolve(config.data)
  config.num_steps = _ROUNDS.value
  configs = {name: experiment.changed(config, TRICKS[name]) for name in names}
  experiment.compare(configs, _SEEDS.value, _NUM.value, SCORES)


if __name__ == '__main__':
  cli.run(main)
