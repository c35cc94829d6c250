"""Runs that tests start, and how two are compared."""

import contextlib
import importlib.util
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import time

import compilation
from absl import flags
from absl import logging as absl_logging
from absl.testing import flagsaver

from jaxgan.training import checkpoint, writers

ROOT = pathlib.Path(__file__).parents[1]
META = {'config': {}, 'data': {}, 'pending': {}}  # of a checkpoint


class Cut(Exception):
  """Ends a run as if it had been killed there."""


def module(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  found = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(found)
  return found


def small(**fields):
  """The default experiment on tiny networks and a tiny random image set."""
  config = module(ROOT / 'configs' / 'gan_mnist.py').get_config()
  config.update_from_flattened_dict(
    {
      'data.source': 'toy',
      'data.name': 'random',
      'generator.widths': (16,),
      'discriminator.widths': (16,),
      'batch_size': 16,
      'num_steps': 12,
      'steps_per_call': 2,
      'log_every': 3,
      'sample_every': 4,
      'checkpoint_every': 5,
      'latent_size': 8,
    }
    | fields
  )
  return config


def lines(workdir):
  """Metrics without what the clock decides."""
  rows = writers.read_json_lines(workdir / 'metrics.jsonl')
  for row in rows:
    assert row.pop('steps_per_second') > 0
  return rows


def digests(workdir):
  step = checkpoint.Checkpoints(workdir).steps()[0]
  item = workdir / 'checkpoints' / str(step) / 'integrity' / 'metadata'
  return step, json.loads(item.read_text())


def pictures(workdir):
  return {
    p.name: p.read_bytes() for p in sorted((workdir / 'samples').glob('*'))
  }


def assert_same_run(one, other):
  assert lines(one) == lines(other)
  assert digests(one) == digests(other)
  assert pictures(one) == pictures(other)
  assert (one / 'samples.gif').read_bytes() == (
    other / 'samples.gif'
  ).read_bytes()


def words(workdir):
  """Flags of a run that trains tiny networks on real digits."""
  return [
    f'--config={ROOT / "configs" / "gan_mnist.py"}',
    f'--workdir={workdir}',
    '--config.generator.widths=(32,)',
    '--config.discriminator.widths=(32,)',
    '--config.num_steps=400',
    '--config.log_every=20',
    '--config.sample_every=100',
    '--config.checkpoint_every=30',
  ]


def launch(workdir, **popen):
  """Starts a process with the run of `words`."""
  environment = os.environ | compilation.FAST | {'PYTHONUNBUFFERED': '1'}
  return subprocess.Popen(
    [sys.executable, '-m', 'jaxgan.main', *words(workdir)],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    **popen,
  )


def wait_for(condition, process, seconds=120):
  until = time.monotonic() + seconds
  while not condition():
    assert process.poll() is None, process.stdout.read()
    assert time.monotonic() < until
    time.sleep(0.002)


def finish(process):
  output, _ = process.communicate(timeout=240)
  return process.returncode, output


@contextlib.contextmanager
def _restored():
  """Restores flags, arguments and logging, which `jaxgan.main` changes."""
  values = flagsaver.save_flag_values()
  argv, hook = sys.argv, sys.unraisablehook
  verbosity = absl_logging.get_verbosity()
  logger = logging.getLogger('jaxgan')
  try:
    yield
  finally:
    flagsaver.restore_flag_values(values)
    flags.FLAGS.unparse_flags()
    sys.argv, sys.unraisablehook = argv, hook
    absl_logging.set_verbosity(verbosity)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def call_main(*words) -> subprocess.CompletedProcess:
  """Calls `python -m jaxgan.main` in this process, which takes less time."""
  from jaxgan import main

  output, errors = io.StringIO(), io.StringIO()
  code = 0
  with (
    _restored(),
    contextlib.redirect_stdout(output),
    contextlib.redirect_stderr(errors),
  ):
    sys.argv = ['jaxgan.main', *words]
    try:
      main._run(main._parse_flags(sys.argv))
    except SystemExit as end:
      code = end.code or 0
  return subprocess.CompletedProcess(
    words, code, output.getvalue(), errors.getvalue()
  )
