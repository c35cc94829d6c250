"""One run: data, networks, devices and state, and the actions of the loop.

`jaxgan.training.loop` decides when each action happens.
"""

import functools
import json
import math
import pathlib
import zlib
from typing import Any

import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan import errors, steps
from jaxgan.config import schedules
from jaxgan.core import buckets, memory
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import (
  failures,
  first_weights,
  footprint,
  processes,
  results,
  signs,
  summary,
  sweeps,
  traced,
  writers,
)
from jaxgan.training import inputs as inputs_lib
from jaxgan.training import workdir as workdir_lib
from jaxgan.training.metric_window import Window
from jaxgan.training.population import ManyStates
from jaxgan.training.states import OneState
from jaxgan.training.trained import Run
from jaxgan.visual import grid


class Training:
  """A run, or a population that is trained as one run.

  Attributes:
    config: the config.
    workdir: folder of the run.
    states: the state of one run, `OneState`, or of all members, `ManyStates`.
    traced: the networks, traced with a single example.
    step: the number of finished rounds.
    rules: fields that keep a rule of older code, see `config/formats.py`.
  """

  def __init__(self, config, workdir: pathlib.Path, make_scorer=None):
    record = workdir_lib.read(workdir)
    self.rules = record['rules'] if record else {}
    config_lib.apply_rules(config, self.rules)
    population = sweeps.of(config)
    self.states = ManyStates(population) if population else OneState(config)
    self.config = config
    self.workdir = workdir
    self.make_scorer = make_scorer
    self.samples = workdir / 'samples'

  def build(self) -> None:
    """Loads data and builds networks; raises a UserError if they do not fit."""
    config = self.config
    # First, because this needs neither data nor compilation.
    self.engine = self.states.make_engine()
    devices_lib.check_precision(config.precision)
    self.algorithm = steps.find(config.method)
    record = workdir_lib.read(self.workdir)
    if config.init_from and record is None:
      first_weights.check(config.init_from)
    self.dataset = inputs_lib.load(config, self.workdir, record)
    self.method = self._build_method()
    self.inputs = inputs_lib.Inputs(config, self.dataset, self.algorithm)
    self.traced = {
      name: summary.trace(module, *inputs)
      for name, (module, inputs) in self.algorithm.modules(self.method).items()
    }
    footprint.refuse_constant_layers(self)
    if not self.config.dry_run:  # A dry run may be for another machine.
      footprint.refuse_too_large(self)
    self.judge = self._build_judge()
    traced.refuse_schedules(config, self.algorithm, self.dataset)
    self.states.build(self.algorithm, self.method, self.dataset)

  def _build_method(self):
    ends = schedules.both_ends(self.states.config)  # Both are checked.
    try:
      return [self.algorithm.from_config(c, self.dataset.spec) for c in ends][1]
    except (AttributeError, KeyError) as error:
      field = config_lib.missing(self.config, error)
      if not field:
        raise
      raise errors.UserError(
        f'method={self.config.method!r} needs a field {field!r}, which the '
        'config does not have. Start from a config of that method.'
      ) from None

  def _build_judge(self):
    config = self.config
    if not (config.eval_every and config.eval_images and self.make_scorer):
      return None
    if processes.num_processes() > 1:
      raise errors.UserError(
        f'eval_images={config.eval_images} needs one process, and there are '
        f'{processes.num_processes()}. Set eval_images=0 and score with '
        '--mode=evaluate --follow beside the run.'
      )
    memory.refuse(
      config.eval_images * math.prod(self.dataset.spec.shape),
      f'eval_images={config.eval_images}',
      'Lower it.',
    )
    return self.make_scorer(config, self.algorithm)

  def describe(self) -> None:
    """Prints tables of data, networks and members."""
    if self.inputs.resident:
      where = f'on the device, {self.dataset.num_bytes / 1e6:.1f} MB'
    else:
      where = 'streamed'
    devices = self.engine.mesh.devices.flat
    where += f', {len(devices)} x {devices[0].device_kind}, {self.engine.name}'
    tables = [summary.data(self.dataset, where)]
    tables += [summary.network(*item) for item in self.traced.items()]
    for table in (*tables, *self.states.tables()):
      print(table, end='\n\n', flush=True)

  def start(self, checkpoints, before: int | None = None) -> None:
    """Restores the newest valid checkpoint, or makes the first state.

    Args:
      checkpoints: the checkpoints of the workdir.
      before: if given, only checkpoints of earlier steps count.
    """
    # The first process renames damaged checkpoints.
    with processes.first_before_others():
      restored = checkpoints.restore(self.states.like(), before)
    pending, self.started_at = {}, None
    if restored is not None:
      state, meta = restored
      workdir_lib.refuse_changes(self.workdir, meta, self.config, self.dataset)
      self.states.restore(state)
      self.step = self.started_at = meta['step']
      pending = meta['pending']
      print(f'resumed from the checkpoint of step {self.step}')
    else:
      self.initialize()
      if self.config.init_from:
        print(f'first weights from {self.config.init_from}')
    self.window = Window(self.step, pending)
    self._compare_processes()

  def initialize(self) -> None:
    """Makes the state of step 0, with the weights of `init_from` if set."""
    self.states.initialize(self._adopt)
    self.step = 0

  def _adopt(self, state):
    if not self.config.init_from:
      return state
    state = first_weights.adopt(self.config.init_from, self.engine.whole(state))
    return jax.device_put(state, self.engine.shardings(state))

  def _compare_processes(self) -> None:
    """Raises a UserError unless all processes start from the same values."""
    values = {
      'config': self.config.to_dict(),
      'data': workdir_lib.of_data(self.dataset),
      'step': self.step,
    }
    for name, value in values.items():
      text = json.dumps(value, sort_keys=True)
      if not processes.same_everywhere(zlib.crc32(text.encode())):
        raise errors.UserError(
          f'processes differ in {name}, here {text[:200]}. Give all processes '
          'the same flags and data, and a workdir on a shared file system.'
        )

  def open_writers(self) -> writers.All:
    if not processes.is_first():
      return writers.All()
    step = -1 if self.started_at is None else self.started_at
    log = self.workdir / 'metrics.jsonl'
    return writers.All(
      writers.JsonLines(log, step),
      writers.TensorBoard(self.workdir / 'tensorboard', self.step),
      writers.Console(self.config.num_steps, self.step),
      *failures.watch(log, step, self.states.configs, self.states.methods),
    )

  def program(self, rounds: int) -> dict[str, Any]:
    """Returns the arguments of `compile_rounds`."""
    return {
      'engine': self.engine,
      'train_step': self.states.train_step(),
      'rounds': rounds,
      'draws': self.algorithm.batches_per_round(self.method),
      'batch_size': self.config.batch_size,
      'resident': self.inputs.resident,
      **self.inputs.order,
      'precision': self.config.precision,
    }

  def compile(self) -> None:
    """Compiles rounds, previews and scores, and prepares the data."""
    self.call = functools.cache(
      lambda rounds: self.states.for_all(
        compile_lib.compile_rounds(**self.program(rounds))
      )
    )
    self.states.compile()
    self.inputs.open(self.engine, self.method, self.step)

  def advance(self, rounds: int, data=None):
    """Trains for some rounds and returns their metrics.

    Args:
      rounds: rounds of the call.
      data: the data of the call; by default the next ones.
    """
    states = self.states
    data = self.inputs.feed(rounds) if data is None else data
    states.arrays, metrics = self.call(rounds)(states.arrays, data, states.seed)
    self.step += rounds
    return metrics

  def scalars(self, is_log: bool, is_eval: bool) -> dict[str, float]:
    """Returns one line of metrics."""
    values = {'images': self.step * self.config.batch_size}
    if is_log:
      values |= self.states.with_spread(self.window.means())
    if is_eval:
      scores = self.states.scores(self.inputs.held_out, self._score_samples)
      values |= scores
      if signs.as_seen(scores) and self.inputs.seen is not None:
        scores = self.states.scores(self.inputs.seen, lambda *_: {})
        values |= signs.as_seen(scores)
    return values

  def _score_samples(self, method, state) -> dict[str, float]:
    if self.judge is None:
      return {}
    run = Run(self.algorithm, method, state, self.dataset.spec, self.config)
    # The judge moves images to the host and back.
    with jax.transfer_guard('allow'):
      return self.judge.scores_of(run)

  def pictures(self) -> dict[str, np.ndarray]:
    """Returns the grids of this step, and writes them as files."""
    previews = self.states.preview(self.inputs.shown)
    if not processes.is_first():
      return {}
    images = self.step * self.config.batch_size
    caption = f'step {self.step:,}  {images:,} images'
    average = ', averaged weights' if self.states.is_averaged() else ''
    grids = {}
    for index, (name, values) in enumerate(previews.items()):
      grids[name] = grid.draw(values, f'{caption}  {name}{average}')
      suffix = f'_{name}' if index else ''
      path = self.samples / f'step_{self.step:08d}{suffix}.png'
      grid.save(path, grids[name])
    return grids

  def save(self, checkpoints) -> None:
    meta = {
      'format': config_lib.FORMAT,
      'rules': self.rules,
      'config': self.config.to_dict(),
      'data': workdir_lib.of_data(self.dataset),
      'pending': self.window.pending(),
    }
    state = self.states.to_save()
    if not processes.is_first():
      return
    checkpoints.save(self.step, state, meta)
    in_bucket = buckets.is_copy(self.workdir)
    if in_bucket or not self._is_saved:
      checkpoints.wait()
      self.write_record(True)
    if in_bucket:
      buckets.store(self.workdir)

  def write_record(self, is_saved: bool) -> None:
    """Writes `config.json`; see `workdir.write`."""
    self._is_saved = is_saved
    devices = self.engine.mesh.devices.flat
    workdir_lib.write(
      self.workdir, self.config, self.rules, self.dataset, devices, is_saved
    )

  def finish(self) -> None:
    """Writes `samples.gif` and `curves.png`."""
    if processes.is_first():
      expected = self.states.equilibrium_metrics()
      results.draw(self.workdir, self.step, expected)
