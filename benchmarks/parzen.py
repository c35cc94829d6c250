r"""Parzen-window log-likelihood on MNIST, the table of the original GAN.

  python -m benchmarks.parzen --source=tfds --data_dir=PATH --rounds=15000 \
      --seeds=3
  python -m benchmarks.parzen --experiment=aae_mnist --rounds=30000
  python -m benchmarks.parzen --workdir=runs/gan_mnist

Scores 10,000 samples of a run, or of --experiment, a file of `configs/` with or
without a variant, trained for --rounds. The protocol is that of Goodfellow et
al. 2014 (https://arxiv.org/abs/1406.2661, section 5). The first 1,000
validation images choose the bandwidth out of ten. The score is the mean over
all test images in nats, with its standard error over test images, of the mean
of all seeds. The next column is the standard deviation over seeds. Validation
images are the last sixth of the training images, 10,000 of 60,000, and are not
trained on. A run of --workdir may have seen them.

Two rows calibrate the score: training images instead of samples, and centroids
of k-means, which do not look like digits (Theis et al. 2016,
https://arxiv.org/abs/1511.01844, section 3.2).
"""

import functools
import statistics
import time

import jax
import numpy as np
from absl import flags

from benchmarks import cli, experiment, kmeans
from jaxgan import data, errors
from jaxgan.config.fields import is_group
from jaxgan.metrics import parzen
from jaxgan.modes import restore as restore_lib
from jaxgan.modes import sample

_WORKDIR = flags.DEFINE_string('workdir', '', 'Folder of a run to score.')
_EXPERIMENT = flags.DEFINE_string(
  'experiment', 'gan_mnist', 'Config without --workdir, as aae_mnist:paper.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 3_000, 'Rounds without --workdir.')
_SEEDS = flags.DEFINE_integer(
  'seeds', 1, 'Runs without --workdir.', lower_bound=1
)
_NUM = flags.DEFINE_integer(
  'num', 10_000, 'Number of samples, or of images instead.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)
_PASSES = flags.DEFINE_integer(
  'passes', 3, 'Passes of k-means; 0 leaves k-means out.'
)

# Nats with errors over test images. Goodfellow et al. 2014, table 1; for CGAN,
# Mirza and Osindero 2014, table 1; for AAE, Makhzani et al. 2015, table 1.
PUBLISHED = {
  'DBN': '138 ± 2',
  'stacked CAE': '121 ± 1.6',
  'deep GSN': '214 ± 1.1',
  'GAN': '225 ± 2',
  'CGAN': '132 ± 1.8',
  'AAE': '340 ± 2',
}


def _runs(train_size: int, settings):
  """Returns runs, their name, and their mean seconds of training."""
  if _WORKDIR.value:
    run = restore_lib.restore(_WORKDIR.value)
    if not run.has_latents:
      raise errors.UserError(
        f'--workdir={_WORKDIR.value}: method={run.name!r} has no latents. '
        'Choose a run that has.'
      )
    name = f'{run.name} of --workdir, step {int(run.state.step):,}'
    return [run], name, ''
  config = experiment.load(_EXPERIMENT.value)
  config.data.update(settings)
  config.data.limit = train_size
  config.num_steps = _ROUNDS.value
  for group in filter(is_group, config.values()):
    # Schedules end with the run.
    if 'optimizer' in group and group.optimizer.schedule_images:
      group.optimizer.schedule_images = _ROUNDS.value * config.batch_size
  runs, seconds = [], []
  for seed in range(_SEEDS.value):
    run, took = experiment.train(config, seed)
    runs.append(run)
    seconds.append(took)
  name = f'{_EXPERIMENT.value}, {_ROUNDS.value:,} rounds, {_SEEDS.value} seeds'
  return runs, name, f'{statistics.fmean(seconds):.0f}'


def _samples(run):
  label = np.arange(_NUM.value) % len(run.classes) if run.classes else None
  return list(sample.draw(run, _NUM.value, 0, label))


def main(argv) -> None:
  del argv
  settings = experiment.load(_EXPERIMENT.value).data
  if _WORKDIR.value:
    settings = restore_lib.restore(_WORKDIR.value).config.data
  else:
    settings.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
    settings.source = data.resolve(settings)
  images = experiment.read(settings).columns['image']
  test = experiment.read(settings, 'test').columns['image']
  train_size = len(images) * 5 // 6
  train, validation = images[:train_size], images[train_size:]
  runs, name, seconds = _runs(train_size, settings)
  num = min(_NUM.value, train_size)
  print(
    f'{settings.source}, {train_size:,} images to train on, '
    f'{len(test):,} to test on, {jax.devices()[0].device_kind}, jax '
    f'{jax.__version__}\n'
  )
  head = (
    '| | nats | over seeds | bandwidth | seconds of training | of scoring |'
  )
  print(f'{head}\n{"| --- " * 6}|')
  for model, nats in PUBLISHED.items():
    print(f'| {model}, published | {nats} | | | | |')
  rows = {
    f'{name}, {_NUM.value:,} samples': (
      [functools.partial(_samples, run) for run in runs],
      seconds,
    ),
    f'{num:,} training images': ([lambda: train[:num]], ''),
  }
  if _PASSES.value:
    few = min(num, train_size // 5)
    rows[f'{few:,} centroids, {_PASSES.value} passes'] = (
      [lambda: kmeans.centroids(train, few, _PASSES.value)],
      '',
    )
  for row, (makers, seconds) in rows.items():
    start = time.perf_counter()
    results = [
      parzen.score(np.asarray(make()), validation, test) for make in makers
    ]
    took = time.perf_counter() - start
    means, errors, bandwidths = zip(
      *(map(float, x) for x in results), strict=True
    )
    spread = f'{statistics.stdev(means):.1f}' if len(means) > 1 else ''
    widths = ', '.join(f'{width:.3f}' for width in sorted(set(bandwidths)))
    print(
      f'| {row} | {statistics.fmean(means):.1f} ± '
      f'{statistics.fmean(errors):.1f} | {spread} | {widths} | {seconds} | '
      f'{took:.0f} |',
      flush=True,
    )


if __name__ == '__main__':
  cli.run(main)
