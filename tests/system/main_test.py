"""The command line: wrong input gets one line, an exit code, and no more."""

import io
import os
import pathlib
import subprocess
import sys

import compilation
import pytest
import runs

from jaxgan.training import workdir as workdir_lib
from jaxgan.training import writers

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = '--config=configs/gan_mnist.py'


def run(*flags, timeout=120, **environment):
  return subprocess.run(
    [sys.executable, '-m', 'jaxgan.main', *flags],
    cwd=ROOT,
    env=os.environ | compilation.FAST | environment,
    capture_output=True,
    text=True,
    timeout=timeout,
  )


BAD = {
  'unknown field': ([CONFIG, '--config.lss=x'], "no field 'lss'", 2),
  'unknown inner field': (
    [CONFIG, '--config.penalties.r3=1'],
    'dragan, gradient_penalty, r1, r2',
    2,
  ),
  'wrong type': ([CONFIG, '--config.batch_size=big'], 'batch_size=big', 2),
  'unknown flag': ([CONFIG, '--num_steps=3'], 'num_steps', 2),
  'no config': ([], '--config is missing', 2),
  'no such config': (['--config=configs/none.py'], 'no such file', 2),
  'no such variant': ([f'{CONFIG}:x'], "variant='x'", 2),
  'stray argument': ([CONFIG, 'loss=hinge'], "'loss=hinge'", 2),
  'unknown loss': ([CONFIG, '--config.loss=x'], 'least_squares', 2),
  'unknown model': ([CONFIG, '--config.generator.name=x'], 'mlp.Generator', 2),
  'unknown method': (
    [CONFIG, '--config.method=x'],
    'Choose one of: adversarial_autoencoder, ',
    2,
  ),
  'one image': ([CONFIG, '--config.data.limit=1'], 'found 1 training image', 2),
  'no folder': (
    [CONFIG, '--config.data.source=folder', '--config.data.path=/none'],
    'is not a folder',
    2,
  ),
  'workdir below a file': (
    [CONFIG, f'--workdir={__file__}/run'],
    'cannot be written to',
    2,
  ),
  'sample of nothing': (['--mode=sample', '--workdir=none'], 'holds no run', 2),
  'export of nowhere': (['--mode=export'], 'needs --workdir', 2),
  'export of nothing': (['--mode=export', '--workdir=none'], 'holds no run', 2),
  'export with a flag of samples': (
    ['--mode=export', '--workdir=none', '--num=3'],
    '--num is for --mode=sample or evaluate or complete or invert',
    2,
  ),
  'labelled images of one that has no head for them': (
    [CONFIG, '--config.labelled=1'],
    "labelled=1.0 needs discriminator.conditioning='classes'",
    2,
  ),
  'another method': (
    [CONFIG, '--config.method=vae'],
    "method='vae' needs a field 'likelihood'",
    2,
  ),
  'dropout of all': (
    [CONFIG, '--config.discriminator.dropout=1.0'],
    'discriminator.dropout=1.0 must be in [0, 1)',
    2,
  ),
  'weights within less than nothing': (
    [CONFIG, '--config.generator.optimizer.clip_weights=-1'],
    'generator.optimizer.clip_weights=-1.0 must be at least 0',
    2,
  ),
  'another optimizer': (
    [CONFIG, '--config.generator.optimizer.name=foo'],
    "generator.optimizer.name='foo' is unknown",
    2,
  ),
  'a huge batch': (
    [CONFIG, '--config.batch_size=10_000_000_000'],
    'batch_size=10000000000 must be in 1..2147483647',
    2,
  ),
  'a path that auto does not read': (
    [CONFIG, '--config.data.path=/tmp'],
    "data.path='/tmp' is for data.source=folder",
    2,
  ),
  'first weights of nothing': (
    [CONFIG, '--config.init_from=/none'],
    "init_from='/none' holds no run",
    2,
  ),
  'sample with a config': (
    ['--mode=sample', '--workdir=none', CONFIG],
    '--config is for --mode=train. Remove it: --mode=sample reads the config',
    2,
  ),
  'neither true nor false': (
    [CONFIG, '--config.dry_run=nonsense'],
    '--config.dry_run=nonsense must be True or False',
    2,
  ),
}


# Cases that start Python; all others call `main` in this process.
STARTED = {'unknown field', 'unknown flag', 'no folder', 'sample of nothing'}


@pytest.mark.parametrize('case', BAD)
def test_bad_input(case, tmp_path, monkeypatch):
  monkeypatch.chdir(ROOT)
  flags, message, code = BAD[case]
  has_workdir = any(flag.startswith('--workdir') for flag in flags)
  if flags and not has_workdir and case != 'export of nowhere':
    flags = [*flags, f'--workdir={tmp_path / "run"}']
  found = (run if case in STARTED else runs.call_main)(*flags)
  assert found.returncode == code, found.stderr
  last = found.stderr.strip().splitlines()[-1]
  assert last.startswith('error: ')
  assert message in last
  assert 'Traceback' not in found.stderr + found.stdout
  # Not even a config: only the lock may be there.
  written = [p.name for p in tmp_path.rglob('*') if p.is_file()]
  assert set(written) <= {'.lock'}


def test_broken_config_file_is_named(tmp_path):
  file = tmp_path / 'broken.py'
  file.write_text('raise RuntimeError("out of paper")')
  found = runs.call_main(f'--config={file}')
  assert found.returncode == 2
  assert found.stderr.strip().splitlines() == [
    'error: --config: RuntimeError: out of paper'
  ]


def test_too_many_devices_for_the_batch(tmp_path):
  found = run(
    CONFIG,
    '--config.batch_size=12',
    f'--workdir={tmp_path}',
    XLA_FLAGS='--xla_force_host_platform_device_count=8',
  )
  assert found.returncode == 2
  assert 'batch_size=12 is not divisible by the 8 devices' in found.stderr


def test_train_and_sample_from_the_command_line(tmp_path):
  flags = [CONFIG, '--config.num_steps=20', '--config.generator.widths=(16,)']
  flags += ['--config.sample_every=0', f'--workdir={tmp_path / "run"}']
  found = run(*flags)
  assert found.returncode == 0, found.stderr
  assert 'checkpoint verified' in found.stdout
  assert '\r' not in found.stdout  # No progress bar in a pipe.
  assert 'embedded' in found.stderr
  found = runs.call_main(
    '--mode=sample', f'--workdir={tmp_path / "run"}', '--num=7'
  )
  assert found.returncode == 0, found.stderr
  assert pathlib.Path(found.stdout.strip()).is_file()


@pytest.mark.parametrize(
  ('path', 'overrides', 'expected'),
  [
    ('configs/gan_mnist.py', {}, 'gan_mnist'),
    ('configs/gan_mnist.py:tutorial', {}, 'gan_mnist-tutorial'),
    ('gan_mnist.py', {'seed': 1, 'num_steps': 5}, 'gan_mnist-seed=1'),
  ],
)
def test_derived_workdir_names_config_and_fields(path, overrides, expected):
  assert workdir_lib.derived_workdir(path, overrides) == pathlib.Path(
    'runs', expected
  )


def test_derived_workdir_stays_in_runs():
  found = workdir_lib.derived_workdir(
    'a.py', {'x': '../../etc', 'y': 'b' * 300}
  )
  assert found.parent == pathlib.Path('runs')
  assert '/' not in found.name
  assert '..' not in found.parts
  assert len(found.name) < 100
  other = workdir_lib.derived_workdir(
    'a.py', {'x': '../../etc', 'y': 'b' * 301}
  )
  assert other != found


class Terminal(io.StringIO):
  def isatty(self):
    return True


def test_console_shows_a_progress_bar_on_a_terminal(monkeypatch):
  screen = Terminal()
  monkeypatch.setattr(sys, 'stdout', screen)
  console = writers.Console(100, 0)
  console.scalars(50, {'generator/loss': 0.5, 'steps_per_second': 10.0})
  console.close()
  assert '50%' in screen.getvalue()
  assert 'G/loss=0.500' in screen.getvalue()


def test_console_prints_few_lines_to_a_pipe(monkeypatch):
  screen = io.StringIO()
  monkeypatch.setattr(sys, 'stdout', screen)
  console = writers.Console(100, 0)
  for step in range(1, 101):
    console.scalars(step, {'generator/loss': 0.5, 'steps_per_second': 10.0})
  console.close()
  rows = screen.getvalue().splitlines()
  assert len(rows) == 2  # The first and the last.
  assert rows[0].startswith('step 1 of 100  G/loss 0.500  10.0 steps/s')
