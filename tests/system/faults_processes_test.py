"""Faults of whole processes, numbered as in docs/faults.md; on real digits.

Runs of their own take seconds each, so all but one of a kind are slow.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import compilation
import pytest
from runs import ROOT, assert_same_run, digests, finish, launch, wait_for

from jaxgan.training import checkpoint, watchdog

KILLS = 12
SMALL = [
  '--config=configs/gan_mnist.py',
  '--config.data.source=embedded',
  '--config.generator.widths=(16,)',
  '--config.discriminator.widths=(16,)',
  '--config.steps_per_call=1',
  '--config.engine=jit',
]


def start(*flags, command=(), small=SMALL, **environment):
  """One process of training."""
  return subprocess.Popen(
    [*command, sys.executable, '-m', 'jaxgan.main', *small, *flags],
    cwd=ROOT,
    env=os.environ | compilation.FAST | {'PYTHONUNBUFFERED': '1'} | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


@contextlib.contextmanager
def together(workdir, *flags, count=2, of_last=(), **environment):
  """Processes of one run; none is left behind.

  Flags `of_last` are those of the last process alone.
  """
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  flags = [f'--workdir={workdir}', '--config.sample_every=0', *flags]
  processes = [
    start(
      *flags,
      *(of_last if place == count - 1 else ()),
      JAX_COORDINATOR_ADDRESS=f'127.0.0.1:{port}',
      JAX_NUM_PROCESSES=str(count),
      JAX_PROCESS_ID=str(place),
      JAX_NUM_CPU_DEVICES='1',
      **environment,
    )
    for place in range(count)
  ]
  try:
    yield processes
  finally:
    for process in processes:
      process.kill()
      process.communicate()


def saved(workdir):
  return checkpoint.Checkpoints(workdir).steps()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_04_killed_at_any_moment(unkilled, tmp_path):
  """SIGKILL, twelve times; whatever comes to its end is the unbroken run."""
  moments, ends = random.Random(0), 0
  began = time.monotonic()
  code, output = finish(launch(tmp_path / 'first'))
  assert code == 0, output
  whole = time.monotonic() - began
  workdir = tmp_path / 'run'
  for _ in range(KILLS):
    process = launch(workdir)
    with contextlib.suppress(subprocess.TimeoutExpired):
      # Of the time that a run takes; its start is not of interest.
      process.wait(whole * moments.uniform(0.3, 1.0))
    process.send_signal(signal.SIGKILL)
    code, output = finish(process)
    assert code in (0, -signal.SIGKILL), output
    if code == 0:
      assert_same_run(workdir, unkilled)
      shutil.rmtree(workdir)
      ends += 1
  code, output = finish(launch(workdir))
  assert code == 0, output
  assert_same_run(workdir, unkilled)


FULL = """
mount -t tmpfs -o size={size} none {place} || exit 77
"$@"
code=$?
cp -a {place}/. {copy}
exit $code
"""


@pytest.mark.slow
@pytest.mark.parametrize('size', ['600k', '900k', '1800k'])
def test_12_full_disk(size, tmp_path):
  """While samples, metrics or a checkpoint are written, whichever is first."""
  place, copy = tmp_path / 'disk', tmp_path / 'copy'
  place.mkdir()
  copy.mkdir()
  script = FULL.format(size=size, place=place, copy=copy)
  flags = ['--config.num_steps=60', '--config.sample_every=10']
  flags += ['--config.log_every=2', '--config.checkpoint_every=5']
  process = start(
    f'--workdir={place}/run',
    *flags,
    command=('unshare', '-rm', 'bash', '-c', script, 'bash'),
  )
  code, output = finish(process)
  if code in (1, 77) and 'error: ' not in output:
    pytest.skip(f'no file systems can be mounted here: {output}')
  assert code == 4, output
  assert 'No space left on device' in output.splitlines()[-1]
  assert 'Traceback' not in output
  # There is room again.
  workdir = copy / 'run'
  code, output = finish(start(f'--workdir={workdir}', *flags))
  assert code == 0, output
  code, output = finish(start(f'--workdir={tmp_path}/whole', *flags))
  assert code == 0, output
  assert_same_run(workdir, tmp_path / 'whole')


@pytest.mark.slow
def test_13_workdir_on_a_read_only_disk(tmp_path):
  script = f'mount -t tmpfs -o ro none {tmp_path} || exit 77; "$@"'
  process = start(
    f'--workdir={tmp_path}/run',
    command=('unshare', '-rm', 'bash', '-c', script, 'bash'),
  )
  code, output = finish(process)
  if code in (1, 77) and 'error: ' not in output:
    pytest.skip(f'no file systems can be mounted here: {output}')
  assert code == 2, output
  assert 'Read-only file system' in output
  assert len(output.splitlines()) == 1


@pytest.mark.slow
def test_14_second_run_on_a_workdir_is_refused(tmp_path):
  """While the first one lives; it takes no harm."""
  first = start(f'--workdir={tmp_path}', '--config.num_steps=100000000')
  lock = tmp_path / '.lock'
  wait_for(lambda: lock.exists() and lock.read_text(), first)
  second = start(f'--workdir={tmp_path}')
  code, output = finish(second)
  assert code == 2, output
  assert f'is in use by process {first.pid}' in output
  assert first.poll() is None
  first.kill()
  finish(first)


@pytest.mark.slow
@pytest.mark.parametrize('sign', ['.lock', 'config.json', 'samples/*.png'])
def test_21_stop_before_the_first_round(sign, tmp_path):
  """While data are read, programs compiled, pictures drawn."""
  process = start(f'--workdir={tmp_path}', '--config.num_steps=100000000')
  wait_for(lambda: list(tmp_path.glob(sign)), process)
  process.send_signal(signal.SIGTERM)
  code, output = finish(process)
  assert code == 143, output
  assert 'Traceback' not in output
  assert 'nothing to save' in output or 'saved step' in output
  code, output = finish(start(f'--workdir={tmp_path}', '--config.num_steps=20'))
  assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize('seconds', [0.2, 0.5, 0.8])
def test_21_stop_during_the_first_compilation(seconds, tmp_path):
  """Those of convolutions, for the first time; once it ended in a crash."""
  process = start(
    f'--workdir={tmp_path / "run"}',
    small=['--config=configs/dcgan_mnist.py', '--config.data.source=embedded'],
    XDG_CACHE_HOME=str(tmp_path / 'cache'),
  )
  tables = 0
  while tables < 2:  # That of the second network is the last word before.
    line = process.stdout.readline()
    assert line, process.poll()
    tables += line.startswith('total')
  time.sleep(seconds)
  process.send_signal(signal.SIGTERM)
  code, output = finish(process)
  assert code == 143, output
  assert 'nothing to save' in output or 'saved step 0' in output


@pytest.mark.slow
def test_22_second_stop_signal_ends_at_once(unkilled, tmp_path):
  """At once; the last whole checkpoint is intact."""
  workdir = tmp_path / 'run'
  process = launch(workdir)
  wait_for(lambda: saved(workdir), process)
  while process.poll() is None:
    process.send_signal(signal.SIGTERM)
  code, output = finish(process)
  assert code == 143, output
  code, output = finish(launch(workdir))
  assert code == 0, output
  assert 'resumed from the checkpoint of step' in output
  assert_same_run(workdir, unkilled)


@pytest.mark.slow
def test_22_suspended_and_continued(unkilled, tmp_path):
  """SIGSTOP for longer than a process may stand still: it has not stood."""
  workdir = tmp_path / 'run'
  process = launch(workdir)
  wait_for(lambda: saved(workdir), process)
  process.send_signal(signal.SIGSTOP)
  time.sleep(3)
  process.send_signal(signal.SIGCONT)
  code, output = finish(process)
  assert code == 0, output
  assert_same_run(workdir, unkilled)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize('place', [0, 1])
def test_25_one_of_two_processes_is_killed(place, tmp_path):
  """The other ends soon and says why; started again, both go on."""
  flags = ['--config.checkpoint_every=10', '--config.log_every=10']
  forever = '--config.num_steps=1000000'
  with together(tmp_path, *flags, forever) as processes:
    wait_for(lambda: saved(tmp_path), processes[place], 400)
    processes[place].kill()
    other = processes[1 - place]
    output, _ = other.communicate(timeout=150)
    assert other.returncode not in (0, None), output
    assert re.search('error|rror:|failed', output), output
  step = saved(tmp_path)[0]
  last = f'--config.num_steps={step + 10}'
  with together(tmp_path, *flags, last) as processes:
    outputs = [p.communicate(timeout=400)[0] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
  assert 'resumed from the checkpoint of step' in outputs[0]
  assert digests(tmp_path)[0] > step


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_27_one_of_two_processes_is_stuck(tmp_path):
  """The other shows where it waits, and ends."""
  flags = ['--config.num_steps=1000000', '--config.checkpoint_every=10']
  with together(tmp_path, *flags, JAXGAN_STALL_SECONDS='60') as processes:
    wait_for(lambda: saved(tmp_path), processes[0], 400)
    processes[1].send_signal(signal.SIGSTOP)
    output, _ = processes[0].communicate(timeout=240)
  assert processes[0].returncode == watchdog.EXIT_CODE, output
  assert 'error: training made no progress for 60 s' in output
  assert 'in _loop' in output


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
  ('flag', 'named'),
  [
    ('--config.seed=1', 'config'),
    ('--config.loss=hinge', 'config'),
    ('--workdir={other}', 'step'),
  ],
)
def test_28_processes_that_differ(flag, named, tmp_path):
  """All say in what, before a round is done; the run of the first is whole."""
  workdir, other = tmp_path / 'run', tmp_path / 'other'
  flags = ['--config.num_steps=20', '--config.checkpoint_every=10']
  code, output = finish(start(f'--workdir={workdir}', *flags))
  assert code == 0, output
  before = digests(workdir)
  own = [flag.format(other=other)]
  if named == 'config':  # With a workdir where nothing is to be compared yet.
    workdir = tmp_path / 'new'
  with together(
    workdir, *flags, '--config.num_steps=30', of_last=own
  ) as processes:
    outputs = [p.communicate(timeout=400)[0] for p in processes]
  assert [p.returncode for p in processes] == [2, 2], outputs
  assert f'error: processes differ in {named}' in outputs[0]
  assert not saved(other)
  assert digests(tmp_path / 'run') == before


@pytest.mark.slow
@pytest.mark.parametrize('case', ['silent', 'absent', 'alone'])
def test_27_processes_that_do_not_meet(case, tmp_path):
  """A coordinator that never answers, none at all, and one without others."""
  with contextlib.ExitStack() as stack:
    server = stack.enter_context(socket.create_server(('127.0.0.1', 0)))
    address = f'127.0.0.1:{server.getsockname()[1]}'
    if case != 'silent':
      server.close()
    process = start(
      f'--workdir={tmp_path}',
      JAX_COORDINATOR_ADDRESS=address,
      JAX_NUM_PROCESSES='2',
      JAX_PROCESS_ID='0' if case == 'alone' else '1',
      JAXGAN_CONNECT_SECONDS='3',
    )
    code, output = finish(process)
  assert code == watchdog.EXIT_CODE, output
  last = output.splitlines()[-1]
  assert last.startswith(f'error: the processes did not meet at {address} in 3')


@pytest.mark.slow
def test_memory_runs_out(tmp_path):
  """A limit of data segments is found only when an allocation fails."""
  limit = ('prlimit', '--data=4000000000')
  flags = [f'--workdir={tmp_path}', f'--config.batch_size={2**21}']
  code, output = finish(start(*flags, command=limit))
  assert code == 2, output
  assert 'error: memory ran out' in output.splitlines()[-1]
  assert 'Lower batch_size' in output
  assert 'Traceback' not in output
