"""The training loop: the only file that mutates anything.

A round is one call of the algorithm's pure `train_step`; everything that has an
effect (files, signals, the console) is called from here. At a step, in this
order: log and evaluate, sample, checkpoint; then the next rounds. All of a step
is on disk before its checkpoint is, so whatever was written after the newest
checkpoint can be dropped on a restart and is written again the same.
"""

import contextlib
import logging
import math
import pathlib
import time

import jax

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.training import (
  checkpoint,
  dry_run,
  processes,
  profiling,
  sweeps,
  watchdog,
)
from jaxgan.training import devices as devices_lib
from jaxgan.training import workdir as record_lib
from jaxgan.training.population import Members
from jaxgan.training.run import Training
from jaxgan.training.signals import Interrupts

_logger = logging.getLogger(__name__)

STALL_SECONDS = 7_200


def due(step: int, every: int) -> bool:
  """Whether something that happens every so often happens at `step`."""
  return every > 0 and step > 0 and step % every == 0


def rounds_per_call(step: int, config) -> int:
  """Rounds for the next call: at most `steps_per_call`.

  As many as divide every interval, so that calls end where something is due;
  and they begin at multiples of that wherever the run was started or stopped,
  so that a resumed run makes the same calls. What is left over goes one by one.
  """
  many = math.gcd(
    config.steps_per_call,
    config.log_every,
    config.sample_every,
    config.checkpoint_every,
    config.eval_every,
  )
  return 1 if step % many or step + many > config.num_steps else many


def begin(config, workdir: pathlib.Path, make_scorer=None) -> Training:
  """A run, or a population if `seeds` or `sweep` ask for one; not built yet."""
  kind = Members if sweeps.of(config) else Training
  return kind(config, workdir, make_scorer)


def reopen(config, workdir: pathlib.Path, before: int) -> Training:
  """A run as it was at its newest checkpoint below a step, to look at.

  Args:
    config: as recorded in the workdir.
    workdir: of the run; nothing in it is changed.
    before: the step.
  """
  run = begin(config, workdir)
  run.build()
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    run.start(checkpoints, before)
  run.compile()
  return run


def train(config, workdir, make_scorer=None) -> None:
  """Trains in `workdir`, or goes on with what is there.

  Args:
    config: as a file in `configs/` makes it.
    workdir: folder for everything that the run writes; of several processes
      the same one, and the first process writes.
    make_scorer: (config, algorithm) -> an object whose `scores_of(run)` returns
      scores by name; required if `eval_images` is set.

  Raises:
    UserError: for anything that a user can mend.
    Stopped: after SIGTERM or Ctrl-C, with the state saved.
  """
  config_lib.validate(config)
  config = config.copy_and_resolve_references()
  workdir = pathlib.Path(workdir).absolute()
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  if config.eval_every and config.eval_images and make_scorer is None:
    raise errors.UserError(
      f'eval_images={config.eval_images} needs a scorer; call jaxgan.train, or '
      'set eval_images=0'
    )
  run = begin(config, workdir, make_scorer)
  if config.dry_run:
    if isinstance(run, Members):
      raise errors.UserError(
        'dry_run=True is of one run by itself; leave seeds and sweep out'
      )
    config.update(eval_every=0, sample_every=0)  # They are not part of a round.
    run.build()
    run.describe()
    print(dry_run.report(run))
    return
  with contextlib.ExitStack() as stack:
    interrupts = stack.enter_context(Interrupts())
    if processes.is_first():
      stack.enter_context(record_lib.locked(workdir))
    run.build()
    run.describe()
    allowed = watchdog.seconds('JAXGAN_STALL_SECONDS', STALL_SECONDS)
    alive = stack.enter_context(
      watchdog.Deadline(
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
        read_only=not processes.is_first(),
      )
    )
    run.start(checkpoints)
    if processes.is_first():
      devices = run.engine.mesh.devices.flat
      record_lib.write(workdir, config, run.dataset, devices)
      record_lib.drop_after(workdir, run.started_at)
    run.compile()
    writer = stack.enter_context(contextlib.closing(run.open_writers()))
    trace = stack.enter_context(
      contextlib.closing(
        profiling.Trace(
          config.profile_steps if processes.is_first() else (),
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
    if processes.is_first():
      checkpoints.verify(run.step, run.saved_state())
  print(f'done: step {run.step:,}, checkpoint verified, see {workdir}')


def _loop(run: Training, interrupts, checkpoints, writer, alive, trace) -> None:
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
    rounds = rounds_per_call(step, config)
    with trace.call(step, rounds, run.state):
      run.state, metrics = run.call(rounds)(
        run.state, run.feed(rounds), run.seed
      )
    run.window.add(rounds, metrics)
    run.step += rounds
