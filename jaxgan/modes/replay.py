"""--mode=replay: the round that was not finite once more, and what it holds.

A run is a pure function of its config and data, and all its checkpoints are
finite: the same calls from the newest one lead to the same round. Reads the
workdir and writes nothing.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import batches as batches_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import digests, loop, metric_window
from jaxgan.training import workdir as record_lib


def replay(workdir, until: int | None = None) -> None:
  """Goes on from a checkpoint to the first round that is not finite.

  Args:
    workdir: of the run.
    until: a round that is shown also if it is finite; by default all rounds of
      the run are tried.

  Raises:
    NotFinite: when the round is found, after what it holds is printed.
    UserError: if there is no run, or no such round.
  """
  workdir = pathlib.Path(workdir).absolute()
  record = record_lib.read(workdir)
  if record is None:
    raise errors.UserError(
      f'workdir {str(workdir)!r} holds no run; give the --workdir of one'
    )
  config = config_lib.from_json(record['config'])
  config.eval_images = 0  # No judge: it has no part in a round.
  last = config.num_steps if until is None else until
  if not 1 <= last <= config.num_steps:
    raise errors.UserError(f'--round={until} must be in 1..{config.num_steps}')
  devices_lib.use_compilation_cache()
  run = loop.reopen(config, workdir, last)
  print(f'from step {run.step}')
  while run.step < last:
    rounds = loop.rounds_per_call(run.step, config)
    before = jax.tree.map(jnp.copy, run.state)
    data = run.feed(rounds)
    run.state, metrics = run.call(rounds)(run.state, data, run.seed)
    metrics = metric_window.by_name(jax.device_get(metrics))
    finite = np.all([np.isfinite(v) for v in metrics.values()], axis=0)
    run.step += rounds
    if not finite.all() or run.step >= last:
      _show(run, before, rounds, metrics, finite, last)
  print(f'rounds up to {last} are finite')


def _show(run, state, rounds: int, metrics, finite, last: int) -> None:
  """Prints one of the rounds of a call, which began with `state`."""
  first = run.step - rounds
  place = last - first - 1 if finite.all() else int(np.argmin(finite))
  place = min(place, rounds - 1)
  for step in range(first, first + place + 1):
    if step == first + place:
      run.state = state
      states_before = run.states()
    if run.resident:
      data = run.data
    else:
      data = run.engine.split(_batch(run, step, run.config.seed))
    state, _ = run.call(1)(state, data, run.seed)
  run.state = state
  states = run.states()
  number = first + place + 1
  print(f'round {number}')
  for whose, seed in run.seeds().items():
    said = f'  {whose + ", " if whose else ""}'
    for name, values in _batch(run, number - 1, seed).items():
      values = np.asarray(pixels_lib.to_float(values))
      low, high = values.min(), values.max()
      shape = list(values.shape[2:])
      print(f'{said}batch, {name}: {shape} in [{low:g}, {high:g}]')
    for when, found in (('before', states_before), ('after', states)):
      bad = digests.not_finite(found[whose])
      listed = ''.join(f'\n    {path}: {text}' for path, text in bad.items())
      listed = f'not finite:{listed}' if bad else 'finite'
      print(f'{said}state {when} it: {listed}')
  print('  metrics:')
  for name, values in sorted(metrics.items()):
    print(f'    {name}: {values[place]:g}')
  wrong = [name for name, v in metrics.items() if not np.isfinite(v[place])]
  if wrong:
    raise errors.NotFinite(f'round {number}: {", ".join(wrong)} is not finite')


def _batch(run, step: int, seed: int) -> dict[str, np.ndarray]:
  """The examples of a round, [1, draws, B, ...] each."""
  draws = run.algorithm.batches_per_round(run.method)
  size, config = run.config.batch_size, run.config
  rows = [
    batches_lib.host_examples(
      seed,
      step * draws + draw,
      size,
      run.dataset.size,
      config.data.shuffle,
    )
    for draw in range(draws)
  ]
  read = run.dataset.read_many([int(row) for row in np.concatenate(rows)])
  return {
    name: np.stack([example[name] for example in read]).reshape(
      1, draws, size, *np.shape(read[0][name])
    )
    for name in read[0]
  }
