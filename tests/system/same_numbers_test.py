"""The comparison of two checkouts sees what differs, and only that."""

import re
import subprocess
import sys

import numpy as np
import pytest
from runs import ROOT

from benchmarks import checkouts, same_numbers, trick_fields


def tree(**changed):
  return {
    'state/step': np.int32(2),
    'state/params/Dense_0/kernel': np.array([1.0, -2.0], np.float32),
    'state/params/Dense_0/bias': np.zeros(2, np.float32),
    **changed,
  }


def test_difference_of_equal_trees_is_zero():
  assert same_numbers.difference(tree(), tree()) == (0.0, '')


def test_difference_is_relative_to_the_largest_number_of_the_leaf():
  kernel = np.array([1.0, -2.002], np.float32)
  changed = tree(**{'state/params/Dense_0/kernel': kernel})
  worst, where = same_numbers.difference(tree(), changed)
  assert worst == pytest.approx(1e-3, rel=1e-3)
  assert where == 'state/params/Dense_0/kernel'


def test_difference_sees_the_last_bit_and_the_sign_of_zero():
  for bias in (np.nextafter(np.zeros(2, np.float32), 1), np.float32([-0.0, 0])):
    _, where = same_numbers.difference(
      tree(), tree(**{'state/params/Dense_0/bias': np.float32(bias)})
    )
    assert where == 'state/params/Dense_0/bias'


@pytest.mark.parametrize(
  ('name', 'value', 'text'),
  [
    ('state/step', np.int32(3), 'integers differ'),
    ('state/step', np.int64(2), 'int32.* -> int64'),
    ('state/params/Dense_0/bias', np.zeros(3, np.float32), r'\[2\].*\[3\]'),
    ('state/params/Dense_0/bias', np.float32([0, np.nan]), 'bias'),
    ('state/more', np.zeros(2), '1 paths differ, as state/more, only in NEW'),
  ],
)
def test_difference_is_infinite_for_other_trees(name, value, text):
  worst, where = same_numbers.difference(tree(), tree(**{name: value}))
  assert worst == np.inf
  assert re.search(text, where)


def test_floor_is_the_scale_of_leaves_that_are_rounding_alone():
  """A bias before batch norm: its moments are nothing beside the others."""
  old = {
    'state/mu/Dense_0/bias': np.float32([1e-10]),
    'state/mu/Dense_1/bias': np.float32([1e-2]),
  }
  new = old | {'state/mu/Dense_0/bias': np.float32([2e-10])}
  worst, _ = same_numbers.difference(old, new)
  assert worst == pytest.approx(1e-10 / (1e-2 * same_numbers.FLOOR), rel=1e-3)


def test_every_documented_trick_is_compared():
  compared = {f for fields in same_numbers.TRICKS.values() for f in fields}
  text = (ROOT / 'docs' / 'tricks.md').read_text()
  rows = [line.split('|')[2] for line in text.splitlines() if line[:2] == '| ']
  fields = [f for row in rows for f in re.findall(r'`([a-z_.0-9]+)', row)]
  assert len(fields) > 25
  compared |= {'path_length', 'generator.mixing'}  # of stylegan2_faces.py
  compared |= {'discriminator.optimizer.base_width'}  # of gat_mnist.py
  for field in fields:
    name = field.lstrip('.')
    assert any(f == name or f.endswith(f'.{name}') for f in compared), field
  measured = {f for fields in trick_fields.TRICKS.values() for f in fields}
  assert measured <= compared | {
    *('generator.upsampling', 'generator.kernel'),  # variants of configs
  }


def compare(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'benchmarks.same_numbers', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


@pytest.fixture
def changed_checkout(tmp_path):
  """A copy of the package whose Adam moves a little less."""
  for name in ('jaxgan', 'configs'):
    target = tmp_path / 'copy' / name
    for path in (ROOT / name).rglob('*.py'):
      copy = target / path.relative_to(ROOT / name)
      copy.parent.mkdir(parents=True, exist_ok=True)
      text = path.read_text()
      copy.write_text(text.replace('m + (1 - b1)', 'm + (1.01 - b1)'))
  return tmp_path / 'copy'


@pytest.mark.slow
def test_same_numbers_of_a_changed_checkout(changed_checkout):
  only = '--only=^(gan_mnist:one_layer|autoencoder_mnist:simple)$'
  done = compare('.', str(changed_checkout), only)
  assert done.returncode == 1, done.stderr
  assert re.search(r'gan_mnist:one_layer: [\d.]+ at state/', done.stdout)
  assert '2 systems, 2 differ by more than 0' in done.stdout
  done = compare('.', str(changed_checkout), only, '--rtol=2')
  assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_same_numbers_of_a_revision_and_the_working_tree():
  done = compare('HEAD', '.', '--only=^autoencoder_mnist:simple$')
  assert done.returncode == 0, done.stdout + done.stderr
  assert done.stdout.splitlines()[0] == 'autoencoder_mnist:simple: equal'


def test_unknown_revisions_are_one_line():
  done = compare('no-such-revision', '.')
  assert done.returncode == 2
  assert done.stderr.startswith("error: 'no-such-revision' is no checkout")
  assert len(done.stderr.splitlines()) == 1


def test_checkouts_are_removed(tmp_path):
  folder = tmp_path / 'side'
  with checkouts.open_checkout('HEAD', folder) as path:
    assert (path / 'jaxgan').is_dir()
  assert not folder.exists()
