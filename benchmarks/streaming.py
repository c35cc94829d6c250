r"""Rounds per second with streamed data, beside data on the device.

  python -m benchmarks.streaming --source=tfds --data_dir=PATH
  python -m benchmarks.streaming --source=folder --path=FOLDER

Threads read large sets from disk in every epoch, round by round, ahead of
training (`jaxgan/data/stream.py`). Sets of less than `data.resident_bytes` stay
on the device. Both sides take turns. They train the same rounds on the same
examples, with the training loop's own calls and without its files. Streaming
should have 95 % of the rounds or more.

Prints a Markdown table of medians and ranges; ratios are taken turn by turn.
"""

import os
import statistics
import sys

import jax
from absl import flags

from benchmarks import cli, experiment, timing
from jaxgan import config as config_lib
from jaxgan.data import stream

_CONFIGS = flags.DEFINE_list(
  'configs', ['dcgan_mnist:tutorial'], 'NAME or NAME:VARIANT of configs/.'
)
_TURNS = flags.DEFINE_integer('turns', 5, 'Turns per side.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 4.0, 'Approximate length of a turn.')
_SOURCE = flags.DEFINE_string(
  'source', 'embedded', 'Value of config.data.source.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)
_PATH = flags.DEFINE_string('path', '', 'Value of config.data.path.')

HEAD = (
  *('config', 'data', 'on the device, rounds/s', 'streamed'),
  *('images/s', 'streamed over on the device'),
)
ENDLESS = 10**9  # rounds; a stream ends with its run


class Streamed(timing.Trainer):
  """Trainer that first uses up the rounds read ahead during other turns."""

  def run(self, rounds: int) -> float:
    super().run(stream.ROUNDS_AHEAD)
    return super().run(rounds)


def compare(configs) -> None:
  """Prints the table."""
  device = jax.devices()[0].device_kind
  print(
    f'{_TURNS.value} turns of {_SECONDS.value:g} s, {device}, '
    f'{os.cpu_count()} cores, jax {jax.__version__}\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  for name, config in configs.items():
    config.num_steps = ENDLESS
    resident, streamed = (
      kind(experiment.changed(config, {'data.resident_bytes': size}))
      for kind, size in ((timing.Trainer, sys.maxsize), (Streamed, 0))
    )
    rates = timing.take_turns(
      {'resident': resident, 'streamed': streamed},
      _TURNS.value,
      _SECONDS.value,
    )
    ratios = timing.ratios(rates['streamed'], rates['resident'])
    dataset = streamed.built.dataset
    images = config.batch_size * streamed.built.algorithm.batches_per_round(
      streamed.built.method
    )
    cells = [
      name,
      f'{dataset.size:,} of {config.data.source}, {dataset.spec.shape}',
      timing.spread(rates['resident'], '.3g'),
      timing.spread(rates['streamed'], '.3g'),
      f'{statistics.median(rates["streamed"]) * images:,.0f}',
      timing.spread(ratios, '.3f'),
    ]
    print(f'| {" | ".join(cells)} |', flush=True)


def main(argv) -> None:
  del argv
  data = {
    'data.source': _SOURCE.value,
    'data.data_dir': _DATA_DIR.value,
    'data.path': _PATH.value,
  }
  configs = {}
  for name in _CONFIGS.value:
    configs[name] = experiment.changed(experiment.load(name), data)
    config_lib.validate(configs[name])
  compare(configs)


if __name__ == '__main__':
  cli.run(main)
