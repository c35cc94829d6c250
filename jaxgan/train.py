"""The training loop: the only file that mutates anything.

A round is one call of the algorithm's pure `train_step`; everything that has an
effect (files, signals, the console) is here or called from here. At a step, in
this order: log and evaluate, sample, checkpoint; then the next rounds. All of a
step is on disk before its checkpoint is, so whatever was written after the
newest checkpoint can be dropped on a restart and is written again the same.
"""

import contextlib
import functools
import json
import logging
import pathlib
import time
import zlib

import jax
import numpy as np

from jaxgan import (
  checkpoint,
  data,
  dry_run,
  errors,
  parallel,
  profiling,
  steps,
  summary,
  trained,
  writers,
)
from jaxgan import config as config_lib
from jaxgan import record as record_lib
from jaxgan.data import sampling, stream
from jaxgan.interrupts import Interrupts
from jaxgan.visual import animation, curves, grid
from jaxgan.window import Window

_logger = logging.getLogger(__name__)

# Folded into the run's key for the latents of the grid.
PREVIEW_STREAM = 2**31 - 1
HELD_OUT_IMAGES = 1_000


def due(step: int, every: int) -> bool:
  """Whether something that happens every so often happens at `step`."""
  return every > 0 and step > 0 and step % every == 0


def rounds_until_due(step: int, config) -> int:
  """Rounds for the next call: all of `steps_per_call`, or one.

  Calls begin at multiples of `steps_per_call` wherever the run was started or
  stopped, so that a resumed run makes the same calls.
  """
  many = config.steps_per_call
  if step % many:
    return 1
  stop = min(
    [config.num_steps]
    + [
      (step // every + 1) * every
      for every in (
        config.log_every,
        config.sample_every,
        config.checkpoint_every,
        config.eval_every,
      )
      if every
    ]
  )
  return many if step + many <= stop else 1


def _spread(dataset, most: int) -> dict[str, np.ndarray]:
  """At most so many examples, evenly over the whole set, whatever its order."""
  count = min(most, dataset.size)
  places = np.arange(count) * dataset.size // count
  if dataset.columns is not None:
    return {k: v[places] for k, v in dataset.columns.items()}
  rows = [dataset.read(int(place)) for place in places]
  return {k: np.stack([row[k] for row in rows]) for k in rows[0]}


class _Run:
  """What one call of `train` holds; see there."""

  def __init__(self, config, workdir: pathlib.Path):
    self.config = config
    self.workdir = workdir
    self.samples = workdir / 'samples'

  def build(self) -> None:
    """Data, networks and devices; raises for what does not fit."""
    config = self.config
    # First: it needs neither data nor compilation.
    self.engine = parallel.make(config.engine, config.batch_size)
    if config.precision == 'tf32' and jax.default_backend() == 'cpu':
      _logger.warning("precision='tf32': products are float32 on a CPU")
    self.algorithm = steps.find(config.method)
    record = record_lib.read(self.workdir)
    if record is not None:
      recorded = record['config']['data']['source']
      if config.data.source == 'auto':
        config.data.source = recorded
        _logger.info('data.source=%s, as when this run was begun', recorded)
      record_lib.refuse_changes(self.workdir, record, config)
    config.data.source = data.resolve(config.data)
    self.dataset = data.load(config.data)
    if self.dataset.size < 2:
      raise errors.DataError(
        f'data.source={config.data.source!r}: there is {self.dataset.size} '
        'image to train on and a distribution needs two at least; add images '
        'to data.path, or raise data.limit'
      )
    if record is not None:
      record_lib.refuse_changes(self.workdir, record, config, self.dataset)
    spec = self.dataset.spec
    # Outside of the mapped step there is no axis to take means over.
    self.method = self.algorithm.from_config(config, spec)
    self.mapped_method = self.algorithm.from_config(
      config, spec, self.engine.axis_name
    )
    self.resident = self.dataset.num_bytes <= config.data.resident_bytes
    self.held_out = self.shown = None
    num_shown = self.algorithm.SHOWN_IMAGES if config.sample_every else 0
    if config.eval_every or num_shown:
      try:
        test = data.load(config.data, 'test')
      except errors.DataError:
        if config.eval_every:
          raise
        test = self.dataset  # A folder may hold nothing back.
      if config.eval_every:
        self.held_out = _spread(test, HELD_OUT_IMAGES)
      if num_shown:
        self.shown = _spread(test, num_shown)
    self.judge = None
    if config.eval_every and config.eval_images:
      if jax.process_count() > 1:
        raise errors.UserError(
          f'eval_images={config.eval_images} is for one process and there are '
          f'{jax.process_count()}; set eval_images=0 and score with '
          '--mode=evaluate --follow beside the run'
        )
      from jaxgan import evaluate  # Its classifier is trained by this loop.

      self.judge = evaluate.Judge.of_config(config, self.algorithm)

  def describe(self) -> None:
    """Prints tables of networks and data."""
    if self.resident:
      where = f'on the device, {self.dataset.num_bytes / 1e6:.1f} MB'
    else:
      where = 'streamed'
    devices = self.engine.mesh.devices.flat
    where += f', {len(devices)} x {devices[0].device_kind}, {self.engine.name}'
    print(summary.data(self.dataset, where), end='\n\n')
    for name, (module, inputs) in self.algorithm.modules(self.method).items():
      print(summary.network(name, module, *inputs), end='\n\n', flush=True)

  def start(self, checkpoints) -> None:
    """The first state, by the precedence of `jaxgan.checkpoint`."""
    init = jax.jit(
      functools.partial(self.algorithm.init, self.method),
      out_shardings=self.engine.replicated,
    )
    key = jax.random.key(self.config.seed)
    like = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(
        x.shape, x.dtype, sharding=self.engine.replicated
      ),
      jax.eval_shape(init, key),
    )
    # It renames what is damaged.
    with parallel.first_before_others():
      restored = checkpoints.restore(like)
    pending = {}
    if restored is not None:
      self.state, meta = restored
      record_lib.refuse_changes(self.workdir, meta, self.config, self.dataset)
      pending = meta['pending']
      print(f'resumed from the checkpoint of step {meta["step"]}')
    else:
      self.state = init(key)
      if self.config.init_from:
        self.state = self.engine.replicate(
          checkpoint.adopt(self.config.init_from, self.state)
        )
        print(f'first weights from {self.config.init_from}')
    self.step = int(jax.device_get(self.state.step))
    self.started_at = self.step if restored is not None else None
    self.window = Window(self.step, pending)
    self._compare_processes()

  def _compare_processes(self) -> None:
    """Raises unless all processes are about to do the same."""
    begun = {
      'config': self.config.to_dict(),
      'data': record_lib.of_data(self.dataset),
      'step': self.step,
    }
    for name, value in begun.items():
      text = json.dumps(value, sort_keys=True)
      if not parallel.same_everywhere(zlib.crc32(text.encode())):
        raise errors.UserError(
          f'processes differ in {name}, here {text[:200]}; give all of them '
          'the same flags, data, and a workdir on a file system that they share'
        )

  def open_writers(self) -> writers.All:
    if not parallel.is_first():
      return writers.All()
    step = -1 if self.started_at is None else self.started_at
    return writers.All(
      writers.JsonLines(self.workdir / 'metrics.jsonl', step),
      writers.TensorBoard(self.workdir / 'tensorboard', self.step),
      writers.Console(self.config.num_steps, self.step),
    )

  def program(self, rounds: int) -> dict:
    """So many rounds, as `parallel` compiles them."""
    algorithm, method = self.algorithm, self.mapped_method
    return {
      'engine': self.engine,
      'train_step': functools.partial(algorithm.train_step, method),
      'rounds': rounds,
      'draws': algorithm.draws(method),
      'batch_size': self.config.batch_size,
      'resident': self.resident,
      'shuffle': self.config.data.shuffle,
      'precision': self.config.precision,
    }

  def compile(self) -> None:
    """Functions from states to states, images and scores."""
    config, algorithm = self.config, self.algorithm
    self.call = functools.cache(
      lambda rounds: parallel.compile_rounds(**self.program(rounds))
    )
    replicate = self.engine.replicate
    self.seed = replicate(np.uint32(config.seed))
    whole = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    preview_key = lambda: jax.random.fold_in(
      jax.random.key(config.seed), PREVIEW_STREAM
    )
    self.preview_key = whole(preview_key)()
    self.preview = whole(functools.partial(algorithm.preview, self.method))
    self.evaluate = whole(functools.partial(algorithm.evaluate, self.method))
    self.held_out = self._placed(self.held_out)
    self.shown = self._placed(self.shown)
    if self.resident:
      self.data = replicate(self.dataset.arrays())
    elif self.step < config.num_steps:
      self.stream = stream.rounds(
        self.dataset,
        config.seed,
        config.batch_size,
        algorithm.draws(self.method),
        self.step,
        config.num_steps,
        config.data.shuffle,
        self.engine.places(config.batch_size),
      )

  def _placed(self, batch):
    """Examples as the algorithms take them, on the devices."""
    if batch is None:
      return None
    return self.engine.replicate(
      {name: sampling.to_float(x) for name, x in batch.items()}
    )

  def feed(self, rounds: int):
    """The data argument of the next call."""
    if self.resident:
      return self.data
    batches = [next(self.stream) for _ in range(rounds)]
    size = len(self.engine.places(self.config.batch_size))
    stacked = {
      name: np.stack([batch[name] for batch in batches]) for name in batches[0]
    }
    return self.engine.split(
      {
        name: x.reshape(rounds, -1, size, *x.shape[2:])
        for name, x in stacked.items()
      }
    )

  def scalars(self, is_log: bool, is_eval: bool) -> dict[str, float]:
    """One line of metrics."""
    values = {'images': self.step * self.config.batch_size}
    if is_log:
      values |= self.window.means()
    if is_eval:
      scores = self.evaluate(self.state, self.held_out)
      scores = jax.device_get(scores)
      values |= {name: float(value) for name, value in scores.items()}
      if self.judge is not None:
        run = trained.Run(
          self.algorithm,
          self.method,
          self.state,
          self.dataset.spec,
          self.config,
        )
        # It moves images to the host and back, and is asked for by name.
        with jax.transfer_guard('allow'):
          values |= self.judge.scores_of(run)
    return values

  def pictures(self) -> dict[str, np.ndarray]:
    """The grids of this step; also written as files."""
    shown = jax.device_get(
      self.preview(self.state, self.shown, self.preview_key)
    )
    if not parallel.is_first():
      return {}
    images = self.step * self.config.batch_size
    caption = f'step {self.step:,}  {images:,} images'
    average = ', averaged weights' if self.config.get('ema_halflife') else ''
    found = {}
    for place, (name, values) in enumerate(shown.items()):
      found[name] = grid.draw(values, f'{caption}  {name}{average}')
      suffix = f'_{name}' if place else ''
      grid.save(self.samples / f'step_{self.step:08d}{suffix}.png', found[name])
    return found

  def save(self, checkpoints) -> None:
    meta = {
      'config': self.config.to_dict(),
      'data': record_lib.of_data(self.dataset),
      'pending': self.window.pending(),
    }
    if parallel.is_first():
      checkpoints.save(self.step, self.state, meta)

  def finish(self) -> None:
    """What shows the whole run: `samples.gif` and `curves.png`."""
    if not parallel.is_first():
      return
    frames = sorted(
      p for p in self.samples.glob('step_*.png') if p.stem.count('_') == 1
    )
    animation.gif(frames, self.workdir / 'samples.gif')
    curves.draw(
      writers.read_json_lines(self.workdir / 'metrics.jsonl'),
      self.algorithm.expected(self.method),
      self.workdir / 'curves.png',
    )


def train(config, workdir) -> None:
  """Trains in `workdir`, or goes on with what is there.

  Args:
    config: as a file in `configs/` makes it.
    workdir: folder for everything that the run writes; of several processes
      the same one, and the first process writes.

  Raises:
    UserError: for anything that a user can mend.
    Stopped: after SIGTERM or Ctrl-C, with the state saved.
  """
  config_lib.validate(config)
  config = config.copy_and_resolve_references()
  workdir = pathlib.Path(workdir).absolute()
  parallel.use_compilation_cache()
  parallel.use_float32()
  if config.dry_run:
    config.update(eval_every=0, sample_every=0)  # They are not part of a round.
  run = _Run(config, workdir)
  if config.dry_run:
    run.build()
    run.describe()
    print(dry_run.report(run))
    return
  with contextlib.ExitStack() as stack:
    interrupts = stack.enter_context(Interrupts())
    if parallel.is_first():
      stack.enter_context(record_lib.locked(workdir))
    run.build()
    run.describe()
    checkpoints = stack.enter_context(
      checkpoint.Checkpoints(
        workdir,
        config.keep,
        config.keep_period,
        read_only=not parallel.is_first(),
      )
    )
    run.start(checkpoints)
    if parallel.is_first():
      devices = run.engine.mesh.devices.flat
      record_lib.write(workdir, config, run.dataset, devices)
      record_lib.drop_after(workdir, run.started_at)
    run.compile()
    writer = stack.enter_context(contextlib.closing(run.open_writers()))
    trace = stack.enter_context(
      contextlib.closing(
        profiling.Trace(
          config.profile_steps if parallel.is_first() else (),
          workdir / 'profile',
        )
      )
    )
    interrupts.polled = True
    try:
      # Whatever moves between host and device here does so by name.
      with jax.transfer_guard('disallow'):
        _loop(run, interrupts, checkpoints, writer, trace)
    except errors.NotFinite as error:
      good = checkpoints.steps()
      last = f'step {good[0]}' if good else 'none'
      raise errors.NotFinite(
        f'{error} is not finite; last good checkpoint: {last}. Lower the '
        'learning rates or change the penalties in a new workdir'
      ) from None
    finally:
      try:
        run.finish()
      except OSError as error:  # Whatever else went wrong matters more.
        _logger.warning('no curves and no GIF: %s', error)
    if parallel.is_first():
      checkpoints.verify(run.step, run.state)
  print(f'done: step {run.step:,}, checkpoint verified, see {workdir}')


def _loop(run: _Run, interrupts, checkpoints, writer, trace) -> None:
  """From the state at `run.step` to the last step, or to a signal."""
  config = run.config
  logged_at, logged_time = run.step, time.monotonic()
  if run.step > config.num_steps:
    print(f'already at step {run.step}, beyond num_steps={config.num_steps}')
  while True:
    step = run.step
    is_last = step >= config.num_steps
    # The step that a run resumes from has been dealt with.
    if step != run.started_at:
      is_log = due(step, config.log_every) or (is_last and step > 0)
      is_eval = due(step, config.eval_every)
      if is_log or is_eval:
        # Its transfer waits for the device: the clock is read afterwards.
        values = run.scalars(is_log, is_eval)
        now = time.monotonic()
        values['steps_per_second'] = (step - logged_at) / (now - logged_time)
        writer.scalars(step, values)
        logged_at, logged_time = step, now
      if config.sample_every and (
        step == 0 or is_last or due(step, config.sample_every)
      ):
        writer.images(step, run.pictures())
      if is_last or due(step, config.checkpoint_every):
        run.save(checkpoints)
    if is_last:
      return
    if interrupts.asked():
      run.save(checkpoints)
      checkpoints.wait()
      raise errors.Stopped(
        interrupts.number,
        f'saved step {step} in {run.workdir}; start again to go on',
      )
    rounds = rounds_until_due(step, config)
    with trace.call(step, run.state):
      run.state, metrics = run.call(rounds)(
        run.state, run.feed(rounds), run.seed
      )
    run.window.add(rounds, metrics)
    run.step += rounds
