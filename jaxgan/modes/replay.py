"""--mode=replay: trains the round that was not finite again, and prints it.

  python -m jaxgan.main --mode=replay --workdir=runs/gan_mnist

A run is a pure function of its config and data, and all its checkpoints are
finite. The same calls from the newest checkpoint lead to the same round. This
mode reads the workdir and writes nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import batches as batches_lib
from jaxgan.modes import restore as restore_lib
from jaxgan.training import data_files, digests, loop, metric_window
from jaxgan.training import devices as devices_lib


def replay(workdir, round: int | None = None, data=None) -> None:
  """Trains from a checkpoint to the first round that is not finite.

  Args:
    workdir: the folder of the run.
    round: last round to replay, printed even if it is finite; by default all
      rounds of the run.
    data: fields of `config.data` to change, see `data_files.FIELDS`.

  Raises:
    NotFinite: when the round is found, after it is printed.
    UserError: if there is no run, or no such round.
  """
  workdir = paths.of_user(workdir, '--workdir')
  record = restore_lib.record_of(workdir)
  config = config_lib.from_json(record['config'])
  data_files.change(config.data, data)
  config.eval_images = 0  # A judge takes no part in a round.
  last = config.num_steps if round is None else round
  if not 1 <= last <= config.num_steps:
    raise errors.UserError(
      f'--round={round} must be in 1..{config.num_steps}. Choose a round of '
      'the run.'
    )
  devices_lib.use_compilation_cache()
  run = loop.reopen(config, workdir, last)
  print(f'from step {run.step}')
  while run.step < last:
    rounds = loop.rounds_per_call(run.step, config)
    before = jax.tree.map(jnp.copy, run.states.arrays)
    metrics = run.advance(rounds)
    metrics = metric_window.by_name(jax.device_get(metrics))
    finite = np.all([np.isfinite(v) for v in metrics.values()], axis=0)
    if not finite.all() or run.step >= last:
      _show(run, before, rounds, metrics, finite, last)
  print(f'rounds up to {last} are finite')


def _show(run, arrays, rounds: int, metrics, finite, last: int) -> None:
  """Prints one of the rounds of a call.

  Args:
    run: the run after the call.
    arrays: the states before the call.
    rounds: rounds of the call.
    metrics: metrics of the call, [rounds] each.
    finite: True for rounds that are finite, [rounds].
    last: the round to print if all are finite.
  """
  first = run.step - rounds
  index = last - first - 1 if finite.all() else int(np.argmin(finite))
  index = min(index, rounds - 1)
  run.states.arrays, run.step = arrays, first
  for step in range(first, first + index + 1):
    if step == first + index:
      states_before = run.states.by_name()
    if run.inputs.resident:
      data = run.inputs.arrays
    else:
      data = run.engine.split(_batch(run, step, run.config.seed))
    run.advance(1, data)
  states = run.states.by_name()
  number = first + index + 1
  print(f'round {number}')
  for member, seed in run.states.seeds().items():
    start = f'  {member + ", " if member else ""}'
    for name, values in _batch(run, number - 1, seed).items():
      values = np.asarray(pixels_lib.to_float(values))
      low, high = values.min(), values.max()
      shape = list(values.shape[2:])
      print(f'{start}batch, {name}: {shape} in [{low:g}, {high:g}]')
    for when, by_name in (('before', states_before), ('after', states)):
      bad = digests.not_finite(by_name[member])
      listed = ''.join(f'\n    {path}: {text}' for path, text in bad.items())
      listed = f'not finite:{listed}' if bad else 'finite'
      print(f'{start}state {when} it: {listed}')
  print('  metrics:')
  for name, values in sorted(metrics.items()):
    print(f'    {name}: {values[index]:g}')
  wrong = [name for name, v in metrics.items() if not np.isfinite(v[index])]
  if wrong:
    raise errors.NotFinite(f'round {number}: {", ".join(wrong)} is not finite')


def _batch(run, step: int, seed: int) -> dict[str, np.ndarray]:
  """Returns the examples of a round, [1, draws, B, ...] each."""
  draws = run.algorithm.batches_per_round(run.method)
  size = run.config.batch_size
  rows = [
    batches_lib.host_examples(
      seed,
      step * draws + draw,
      size,
      run.dataset.size,
      **run.inputs.order,
    )
    for draw in range(draws)
  ]
  examples = run.dataset.read_many([int(row) for row in np.concatenate(rows)])
  return {
    name: np.stack([example[name] for example in examples]).reshape(
      1, draws, size, *np.shape(examples[0][name])
    )
    for name in examples[0]
  }
