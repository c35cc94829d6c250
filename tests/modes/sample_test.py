"""--mode=sample: what is drawn, where it goes, and what is refused."""

import subprocess
import sys
import types

import jax
import numpy as np
import pytest
from PIL import Image
from runs import small

from jaxgan import data, errors, gan, modes, steps
from jaxgan.core import directions
from jaxgan.core import latents as latents_lib
from jaxgan.core import pixels as pixels_lib
from jaxgan.modes import requests, sample
from jaxgan.modes import restore as restore_lib
from jaxgan.training import loop
from jaxgan.visual import animation, grid

CLASSES = ('nw', 'ne', 'sw', 'se')


def finished_run(folder, **fields):
  """A run that ends at step 0: nothing here depends on training."""
  fields = {'num_steps': 0, 'sample_every': 0} | fields
  loop.train(small(**fields), folder)
  return folder


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
  return finished_run(tmp_path_factory.mktemp('plain') / 'run')


@pytest.fixture(scope='module')
def classy(tmp_path_factory):
  """Conditional, in colour, of an odd size, latents on a sphere."""
  fields = {'conditional': True, 'latent': 'sphere'}
  fields |= {'data.image_size': 7, 'data.channels': 3}
  return finished_run(tmp_path_factory.mktemp('classy') / 'run', **fields)


@pytest.fixture(scope='module')
def points(tmp_path_factory):
  fields = {'data.name': 'ring', 'latent': 'uniform'}
  return finished_run(tmp_path_factory.mktemp('points') / 'run', **fields)


def decoded(workdir, z, label=None):
  run = restore_lib.restore(workdir)
  state = gan.use_ema_weights(run.method, run.state)
  return pixels_lib.to_uint8(gan.decode(run.method, state, z, label))


def latents(workdir, num, seed=0):
  method = restore_lib.restore(workdir).method
  return method.latents.sample(jax.random.key(seed), num)


def read(path):
  with Image.open(path) as picture:
    picture = np.asarray(picture)
  return picture if picture.ndim == 3 else picture[..., None]


def cells(path, rows, columns, side):
  """The images in a saved grid, one pixel for one: [rows, columns, ...]."""
  picture = read(path)[grid.CAPTION :]
  scale = (picture.shape[0] + grid.GAP) // (rows * (side + grid.GAP))
  scale = max(scale, picture.shape[0] // (rows * (side + grid.GAP) - grid.GAP))
  picture = picture[::scale, ::scale]
  pitch = side + grid.GAP
  return np.array(
    [
      [
        picture[r * pitch : r * pitch + side, c * pitch : c * pitch + side]
        for c in range(columns)
      ]
      for r in range(rows)
    ]
  )


def frames(path):
  """Frames of a GIF and how long they last, in milliseconds."""
  with Image.open(path) as gif:
    found, lasting = [], []
    for place in range(gif.n_frames):
      gif.seek(place)
      lasting.append(gif.info['duration'])
      found.append(np.asarray(gif.convert('RGB')).astype(int))
    assert gif.info['loop'] == 0
  return np.stack(found), lasting


def close(found, expected):
  """Equal but for the last bit: batches of another size may round apart."""
  found, expected = found.astype(int), expected.astype(int)
  assert np.abs(found - expected).max() <= 1


REQUESTS = {
  'grid': dict(num=9),
  'images': dict(num=3, format='images'),
  'walk': dict(num=2, walk=3),
  'gif': dict(num=3, format='gif', seconds=0.5, paths=2),
  'all': dict(labels='all', num=8),
  'some': dict(labels='se,0,se'),
}


def content(workdir, seed, **fields):
  """The path, and the bytes of all files there."""
  path = sample.sample(workdir, seed=seed, **fields)
  paths = sorted(path.glob('*')) if path.is_dir() else [path]
  assert not list(workdir.glob('.*.tmp'))
  return path, [p.read_bytes() for p in paths]


@pytest.mark.slow
def test_sample_gives_the_same_files_for_the_same_flags(classy, monkeypatch):
  """And no request writes over the files of another."""

  def nothing(*args):
    raise AssertionError('data were read')

  monkeypatch.setattr(data, 'load', nothing)
  first = {k: content(classy, 7, **v) for k, v in REQUESTS.items()}
  assert len({path for path, _ in first.values()}) == len(REQUESTS)
  for name, fields in REQUESTS.items():
    assert content(classy, 7, **fields) == first[name]
  path, other = content(classy, 8, **REQUESTS['grid'])
  assert path != first['grid'][0]
  assert other != first['grid'][1]


def test_grid_shows_samples(plain):
  path = sample.sample(plain, 9, 1)
  run = restore_lib.restore(plain)
  images = gan.sample(run.method, run.state, jax.random.key(1), 9)
  found = cells(path, 3, 3, 8).reshape(9, 8, 8, 1)
  close(found, pixels_lib.to_uint8(images))
  assert path.parent == plain


def test_single_images_equal_the_grid(plain):
  path = sample.sample(plain, 4, 1, format='images')
  names = [p.name for p in sorted(path.iterdir())]
  assert names == ['0000.png', '0001.png', '0002.png', '0003.png']
  images = np.stack([read(path / name) for name in names])
  found = cells(sample.sample(plain, 4, 1), 2, 2, 8).reshape(4, 8, 8, 1)
  np.testing.assert_array_equal(images, found)


def test_sample_in_batches_gives_the_same_images(classy, monkeypatch):
  folder = sample.sample(classy, 10, 5, format='images')
  expected = [read(p) for p in sorted(folder.iterdir())]
  monkeypatch.setattr(sample, 'BATCH', 4)
  sample.sample(classy, 10, 5, format='images')
  found = [read(p) for p in sorted(folder.iterdir())]
  close(np.stack(found), np.stack(expected))


def test_labels_give_one_image_each(classy):
  z = latents(classy, 3)
  for labels in ('se,1, se', '3,ne,3'):
    path = sample.sample(classy, labels=labels, format='images')
    found = np.stack([read(p) for p in sorted(path.iterdir())])
    close(found, decoded(classy, z, np.array([3, 1, 3])))
  other = decoded(classy, z, np.array([0, 0, 0]))
  assert np.abs(found.astype(int) - other).max() > 1


def test_labels_all_fills_columns(classy):
  path = sample.sample(classy, 12, labels='all')
  found = cells(path, 3, 4, 7).reshape(12, 7, 7, 3)
  close(found, decoded(classy, latents(classy, 12), np.arange(12) % 4))


def test_class_names_take_precedence_over_numbers():
  assert requests._class('3', '3', ('7', '3', '1')) == 1
  assert requests._class('0', '0', ('cat', 'dog')) == 0
  with pytest.raises(errors.UserError, match="no class '0'"):
    requests._class('0', '0', ('7', '3', '1'))


def test_walk_changes_one_dimension(plain):
  path = sample.sample(plain, 2, walk=3)
  values = np.linspace(-3.0, 3.0, requests.WALK_COLUMNS)
  z = np.repeat(np.asarray(latents(plain, 2))[:, None], len(values), axis=1)
  z[:, :, 3] = values
  found = cells(path, 2, len(values), 8).reshape(-1, 8, 8, 1)
  close(found, decoded(plain, z.reshape(-1, 8)))


def test_direction_moves_latents_along_a_row(plain):
  path = sample.sample(plain, 2, direction=1)
  assert path.name.endswith('num2_seed0_direction1.png')
  run = restore_lib.restore(plain)
  kernel = run.state.ema['generator']['Dense_0']['kernel']
  found, _ = directions.factorize(kernel)
  steps = np.linspace(-3.0, 3.0, requests.WALK_COLUMNS)
  z = np.asarray(latents(plain, 2))[:, None]
  z = (z + steps[:, None] * found[1]).astype(np.float32)
  z = run.method.latents.project(z).reshape(-1, 8)
  found = cells(path, 2, len(steps), 8).reshape(-1, 8, 8, 1)
  close(found, decoded(plain, z))


def test_animation_starts_at_its_latent_and_has_no_seam(plain):
  path = sample.sample(plain, 3, 2, format='gif', seconds=2, paths=1)
  found, lasting = frames(path)
  assert sum(lasting) == 2000
  assert len(found) == 40
  first = decoded(plain, latents(plain, 3, seed=2))[0]
  scale = found.shape[1] // 8
  close(found[0, ::scale, ::scale, :1], first)
  steps = np.abs(np.roll(found, -1, axis=0) - found).mean(axis=(1, 2, 3))
  assert steps[-1] < 2 * np.median(steps)


def test_animation_shows_paths_of_the_given_classes(classy):
  flags = dict(format='gif', seconds=0.2, num=2)
  found, _ = frames(sample.sample(classy, **flags, labels='se,se,0'))
  z = latents(classy, 6).reshape(3, 2, 8)[:, 0]
  expected = grid.tile(decoded(classy, z, np.array([3, 3, 0])))
  scale = found.shape[1] // len(expected)
  # A GIF has 256 colours a frame.
  error = np.abs(found[0, ::scale, ::scale] - expected.astype(int))
  assert error.mean() < 8
  path = sample.sample(classy, **flags, labels='all')
  assert '_paths4_' in path.name


@pytest.mark.parametrize(
  ('rate', 'shape'), [(20, (7, 9, 3)), (29.97, (8, 8, 1)), (3, (1, 5, 1))]
)
def test_mp4_has_all_frames_and_even_sides(rate, shape, tmp_path):
  ffmpeg = pytest.importorskip('imageio_ffmpeg')
  pictures = [np.full(shape, 10 * k, np.uint8) for k in range(12)]
  path = tmp_path / 'a.mp4'
  animation.write(iter(pictures), 12, rate, path)
  content = path.read_bytes()
  animation.write(iter(pictures), 12, rate, path)
  assert path.read_bytes() == content
  assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']
  command = [ffmpeg.get_ffmpeg_exe(), '-i', str(path), '-f', 'rawvideo']
  command += ['-pix_fmt', 'gray', '-fps_mode', 'passthrough', '-']
  found = subprocess.run(command, capture_output=True, check=True)
  height, width = -(-shape[0] // 2) * 2, -(-shape[1] // 2) * 2
  assert f' {width}x{height}' in found.stderr.decode()
  assert f' {rate} fps' in found.stderr.decode()
  shown = np.frombuffer(found.stdout, np.uint8).reshape(12, height, width)
  assert all(abs(x.mean() - 10 * k) < 4 for k, x in enumerate(shown))


def test_mp4_of_a_run(classy):
  pytest.importorskip('imageio_ffmpeg')
  flags = dict(num=2, format='mp4', seconds=0.5, paths=2)
  path = sample.sample(classy, **flags)
  content = path.read_bytes()
  assert sample.sample(classy, **flags).read_bytes() == content
  assert path.suffix == '.mp4'


def test_mp4_error_of_ffmpeg_is_one_line(tmp_path, monkeypatch):
  program = tmp_path / 'ffmpeg'
  program.write_text('#!/bin/sh\necho no codec >&2\necho more >&2\nexit 1\n')
  program.chmod(0o700)
  monkeypatch.setattr(animation, '_ffmpeg', lambda: str(program))
  pictures = [np.zeros((512, 512, 3), np.uint8)] * 20
  with pytest.raises(errors.StorageError, match=r'failed: no codec$'):
    animation.write(pictures, 20, 10, tmp_path / 'a.mp4')
  assert [p.name for p in tmp_path.iterdir()] == ['ffmpeg']


def test_mp4_without_ffmpeg_suggests_gif(plain, monkeypatch):
  monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
  with pytest.raises(errors.UserError) as error:
    sample.sample(plain, format='mp4')
  assert 'jaxgan[video]' in str(error.value)
  assert 'set --format=gif' in str(error.value)


@pytest.mark.parametrize('rate', [7, 20, 30, 50])
def test_gif_keeps_its_rate(rate, tmp_path):
  pictures = [np.full((4, 4, 1), k, np.uint8) for k in range(70)]
  animation.write(iter(pictures), 70, rate, tmp_path / 'a.gif')
  found, lasting = frames(tmp_path / 'a.gif')
  assert abs(sum(lasting) - 70_000 / rate) <= 5
  assert max(lasting) - min(lasting) <= 10
  np.testing.assert_array_equal(found[:, 0, 0, 0], np.arange(70))


def test_sample_draws_points_as_a_cloud(points):
  assert sample.sample(points, 50).suffix == '.png'


BAD = {
  'none': (dict(num=0), '--num=0 must be in 1..10000'),
  'too many': (dict(num=10_001), '--num=10001'),
  'seed': (dict(seed=-1), '--seed=-1'),
  'format': (dict(format='webm'), "--format='webm' is unknown"),
  'one latent': (dict(format='gif', num=1), '--num=1 must be in 2..'),
  'walk of images': (dict(walk=1, format='images'), '--walk=1 makes a grid'),
  'walk of a film': (dict(walk=1, format='gif'), '--walk=1 makes a grid'),
  'too many rows': (dict(walk=1, num=800), '--num=800 must be in 1..769'),
  'dimension': (
    dict(walk=8),
    '--walk=8 is out of range. Choose a number in 0..7',
  ),
  'below zero': (dict(walk=-1), 'a number in 0..7'),
  'direction of a film': (dict(direction=1, format='gif'), 'makes a grid'),
  'two movements': (dict(direction=1, walk=1), 'Keep one of them'),
  'direction': (dict(direction=8), '--direction=8 is out of range'),
  'mixing': (dict(mixing=1), '--mixing=1 needs a generator with a mapping'),
  'idle paths': (dict(paths=9), '--paths=9 belongs to an animation'),
  'idle seconds': (dict(seconds=1.0), '--seconds=1 belongs to an animation'),
  'no paths': (dict(format='gif', paths=0), '--paths=0 must be in 1..64'),
  'no time': (dict(format='gif', seconds=0.0), '--seconds=0 at'),
  'nan': (dict(format='gif', seconds=float('nan')), '--seconds=nan at'),
  'for ever': (dict(format='gif', seconds=float('inf')), '2..3600 frames'),
  'too long': (dict(format='gif', seconds=1e3), '2..3600 frames'),
  'no rate': (dict(format='gif', frames_per_second=0.0), '=0 must be above 0'),
  'too fast': (dict(format='gif', frames_per_second=60.0), 'at most 50'),
  'labels': (dict(labels='3'), '--labels=3: this run .method=.gan.. takes no'),
  'all labels': (dict(labels='all'), 'takes no labels'),
}

BAD_LABELS = {
  'range': (
    dict(labels='0,4'),
    "no class '4'. Choose from 0..3, by name nw, ne",
  ),
  'below': (dict(labels='-1'), "no class '-1'"),
  'name': (dict(labels='north'), "--labels=north: there is no class 'north'"),
  'empty': (dict(labels=''), "no class ''"),
  'gap': (dict(labels='1,,2'), "--labels=1,,2: there is no class ''"),
  'count': (dict(labels='1,2', num=3), '--num=3: --labels=1,2 asks for 2'),
  'paths': (dict(labels='1', format='gif', paths=2), '--paths=2: --labels=1'),
}


def refused(workdir, fields, message):
  before = sorted(workdir.iterdir())
  with pytest.raises(errors.UserError, match=message) as error:
    sample.sample(workdir, **fields)
  assert '\n' not in str(error.value)
  assert sorted(workdir.iterdir()) == before


@pytest.mark.parametrize('case', BAD)
def test_sample_refuses_bad_requests_in_one_line(case, plain):
  refused(plain, *BAD[case])


def test_truncation_limits_the_latents_of_samples(plain):
  path = sample.sample(plain, 9, truncation=0.3)
  assert path.name.endswith('num9_seed0_truncation0.3.png')
  z = latents_lib.truncated(latents(plain, 9), 0.3)
  np.testing.assert_array_equal(
    cells(path, 3, 3, 8).reshape(9, 8, 8, 1), decoded(plain, z)
  )


def test_truncation_needs_normal_latents(classy):
  refused(classy, dict(truncation=0.3), "--truncation=0.3.*'sphere 8'")


@pytest.mark.parametrize('case', BAD_LABELS)
def test_sample_refuses_bad_labels_in_one_line(case, classy):
  refused(classy, *BAD_LABELS[case])


@pytest.mark.parametrize(
  'fields', [dict(format='images'), dict(format='gif'), dict(walk=1)]
)
def test_sample_refuses_single_pictures_of_points(fields, points):
  refused(points, fields, 'this run makes points. Remove the flag')


def test_sample_without_latents_refuses_paths(plain, monkeypatch):
  names = ('from_config', 'init', 'sample')
  fake = types.SimpleNamespace(**{name: getattr(gan, name) for name in names})
  fake.__name__ = 'jaxgan.steps.fake'
  expected = sample.sample(plain, 9).read_bytes()
  monkeypatch.setattr(steps, 'find', lambda name: steps.Algorithm(fake))
  assert sample.sample(plain, 9).read_bytes() == expected
  assert len(list(sample.sample(plain, 2, format='images').iterdir())) == 2
  message = "method='fake' makes no images from latents"
  refused(plain, dict(format='gif'), f'--format=gif: {message}')
  refused(plain, dict(walk=2), f'--walk=2: {message}')
  refused(plain, dict(labels='1'), "method='fake'")
  refused(plain, dict(truncation=1.0), f'--truncation=1: {message}')


def test_sample_error_of_the_method_leaves_no_files(plain, monkeypatch):
  def refuse(*args):
    raise errors.UserError('nothing to draw from')

  fake = types.SimpleNamespace(
    from_config=gan.from_config, init=gan.init, sample=refuse, __name__='fake'
  )
  monkeypatch.setattr(steps, 'find', lambda name: steps.Algorithm(fake))
  refused(plain, dict(format='images', num=77), 'nothing to draw from')


def test_restore_names_a_field_of_other_code(plain, monkeypatch):
  def newer(config, spec):
    return config.colour_of_tomorrow

  fake = types.SimpleNamespace(from_config=newer, __name__='fake')
  monkeypatch.setattr(steps, 'find', lambda name: steps.Algorithm(fake))
  refused(plain, {}, "no field 'colour_of_tomorrow'. Use that code")
  fake.from_config = lambda config, spec: config['sizes_of_tomorrow']
  refused(plain, {}, "no field 'sizes_of_tomorrow'. Use that code")


def test_restore_raises_other_errors_unchanged(plain, monkeypatch):
  fake = types.SimpleNamespace(__name__='fake')
  monkeypatch.setattr(steps, 'find', lambda name: steps.Algorithm(fake))
  for error in (AttributeError("'int' object has no attribute 'x'"),):

    def broken(config, spec, error=error):
      raise error

    fake.from_config = broken
    with pytest.raises(AttributeError):
      sample.sample(plain)


def test_flags_are_fields_of_a_request():
  flags = {flag.name: flag for flag in modes.MODES['sample'].flags}
  fields = requests.Request.__dataclass_fields__
  assert flags.keys() == {*fields, 'member', 'output'}
  assert flags['format'].values == requests.FORMATS
