"""--mode=complete and --mode=invert: what is written, and what is refused."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxgan import data, errors, modes
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes import complete, held_out
from jaxgan.modes import restore as restore_lib
from jaxgan.modes.held_out import Request
from tests.modes.sample_test import finished_run, read

SIDE = 7
FEW = dict(num=3, restarts=1, iterations=3)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """Conditional, in colour, of an odd size, packed."""
  fields = {'conditional': True, 'latent': 'uniform'}
  fields |= {'data.image_size': SIDE, 'data.channels': 3}
  return finished_run(tmp_path_factory.mktemp('conditional') / 'run', **fields)


def completed(workdir, **fields):
  """Returns the summary, and the bytes of all files by name."""
  function = complete.complete if 'mask' in fields else complete.invert
  summary = function(workdir, **FEW | fields)
  folder = workdir / summary['path']
  return summary, {p.name: p.read_bytes() for p in folder.iterdir()}


def results(summary, num=3):
  folder = pathlib.Path(summary['path'])
  return np.stack([read(folder / f'{k:04d}.png') for k in range(num)])


def originals(workdir, num, seed=0):
  held_out = data.load(restore_lib.restore(workdir).config.data, 'test')
  rows = np.random.default_rng(seed).permutation(held_out.size)[:num]
  return held_out.arrays()['image'][rows]


def test_complete_keeps_known_pixels_and_repeats_its_files(workdir):
  summary, files = completed(workdir, mask='half', blend=True)
  assert completed(workdir, mask='half', blend=True)[1] == files
  folder = workdir / summary['path']
  images = results(summary)
  real = originals(workdir, 3)
  np.testing.assert_array_equal(images[:, :, 3:], real[:, :, 3:])
  lines = [json.loads(x) for x in files['errors.jsonl'].splitlines()]
  hole = np.abs(images[:, :, :3] / 255.0 - real[:, :, :3] / 255.0)
  found = [line['l1_hole_blended'] for line in lines]
  np.testing.assert_allclose(found, hole.mean(axis=(1, 2, 3)), atol=2e-3)
  assert summary['l1_hole_blended'] == pytest.approx(np.mean(found))
  latents = np.load(folder / 'latents.npy')
  assert latents.shape == (3, 8)
  assert np.abs(latents).max() <= 1.0


def test_invert_writes_the_images_of_its_latents(workdir):
  summary, files = completed(workdir, labels='se')
  assert {'grid.png', '0002.png', 'latents.npy', 'errors.jsonl'} <= set(files)
  assert summary['psnr'] > 0.0
  run = restore_lib.restore(workdir)
  z = np.load(pathlib.Path(summary['path']) / 'latents.npy')
  state = run.algorithm.use_ema_weights(run.method, run.state)
  decoded = run.algorithm.decode(run.method, state, z, np.full(3, 3))
  difference = pixels_lib.to_uint8(decoded).astype(int) - results(summary)
  assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_complete_low_resolution(workdir):
  summary, _ = completed(workdir, mask='low_resolution')
  hole = np.abs(results(summary) / 255.0 - originals(workdir, 3) / 255.0)
  assert summary['l1_hole'] == pytest.approx(hole.mean(), abs=2e-3)


@pytest.mark.slow
def test_complete_with_mask_and_images_of_files(workdir, tmp_path):
  alpha = np.full((SIDE, SIDE, 4), 255, np.uint8)
  alpha[2, 3, 3] = 0
  Image.fromarray(alpha).save(tmp_path / 'mask.png')
  folder = tmp_path / 'images'
  folder.mkdir()
  for k in range(2):
    Image.new('L', (9, 11), 60 * k).save(folder / f'{k}.png')
  summary, _ = completed(
    workdir, num=None, mask=str(tmp_path / 'mask.png'), images=str(folder)
  )
  assert summary['num'] == 2
  differs = (results(summary, 2)[1] != 60).any(axis=-1)
  assert np.argwhere(differs).tolist() == [[2, 3]]


@pytest.mark.slow
def test_complete_in_batches_gives_the_same_result(workdir, monkeypatch):
  fields = dict(mask='random', labels='0,1,2')
  expected, _ = completed(workdir, **fields)
  monkeypatch.setattr(held_out, 'BATCH', 2)
  parts, _ = completed(workdir, **fields)
  assert expected['loss'] == pytest.approx(parts['loss'], rel=1e-4)


REFUSED = {
  'a small mask': (dict(mask='small.png'), r'5 x 4.*7 x 7'),
  'a large mask': (dict(mask='large.png'), r'90 x 80.*7 x 7'),
  'no such mask': (dict(mask='circle'), 'centre.*low_resolution'),
  'unreadable mask': (dict(mask='broken.png'), 'unreadable'),
  'nothing missing': (dict(mask='white.png'), 'leaves all known'),
  'nothing known': (dict(mask='black.png'), 'leaves none known'),
  'too many': (dict(num=9999), 'num=9999: there are'),
  'none': (dict(num=0), 'num=0'),
  'no steps': (dict(iterations=0), 'iterations=0'),
  'no folder': (dict(images='nowhere'), '--images=.*is not a folder'),
  'no class': (dict(labels='up'), "no class 'up'"),
  'too many classes': (dict(labels='0,1'), '2 classes for 3'),
  'no seam': (dict(mask='low_resolution', blend=True), '--blend'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_bad_requests_are_refused(workdir, case, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  Image.new('L', (4, 5)).save('small.png')
  Image.new('L', (80, 90)).save('large.png')
  Image.new('L', (SIDE, SIDE), 255).save('white.png')
  Image.new('L', (SIDE, SIDE), 0).save('black.png')
  (tmp_path / 'broken.png').write_bytes(b'no picture')
  fields, message = REFUSED[case]
  with pytest.raises(errors.UserError, match=message) as found:
    complete.complete(workdir, **FEW | fields)
  assert found.value.exit_code == 2
  assert '\n' not in str(found.value)


@pytest.mark.slow
def test_points_are_refused(tmp_path):
  workdir = finished_run(tmp_path / 'run', **{'data.name': 'ring'})
  with pytest.raises(errors.UserError, match='no images from latents'):
    complete.complete(workdir, mask='half')


def test_flags_are_fields_of_a_request():
  fields = {field.name for field in dataclasses.fields(Request)} - {'data'}
  complete_flags, invert_flags = (
    {flag.name for flag in modes.MODES[name].flags}
    for name in ('complete', 'invert')
  )
  assert complete_flags == (fields | {'output'}) - {'space'}
  assert invert_flags == (fields | {'output'}) - {'mask', 'blend'}
