"""Palettes: of images, and of samples."""

import numpy as np
import pytest
from sample_test import begun, read

from jaxgan import errors
from jaxgan.modes import sample
from jaxgan.visual import palette

RED, TEAL, GREY = (250, 10, 10), (0, 120, 120), (128, 128, 128)


def clusters(channels=3):
  """Images whose pixels are within 2 of three colours, evenly."""
  rng = np.random.default_rng(0)
  centres = np.array([RED, TEAL, GREY])[:, :channels]
  pixels = centres[np.arange(2 * 6 * 6) % 3].reshape(2, 6, 6, channels)
  return np.clip(pixels + rng.integers(-2, 3, pixels.shape), 0, 255).astype(
    np.uint8
  )


def test_few_colours_are_kept_as_they_are():
  images = np.array([RED, TEAL, RED, TEAL], np.uint8).reshape(1, 2, 2, 3)
  np.testing.assert_array_equal(palette.find(images, 2), [TEAL, RED])
  np.testing.assert_array_equal(palette.find(images, 16), [TEAL, RED])


@pytest.mark.parametrize('channels', [1, 3])
def test_colours_are_the_middles_of_clusters(channels):
  images = clusters(channels)
  found = palette.find(images, 3)
  expected = np.array(sorted([RED, TEAL, GREY]))[:, :channels]
  assert found.shape == expected.shape
  assert np.abs(found.astype(int) - expected).max() <= 2
  limited = palette.nearest(images, found).astype(int)
  assert np.abs(limited - images).max() <= 4
  assert len(np.unique(limited.reshape(-1, channels), axis=0)) == 3


def test_samples_have_the_colours_of_the_config_or_of_the_flag(tmp_path):
  fields = {'data.channels': 3, 'data.image_size': 5, 'palette': 2}
  workdir = begun(tmp_path / 'run', **fields)

  def colours(**asked):
    path = sample.sample(workdir, 4, format='images', **asked)
    pixels = np.stack([read(p) for p in path.iterdir()])
    return path, len(np.unique(pixels.reshape(-1, 3), axis=0))

  two, one, every = colours(), colours(palette=1), colours(palette=0)
  assert two[1] <= 2
  assert one[1] == 1
  assert every[1] > 2
  assert len({two[0], one[0], every[0]}) == 3
  with pytest.raises(errors.UserError, match=r'--palette=257 .* 0\.\.256'):
    colours(palette=257)
