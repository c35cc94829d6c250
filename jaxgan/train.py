"""The training loop: the only file that mutates anything.

A round is one call of the algorithm's pure `train_step`; everything that has an
effect (files, signals, the console) is here or called from here. At a step, in
this order: log and evaluate, sample, checkpoint; then the next rounds. All of a
step is on disk before its checkpoint is, so whatever was written after the
newest checkpoint can be dropped on a restart and is written again the same.
"""

import contextlib
import fcntl
import functools
import json
import logging
import os
import pathlib
import signal
import subprocess
import time
from importlib import metadata
from typing import Any

import jax
import numpy as np

import jaxgan
from jaxgan import checkpoint, data, errors, parallel, steps, summary, writers
from jaxgan import config as config_lib
from jaxgan.data import sampling, stream
from jaxgan.visual import animation, curves, grid

_logger = logging.getLogger(__name__)

# Folded into the run's key for the latents of the grid.
PREVIEW_STREAM = 2**31 - 1
HELD_OUT_IMAGES = 1_000
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')
SHOWN = (
  'discriminator/loss',
  'generator/loss',
  'discriminator/real',
  'discriminator/fake',
)


class Stopped(Exception):
  """A signal asked to stop."""

  def __init__(self, number: int, said: str):
    name = signal.Signals(number).name
    super().__init__(f'{name}: {said}')
    # As shells report it: 130 for Ctrl-C, 143 for SIGTERM.
    self.exit_code = 128 + number


class Interrupts:
  """Turns SIGTERM and Ctrl-C into a flag while `polled`, else into `Stopped`.

  A second signal ends the process at once.
  """

  NUMBERS = (signal.SIGTERM, signal.SIGINT)

  def __init__(self):
    self.number = None
    self.polled = False

  def __enter__(self):
    # Python allows handlers in the main thread only; elsewhere there are none.
    with contextlib.suppress(ValueError):
      self._before = [signal.signal(n, self._handle) for n in self.NUMBERS]
    return self

  def __exit__(self, *unused):
    before = getattr(self, '_before', ())
    for number, handler in zip(self.NUMBERS, before, strict=bool(before)):
      signal.signal(number, handler)

  def _handle(self, number, frame):
    del frame
    if self.number is not None:
      os._exit(128 + number)
    self.number = number
    if not self.polled:
      raise Stopped(number, 'stopped before the first step; nothing to save')


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


class Window:
  """Metrics of the rounds since the last log; on the device until `fetch`.

  Args:
    step: the round at which the window ends, so far.
    values: metrics of earlier rounds in it, from a checkpoint.
  """

  def __init__(self, step: int, values: dict[str, list[float]] | None = None):
    self._values = {k: np.asarray(v) for k, v in (values or {}).items()}
    self._waiting = []
    self._step = step

  def add(self, rounds: int, metrics: dict[str, jax.Array]) -> None:
    self._waiting.append(metrics)
    self._step += rounds

  def fetch(self) -> dict[str, np.ndarray]:
    """All values, one a round.

    Raises:
      NotFinite: at the first round that has a value that is not finite.
    """
    fetched = jax.device_get(self._waiting)
    self._waiting = []
    parts = ([self._values] if self._values else []) + fetched
    if not parts:
      return {}
    self._values = {
      name: np.concatenate([part[name] for part in parts]).astype(np.float64)
      for name in parts[0]
    }
    finite = np.array([np.isfinite(v) for v in self._values.values()])
    if not finite.all():
      place = int(np.argmin(finite.all(axis=0)))
      names = [
        name
        for name, fine in zip(self._values, finite[:, place], strict=True)
        if not fine
      ]
      round_number = self._step - finite.shape[1] + place + 1
      raise errors.NotFinite(f'round {round_number}: {", ".join(names)}')
    return self._values

  def means(self) -> dict[str, float]:
    """The mean of each metric; the window is empty afterwards."""
    means = {name: float(v.mean()) for name, v in self.fetch().items()}
    self._values = {}
    return means

  def pending(self) -> dict[str, list[float]]:
    """What a checkpoint has to keep."""
    return {name: v.tolist() for name, v in self.fetch().items()}


@contextlib.contextmanager
def locked(workdir: pathlib.Path):
  """Makes the workdir and holds it for this process alone."""
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    file = (workdir / '.lock').open('a+', encoding='utf-8')
  except OSError as error:
    raise errors.UserError(
      f'workdir {str(workdir)!r} can not be written to ({error.strerror}); '
      'choose another with --workdir'
    ) from None
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      file.seek(0)
      raise errors.UserError(
        f'workdir {str(workdir)!r} is in use by process '
        f'{file.read().strip()}; choose another with --workdir'
      ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    yield


def _git_revision() -> str | None:
  try:
    found = subprocess.run(
      ['git', 'rev-parse', 'HEAD'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      timeout=10,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return found.stdout.strip()


def _data_record(dataset: data.Dataset) -> dict[str, Any]:
  """What identifies the data and shapes the networks, as JSON."""
  return {
    'source': dataset.source,
    'name': dataset.name,
    'split': dataset.split,
    'size': dataset.size,
    'shape': list(dataset.spec.shape),
    'num_classes': dataset.spec.num_classes,
    'classes': list(dataset.spec.classes),
    **dataset.identity,
  }


def read_record(workdir: pathlib.Path) -> dict[str, Any] | None:
  """The `config.json` of a workdir, if it has one."""
  path = workdir / 'config.json'
  if not path.exists():
    return None
  try:
    record = json.loads(path.read_text(encoding='utf-8'))
    if not isinstance(record['config'], dict) or 'shape' not in record['data']:
      raise ValueError('fields are missing')
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise errors.UserError(f'{path} is damaged ({error})') from None
  return record


def _refuse_changes(workdir, record, config, dataset=None) -> None:
  """Raises if the workdir's state would mean something else under `config`."""
  changed = config_lib.differences(record['config'], config)
  if dataset is not None and not changed:
    changed = config_lib.differences(
      {'data': record['data']}, {'data': _data_record(dataset)}
    )
  if changed:
    raise errors.UserError(
      f'workdir {str(workdir)!r} belongs to another config: '
      + '; '.join(changed)
      + '. Set these back, choose another --workdir, or take its weights '
      f'into a new one with --config.init_from={workdir}'
    )


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
    self.algorithm = steps.find(config.method)
    record = read_record(self.workdir)
    if record is not None:
      recorded = record['config']['data']['source']
      if config.data.source == 'auto':
        config.data.source = recorded
        _logger.info('data.source=%s, as when this run was begun', recorded)
      _refuse_changes(self.workdir, record, config)
    config.data.source = data.resolve(config.data)
    self.dataset = data.load(config.data)
    if record is not None:
      _refuse_changes(self.workdir, record, config, self.dataset)
    spec = self.dataset.spec
    # Outside of the mapped step there is no axis to take means over.
    self.method = self.algorithm.from_config(config, spec)
    self.mapped_method = self.algorithm.from_config(
      config, spec, self.engine.axis_name
    )
    self.resident = self.dataset.num_bytes <= config.data.resident_bytes
    self.held_out = None
    if config.eval_every:
      self.held_out = self._first(data.load(config.data, 'test'))

  def _first(self, dataset):
    count = min(HELD_OUT_IMAGES, dataset.size)
    if dataset.columns is not None:
      return {k: v[:count] for k, v in dataset.columns.items()}
    rows = [dataset.read(place) for place in range(count)]
    return {k: np.stack([row[k] for row in rows]) for k in rows[0]}

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

  def record(self) -> None:
    """Writes `config.json`."""
    devices = self.engine.mesh.devices.flat
    record = {
      'config': self.config.to_dict(),
      'data': _data_record(self.dataset),
      'device': {
        'kind': devices[0].device_kind,
        'platform': devices[0].platform,
        'count': len(devices),
      },
      'versions': {'jaxgan': jaxgan.__version__}
      | {name: metadata.version(name) for name in PACKAGES},
      'git': _git_revision(),
    }
    text = json.dumps(record, indent=2) + '\n'
    writers.write_atomically(self.workdir / 'config.json', text)

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
    restored = checkpoints.restore(like)
    pending = {}
    if restored is not None:
      self.state, meta = restored
      _refuse_changes(self.workdir, meta, self.config, self.dataset)
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

  def clean(self) -> None:
    """Drops what a killed run wrote after the checkpoint that is used."""
    self.samples.mkdir(exist_ok=True)
    for path in (*self.workdir.glob('.*.tmp'), *self.samples.glob('.*.tmp')):
      path.unlink()
    for path in self.samples.glob('step_*.png'):
      number = path.stem.split('_')[1]
      is_later = self.started_at is None or int(number) > self.started_at
      if number.isdecimal() and is_later:
        path.unlink()

  def open_writers(self) -> writers.All:
    step = -1 if self.started_at is None else self.started_at
    return writers.All(
      writers.JsonLines(self.workdir / 'metrics.jsonl', step),
      writers.TensorBoard(self.workdir / 'tensorboard', self.step),
      writers.Console(self.config.num_steps, self.step, SHOWN),
    )

  def compile(self) -> None:
    """Functions from states to states, images and scores."""
    config, algorithm = self.config, self.algorithm

    @functools.cache
    def call(rounds):
      return parallel.compile_rounds(
        self.engine,
        functools.partial(algorithm.train_step, self.mapped_method),
        rounds=rounds,
        draws=algorithm.draws(self.mapped_method),
        batch_size=config.batch_size,
        resident=self.resident,
      )

    self.call = call
    replicate = self.engine.replicate
    self.seed = replicate(np.uint32(config.seed))
    preview_key = jax.random.fold_in(
      jax.random.key(config.seed), PREVIEW_STREAM
    )
    self.preview_key = replicate(preview_key)
    self.preview = jax.jit(functools.partial(algorithm.preview, self.method))
    self.evaluate = jax.jit(functools.partial(algorithm.evaluate, self.method))
    if self.held_out is not None:
      images = sampling.to_float(self.held_out['image'])
      self.held_out = replicate(self.held_out | {'image': images})
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
      )

  def feed(self, rounds: int):
    """The data argument of the next call."""
    if self.resident:
      return self.data
    batches = [next(self.stream) for _ in range(rounds)]
    size = self.config.batch_size
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
    return values

  def pictures(self) -> dict[str, np.ndarray]:
    """The grids of this step; also written as files."""
    shown = jax.device_get(self.preview(self.state, None, self.preview_key))
    images = self.step * self.config.batch_size
    caption = f'step {self.step:,}  {images:,} images'
    found = {}
    for place, (name, values) in enumerate(shown.items()):
      found[name] = grid.draw(values, f'{caption}  {name}, averaged weights')
      suffix = f'_{name}' if place else ''
      grid.save(self.samples / f'step_{self.step:08d}{suffix}.png', found[name])
    return found

  def save(self, checkpoints) -> None:
    checkpoints.save(
      self.step,
      self.state,
      {
        'config': self.config.to_dict(),
        'data': _data_record(self.dataset),
        'pending': self.window.pending(),
      },
    )

  def finish(self) -> None:
    """What shows the whole run: `samples.gif` and `curves.png`."""
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
    workdir: folder for everything that the run writes.

  Raises:
    UserError: for anything that a user can mend.
    Stopped: after SIGTERM or Ctrl-C, with the state saved.
  """
  config_lib.validate(config)
  config = config.copy_and_resolve_references()
  workdir = pathlib.Path(workdir).absolute()
  parallel.use_compilation_cache()
  run = _Run(config, workdir)
  with contextlib.ExitStack() as stack:
    interrupts = stack.enter_context(Interrupts())
    stack.enter_context(locked(workdir))
    run.build()
    run.describe()
    checkpoints = stack.enter_context(
      checkpoint.Checkpoints(workdir, config.keep, config.keep_period)
    )
    run.start(checkpoints)
    run.record()
    run.clean()
    run.compile()
    writer = stack.enter_context(contextlib.closing(run.open_writers()))
    interrupts.polled = True
    try:
      # Whatever moves between host and device here does so by name.
      with jax.transfer_guard('disallow'):
        _loop(run, interrupts, checkpoints, writer)
    except errors.NotFinite as error:
      good = checkpoints.steps()
      last = f'step {good[0]}' if good else 'none'
      raise errors.NotFinite(
        f'{error} is not finite; last good checkpoint: {last}. Lower the '
        'learning rates or change the penalties in a new workdir'
      ) from None
    finally:
      run.finish()
    checkpoints.verify(run.step, run.state)
  print(f'done: step {run.step:,}, checkpoint verified, see {workdir}')


def _loop(run: _Run, interrupts, checkpoints, writer) -> None:
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
    if interrupts.number is not None:
      run.save(checkpoints)
      checkpoints.wait()
      raise Stopped(
        interrupts.number,
        f'saved step {step} in {run.workdir}; start again to go on',
      )
    rounds = rounds_until_due(step, config)
    run.state, metrics = run.call(rounds)(run.state, run.feed(rounds), run.seed)
    run.window.add(rounds, metrics)
    run.step += rounds
