r"""Cost of a round by batch size, image size, width, seeds and data.

  python -m benchmarks.scaling --config=gan_mnist
  python -m benchmarks.scaling --config=dcgan_mnist --turns=3 --seconds=1
  python -m benchmarks.scaling --config=dcgan_mnist --source=tfds \
      --data_dir=PATH --batch_size=16,256,1024,4096 --width=0.5,2,4,8 \
      --image_size=14,56,112 --seeds=4,16,64 --images=1000,10000,60000
  python -m benchmarks.scaling --config=dcgan_faces:paper --precision=bf16 \
      --batch_size=512,2048 --image_size= --width= --seeds= --images=

The first two commands are reduced, for two cores; the others need an
accelerator. Images are digits, at the size of the config. Each row is the base
with one change, and an empty flag leaves its rows out. All rows keep their data
and states. They make the training loop's own calls without its files, and take
turns. A population of seeds is trained 'in turn', member after member, and
'together', by `vmap`. Its round is one round of every member, and its images
are those of all members.

Prints a Markdown table of medians and ranges. The ratio to the base is taken
turn by turn. Seconds of compilation are the first call less a later call. 'of a
product' is the time of a round's operations at the speed of a large matrix
product, over the time of the round. Both come from a dry run.
"""

import statistics

import jax
from absl import flags

from benchmarks import cli, experiment, timing, variations
from jaxgan import config as config_lib
from jaxgan.training import dry_run, sweeps

_CONFIG = flags.DEFINE_string(
  'config', 'gan_mnist', 'NAME or NAME:VARIANT of configs/.'
)
_TURNS = flags.DEFINE_integer('turns', 5, 'Turns per row.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 2.0, 'Approximate length of a turn.')
_PRECISION = flags.DEFINE_string(
  'precision', 'f32', 'Value of config.precision.'
)
_SOURCE = flags.DEFINE_string(
  'source', 'embedded', 'Value of config.data.source.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)
# Values of the varied settings by name.
_VALUES = {
  'batch_size': flags.DEFINE_list(
    'batch_size', ['16', '256'], 'Images per batch.'
  ),
  'image_size': flags.DEFINE_list(
    'image_size', ['14', '56'], 'Side of the images.'
  ),
  'width': flags.DEFINE_list('width', ['0.5', '2'], 'Factors of all widths.'),
  'seeds': flags.DEFINE_list('seeds', ['2', '4'], 'Members of a population.'),
  'images': flags.DEFINE_list(
    'images', ['500', '2000'], 'Images of the data set.'
  ),
}
HEAD = (
  *('varied', 'value', 'ms a round, median (range)', 'over the base'),
  *('ms an image', 'compiles, s', 'of a product'),
)


def share(built, seconds: float, best: float) -> str:
  """Returns a cell: operations per second over the highest possible rate.

  Args:
    built: a built run.
    seconds: seconds of a round.
    best: operations per second of a large product.
  """
  if sweeps.is_population(built.config):
    return ''  # A round of a population is a round of every member.
  return f'{dry_run.costs(built).flops / seconds / best:.0%}'


def compare(config) -> None:
  """Prints the table."""
  rows = list(
    variations.rows_of(
      config, {name: flag.value for name, flag in _VALUES.items()}
    )
  )
  for *_, varied in rows:  # Raises before the first compilation.
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
    row_rates = rates[tuple(name)]
    milliseconds = [1e3 / rate for rate in row_rates]
    middle = statistics.median(milliseconds)
    rounds = sides[tuple(name)].granularity
    compiles = first[tuple(name)] - rounds * middle / 1e3
    cells = [
      *name,
      timing.spread(milliseconds, '.2f'),
      timing.spread(timing.ratios(rates['base', ''], row_rates), '.2f'),
      f'{middle / (varied.batch_size * varied.seeds):.3f}',
      f'{max(compiles, 0.0):.1f}',
      share(sides[tuple(name)].built, middle / 1e3, best),
    ]
    print(f'| {" | ".join(cells)} |')


def main(argv) -> None:
  del argv
  # Programs of earlier runs would hide the time of compilation.
  jax.config.update('jax_enable_compilation_cache', False)
  config = experiment.load(_CONFIG.value)
  config.precision = _PRECISION.value
  config.data.update(
    source=_SOURCE.value, name='mnist', data_dir=_DATA_DIR.value
  )
  compare(config)


if __name__ == '__main__':
  cli.run(main)
