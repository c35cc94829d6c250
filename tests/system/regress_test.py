"""The comparison of speeds: its verdict, and what ends it."""

import re
import subprocess
import sys

import numpy as np
import pytest
from runs import ROOT

from benchmarks import regress, systems


def noisy(median, turns=20, deviation=0.02, pairs=(1.0, 1.0, 1.0)):
  """Ratios of the turns of three pairs of processes."""
  rng = np.random.default_rng(1)
  return [
    median * pair * np.exp(deviation * rng.standard_normal(turns))
    for pair in pairs
  ]


def test_verdict_depends_on_median_and_interval():
  assert regress.is_as_fast(noisy(1.0))
  assert regress.is_as_fast(noisy(1.2))
  assert not regress.is_as_fast(noisy(0.96))  # its median
  few = noisy(1.0, turns=2, deviation=0.3)
  middle = np.median(np.concatenate(few))
  assert not regress.is_as_fast([pair / middle for pair in few])  # its interval


def test_interval_holds_the_median_and_narrows():
  few, many = (regress.interval(noisy(1.0, turns)) for turns in (2, 200))
  assert few[0] < np.median(np.concatenate(noisy(1.0, 2))) < few[1]
  assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_interval_has_the_luck_of_processes():
  low, high = regress.interval(noisy(1.0, 200, pairs=(0.95, 1.0, 1.04)))
  assert low < 0.96
  assert high > 1.03


class Clock:
  """A side that takes as long per call as it is told."""

  def __init__(self, label, seconds, calls):
    self.label, self.each, self.calls = label, seconds, calls
    self.rounds_per_call = {'a': 5}

  def seconds(self, name, calls):
    self.calls.append((self.label, calls))
    return calls * self.each


def test_sides_take_turns_in_alternating_order():
  calls = []
  slice_seconds = regress.SLICE_SECONDS
  sides = {
    'old': Clock('old', slice_seconds / 2, calls),
    'new': Clock('new', slice_seconds / 3, calls),
  }
  rates = regress.take_turns(sides, ['a'], until=0.0)['a']
  assert len(rates.old) == len(rates.new) == regress.LEAST_TURNS
  np.testing.assert_allclose(rates.ratios(), 1.5)
  old, new = ('old', 2), ('new', 3)
  assert calls[-4:] == [old, new, new, old]


def compare(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'benchmarks.regress', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


@pytest.mark.slow
def test_both_sides_are_in_the_table():
  few = ('--minutes=0.01', '--pairs=1', '--systems=gan,vae')
  done = compare('HEAD', '.', *few)
  assert done.returncode in (0, 1), done.stderr  # Few turns decide nothing.
  for name in ('gan', 'vae'):
    row = re.search(rf'\| {name} \| (\S+) \| (\S+) \| (\S+) \|', done.stdout)
    assert all(float(number) > 0 for number in row.groups())
  is_slow = 'slower: ' in done.stdout
  assert is_slow == (done.returncode == 1)


@pytest.mark.slow
def test_a_side_that_ends_is_one_line(tmp_path):
  """A checkout without what the systems need."""
  package = tmp_path / 'jaxgan'
  package.mkdir()
  (package / '__init__.py').write_text('raise RuntimeError("of the test")\n')
  done = compare('.', str(tmp_path), '--systems=vae')
  assert done.returncode == 2
  assert done.stderr == 'error: NEW ended: RuntimeError: of the test\n'


def test_unknown_systems_are_refused():
  done = compare('.', '.', '--systems=gna')
  assert done.returncode == 2
  assert f'known are {", ".join(systems.SYSTEMS)}' in done.stderr
