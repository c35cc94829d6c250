r"""How the cost of a round grows with what a user can turn.

  python -m benchmarks.scaling --config=gan_mnist
  python -m benchmarks.scaling --config=dcgan_mnist --turns=3 --seconds=1
  python -m benchmarks.scaling --config=dcgan_mnist --source=tfds \
      --data_dir=PATH --batch_size=16,256,1024,4096 --width=0.5,2,4,8 \
      --image_size=14,56,112 --seeds=4,16,64 --images=1000,10000,60000
  python -m benchmarks.scaling --config=dcgan_faces:paper --precision=bf16 \
      --batch_size=512,2048 --image_size= --width= --seeds= --images=

The first two are reduced, for two cores; the others are for an accelerator.
Images are digits, at the size that the config has. Each row is the base with
one thing changed, and an empty flag leaves its rows out. All rows keep their
data and states, make the training loop's own calls without its files, and take
turns. A population of seeds is trained 'in turn', member after member, and
'together', by `vmap`; its round is one of every member, and its images are
those of all.

Printed: a Markdown table of medians and ranges. The ratio to the base is taken
turn by turn; what compiles is in the first call, less a call after it. 'Of a
product' is what the operations of a round take at the speed of a large product
of the same precision, both as a dry run has them, over what the round took.
"""

import statistics
import sys

import jax
from absl import app, flags

from benchmarks import experiment, timing, variations
from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.training import dry_run, sweeps

_CONFIG = flags.DEFINE_string(
  'config', 'gan_mnist', 'NAME or NAME:VARIANT of configs/.'
)
_TURNS = flags.DEFINE_integer('turns', 5, 'Turns of each row.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 2.0, 'About how long a turn takes.')
_PRECISION = flags.DEFINE_string('precision', 'f32', 'As config.precision.')
_SOURCE = flags.DEFINE_string('source', 'embedded', 'As config.data.source.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'As config.data.data_dir.')
# Values of what is varied, by its name.
_VALUES = {
  'batch_size': flags.DEFINE_list('batch_size', ['16', '256'], 'Images.'),
  'image_size': flags.DEFINE_list('image_size', ['14', '56'], 'Side.'),
  'width': flags.DEFINE_list('width', ['0.5', '2'], 'Times all widths.'),
  'seeds': flags.DEFINE_list('seeds', ['2', '4'], 'Members of a population.'),
  'images': flags.DEFINE_list('images', ['500', '2000'], 'Of the data set.'),
}
HEAD = (
  *('varied', 'value', 'ms a round, median (range)', 'over the base'),
  *('ms an image', 'compiles, s', 'of a product'),
)


def share(built, seconds: float, best: float) -> str:
  """A cell: operations per second, over the most that there can be.

  Args:
    built: a built run of `jaxgan.train`.
    seconds: of a round.
    best: operations per second of a large product.
  """
  if sweeps.is_population(built.config):
    return ''  # Its round is that of so many runs.
  return f'{dry_run.costs(built).flops / seconds / best:.0%}'


def compare(config) -> None:
  """Prints the table."""
  rows = list(
    variations.rows_of(
      config, {name: flag.value for name, flag in _VALUES.items()}
    )
  )
  for *_, varied in rows:  # Before anything is compiled.
    config_lib.validate(varied)
  sides, first = {}, {}
  for *name, varied in rows:
    side = timing.Trainer(varied)
    sides[tuple(name)], first[tuple(name)] = side, side.run(side.granularity)
  rates = timing.take_turns(sides, _TURNS.value, _SECONDS.value)
  device = jax.devices()[0]
  best = dry_run.ceilings(device, config.precision).flops
  print(
    f'{_CONFIG.value}, batch {config.batch_size}, '
    f'{sides["base", ""].built.dataset.size:,} images of '
    f'{config.data.source}, {_TURNS.value} turns of {_SECONDS.value:g} s, '
    f'{config.precision}, {jax.device_count()} x {device.device_kind}, '
    f'jax {jax.__version__}\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  for *name, varied in rows:
    own = rates[tuple(name)]
    milliseconds = [1e3 / rate for rate in own]
    middle = statistics.median(milliseconds)
    rounds = sides[tuple(name)].granularity
    compiles = first[tuple(name)] - rounds * middle / 1e3
    cells = [
      *name,
      timing.spread(milliseconds, '.2f'),
      timing.spread(timing.ratios(rates['base', ''], own), '.2f'),
      f'{middle / (varied.batch_size * varied.seeds):.3f}',
      f'{max(compiles, 0.0):.1f}',
      share(sides[tuple(name)].built, middle / 1e3, best),
    ]
    print(f'| {" | ".join(cells)} |')


def main(argv) -> None:
  del argv
  # A program of an earlier run would be compiled in no time.
  jax.config.update('jax_enable_compilation_cache', False)
  try:
    config = experiment.load(_CONFIG.value)
    config.precision = _PRECISION.value
    config.data.update(
      source=_SOURCE.value, name='mnist', data_dir=_DATA_DIR.value
    )
    compare(config)
  except errors.UserError as error:
    sys.exit(f'error: {error}')


if __name__ == '__main__':
  app.run(main)
