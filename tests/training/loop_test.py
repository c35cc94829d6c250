"""The loop: what it writes, and that stopping equals never stopping."""

import json
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from runs import (
  ROOT,
  Cut,
  assert_same_run,
  call_main,
  digests,
  finish,
  launch,
  lines,
  module,
  pictures,
  small,
  wait_for,
  words,
)

from jaxgan import data, errors
from jaxgan.modes import sample
from jaxgan.training import checkpoint, loop
from jaxgan.training import run as run_lib
from jaxgan.training import workdir as workdir_lib


def test_train_writes_all_files(unbroken):
  found = json.loads((unbroken / 'config.json').read_text())
  assert found['config']['data']['source'] == 'toy'
  assert found['data']['source'] == 'toy'
  assert found['versions']['jax'] == jax.__version__
  assert found['device']['count'] == 1
  assert [row['step'] for row in lines(unbroken)] == [3, 6, 9, 12]
  row = lines(unbroken)[-1]
  assert row['images'] == 12 * 16
  for player in ('generator', 'discriminator'):
    for name in ('loss', 'grad_norm', 'param_norm', 'update_norm'):
      assert np.isfinite(row[f'{player}/{name}'])
  assert 0 < row['discriminator/real'] < 1
  assert list(pictures(unbroken)) == [
    f'step_{step:08d}.png' for step in (0, 4, 8, 12)
  ]
  with Image.open(unbroken / 'samples.gif') as gif:
    assert gif.n_frames == 4
  with Image.open(unbroken / 'curves.png') as curves:
    assert min(curves.size) > 200
  assert checkpoint.Checkpoints(unbroken).steps() == [12, 10, 5]
  assert list((unbroken / 'tensorboard').glob('events*'))


def test_metrics_are_means_since_the_last_line(tmp_path):
  """One line every round, and one every three: the latter are the means."""
  loop.train(small(log_every=1, num_steps=6), tmp_path / 'every')
  loop.train(small(log_every=3, num_steps=6), tmp_path / 'third')
  every, third = lines(tmp_path / 'every'), lines(tmp_path / 'third')
  for k, row in enumerate(third):
    for name, value in row.items():
      if '/' in name:
        expected = np.mean([r[name] for r in every[3 * k : 3 * k + 3]])
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
  'at',
  [5, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 3, 8, 9, 10))],
)
def test_resume_equals_unbroken_run(at, unbroken, tmp_path, monkeypatch):
  """Cut off after any round, also in the middle of a log interval."""
  workdir = tmp_path / 'run'
  advance = run_lib.Training.advance

  def cut(run, rounds):
    if run.step >= at:
      raise Cut
    return advance(run, rounds)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'advance', cut)
    with pytest.raises(Cut):
      loop.train(small(), workdir)
  loop.train(small(), workdir)
  assert_same_run(workdir, unbroken)


def test_resume_writes_again_what_followed_the_checkpoint(
  unbroken, tmp_path, monkeypatch
):
  """Killed between the log line of a step and its checkpoint, mid-line."""
  workdir = tmp_path / 'run'
  save = run_lib.Training.save

  def cut(run, checkpoints):
    if run.step >= 10:
      raise Cut
    save(run, checkpoints)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib.Training, 'save', cut)
    with pytest.raises(Cut):
      loop.train(small(), workdir)
  with (workdir / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 12, "ima')
  (workdir / 'samples' / '.step_00000012.png.tmp').write_bytes(b'half')
  loop.train(small(), workdir)
  assert_same_run(workdir, unbroken)


def test_train_continues_a_finished_run_with_more_steps(unbroken, tmp_path):
  workdir = tmp_path / 'run'
  loop.train(small(num_steps=6), workdir)
  loop.train(small(), workdir)
  assert digests(workdir) == digests(unbroken)


def test_train_leaves_a_finished_run_unchanged(unbroken):
  before = digests(unbroken), lines(unbroken), pictures(unbroken)
  loop.train(small(), unbroken)
  assert before == (digests(unbroken), lines(unbroken), pictures(unbroken))


@pytest.mark.slow
def test_resume_recovers_from_a_damaged_newest_checkpoint(unbroken, tmp_path):
  workdir = tmp_path / 'run'
  loop.train(small(), workdir)
  for path in (workdir / 'checkpoints' / '12').rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:10])
  loop.train(small(), workdir)
  assert_same_run(workdir, unbroken)
  assert checkpoint.Checkpoints(workdir).steps() == [12, 10, 5]


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'loss': 'hinge'}, 'loss'),
    ({'batch_size': 32}, 'batch_size'),
    ({'seed': 1}, 'seed'),
    ({'generator.widths': (17,)}, 'generator.widths'),
    ({'generator.optimizer.learning_rate': 1e-3}, 'learning_rate'),
    ({'data.name': 'ring'}, 'data.name'),
  ],
)
def test_resume_refuses_another_config(fields, named, unbroken):
  before = (unbroken / 'config.json').read_bytes()
  with pytest.raises(errors.UserError, match='another config') as caught:
    loop.train(small(**fields), unbroken)
  assert named in str(caught.value)
  assert (unbroken / 'config.json').read_bytes() == before


def test_resume_accepts_resumable_fields(tmp_path):
  workdir = tmp_path / 'run'
  loop.train(small(num_steps=4), workdir)
  fields = {'num_steps': 8, 'log_every': 2, 'sample_every': 0, 'keep': 1}
  loop.train(small(**fields, checkpoint_every=3), workdir)
  assert checkpoint.Checkpoints(workdir).steps() == [8]
  assert [row['step'] for row in lines(workdir)] == [3, 4, 6, 8]


@pytest.mark.slow
def test_resume_keeps_the_source_of_auto(tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'none'))
  fields = {'data.source': 'auto', 'data.name': 'mnist', 'num_steps': 2}
  loop.train(small(**fields), workdir)
  from jaxgan.data.sources import tfds

  monkeypatch.setattr(tfds, 'find', lambda settings: tmp_path)
  loop.train(small(**fields | {'num_steps': 4}), workdir)
  found = json.loads((workdir / 'config.json').read_text())
  assert found['config']['data']['source'] == 'embedded'


def test_resume_refuses_other_data(tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  loop.train(small(num_steps=2), workdir)
  from jaxgan.data.sources import toy

  monkeypatch.setattr(toy, 'NUM_IMAGES', 255)
  with pytest.raises(errors.UserError, match=r'data\.size: 256 -> 255'):
    loop.train(small(num_steps=4), workdir)


def test_init_from_takes_weights_unless_there_are_checkpoints(
  unbroken, tmp_path
):
  workdir = tmp_path / 'run'
  fields = {'init_from': str(unbroken), 'loss': 'hinge', 'num_steps': 0}
  loop.train(small(**fields), workdir)
  _, theirs = digests(unbroken)
  _, ours = digests(workdir)
  same = [name for name, digest in ours.items() if theirs[name] == digest]
  assert any(name.startswith('networks/generator/params') for name in same)
  assert 'step' not in same
  loop.train(small(**fields | {'num_steps': 3}), workdir)
  assert digests(workdir)[0] == 3


def test_train_refuses_a_locked_workdir(tmp_path):
  with (
    workdir_lib.locked(tmp_path),
    pytest.raises(errors.UserError, match=f'process {os.getpid()}'),
  ):
    loop.train(small(), tmp_path)


def test_train_stops_and_names_the_round_that_is_not_finite(tmp_path):
  fields = {
    'generator.optimizer.name': 'sgd',
    'generator.optimizer.learning_rate': 1e30,
    'log_every': 6,
  }
  config = small()
  config.update_from_flattened_dict(fields)
  with pytest.raises(errors.NotFinite, match=r'round \d+: .*not finite'):
    loop.train(config, tmp_path / 'run')
  assert not checkpoint.Checkpoints(tmp_path / 'run').steps()


def test_train_scores_held_out_images(tmp_path):
  loop.train(small(eval_every=4, log_every=6), tmp_path / 'run')
  rows = lines(tmp_path / 'run')
  assert [row['step'] for row in rows] == [4, 6, 8, 12]
  assert 'discriminator/held_out' in rows[0]
  assert 'generator/loss' not in rows[0]
  assert {'discriminator/held_out', 'generator/loss'} < rows[-1].keys()


def test_train_reads_held_out_images_once(tmp_path, monkeypatch):
  config = module(ROOT / 'configs' / 'vae_mnist.py').get_config('manifold')
  config.data.update(source='toy', name='random')
  config.update(num_steps=0, batch_size=16)
  for network in (config.encoder, config.decoder):
    network.widths = (8,)
  splits, load = [], data.load

  def counted(settings, split='train'):
    splits.append(split)
    return load(settings, split)

  monkeypatch.setattr(data, 'load', counted)
  loop.train(config, tmp_path / 'run')
  assert splits == ['train', 'test']
  main = 'step_00000000'
  names = [f'{main}.png', f'{main}_manifold.png', f'{main}_reconstructions.png']
  assert sorted(pictures(tmp_path / 'run')) == names


@pytest.mark.parametrize(
  'resident_bytes', [0, pytest.param(2**20, marks=pytest.mark.slow)]
)
def test_train_scores_the_held_out_part_of_a_folder(resident_bytes, tmp_path):
  rng = np.random.default_rng(0)
  for k in range(20):
    image = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8))
    (tmp_path / 'images').mkdir(exist_ok=True)
    image.save(tmp_path / 'images' / f'{k}.png')
  fields = {
    'data.source': 'folder',
    'data.path': str(tmp_path / 'images'),
    'data.held_out': 0.2,
    'data.resident_bytes': resident_bytes,
    'eval_every': 2,
    'num_steps': 2,
  }
  loop.train(small(**fields), tmp_path / 'run')
  assert 'discriminator/held_out' in lines(tmp_path / 'run')[-1]
  found = json.loads((tmp_path / 'run' / 'config.json').read_text())
  assert found['data']['size'] == 16
  fields |= {'data.held_out': 0.1, 'num_steps': 4}
  with pytest.raises(errors.UserError, match=r'data\.held_out: 0\.2 -> 0\.1'):
    loop.train(small(**fields), tmp_path / 'run')


@pytest.mark.slow
def test_train_draws_points_as_a_cloud(tmp_path):
  fields = {'data.name': 'ring', 'num_steps': 2}
  loop.train(small(**fields), tmp_path / 'run')
  assert len(pictures(tmp_path / 'run')) == 2


def test_train_with_streaming_gives_the_same_run(unbroken, tmp_path):
  loop.train(small(**{'data.resident_bytes': 0}), tmp_path / 'run')
  for row, other in zip(lines(tmp_path / 'run'), lines(unbroken), strict=True):
    for name, value in row.items():
      np.testing.assert_allclose(value, other[name], rtol=1e-3, atol=1e-5)


def test_sample_needs_only_the_workdir(unbroken):
  first = sample.sample(unbroken, 9, 1)
  content = first.read_bytes()
  assert sample.sample(unbroken, 9, 1).read_bytes() == content
  assert sample.sample(unbroken, 9, 2).read_bytes() != content


@pytest.mark.parametrize(
  ('step', 'rounds'), [(0, 2), (5, 1), (6, 2), (8, 2), (16, 2), (18, 1)]
)
def test_rounds_per_call_does_not_depend_on_the_start(step, rounds):
  """Something is due at 10, and the last round is the nineteenth."""
  config = small(
    steps_per_call=4,
    num_steps=19,
    log_every=10,
    sample_every=0,
    checkpoint_every=0,
  )
  assert loop.rounds_per_call(step, config) == rounds


# Signals, in a process of its own.


@pytest.mark.slow
def test_resume_after_kills_during_saves(unkilled, tmp_path):
  """SIGKILL while a checkpoint is half written, three times over."""
  workdir = tmp_path / 'run'
  saving = workdir / 'checkpoints'
  for count in (1, 3, 2):
    process = launch(workdir)
    seen = set()

    def enough(count=count, seen=seen):
      seen.update(p.name for p in saving.glob('*.orbax-checkpoint-tmp'))
      return len(seen) >= count

    wait_for(enough, process)
    process.send_signal(signal.SIGKILL)
    assert finish(process)[0] == -signal.SIGKILL
  code, output = finish(launch(workdir))
  assert code == 0, output
  assert 'resumed from the checkpoint of step' in output
  assert_same_run(workdir, unkilled)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('number', 'code'),
  [
    (signal.SIGTERM, 143),
    (signal.SIGINT, 130),
  ],
)
def test_signal_saves_and_stops(number, code, unkilled, tmp_path):
  workdir = tmp_path / 'run'
  process = launch(workdir)
  wait_for(lambda: list(workdir.glob('checkpoints/[0-9]*')), process)
  process.send_signal(number)
  found, output = finish(process)
  assert found == code, output
  assert 'saved step' in output
  assert 'Traceback' not in output
  saved = int(output.split('saved step ')[1].split()[0])
  assert checkpoint.Checkpoints(workdir).steps()[0] == saved
  process = call_main(*words(workdir))
  assert process.returncode == 0, process
  assert f'from the checkpoint of step {saved}' in process.stdout
  assert_same_run(workdir, unkilled)


@pytest.mark.slow
def test_full_disk_keeps_the_checkpoint_before(tmp_path):
  """Files can not grow beyond what small ones need."""
  import resource

  workdir = tmp_path / 'run'
  loop.train(small(num_steps=5), workdir)
  before = digests(workdir)
  program = (
    'import resource, signal, sys; '
    'signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
    'sys.path[:0] = ["tests"]; '
    'import runs; from jaxgan import main, train; '
    'resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); '
    f'main.main = lambda argv: train.train(runs.small(), {str(workdir)!r}'
    '); main._run([])'
  )
  assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == -1
  found = subprocess.run(
    [sys.executable, '-c', program],
    cwd=ROOT,
    env=os.environ | {'JAX_ENABLE_COMPILATION_CACHE': '0'},
    capture_output=True,
    text=True,
    timeout=200,
  )
  assert found.returncode == 4, found.stderr
  assert 'error: ' in found.stderr
  assert 'Traceback' not in found.stderr
  assert digests(workdir) == before
  loop.train(small(), workdir)
  assert digests(workdir)[0] == 12
