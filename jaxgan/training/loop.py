"""The training loop, with all its effects on files, signals and the console.

A round is one call of the pure `train_step` of an algorithm. At a step the loop
first logs and evaluates, then samples, then saves a checkpoint, and then trains
the next rounds. All files of a step are on disk before its checkpoint. After a
restart, whatever is newer than the newest checkpoint is dropped and written
again with the same content.
"""

import contextlib
import logging
import math
import pathlib
import time

import jax

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.config import schedules
from jaxgan.core import buckets, paths
from jaxgan.training import (
  caches,
  checkpoint,
  data_files,
  dry_run,
  first_look,
  processes,
  profiling,
  sweeps,
  watchdog,
)
from jaxgan.training import devices as devices_lib
from jaxgan.training import workdir as workdir_lib
from jaxgan.training.run import Training
from jaxgan.training.signals import Interrupts

_logger = logging.getLogger(__name__)

STALL_SECONDS = 7_200


def is_due(step: int, every: int) -> bool:
  """Returns True at multiples of `every`; 0 is never."""
  return every > 0 and step > 0 and step % every == 0


def rounds_per_call(step: int, config) -> int:
  """Returns the rounds of the next call, at most `steps_per_call`.

  The number divides every interval, so that calls end where something is due.
  Calls start at its multiples, so that a resumed run makes the same calls. The
  rounds between are trained one by one.
  """
  many = math.gcd(
    config.steps_per_call,
    config.log_every,
    config.sample_every,
    config.checkpoint_every,
    config.eval_every,
  )
  return 1 if step % many or step + many > config.num_steps else many


def reopen(config, workdir: pathlib.Path, before: int) -> Training:
  """Restores the newest checkpoint before a step, and changes no file.

  Args:
    config: the config recorded in the workdir.
    workdir: the folder of the run.
    before: the step.
  """
  run = Training(config, workdir)
  run.build()
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    run.start(checkpoints, before)
  run.compile()
  return run


def train(config, workdir, make_scorer=None) -> None:
  """Trains in `workdir`, or resumes the run that is there.

  Args:
    config: a config as a file in `configs/` makes it.
    workdir: folder for all files of the run. Several processes share it, and
      the first process writes.
    make_scorer: (config, algorithm) -> an object whose `scores_of(run)` returns
      scores by name; required if `eval_images` is set.

  Raises:
    UserError: for a config, data or a workdir that the user can fix.
    Stopped: after SIGTERM or Ctrl-C, with the state saved.
  """
  config_lib.validate(config)
  config = config.copy_and_resolve_references()
  workdir = paths.of_user(workdir, '--workdir')
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  caches.count_run()
  first_look.settle(config, workdir)
  if config.eval_every and config.eval_images and make_scorer is None:
    raise errors.UserError(
      f'eval_images={config.eval_images} needs a scorer. Call '
      'jaxgan.train.train, or set eval_images=0.'
    )
  if config.dry_run:
    _dry_run(config, workdir)
    return
  run = Training(config, workdir, make_scorer)
  with contextlib.ExitStack() as stack:
    interrupts = stack.enter_context(Interrupts())
    if processes.is_first():
      stack.enter_context(workdir_lib.locked(workdir))
      stack.enter_context(buckets.stored(workdir))
    checkpoints = stack.enter_context(
      checkpoint.Checkpoints(
        workdir,
        config.keep,
        config.keep_period,
        read_only=not processes.is_first(),
      )
    )
    record = workdir_lib.read(workdir)
    workdir_lib.refuse_lost(workdir, record, checkpoints.exist())
    run.build()
    run.describe()
    for line in schedules.early_ends(config):
      _logger.warning('warning: %s', line)
    deadline = stack.enter_context(_deadline())
    run.start(checkpoints)
    if processes.is_first():
      run.write_record(run.started_at is not None)
      data_files.write(workdir, run.dataset)
      first_look.save_sheet(workdir, run.dataset)
      workdir_lib.tidy(workdir)
    run.compile()
    writer = stack.enter_context(contextlib.closing(run.open_writers()))
    steps = config.profile_steps if processes.is_first() else ()
    trace = profiling.Trace(steps, workdir / 'profile')
    stack.enter_context(contextlib.closing(trace))
    interrupts.polled = True
    try:
      # Transfers between host and device are explicit here.
      with jax.transfer_guard('disallow'):
        _loop(run, interrupts, checkpoints, writer, deadline, trace)
    except errors.NotFinite as error:
      raise _with_last_checkpoint(error, checkpoints, workdir) from None
    finally:
      try:
        run.finish()
      except OSError as error:  # Other errors matter more.
        _logger.warning('no curves and no GIF: %s', error)
    state = run.states.to_save()
    if processes.is_first():
      checkpoints.verify(run.step, state)
  place = buckets.named(workdir)
  print(f'done: step {run.step:,}, checkpoint verified, see {place}')


def _dry_run(config, workdir: pathlib.Path) -> None:
  """Prints the cost of a round and trains nothing."""
  if sweeps.is_population(config):
    raise errors.UserError(
      'dry_run=True measures a single run. Remove seeds and sweep.'
    )
  config.update(eval_every=0, sample_every=0)  # They are not part of a round.
  run = Training(config, workdir)
  run.build()
  run.describe()
  print(dry_run.state(run), end='\n\n', flush=True)
  print(dry_run.report(run))


def _deadline() -> watchdog.Deadline:
  allowed = watchdog.seconds('JAXGAN_STALL_SECONDS', STALL_SECONDS)
  return watchdog.Deadline(
    allowed,
    f'training made no progress for {allowed} s, see the stacks above: another '
    'process may be stuck. Rerun the command to resume from the last '
    'checkpoint, or set JAXGAN_STALL_SECONDS to more, or to 0.',
  )


def _with_last_checkpoint(error, checkpoints, workdir) -> errors.NotFinite:
  with contextlib.suppress(errors.StorageError):
    checkpoints.wait()  # The last checkpoint may still be written.
  steps = checkpoints.steps()
  last = f'step {steps[0]}' if steps else 'none'
  return errors.NotFinite(
    f'{error} is not finite; last good checkpoint: {last}. Look at the round '
    f'with --mode=replay --workdir={workdir}; lower the learning rates or '
    'change the penalties in a new workdir.'
  )


def _loop(run: Training, interrupts, checkpoints, writer, deadline, trace):
  """Trains from `run.step` to the last step, or to a signal."""
  config = run.config
  logged_at, logged_time = run.step, time.monotonic()
  if run.step > config.num_steps:
    print(f'already at step {run.step}, beyond num_steps={config.num_steps}')
  while True:
    deadline.moved()
    step = run.step
    is_last = step >= config.num_steps
    # The step that a run resumes from is already logged and saved.
    if step != run.started_at:
      is_log = is_due(step, config.log_every) or (is_last and step > 0)
      is_eval = is_due(step, config.eval_every)
      if is_log or is_eval:
        # The transfer waits for the device, so the clock is read afterwards.
        values = run.scalars(is_log, is_eval)
        now = time.monotonic()
        values['steps_per_second'] = (step - logged_at) / (now - logged_time)
        writer.scalars(step, values)
        logged_at, logged_time = step, now
      if config.sample_every and (
        step == 0 or is_last or is_due(step, config.sample_every)
      ):
        writer.images(step, run.pictures())
      if is_last or is_due(step, config.checkpoint_every):
        run.save(checkpoints)
    if is_last:
      return
    if interrupts.asked():
      run.save(checkpoints)
      checkpoints.wait()
      raise errors.Stopped(
        interrupts.number,
        f'saved step {step} in {buckets.named(run.workdir)}. Rerun the command '
        'to resume.',
      )
    rounds = rounds_per_call(step, config)
    with trace.call(step, rounds, run.states.arrays):
      metrics = run.advance(rounds)
    run.window.add(rounds, metrics)
