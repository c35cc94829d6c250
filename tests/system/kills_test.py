"""Killed runs of every algorithm end as runs that no one killed."""

import importlib
import os
import subprocess
import sys

import compilation
import jax
import numpy as np
import pytest
from runs import call_main

from benchmarks import kills
from jaxgan import steps
from jaxgan.data import dataset, stream
from jaxgan.training import workdir as workdir_lib

pytestmark = pytest.mark.timeout(900)

# Trains as `jaxgan.main`, and kills its process before a round.
KILLED_BEFORE = """
import os, runpy, signal, sys
from jaxgan.training import run

step, advance = int(sys.argv.pop(1)), run.Training.advance

def killed(training, rounds):
  if training.step == step:
    os.kill(os.getpid(), signal.SIGKILL)
  return advance(training, rounds)

run.Training.advance = killed
runpy.run_module('jaxgan.main', run_name='__main__', alter_sys=True)
"""


@pytest.fixture(autouse=True)
def fast_processes(monkeypatch):
  """Processes compile fast and see one device; this one keeps its devices."""
  jax.devices()
  for name, value in compilation.FAST.items():
    monkeypatch.setenv(name, value)


def in_this_process(words):
  """Runs a command of one process, without a start of Python."""
  importlib.import_module('grain')  # Its flags must outlast the call.
  done = call_main(*words[3:])
  assert done.returncode == 0, done


def test_runs_have_every_algorithm():
  methods = {
    kills.experiment.load(name).method for name, _ in kills.RUNS.values()
  }
  assert methods == set(steps.known())


def test_record_of_data_stays_while_a_stream_reads_ahead():
  """`rows` is a hash of the selected examples, made before any is read."""

  def make():
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    return dataset.first(dataset.from_arrays('toy', 'x', 'train', images), 24)

  images = make()
  before = workdir_lib.of_data(images)
  batches = stream.rounds(images, 0, 8, 5, start=50, stop=75)
  for _ in range(10):
    next(batches)
    assert workdir_lib.of_data(images) == before
  assert workdir_lib.of_data(make()) == before
  assert before['rows'] == dataset.digest(np.arange(24))


@pytest.mark.slow
@pytest.mark.parametrize(
  ('kind', 'feed'),
  [
    (kind, 'streamed' if index % 2 else 'resident')
    for index, kind in enumerate(kills.RUNS)
  ],
)
def test_killed_run_equals_unbroken_run(kind, feed):
  assert kills.compare(kind, feed, 2, 0, in_this_process) == (2, [])


@pytest.mark.slow
def test_two_killed_processes_equal_unbroken_processes():
  assert kills.compare('gan', 'processes', 1, 0) == (1, [])


@pytest.mark.slow
def test_record_of_stream_equals_unbroken_record(tmp_path):
  """Kills right after checkpoints, while the stream has read ahead."""
  in_this_process(kills.command('wgan', 'streamed', tmp_path / 'unbroken'))
  words = kills.command('wgan', 'streamed', tmp_path / 'killed')
  start = [sys.executable, '-c', KILLED_BEFORE]
  for step in (50, 75, 100):
    process = subprocess.run(
      [*start, str(step), *words[3:]], cwd=kills.ROOT, env=os.environ
    )
    assert process.returncode == -9
  in_this_process(words)
  ours, theirs = (
    kills.result(tmp_path / name) for name in ('killed', 'unbroken')
  )
  assert 'rows' in ours['record: data']
  assert kills.differences(ours, theirs) == []
