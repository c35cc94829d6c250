"""Images with a transparency, from files through a run to files."""

import jax
import numpy as np
import pytest
import runs
from PIL import Image

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.adversarial import augment
from jaxgan.core import pixels
from jaxgan.modes import complete, evaluate, sample
from jaxgan.training import loop
from jaxgan.visual import animation, grid

SIDE, NUM = 8, 24


@pytest.fixture(scope='module')
def sprites(tmp_path_factory):
  """Returns a folder of discs in colour, with garbage where nothing is seen."""
  folder = tmp_path_factory.mktemp('sprites')
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:SIDE, :SIDE]
  for index in range(NUM):
    centre = rng.uniform(3, 5, 2)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    picture = rng.integers(0, 256, (SIDE, SIDE, 4), np.uint8)
    picture[distance < 3, :3] = rng.integers(0, 256, 3)
    picture[..., 3] = np.clip(255 * (3.5 - distance), 0, 255)
    Image.fromarray(picture).save(folder / f'{index}.png')
  return folder


def load(folder, **fields):
  settings = config_lib.defaults().data
  settings.update({'source': 'folder', 'path': str(folder), 'channels': 4})
  settings.update(fields)
  return data.load(settings).arrays()['image']


def straight(path):
  with Image.open(path) as picture:
    assert picture.mode == 'RGBA'
    return np.asarray(picture)


def test_colours_are_premultiplied(sprites):
  found = load(sprites)
  assert found.shape == (NUM, SIDE, SIDE, 4)
  for image, path in zip(found, sorted(sprites.iterdir()), strict=True):
    picture = straight(path).astype(float)
    expected = picture[..., :3] * picture[..., 3:] / 255.0
    np.testing.assert_allclose(image[..., :3], expected, atol=0.51)
    np.testing.assert_array_equal(image[..., 3], picture[..., 3])


@pytest.mark.parametrize('mode', ['L', 'RGB', 'P', 'CMYK', 'I;16', 'LA'])
def test_opaque_files_have_full_alpha(mode, tmp_path):
  picture = Image.new('L', (4, 4), 100)
  if mode == 'I;16':
    picture = Image.fromarray(np.full((4, 4), 100 * 257, np.uint16))
  picture = picture if mode == 'I;16' else picture.convert(mode)
  picture.save(tmp_path / 'a.tif' if mode == 'CMYK' else tmp_path / 'a.png')
  (image,) = load(tmp_path)
  assert (image[..., 3] == 255).all()
  assert np.abs(image[..., :3].astype(int) - 100).max() <= 1


def test_hidden_colours_do_not_reach_their_neighbours(tmp_path):
  picture = np.zeros((8, 8, 4), np.uint8)
  picture[:, :4] = (255, 0, 0, 255)
  picture[:, 4:] = (0, 255, 0, 0)  # green, but not seen
  Image.fromarray(picture).save(tmp_path / 'a.png')
  (image,) = load(tmp_path, image_size=5)
  assert (image[..., 1] == 0).all()
  np.testing.assert_array_equal(image[..., 0], image[..., 3])


def test_files_of_pixels_are_read_as_the_same_pixels(tmp_path):
  """For every colour of every alpha that a file can have."""
  alpha, colour = np.mgrid[:256, :256]
  colour = np.minimum(colour, alpha)
  image = np.stack([colour] * 3 + [alpha], axis=-1).astype(np.uint8)
  grid.save(tmp_path / 'a.png', pixels.to_picture(pixels.to_float(image)))
  np.testing.assert_array_equal(load(tmp_path)[0], image)


def test_picture_of_wrong_colours_is_clipped():
  image = np.array([[[1.0, 0.0, -1.0, 0.0], [1.0, 1.0, 1.0, -1.0]]])
  expected = [[[255, 255, 0, 128], [0, 0, 0, 0]]]
  np.testing.assert_array_equal(pixels.to_picture(image), expected)


def test_grid_is_opaque_between_images(tmp_path):
  images = np.full((3, 4, 4, 4), -1.0)
  images[0] = [1.0, -1.0, -1.0, 1.0]
  tiles = grid.tile(pixels.to_picture(images))
  assert tiles[0, 0].tolist() == [255, 0, 0, 255]
  assert tiles[0, 7].tolist() == [0, 0, 0, 0]
  assert tiles[0, 4].tolist() == [grid.DARK] * 3 + [255]
  picture = grid.draw(images, 'three')
  assert (picture[: grid.CAPTION, :, 3] == 255).all()
  grid.save(tmp_path / 'a.png', picture)
  np.testing.assert_array_equal(straight(tmp_path / 'a.png'), picture)
  animation.gif([tmp_path / 'a.png'], tmp_path / 'a.gif')
  with Image.open(tmp_path / 'a.gif') as shown:
    corner = shown.convert('RGB').getpixel((shown.width - 1, grid.CAPTION))
  assert corner == (255, 255, 255)


@pytest.mark.parametrize('name', augment.AUGMENTATIONS)
def test_augmentation_of_transparent_images(name, key):
  """Opaque parts change as images of three channels; nothing else appears."""
  rng = np.random.default_rng(0)
  colour = rng.uniform(-1, 1, (16, SIDE, SIDE, 3)).astype(np.float32)
  opaque = np.concatenate([colour, np.ones_like(colour[..., :1])], axis=-1)
  change = jax.jit(augment.AUGMENTATIONS[name])
  found, expected = change(opaque, key), change(colour, key)
  inside = np.asarray(found[..., 3]) > 0.999
  np.testing.assert_allclose(found[inside][:, :3], expected[inside], atol=1e-5)
  np.testing.assert_array_equal(found[~inside], -1.0)
  assert inside.mean() > 0.5
  nothing = np.full((16, SIDE, SIDE, 4), -1.0, np.float32)
  np.testing.assert_allclose(change(nothing, key), nothing, atol=1e-6)


def test_color_keeps_alpha_and_premultiplication(key):
  rng = np.random.default_rng(0)
  alpha = rng.uniform(0, 1, (16, SIDE, SIDE, 1))
  # Pixels of one colour keep one colour, whatever their alpha is.
  colour = rng.uniform(-1, 1, (16, 1, 1, 3))
  image = np.concatenate([alpha * (colour + 1) - 1, 2 * alpha - 1], axis=-1)
  found = np.asarray(augment.color(image.astype(np.float32), key))
  np.testing.assert_allclose(found[..., 3:], image[..., 3:], atol=1e-6)
  changed = (found[..., :3] + 1) / np.maximum(alpha, 0.2) - 1
  spread = np.ptp(changed[np.repeat(alpha > 0.2, 3, -1)].reshape(-1, 3), axis=0)
  seen = alpha[..., 0] > 0.2
  for one, mask in zip(changed, seen, strict=True):
    assert np.ptp(one[mask], axis=0).max() < 1e-4
  assert spread.max() > 0.1  # Images change differently.


@pytest.fixture(scope='module')
def workdir(sprites, tmp_path_factory):
  folder = tmp_path_factory.mktemp('run')
  config = runs.small(
    **{
      'data.source': 'folder',
      'data.name': '',
      'data.path': str(sprites),
      'data.channels': 4,
      'data.held_out': 0.5,
      'augment': ('color', 'translation', 'cutout'),
      'batch_size': 4,
      'num_steps': 2,
      'log_every': 2,
      'sample_every': 2,
      'checkpoint_every': 2,
    }
  )
  loop.train(config, folder)
  return folder


def test_run_makes_transparent_pictures(workdir, tmp_path):
  straight(workdir / 'data.png')
  straight(next((workdir / 'samples').iterdir()))
  straight(sample.sample(workdir, num=4, output=tmp_path))
  folder = sample.sample(workdir, num=3, format='images', output=tmp_path)
  assert straight(folder / '0002.png').shape == (SIDE, SIDE, 4)
  path = sample.sample(
    workdir, num=2, format='gif', frames_per_second=2, output=tmp_path
  )
  with Image.open(path) as shown:
    assert shown.n_frames > 1
  found = evaluate.evaluate(
    workdir, num=8, features='random', scores=('kernel',), output=tmp_path
  )
  assert np.isfinite(found['kernel/random-0/8-test/8'])
  found = complete.complete(
    workdir, num=2, iterations=1, restarts=1, output=tmp_path
  )
  assert straight(f'{found["path"]}/0001.png').shape == (SIDE, SIDE, 4)


def test_palettes_and_pairs_are_refused(workdir, sprites, tmp_path):
  with pytest.raises(errors.UserError, match='Set --palette=0'):
    sample.sample(workdir, palette=4, output=tmp_path)
  with pytest.raises(errors.UserError, match=r'Set data\.channels=3'):
    load(sprites, pair='edges')
  with pytest.raises(errors.UserError, match=r'Set data\.channels=3'):
    load('', source='procedural', name='sprites')
