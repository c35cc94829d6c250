"""Exports as runs: restored, sampled, and refused; the run that ships."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy
from runs import call_main

from jaxgan import errors, steps
from jaxgan.modes import evaluate, export, exported, restore, sample
from tests.modes.sample_test import finished_run


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run of a conditional GAN, and its export."""
  folder = tmp_path_factory.mktemp('run') / 'run'
  finished_run(folder, conditional=True)
  return folder, export.export(folder)


@pytest.fixture
def copied(run, tmp_path):
  return shutil.copytree(run[1], tmp_path / 'export')


def test_an_export_gives_the_images_of_its_run(run):
  images, again = (
    sample.pixels(restore.restore(folder), 20, 3) for folder in run
  )
  np.testing.assert_array_equal(images, again)
  whole, exported = (restore.restore(folder) for folder in run)
  assert exported.state.step == whole.state.step
  assert exported.spec == whole.spec
  assert exported.classes == whole.classes


def test_sample_draws_the_grid_of_the_run_beside_the_export(run):
  path = sample.sample(run[1], num=6)
  assert path.parent == run[1]
  assert path.read_bytes() == sample.sample(run[0], num=6).read_bytes()


def rewrite(folder, **changes):
  path = folder / 'export.json'
  about = json.loads(path.read_text()) | changes
  path.write_text(json.dumps(about))


@pytest.mark.parametrize(
  ('damage', 'message'),
  [
    (lambda f: f.joinpath('export.json').write_text('{'), 'export.json is da'),
    (lambda f: rewrite(f, step='7'), "step='7' is no step"),
    (lambda f: rewrite(f, functions=['generator']), 'must be a group'),
    (lambda f: rewrite(f, functions={'../x': {}}), "exports '../x'"),
    (lambda f: f.joinpath('generator.safetensors').unlink(), 'is damaged'),
    (
      lambda f: f.joinpath('generator.safetensors').write_bytes(b'\xff' * 99),
      'generator.safetensors is damaged',
    ),
    (
      lambda f: safetensors.numpy.save_file(
        {'params/x': np.zeros(3, np.float32)}, f / 'generator.safetensors'
      ),
      'does not fit the networks',
    ),
    (lambda f: f.joinpath('config.json').unlink(), 'holds no run'),
  ],
)
def test_damaged_exports_are_named(damage, message, copied):
  damage(copied)
  with pytest.raises(errors.UserError, match=message):
    restore.restore(copied)


def test_other_steps_are_refused(copied):
  with pytest.raises(errors.UserError, match='is an export of step 0'):
    restore.restore(copied, step=5)


def test_exports_without_latents_are_refused(copied):
  with pytest.raises(errors.UserError, match="of method='pix2pix', and only"):
    exported.load(copied, steps.find('pix2pix'), None, None)


@pytest.mark.slow
def test_scores_of_an_export_are_those_of_its_run(run, tmp_path):
  fields = {'num': 40, 'scores': ['pixels']}
  lines = [
    evaluate.evaluate(folder, output=str(tmp_path / str(place)), **fields)
    for place, folder in enumerate(run)
  ]
  for line in lines:
    del line['seconds']
  assert lines[0] == lines[1]


def test_sample_without_a_workdir_draws_digits(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  done = call_main('--mode=sample', '--num=9')
  assert done.returncode == 0, done
  (path,) = tmp_path.glob('runs/digits/sample_*.png')
  assert str(path.relative_to(tmp_path)) in done.stdout


def test_shipped_digits_are_digits():
  """Their ink and its spread are those of real digits, and none are alike."""
  run = restore.restore('digits')
  images = sample.pixels(run, 200, 0).astype(float) / 255
  ink = images.mean((1, 2, 3))
  assert 0.10 < ink.mean() < 0.16  # 0.13 for MNIST
  assert 0.02 < ink.std() < 0.06  # 0.04
  edges = np.concatenate([images[:, 0], images[:, -1]])
  assert edges.mean() < 0.01
  flat = images.reshape(200, -1)
  apart = ((flat[:, None] - flat[None]) ** 2).sum(2)
  assert np.sort(apart, 1)[:, 1].min() > 1.0


def test_shipped_faces_are_faces():
  """Grey, the mean face is alike on both sides, and no two are alike."""
  images = sample.pixels(restore.restore('faces'), 64, 0).astype(float) / 255
  assert images.shape == (64, 64, 64, 3)
  assert np.abs(images - images.mean(-1, keepdims=True)).max() < 0.2
  mean = images.mean((0, 3))
  assert np.corrcoef(mean.ravel(), mean[:, ::-1].ravel())[0, 1] > 0.8
  flat = images[..., 0].reshape(64, -1)
  apart = ((flat[:, None] - flat[None]) ** 2).sum(2)
  assert np.sort(apart, 1)[:, 1].min() > 20.0


def test_a_folder_of_the_name_wins(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'digits').mkdir()
  with pytest.raises(errors.UserError, match='holds no run'):
    restore.restore('digits')
