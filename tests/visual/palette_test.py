"""Palettes of images and of samples."""

import numpy as np
import pytest

from jaxgan import errors
from jaxgan.modes import sample
from jaxgan.visual import palette
from tests.modes.sample_test import finished_run, read

RED, TEAL, GREY = (250, 10, 10), (0, 120, 120), (128, 128, 128)


def clusters(channels=3):
  """Returns images whose pixels are within 2 of three colours."""
  rng = np.random.default_rng(0)
  centres = np.array([RED, TEAL, GREY])[:, :channels]
  pixels = centres[np.arange(2 * 6 * 6) % 3].reshape(2, 6, 6, channels)
  return np.clip(pixels + rng.integers(-2, 3, pixels.shape), 0, 255).astype(
    np.uint8
  )


def test_find_keeps_the_colours_of_images_with_few_colours():
  images = np.array([RED, TEAL, RED, TEAL], np.uint8).reshape(1, 2, 2, 3)
  np.testing.assert_array_equal(palette.find(images, 2), [TEAL, RED])
  np.testing.assert_array_equal(palette.find(images, 16), [TEAL, RED])


@pytest.mark.parametrize('channels', [1, 3])
def test_find_returns_the_centres_of_clusters(channels):
  images = clusters(channels)
  colours = palette.find(images, 3)
  expected = np.array(sorted([RED, TEAL, GREY]))[:, :channels]
  assert colours.shape == expected.shape
  assert np.abs(colours.astype(int) - expected).max() <= 2
  limited = palette.nearest(images, colours).astype(int)
  assert np.abs(limited - images).max() <= 4
  assert len(np.unique(limited.reshape(-1, channels), axis=0)) == 3


def test_samples_use_the_palette_of_the_config_or_of_the_flag(tmp_path):
  fields = {'data.channels': 3, 'data.image_size': 5, 'palette': 2}
  workdir = finished_run(tmp_path / 'run', **fields)

  def count_colours(**flags):
    path = sample.sample(workdir, 4, format='images', **flags)
    pixels = np.stack([read(p) for p in path.iterdir()])
    return path, len(np.unique(pixels.reshape(-1, 3), axis=0))

  path_of_config, count = count_colours()
  assert count <= 2
  path_of_flag, count = count_colours(palette=1)
  assert count == 1
  path_unlimited, count = count_colours(palette=0)
  assert count > 2
  assert len({path_of_config, path_of_flag, path_unlimited}) == 3
  with pytest.raises(errors.UserError, match=r'--palette=257 .* 0\.\.256'):
    count_colours(palette=257)
