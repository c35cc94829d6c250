"""Seconds of several runs in one program, beside one run and one after another.

  python -m benchmarks.population --members=16 --turns=8 --rounds=200
  python -m benchmarks.population --members=4 --turns=5

The first is for an accelerator, the second is reduced, for two cores. All sides
keep their data and states, make the training loop's own calls without its
files, and take turns, so that a change in the machine's speed meets all.
Printed: a Markdown table of medians and ranges; ratios are taken turn by turn.

  one: a run alone.
  one after another: runs alone, as many as there are members.
  in turn: a population with members_at_once=1.
  together: a population with all members in one `vmap`.
"""

import statistics

import jax
from absl import app, flags

from benchmarks import experiment, timing

_SYSTEMS = flags.DEFINE_list('systems', [], 'Keys of SYSTEMS; none is all.')
_MEMBERS = flags.DEFINE_integer('members', 4, 'Of a population.')
_TURNS = flags.DEFINE_integer('turns', 5, 'Turns of each side.')
_ROUNDS = flags.DEFINE_integer('rounds', 40, 'Of every run in each turn.')

# name -> config, and what is changed in it.
SYSTEMS = {
  'MLP GAN': ('gan_mnist', {}),
  'small DCGAN': (
    'dcgan_mnist',
    {'generator.widths': (32, 16), 'discriminator.widths': (16, 32)},
  ),
}


def config_of(system: str, **fields):
  """The config of a row of SYSTEMS, for one device."""
  name, changed = SYSTEMS[system]
  fields = {'data.source': 'embedded', **fields}
  return experiment.changed(experiment.load(name), changed | fields)


def measure(system: str, count: int, turns: int, rounds: int) -> dict:
  """Seconds of each turn, by side."""
  sides = {'one': timing.Trainer(config_of(system))}
  for name, at_once in {'in turn': 1, 'together': count}.items():
    fields = {'seeds': count, 'members_at_once': at_once}
    sides[name] = timing.Trainer(config_of(system, **fields))
  found = {name: [] for name in [*sides, 'one after another']}
  for turn in range(turns + 1):
    one = [sides['one'].run(rounds) for _ in range(count)]
    row = {'one': statistics.median(one), 'one after another': sum(one)}
    for name in ('in turn', 'together'):
      row[name] = sides[name].run(rounds)
    if turn:  # The first compiles.
      for name, value in row.items():
        found[name].append(value)
  return found


def main(argv) -> None:
  del argv
  count, turns, rounds = _MEMBERS.value, _TURNS.value, _ROUNDS.value
  device = jax.devices()[0].device_kind
  print(
    f'{count} members, {rounds} rounds, {turns} turns, {device}, '
    f'jax {jax.__version__}\n'
  )
  print('| | side | seconds | over one | over one after another |')
  print('| --- | --- | --- | --- | --- |')
  for system in _SYSTEMS.value or SYSTEMS:
    found = measure(system, count, turns, rounds)
    for name in ('one', 'one after another', 'in turn', 'together'):
      ratios = [
        timing.spread(timing.ratios(found[name], found[base]), '.2f')
        for base in ('one', 'one after another')
      ]
      cells = ' | '.join([timing.spread(found[name], '.2f'), *ratios])
      print(f'| {system} | {name} | {cells} |', flush=True)


if __name__ == '__main__':
  app.run(main)
