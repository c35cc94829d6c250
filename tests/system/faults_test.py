"""Faults, numbered as in docs/faults.md: what a user sees, and what is kept.

Those that need processes of their own are in `faults_processes_test.py`; those
that other files hold are named in the table.
"""

import functools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from runs import META, assert_same_run, digests, lines, small

from jaxgan import data, errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.core import state as state_lib
from jaxgan.data import batches as batches_lib
from jaxgan.data import dataset
from jaxgan.data.sources import toy
from jaxgan.modes import replay
from jaxgan.steps import gan
from jaxgan.training import checkpoint, loop, watchdog, writers
from jaxgan.training import devices as devices_lib
from jaxgan.training import digests as digests_lib
from jaxgan.training import run as run_lib


def contents(folder):
  """All files below a folder, and what is in them."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }


# 8: the newest checkpoint's files, one by one.

HARMS = {
  'cut': lambda path: os.truncate(path, path.stat().st_size // 2),
  'emptied': lambda path: os.truncate(path, 0),
  'deleted': lambda path: path.unlink(),
}


@pytest.mark.slow
@pytest.mark.parametrize('harm', HARMS)
def test_08_restore_with_damage_in_any_file(harm, unbroken, tmp_path):
  """As after a loss of power: no wrong number is ever read."""
  expected = {}
  for step in (12, 10):
    state, _ = checkpoint.load(unbroken, None, step)
    expected[step] = digests_lib.compute(state)
  newest = unbroken / 'checkpoints' / '12'
  names = [p.relative_to(newest) for p in newest.rglob('*') if p.is_file()]
  assert len(names) > 10
  found = set()
  for name in names:
    copy = tmp_path / 'run' / 'checkpoints'
    shutil.copytree(unbroken / 'checkpoints', copy)
    HARMS[harm](copy / '12' / name)
    state, meta = checkpoint.load(tmp_path / 'run', None)
    assert digests_lib.compute(state) == expected[meta['step']], name
    found.add(meta['step'])
    shutil.rmtree(copy)
  # Empty marks of orbax may be cut; most files may not.
  assert 10 in found


def test_13_workdir_that_cannot_be_written_to():
  with pytest.raises(errors.UserError, match=r'/proc/run.*Choose another'):
    loop.train(small(), '/proc/run')


@pytest.mark.slow
@pytest.mark.eight_devices
def test_19_resume_on_another_number_of_devices(
  unbroken, tmp_path, monkeypatch
):
  """Starts on eight, resumes on four: the run of one, up to rounding."""
  make = devices_lib.make
  for count, num_steps in ((8, 6), (4, 12)):
    few = functools.partial(make, devices=jax.devices()[:count])
    monkeypatch.setattr(devices_lib, 'make', few)
    loop.train(small(num_steps=num_steps, sample_every=0), tmp_path)
  ours = {row['step']: row for row in lines(tmp_path)}
  for theirs in lines(unbroken)[1:]:
    for name, value in ours[theirs['step']].items():
      np.testing.assert_allclose(value, theirs[name], rtol=1e-2, atol=1e-3)


def test_20_checkpoint_of_another_format_is_refused(unbroken, tmp_path):
  """Refused and left as it is; other versions in config.json are not."""
  shutil.copytree(unbroken, tmp_path / 'run')
  path = tmp_path / 'run' / 'config.json'
  record = json.loads(path.read_text())
  record['versions']['jax'] = '0.1.0'
  path.write_text(json.dumps(record))
  loop.train(small(), tmp_path / 'run')
  assert digests(tmp_path / 'run') == digests(unbroken)
  path = tmp_path / 'run' / 'checkpoints' / '12' / 'meta' / 'metadata'
  meta = json.loads(path.read_text())
  path.write_text(json.dumps(meta | {'schema': 99}))
  with pytest.raises(errors.UserError, match='has format 99 and this version'):
    loop.train(small(), tmp_path / 'run')
  assert checkpoint.Checkpoints(tmp_path / 'run').steps() == [12, 10, 5]


def test_21_stop_while_a_checkpoint_is_read(tmp_path, monkeypatch):
  """It is not taken for a damaged one."""
  (tmp_path / 'checkpoints' / '5').mkdir(parents=True)

  def read(checkpoints, step, like):
    raise errors.Stopped(signal.SIGTERM, 'now')

  monkeypatch.setattr(checkpoint.Checkpoints, 'read', read)
  with (
    checkpoint.Checkpoints(tmp_path) as checkpoints,
    pytest.raises(errors.Stopped),
  ):
    checkpoints.restore(None)
  assert checkpoint.Checkpoints(tmp_path).steps() == [5]


# 30: NaN in the round after step 6, of which the last checkpoint is 5.


def spoil_data(patch):
  """NaN in the first example of that round."""

  def load(settings, split):
    found = toy.load(settings, split)
    images = pixels_lib.to_float(jnp.asarray(found.columns['image']))
    images = np.array(images)
    place = batches_lib.host_examples(0, 6, 16, found.size)[0]
    images[place] = np.nan
    return dataset.from_arrays(
      'toy',
      settings.name,
      split,
      images,
      found.columns['label'],
      found.spec.classes,
    )

  patch.setitem(data.SOURCES, 'toy', load)


def spoil_gradients(patch):
  apply_gradients = state_lib.apply_gradients

  def spoiled(method, state, name, grads):
    factor = jnp.where((state.step == 6) & (name == 'generator'), jnp.nan, 1.0)
    grads = jax.tree.map(lambda g: g * factor, grads)
    return apply_gradients(method, state, name, grads)

  patch.setattr(state_lib, 'apply_gradients', spoiled)


def spoil_loss(patch):
  total = gan.generator_total

  def spoiled(method, name, loss, scene):
    return total(method, name, loss / (scene.state.step != 6), scene)

  patch.setattr(gan, 'generator_total', spoiled)


SPOILT = {
  'data': (spoil_data, 'discriminator/loss', 'batch, image: .* in .nan, nan'),
  'gradients': (
    spoil_gradients,
    'generator/grad_norm',
    'networks/generator/params',
  ),
  'loss': (spoil_loss, 'generator/loss', 'generator/loss: inf'),
}


@pytest.mark.parametrize(
  'where',
  [
    'gradients',
    *(pytest.param(w, marks=pytest.mark.slow) for w in ('data', 'loss')),
  ],
)
def test_30_replay_finds_the_value_that_is_not_finite(
  where, tmp_path, monkeypatch, capsys
):
  spoil, named, shown = SPOILT[where]
  spoil(monkeypatch)
  with pytest.raises(errors.NotFinite, match='--mode=replay') as caught:
    loop.train(small(sample_every=0), tmp_path)
  assert str(caught.value).startswith('round 7: ')
  assert named in str(caught.value)
  assert 'last good checkpoint: step 5.' in str(caught.value)
  assert checkpoint.Checkpoints(tmp_path).steps() == [5]
  before = contents(tmp_path)
  capsys.readouterr()
  with pytest.raises(errors.NotFinite, match='round 7: ') as caught:
    replay.replay(tmp_path)
  assert named in str(caught.value)
  assert contents(tmp_path) == before
  output = capsys.readouterr().out
  assert 'from step 5' in output
  assert 'state before it: finite' in output
  assert re.search(shown, output)


def test_30_replay_shows_any_round(unbroken, capsys):
  """As the run had it; that of a streamed run too."""
  replay.replay(unbroken, 6)
  output = capsys.readouterr().out
  assert 'round 6\n' in output
  assert 'rounds up to 6 are finite' in output
  with pytest.raises(errors.UserError, match=r'--round=13 must be in 1\.\.12'):
    replay.replay(unbroken, 13)


def test_31_state_that_is_not_finite_is_not_saved(tmp_path):
  """Also where no metric shows it."""
  state = {'a': {'b': jnp.array([1.0, jnp.inf])}, 'step': jnp.int32(3)}
  with (
    checkpoint.Checkpoints(tmp_path) as checkpoints,
    pytest.raises(errors.NotFinite, match='step 3: a/b'),
  ):
    checkpoints.save(3, state, META)
  assert not checkpoint.Checkpoints(tmp_path).steps()


@pytest.mark.slow
def test_32_image_that_breaks_during_training(tmp_path, monkeypatch):
  """It is named; once it is mended, the run ends as if nothing had been."""
  rng = np.random.default_rng(0)
  images = tmp_path / 'images'
  images.mkdir()
  for k in range(20):
    pixels = rng.integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(pixels).save(images / f'{k}.png')
  fields = {'data.source': 'folder', 'data.path': str(images)}
  fields |= {'data.resident_bytes': 0, 'num_steps': 40, 'sample_every': 0}
  loop.train(small(**fields), tmp_path / 'unbroken')
  good = (images / '7.png').read_bytes()
  advance = run_lib.Training.advance

  def breaking(run, rounds):
    if run.step == 10:
      (images / '7.png').write_bytes(good[:40])
    return advance(run, rounds)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', breaking)
    with pytest.raises(errors.DataError, match=r'7\.png: unreadable'):
      loop.train(small(**fields), tmp_path / 'run')
  kept = checkpoint.Checkpoints(tmp_path / 'run').steps()
  assert kept[0] >= 10
  (images / '7.png').write_bytes(good)
  loop.train(small(**fields), tmp_path / 'run')
  assert lines(tmp_path / 'run') == lines(tmp_path / 'unbroken')
  assert digests(tmp_path / 'run') == digests(tmp_path / 'unbroken')


def test_32_download_without_a_network(tmp_path, monkeypatch):
  """Within seconds, and with the way to do without."""
  for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
    monkeypatch.setenv(name, 'http://127.0.0.1:9')
  monkeypatch.delenv('NO_PROXY', raising=False)
  monkeypatch.delenv('no_proxy', raising=False)
  settings = small().data
  settings.update(source='tfds', name='mnist', data_dir=str(tmp_path))
  settings.download = True
  with pytest.raises(errors.DataError, match=r'cannot be reached.*manual_dir'):
    data.load(settings)


def test_34_no_folder_for_compiled_programs(tmp_path, monkeypatch, caplog):
  (tmp_path / 'file').touch()
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  with caplog.at_level(logging.WARNING, 'jaxgan'):
    devices_lib.use_compilation_cache()
  assert 'no compilation cache' in caplog.text


def test_35_clock_that_jumps(unbroken, tmp_path, monkeypatch):
  """A year ahead, and two back: the run is the same."""
  real, offset = time.time, [0.0]
  advance = run_lib.Training.advance

  def jumping(run, rounds):
    if run.step == 6:
      # In the middle of a save, orbax would take a year for a time-out.
      while not (tmp_path / 'checkpoints' / '5').is_dir():
        time.sleep(0.01)
      offset[0] = 3e7
    elif run.step == 9:
      offset[0] = -3e7
    return advance(run, rounds)

  monkeypatch.setattr(time, 'time', lambda: real() + offset[0])
  monkeypatch.setattr(run_lib.Training, 'advance', jumping)
  loop.train(small(), tmp_path)
  assert_same_run(tmp_path, unbroken)


@pytest.mark.slow
def test_36_logs_deleted_during_training(unbroken, tmp_path, monkeypatch):
  """The event files' folder is gone: what is trained is not."""
  advance = run_lib.Training.advance

  def deleting(run, rounds):
    if run.step == 6:
      shutil.rmtree(run.workdir / 'tensorboard')
      (run.workdir / 'metrics.jsonl').unlink()
    return advance(run, rounds)

  monkeypatch.setattr(run_lib.Training, 'advance', deleting)
  loop.train(small(), tmp_path)
  assert digests(tmp_path) == digests(unbroken)


# What the matrix does not number.


def test_out_of_memory_names_the_fields_to_lower():
  said = (
    'RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nBufferAssignment'
  )
  found = errors.out_of_memory(RuntimeError(said))
  assert 'Lower batch_size' in str(found)
  assert '\n' not in str(found)
  assert errors.out_of_memory(MemoryError()) is not None
  assert errors.out_of_memory(RuntimeError('another')) is None


@pytest.mark.slow
def test_deadline_ends_a_process_that_stalls():
  """Its stacks and one line; a `moved` in time keeps it alive."""
  program = (
    'import time; from jaxgan.training import watchdog\n'
    'watchdog.TICK = 0.05\n'
    'with watchdog.Deadline(1, "stuck here") as alive:\n'
    '  for _ in range(30): time.sleep(0.05); alive.moved()\n'
    '  print("moved", flush=True); time.sleep(60)\n'
  )
  found = subprocess.run(
    [sys.executable, '-c', program],
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert found.returncode == watchdog.EXIT_CODE
  assert found.stdout == 'moved\n'
  assert 'most recent call first' in found.stderr
  assert found.stderr.splitlines()[-1] == 'error: stuck here'


@pytest.mark.parametrize('value', ['-1', 'soon', '1e3', '9' * 10])
def test_watchdog_seconds_must_be_whole_numbers(value, monkeypatch):
  monkeypatch.setenv('JAXGAN_STALL_SECONDS', value)
  with pytest.raises(errors.UserError, match='must be a whole number'):
    watchdog.seconds('JAXGAN_STALL_SECONDS', 3)


def test_lines_after_an_incomplete_line_are_kept(tmp_path):
  path = tmp_path / 'eval.jsonl'
  writers.append_json_line(path, {'step': 1, 'x': 0.5})
  with path.open('a') as file:
    file.write('{"step": 2, "x"')
  writers.append_json_line(path, {'step': 3, 'x': None})
  found = writers.read_json_lines(path)
  assert found == [{'step': 1, 'x': 0.5}, {'step': 3, 'x': None}]
