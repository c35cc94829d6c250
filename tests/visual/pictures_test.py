"""Grids, animations and curves, compared pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import errors
from jaxgan.visual import animation, curves, grid


@pytest.mark.parametrize('channels', [1, 3])
def test_tile_arranges_images_in_reading_order(channels):
  images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
  images = images * np.ones((6, 3, 4, channels), np.uint8)
  picture = grid.tile(images, columns=3)
  assert picture.shape == (3 + 2 + 3, 4 * 3 + 2 * 2, channels)
  for k in range(6):
    top, left = k // 3 * 5, k % 3 * 6
    assert (picture[top : top + 3, left : left + 4] == k).all()


def test_tile_leaves_unused_cells_dark():
  picture = grid.tile(np.full((5, 2, 2, 1), 255, np.uint8))
  assert picture.shape == (6, 10, 1)
  assert (picture[4:, 8:] == grid.DARK).all()


@pytest.mark.parametrize('shape', [(4, 4, 1), (5, 7, 3), (64, 64, 3)])
def test_saved_grid_equals_drawn_grid(shape, tmp_path):
  images = np.random.default_rng(0).uniform(-1, 1, (9, *shape))
  picture = grid.draw(images, 'step 3')
  assert picture[: grid.CAPTION].max() > 128  # The caption has text.
  grid.save(tmp_path / 'a.png', picture)
  with Image.open(tmp_path / 'a.png') as saved:
    pixels = np.asarray(saved).reshape(picture.shape)
  np.testing.assert_array_equal(pixels, picture)
  assert [p.name for p in tmp_path.iterdir()] == ['a.png']


def test_long_caption_is_wrapped():
  images = np.zeros((4, 28, 28, 1))
  plain = grid.draw(images, 'step 1')
  longer = grid.draw(images, ' '.join(['class'] * 40))
  added = len(longer) - len(plain)
  assert added > 0
  assert added % grid.CAPTION == 0
  for top in range(0, added + grid.CAPTION, grid.CAPTION):
    line = longer[top : top + grid.CAPTION]
    assert (line != grid.DARK).any()
    assert (line[:, -2:] == grid.DARK).all()
  np.testing.assert_array_equal(
    longer[added + grid.CAPTION :], plain[grid.CAPTION :]
  )


@pytest.mark.parametrize('count', [1, 3, 10])
def test_single_row_is_enlarged_to_at_most_the_longest_side(count):
  picture = grid.draw(np.zeros((count, 8, 8, 1)), '', columns=10)
  assert max(picture.shape[:2]) <= 1.1 * grid.LONGEST_SIDE


@pytest.mark.parametrize(
  ('shape', 'columns'),
  [
    ((3, 8, 8), None),
    ((0, 8, 8, 1), None),
    ((3, 8, 8, 2), None),
    ((3, 8, 8, 1), -1),
  ],
)
def test_show_refuses_wrong_shapes_and_columns(shape, columns):
  with pytest.raises(errors.UserError, match='must be'):
    grid.show(np.zeros(shape), columns=columns)


def test_cloud_draws_points_at_their_coordinates():
  picture = grid.draw(np.array([[1.0, 1.0]]), 'points')[grid.CAPTION :, :, 0]
  rows, columns = np.nonzero(picture > 128)
  assert columns.mean() > 0.8 * grid.CLOUD_SIDE
  assert rows.mean() < 0.2 * grid.CLOUD_SIDE


def test_cloud_omits_distant_and_infinite_points():
  picture = grid.draw(np.array([[1e9, 0], [np.nan, np.inf]]), 'points')
  assert (picture[grid.CAPTION :] == grid.DARK).all()


def frames(folder, count):
  for k in range(count):
    grid.save(folder / f'{k:03d}.png', np.full((8, 8, 1), k, np.uint8))
  return sorted(folder.glob('*.png'))


def test_gif_shows_the_first_and_last_of_many_frames(tmp_path):
  (tmp_path / 'frames').mkdir()
  paths = frames(tmp_path / 'frames', 130)
  animation.gif(paths, tmp_path / 'a.gif')
  with Image.open(tmp_path / 'a.gif') as gif:
    assert gif.n_frames == animation.MOST_FRAMES
    assert gif.info['loop'] == 0
    assert np.asarray(gif.convert('L')).max() == 0
    gif.seek(gif.n_frames - 1)
    assert np.asarray(gif.convert('L')).min() == 129
    assert gif.info['duration'] == 2000


def test_gif_without_frames_is_not_written(tmp_path):
  animation.gif([], tmp_path / 'a.gif')
  assert not (tmp_path / 'a.gif').exists()


def test_panels_hold_every_metric_once():
  names = ['images', 'generator/loss', 'discriminator/real', 'x/param_norm']
  names += ['generator/grad_norm', 'discriminator/r1', 'steps_per_second']
  groups = curves.panels(names)
  shown = [name for members in groups.values() for name in members]
  assert sorted(shown) == sorted(
    set(names) - {'images', 'steps_per_second', 'x/param_norm'}
  )


def test_draw_writes_curves_if_there_are_rows(tmp_path):
  rows = [
    {'step': k, 'images': 8 * k, 'generator/loss': 1 / k} for k in range(1, 5)
  ]
  rows[1]['discriminator/held_out'] = 0.5
  curves.draw(rows, {'generator/loss': 0.693}, tmp_path / 'c.png')
  with Image.open(tmp_path / 'c.png') as picture:
    assert min(picture.size) > 200
  curves.draw([], {}, tmp_path / 'none.png')
  assert not (tmp_path / 'none.png').exists()
