"""Workdirs of an earlier commit resume, sample, evaluate and export."""

import json
import pathlib
import re
import shutil

import numpy as np
import old_workdirs
import pytest

import jaxgan

FOLDER = old_workdirs.FOLDER
CASES = [
  (name, action)
  for name in old_workdirs.RUNS
  for action in old_workdirs.actions_of(name)
]
# Scores of samples train a classifier first. Of resuming, one file of `steps/`
# and a population are tried by default.
SLOW = {
  *((name, 'evaluate') for name in old_workdirs.WITH_LATENTS),
  *(
    (name, 'resume')
    for name in old_workdirs.RUNS
    if name not in ('gan', 'population')
  ),
  *((name, 'export') for name in old_workdirs.RUNS if name != 'gan'),
}


@pytest.fixture(scope='module', autouse=True)
def brief(tmp_path_factory):
  """Digits are parsed once; the classifier of scores is hardly trained."""
  tables, read = [], np.loadtxt

  def read_once(*args, **kwargs):
    if not tables:
      tables.append(read(*args, **kwargs))
    return tables[0]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(np, 'loadtxt', read_once)
    patch.setattr(jaxgan.presets, 'classifier', jaxgan.presets.classifier)
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    old_workdirs.shrink_classifier()
    yield


def assert_close(actual, expected, where=''):
  """Raises unless numbers are equal up to rounding; new keys are allowed."""
  if isinstance(expected, dict):
    assert expected.keys() <= actual.keys(), where
    for key, value in expected.items():
      assert_close(actual[key], value, f'{where}/{key}')
  elif isinstance(expected, list):
    assert len(actual) == len(expected), where
    for index, value in enumerate(expected):
      assert_close(actual[index], value, f'{where}/{index}')
  elif isinstance(expected, float):
    # Adam makes whole steps of a gradient that is nothing but rounding, as that
    # of a bias before a norm: no image changes, and the norm of updates does.
    rtol = 1e-2 if where.endswith('/update_norm') else 1e-4
    np.testing.assert_allclose(
      actual, expected, rtol=rtol, atol=1e-5, err_msg=where
    )
  elif where.startswith('/sample'):
    assert abs(actual - expected) <= 1, where  # bytes, which round
  else:
    assert actual == expected, where


@pytest.mark.parametrize(
  ('name', 'action'),
  [
    pytest.param(*case, marks=[pytest.mark.slow] if case in SLOW else [])
    for case in CASES
  ],
)
def test_old_workdir_gives_the_numbers_of_the_old_code(
  name, action, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  old_workdirs.write_pictures(pathlib.Path('pictures'))
  expected = json.loads((FOLDER / f'{name}.json').read_text())
  copy = pathlib.Path(shutil.copytree(FOLDER / name, tmp_path / 'run'))
  result = old_workdirs.actions_of(name)[action](copy)
  result = json.loads(json.dumps(result))  # tuples become lists
  assert_close({action: result}, {action: expected[action]})


def test_every_method_of_the_old_commit_has_a_workdir():
  records = [json.loads(p.read_text()) for p in FOLDER.glob('*/config.json')]
  methods = {record['config']['method'] for record in records}
  assert methods == {
    *('autoencoder', 'classifier', 'cyclegan', 'gan'),
    *('inpaint', 'pix2pix', 'vae'),
  }


@pytest.mark.parametrize(
  ('actual', 'expected'),
  [
    ({}, {'loss': 1.0}),
    ({'loss': 1.001}, {'loss': 1.0}),
    ({'files': ['a']}, {'files': ['a', 'b']}),
    ({'sample': [[3, 5]]}, {'sample': [[3, 7]]}),
  ],
)
def test_assert_close_refuses_other_results(actual, expected):
  assert_close(expected, expected)
  with pytest.raises(AssertionError):
    assert_close(actual, expected)


@pytest.mark.parametrize('name', old_workdirs.RUNS)
def test_fixture_is_small_and_has_no_path_of_a_machine(name):
  paths = [p for p in (FOLDER / name).rglob('*') if p.is_file()]
  content = [path.read_bytes() for path in paths]
  assert sum(map(len, content)) < 120_000
  for path, text in zip(paths, content, strict=True):
    assert not re.search(rb'/(root|home|tmp|work|Users)/', text), path


@pytest.mark.parametrize('name', old_workdirs.RUNS)
def test_readme_has_the_command_of_every_fixture(name):
  assert old_workdirs.command_of(name) in (FOLDER / 'README.md').read_text()
