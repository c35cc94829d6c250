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
  deadline,
  dry_run,
  errors,
  parallel,
  population,
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
STALL_SECONDS = 7_200


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


def preview_key(seed):
  """The key of the latents of a run's grids."""
  return jax.random.fold_in(jax.random.key(seed), PREVIEW_STREAM)


class _Run:
  """What one call of `train` holds; see there.

  Attributes:
    own: a config of one run: that of the networks that are described.
  """

  def __init__(self, config, workdir: pathlib.Path):
    self.config = self.own = config
    self.workdir = workdir
    self.samples = workdir / 'samples'

  def build(self) -> None:
    """Data, networks and devices; raises for what does not fit."""
    config = self.config
    # First: it needs neither data nor compilation.
    self.engine = self.make_engine()
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
    self.method = self.algorithm.from_config(self.own, spec)
    self.mapped_method = self.algorithm.from_config(
      self.own, spec, self.engine.axis_name
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

  def make_engine(self) -> parallel.Engine:
    return parallel.make(self.config.engine, self.config.batch_size)

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

  def start(self, checkpoints, before: int | None = None) -> None:
    """The first state, by the precedence of `jaxgan.checkpoint`."""
    # It renames what is damaged.
    with parallel.first_before_others():
      restored = checkpoints.restore(self.like(), before)
    pending = {}
    if restored is not None:
      state, meta = restored
      self.state = self.restored(state)
      self.step = meta['step']
      record_lib.refuse_changes(self.workdir, meta, self.config, self.dataset)
      pending = meta['pending']
      print(f'resumed from the checkpoint of step {meta["step"]}')
    else:
      self.state, self.step = self.first(), 0
      if self.config.init_from:
        print(f'first weights from {self.config.init_from}')
    self.started_at = self.step if restored is not None else None
    self.window = Window(self.step, pending)
    self._compare_processes()

  def like(self):
    """Shapes, types and places of a restored state."""
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(
        x.shape, x.dtype, sharding=self.engine.replicated
      ),
      jax.eval_shape(
        functools.partial(self.algorithm.init, self.method), jax.random.key(0)
      ),
    )

  def restored(self, state):
    """What the loop goes on with, of what `like` describes."""
    return state

  def first(self):
    """The state before the first round."""
    init = parallel.jit_once(
      functools.partial(self.algorithm.init, self.method),
      out_shardings=self.engine.replicated,
    )
    return self.adopted(init(jax.random.key(self.config.seed)))

  def adopted(self, state):
    """A fresh state, with the weights of `init_from` if there is one."""
    if not self.config.init_from:
      return state
    return self.engine.replicate(checkpoint.adopt(self.config.init_from, state))

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

  def train_step(self):
    """What `parallel` repeats."""
    return functools.partial(self.algorithm.train_step, self.mapped_method)

  def program(self, rounds: int) -> dict:
    """So many rounds, as `parallel` compiles them."""
    return {
      'engine': self.engine,
      'train_step': self.train_step(),
      'rounds': rounds,
      'draws': self.algorithm.draws(self.mapped_method),
      'batch_size': self.config.batch_size,
      'resident': self.resident,
      'shuffle': self.config.data.shuffle,
      'precision': self.config.precision,
    }

  def compile(self) -> None:
    """Functions from states to states, images and scores."""
    config, algorithm = self.config, self.algorithm
    replicate = self.engine.replicate
    self.compile_steps()
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

  def compile_steps(self) -> None:
    """What an algorithm does with a state."""
    config, algorithm = self.config, self.algorithm
    self.call = self.rounds()
    self.seed = self.engine.replicate(np.uint32(config.seed))
    whole = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    self.preview_key = whole(preview_key)(self.seed)
    self.preview = whole(functools.partial(algorithm.preview, self.method))
    self.evaluate = whole(functools.partial(algorithm.evaluate, self.method))

  def rounds(self):
    """A function from a number of rounds to their compiled call."""
    return functools.cache(
      lambda rounds: parallel.compile_rounds(**self.program(rounds))
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
      values |= self.means()
    if is_eval:
      values |= self.scores()
    return values

  def means(self) -> dict[str, float]:
    """Metrics of the rounds since the last line."""
    return self.window.means()

  def scores(self) -> dict[str, float]:
    """What held-out images and samples get now."""
    found = self.evaluate(self.state, self.held_out)
    return self.with_samples(found, self.method, self.state)

  def with_samples(self, scores, method, state) -> dict[str, float]:
    """Scores, and those of samples where these are asked for."""
    values = {k: float(v) for k, v in jax.device_get(scores).items()}
    if self.judge is not None:
      spec = self.dataset.spec
      run = trained.Run(self.algorithm, method, state, spec, self.config)
      # It moves images to the host and back, and is asked for by name.
      with jax.transfer_guard('allow'):
        values |= self.judge.scores_of(run)
    return values

  def pictures(self) -> dict[str, np.ndarray]:
    """The grids of this step; also written as files."""
    shown = self.previewed()
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

  def previewed(self) -> dict[str, np.ndarray]:
    """Images by name, the main ones first; see `jaxgan.steps`."""
    return jax.device_get(
      self.preview(self.state, self.shown, self.preview_key)
    )

  def saved_state(self):
    """What a checkpoint holds."""
    return self.state

  def expected(self) -> dict[str, float]:
    """Where theory says that metrics end."""
    return self.algorithm.expected(self.method)

  def save(self, checkpoints) -> None:
    meta = {
      'config': self.config.to_dict(),
      'data': record_lib.of_data(self.dataset),
      'pending': self.window.pending(),
    }
    if parallel.is_first():
      checkpoints.save(self.step, self.saved_state(), meta)

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
      self.expected(),
      self.workdir / 'curves.png',
    )


def reopen(config, workdir: pathlib.Path, before: int) -> _Run:
  """A run as it was at its newest checkpoint below a step, to look at.

  Args:
    config: as recorded in the workdir.
    workdir: of the run; nothing in it is changed.
    before: the step.
  """
  run = _Run(config, workdir)
  run.build()
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    run.start(checkpoints, before)
  run.compile()
  return run


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
  if population.of(config):
    if config.dry_run:
      raise errors.UserError(
        'dry_run=True is of one run by itself; leave seeds and sweep out'
      )
    from jaxgan.members import Members  # It extends what is here.

    run = Members(config, workdir)
  else:
    run = _Run(config, workdir)
  if config.dry_run:
    config.update(eval_every=0, sample_every=0)  # They are not part of a round.
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
    allowed = deadline.seconds('JAXGAN_STALL_SECONDS', STALL_SECONDS)
    alive = stack.enter_context(
      deadline.Deadline(
        allowed,
        f'nothing moved for {allowed} s, see the stacks above: another process '
        'may be stuck; start again to go on from the last checkpoint, or set '
        'JAXGAN_STALL_SECONDS to more, or to 0',
      )
    )
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
        _loop(run, interrupts, checkpoints, writer, alive, trace)
    except errors.NotFinite as error:
      with contextlib.suppress(errors.StorageError):
        checkpoints.wait()  # The last one may be half written.
      good = checkpoints.steps()
      last = f'step {good[0]}' if good else 'none'
      raise errors.NotFinite(
        f'{error} is not finite; last good checkpoint: {last}. Look at it with '
        f'--mode=replay --workdir={workdir}; lower the learning rates or '
        'change the penalties in a new workdir'
      ) from None
    finally:
      try:
        run.finish()
      except OSError as error:  # Whatever else went wrong matters more.
        _logger.warning('no curves and no GIF: %s', error)
    if parallel.is_first():
      checkpoints.verify(run.step, run.saved_state())
  print(f'done: step {run.step:,}, checkpoint verified, see {workdir}')


def _loop(run: _Run, interrupts, checkpoints, writer, alive, trace) -> None:
  """From the state at `run.step` to the last step, or to a signal."""
  config = run.config
  logged_at, logged_time = run.step, time.monotonic()
  if run.step > config.num_steps:
    print(f'already at step {run.step}, beyond num_steps={config.num_steps}')
  while True:
    alive.moved()
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
