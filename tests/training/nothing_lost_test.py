"""No start of a run deletes or renames what it does not replace."""

import json
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from runs import META, assert_same_run, digests, small

from jaxgan import errors
from jaxgan.training import checkpoint, loop, manager, writers
from jaxgan.training import run as run_lib

NAMES = (
  *(
    'exp[1]',
    'a*b',
    'what?',
    'back\\slash',
    'end\\',
    '[',
    'a b',
    'gs:',
    'n\nl',
  ),
  *('~user', '%s', 'a#b', 'umläut', os.fsdecode(b'latin-\xe9'), '\'"$HOME`'),
)


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.name != '.lock'
  }


@pytest.mark.parametrize('name', NAMES)
def test_checkpoints_are_saved_below_any_name(name, tmp_path):
  state = {'x': np.arange(3, dtype=np.float32)}
  with checkpoint.Checkpoints(tmp_path / name) as checkpoints:
    checkpoints.save(1, state, META)
    checkpoints.verify(1, state)
    checkpoints.save(2, state, META)
  with checkpoint.Checkpoints(tmp_path / name) as checkpoints:
    like = {'x': jnp.zeros(3)}
    assert checkpoints.restore(like)[1]['step'] == 2
    assert checkpoints.steps() == [2]


@pytest.mark.slow
def test_run_below_a_pattern_resumes_as_elsewhere(unbroken, tmp_path):
  """The name also matches other folders, as patterns do."""
  workdir = tmp_path / 'exp[1]' / 'run*'
  (tmp_path / 'exp1' / 'run').mkdir(parents=True)
  loop.train(small(num_steps=6), workdir)
  loop.train(small(), workdir)
  assert digests(workdir) == digests(unbroken)
  assert list((workdir / 'tensorboard').iterdir())
  assert not list((tmp_path / 'exp1' / 'run').iterdir())


def test_folder_for_temporary_files_needs_a_plain_name(tmp_path, monkeypatch):
  monkeypatch.setattr(manager.tempfile, 'gettempdir', lambda: '/tmp/[x]')
  with pytest.raises(errors.UserError, match='TMPDIR'):
    checkpoint.Checkpoints(tmp_path / '[y]')


LOSSES = {
  'checkpoints': ['checkpoints'],
  'content of checkpoints': ['checkpoints/*'],
  'checkpoints and config': ['checkpoints', 'config.json'],
  'all but samples': [
    *('checkpoints', 'config.json', 'metrics.jsonl', 'tensorboard'),
    *('samples.gif', 'curves.png'),
  ],
}


def remove(workdir, patterns):
  for pattern in patterns:
    for path in list(workdir.glob(pattern)):
      shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize('loss', LOSSES)
def test_run_whose_checkpoints_are_gone_is_refused(loss, unbroken, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(unbroken, workdir)
  remove(workdir, LOSSES[loss])
  before = content(workdir)
  for fields in ({}, {'num_steps': 20}):
    with pytest.raises(errors.UserError, match='are missing') as caught:
      loop.train(small(**fields), workdir)
  assert 'To start again, choose another --workdir' in str(caught.value)
  assert content(workdir) == before


def test_old_run_whose_checkpoints_are_gone_is_refused(unbroken, tmp_path):
  """Older code did not record that it had saved."""
  workdir = tmp_path / 'run'
  shutil.copytree(unbroken, workdir)
  remove(workdir, ['checkpoints'])
  record = json.loads((workdir / 'config.json').read_text())
  del record['saved'], record['format'], record['rules']
  (workdir / 'config.json').write_text(json.dumps(record))
  with pytest.raises(errors.UserError, match='are missing'):
    loop.train(small(), workdir)


def test_start_keeps_later_lines_and_grids_until_they_are_replaced(
  unbroken, tmp_path, monkeypatch
):
  """The newest checkpoints are gone; the run stops before it has replayed."""
  workdir = tmp_path / 'run'
  shutil.copytree(unbroken, workdir)
  remove(workdir, ['checkpoints/1*'])
  (workdir / '.notes.tmp').write_text('not ours')
  before = content(workdir)

  def stop(run, rounds):
    raise errors.StorageError('stop')

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', stop)
    with pytest.raises(errors.StorageError):
      loop.train(small(), workdir)
  after = content(workdir)
  for name, text in before.items():
    if name not in ('config.json', 'samples.gif', 'curves.png'):
      assert after[name] == text, name
  loop.train(small(), workdir)
  assert_same_run(workdir, unbroken)
  assert (workdir / '.notes.tmp').exists()


def test_lines_of_later_steps_are_replaced_one_by_one(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text(''.join(f'{{"step": {k}, "a": 0.0}}\n' for k in (1, 2, 3, 5)))
  writer = writers.JsonLines(path, 1)
  found = lambda: [(r['step'], r['a']) for r in writers.read_json_lines(path)]
  assert len(found()) == 4
  writer.scalars(2, {'a': 1.0})
  assert found() == [(1, 0.0), (2, 1.0), (3, 0.0), (5, 0.0)]
  writer.scalars(4, {'a': 1.0})
  assert found() == [(1, 0.0), (2, 1.0), (4, 1.0), (5, 0.0)]
  writer.scalars(5, {'a': 1.0})
  writer.scalars(6, {'a': 1.0})
  writer.close()
  assert found() == [(1, 0.0), (2, 1.0), (4, 1.0), (5, 1.0), (6, 1.0)]


def test_nothing_is_renamed_without_a_valid_checkpoint(tmp_path):
  state = {'x': np.arange(3, dtype=np.float32)}
  with checkpoint.Checkpoints(tmp_path, keep=3) as checkpoints:
    for step in (1, 2):
      checkpoints.save(step, state, META)
  for path in tmp_path.rglob('.zarray'):
    path.write_bytes(b'?')
  before = content(tmp_path)
  for _ in range(2):
    with (
      checkpoint.Checkpoints(tmp_path) as checkpoints,
      pytest.raises(errors.StorageError, match=r'no checkpoint in .* 1: '),
    ):
      checkpoints.restore({'x': jnp.zeros(3)})
  assert content(tmp_path) == before


@pytest.mark.parametrize('number', manager.NO_DAMAGE[::2])
def test_checkpoint_that_the_machine_cannot_read_is_not_renamed(
  number, tmp_path, monkeypatch
):
  state = {'x': np.arange(3, dtype=np.float32)}
  with checkpoint.Checkpoints(tmp_path, keep=3) as checkpoints:
    for step in (1, 2):
      checkpoints.save(step, state, META)
    checkpoints.wait()

    def fail(*args, **kwargs):
      raise ValueError(f'x: {number}: y')

    monkeypatch.setattr(checkpoints._manager, 'restore', fail)
    with pytest.raises(errors.StorageError, match='cannot be read'):
      checkpoints.restore({'x': jnp.zeros(3)})
    assert checkpoints.steps() == [2, 1]
