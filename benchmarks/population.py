"""Seconds of a population, of one run, and of runs one after another.

  python -m benchmarks.population --members=16 --turns=8 --rounds=200
  python -m benchmarks.population --members=4 --turns=5

The first command needs an accelerator; the second is reduced, for two cores.
All sides keep their data and states. They make the training loop's own calls
without its files. They take turns, so that a change in the machine's speed
affects all. Prints a Markdown table of medians and ranges; ratios are taken
turn by turn.

  one: one run alone.
  one after another: one run per member, each alone.
  in turn: a population with members_at_once=1.
  together: a population with all members in one `vmap`.
"""

import statistics

import jax
from absl import flags

from benchmarks import cli, experiment, timing

_SYSTEMS = flags.DEFINE_list('systems', [], 'Keys of SYSTEMS (all).')
_MEMBERS = flags.DEFINE_integer('members', 4, 'Members of the population.')
_TURNS = flags.DEFINE_integer('turns', 5, 'Turns per side.')
_ROUNDS = flags.DEFINE_integer('rounds', 40, 'Rounds of every run per turn.')

# name -> config, and fields that differ.
SYSTEMS = {
  'MLP GAN': ('gan_mnist', {}),
  'small DCGAN': (
    'dcgan_mnist',
    {'generator.widths': (32, 16), 'discriminator.widths': (16, 32)},
  ),
}


def config_of(system: str, **fields):
  """Returns the config of a row of SYSTEMS, for one device."""
  name, changed = SYSTEMS[system]
  fields = {'data.source': 'embedded', **fields}
  return experiment.changed(experiment.load(name), changed | fields)


def measure(system: str, count: int, turns: int, rounds: int) -> dict:
  """Returns the seconds of each turn, by side."""
  sides = {'one': timing.Trainer(config_of(system))}
  for name, at_once in {'in turn': 1, 'together': count}.items():
    fields = {'seeds': count, 'members_at_once': at_once}
    sides[name] = timing.Trainer(config_of(system, **fields))
  seconds = {name: [] for name in [*sides, 'one after another']}
  for turn in range(turns + 1):
    one = [sides['one'].run(rounds) for _ in range(count)]
    row = {'one': statistics.median(one), 'one after another': sum(one)}
    for name in ('in turn', 'together'):
      row[name] = sides[name].run(rounds)
    if turn:  # The first turn compiles.
      for name, value in row.items():
        seconds[name].append(value)
  return seconds


def main(argv) -> None:
  del argv
  names = _SYSTEMS.value or SYSTEMS
  cli.check_names('systems', names, SYSTEMS)
  count, turns, rounds = _MEMBERS.value, _TURNS.value, _ROUNDS.value
  device = jax.devices()[0].device_kind
  print(
    f'{count} members, {rounds} rounds, {turns} turns, {device}, '
    f'jax {jax.__version__}\n'
  )
  print('| | side | seconds | over one | over one after another |')
  print('| --- | --- | --- | --- | --- |')
  for system in names:
    seconds = measure(system, count, turns, rounds)
    for name in ('one', 'one after another', 'in turn', 'together'):
      ratios = [
        timing.spread(timing.ratios(seconds[name], seconds[base]), '.2f')
        for base in ('one', 'one after another')
      ]
      cells = ' | '.join([timing.spread(seconds[name], '.2f'), *ratios])
      print(f'| {system} | {name} | {cells} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
