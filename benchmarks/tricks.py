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

import sys

from absl import app, flags

from benchmarks import experiment
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
ALL = ('color', 'translation', 'cutout')

# name -> fields that differ from the base
TRICKS = {
  'none': {},
  'without R1': {'penalties.r1': 0.0},
  'without average': {'ema_halflife': 0.0},
  'R2 as well': {'penalties.r2': 1.0},
  'gradient penalty': {'penalties.r1': 0.0, 'penalties.gradient_penalty': 1.0},
  'DRAGAN': {'penalties.r1': 0.0, 'penalties.dragan': 1.0},
  'spectral norm': {'penalties.r1': 0.0, 'discriminator.spectral_norm': True},
  'feature matching': {'adversarial': 0.0, 'feature_matching': 1.0},
  'minibatch discrimination': {'discriminator.minibatch_kernels': 16},
  'historical averaging': {
    'generator.optimizer.historical_averaging': 1e-3,
    'discriminator.optimizer.historical_averaging': 1e-3,
  },
  'label smoothing': {'label_smoothing.real': 0.1},
  'noisy labels': {'label_noise': 0.3},
  'flipped labels': {'label_flip': 0.05},
  'instance noise': {'instance_noise': 0.1},
  'virtual batch norm': {'generator.virtual_batch': 64},
  'spherical latents': {'latent': 'sphere'},
  'uniform latents': {'latent': 'uniform'},
  'one call for both': {'discriminator_batches': 'joint'},
  'an update each': {'discriminator_batches': 'apart'},
  'running statistics': {'fakes': 'running'},
  'two time scales': {'discriminator.optimizer.learning_rate': 4e-4},
  'experience replay': {'replay_size': 2_048},
  'augmentation': {'augment': ALL},
  'packing': {'pack': 2},
  'top-k': {'top_k': 0.75},
  'minibatch deviation': {'discriminator.minibatch_stddev': True},
  'dropout in G': {'generator.dropout': 0.3},
  'dropout in G, also at test': {
    'generator.dropout': 0.3,
    'generator.dropout_at_test': True,
  },
  'resize and convolve': {
    'generator.upsampling': 'resize',
    'generator.kernel': 3,
  },
}


def main(argv) -> None:
  del argv
  config = experiment.load(_BASE.value)
  fields = config_lib.flatten(config)
  known = [name for name in TRICKS if TRICKS[name].keys() <= fields.keys()]
  names = _TRICKS.value or known
  for name in names:
    if name not in known:
      sys.exit(f'error: --tricks: {name!r} is unknown; known: {known}')
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  config.data.source = data.resolve(config.data)
  config.num_steps = _ROUNDS.value
  configs = {name: experiment.changed(config, TRICKS[name]) for name in names}
  experiment.compare(configs, _SEEDS.value, _NUM.value, SCORES)


if __name__ == '__main__':
  app.run(main)
