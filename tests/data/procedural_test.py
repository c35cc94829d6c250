"""Sprites and street numbers that are drawn with code."""

import hashlib

import numpy as np
import pytest

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.data.sources import _sprites as sprites
from jaxgan.data.sources import _street_numbers as street_numbers
from jaxgan.data.sources import procedural
from jaxgan.data.sources._draws import Draws

INDEX = np.arange(1_600)
HEROES, MONSTERS = sprites.CLASSES[:4], sprites.CLASSES[4:8]


def digits():
  """Returns a block and a block of stripes, labels 0 and 1."""
  ink = np.zeros((2, 28, 28), np.uint8)
  ink[0, 4:24, 4:24] = 255
  ink[1, 4:24] = 255 * (np.arange(28) % 6 < 3)
  return ink, np.array([0, 1])


def street(seed, index, side=32):
  return street_numbers.draw(*digits(), seed, index, side)


DRAWINGS = {
  'sprites': sprites.draw,
  'sprites of 32': lambda seed, index: sprites.draw(seed, index, 32),
  'street numbers': street,
}
# The same bytes on every platform: hashes of the first 200 images and labels.
HASHES = {
  'sprites': 'd1fcfcc76f08730e',
  'sprites of 32': 'c4f2b0c7b7708b25',
  'street numbers': 'e07db5bf7dc9c467',
}


@pytest.mark.parametrize('name', DRAWINGS)
def test_images_have_the_same_bytes_on_every_platform(name):
  image, label = DRAWINGS[name](0, INDEX[:200])
  content = image.tobytes() + label.astype('<i4').tobytes()
  assert hashlib.sha256(content).hexdigest()[:16] == HASHES[name]


@pytest.mark.parametrize('name', DRAWINGS)
def test_an_image_depends_on_its_index_and_the_seed_alone(name):
  image, label = DRAWINGS[name](3, INDEX[:100])
  rows = [70, 7, 7]
  few, labels = DRAWINGS[name](3, rows)
  np.testing.assert_array_equal(few, image[rows])
  np.testing.assert_array_equal(labels, label[rows])
  other, _ = DRAWINGS[name](4, INDEX[:100])
  assert len({x.tobytes() for x in np.concatenate([image, other])}) > 180


@pytest.fixture(params=sprites.SIDES)
def drawn(request):
  """Returns sprites by class: {name: (images, indices)}."""
  image, label = sprites.draw(0, INDEX, request.param)
  assert image.shape == (len(INDEX), request.param, request.param, 3)
  return {
    name: (image[label == k], INDEX[label == k])
    for k, name in enumerate(sprites.CLASSES)
  }


def test_sprites_have_few_colours_of_the_palette(drawn):
  palette = {tuple(colour) for colour in sprites.PALETTE.tolist()}
  assert len(palette) == len(sprites.PALETTE) <= 32
  for name, (images, _) in drawn.items():
    assert len(images) > 50, name
    for image in images:
      colours = set(map(tuple, image.reshape(-1, 3).tolist()))
      assert colours <= palette
      assert len(colours) <= 16, name


def test_sprites_lie_on_white_and_tiles_fill_the_image(drawn):
  for name, (images, _) in drawn.items():
    white = (images == 255).all(axis=-1)
    is_tile = name in sprites.TILES
    assert (white.mean(axis=(1, 2)) < 0.1).all() == is_tile, name
    if not is_tile:
      assert white[:, [0, -1, 0], [0, 0, -1]].all(), name


def is_symmetric(images):
  return (images == images[:, :, ::-1]).all(axis=(1, 2, 3))


def test_bodies_are_symmetric(drawn):
  """Heroes that stand and hold nothing, and all monsters."""
  for name in (*HEROES, *MONSTERS):
    images, index = drawn[name]
    draws = Draws(0, index)
    plain = np.full(len(index), True)
    if name in HEROES:
      stands = draws.below('frame', sprites.FRAMES) == 0
      plain = stands & ~draws.chance('held', 60)
      assert not is_symmetric(images[~plain]).all(), name
    assert plain.sum() > 5
    assert is_symmetric(images[plain]).all(), name


def test_frames_move_characters_and_nothing_else():
  frames = [sprites.draw(0, INDEX, frame=k)[0] for k in range(3)]
  label = sprites.draw(0, INDEX)[1]
  moved = (frames[0] != frames[1]).any(axis=(1, 2, 3))
  for k, name in enumerate(sprites.CLASSES):
    of_class = label == k
    if name in (*HEROES, 'slime', 'ghost', 'bat'):
      assert moved[of_class].mean() > 0.9, name
    else:
      assert not moved[of_class].any(), name
  # A step with the right leg mirrors one with the left leg.
  empty = ~Draws(0, INDEX).chance('held', 60) & (label < len(HEROES))
  assert empty.sum() > 50
  np.testing.assert_array_equal(frames[1][empty], frames[2][empty][:, :, ::-1])


def seam(images):
  """Returns the largest jump across a border, relative to steps inside."""
  images = images.astype(int)
  steps = [
    np.abs(images - np.roll(images, -1, axis)).mean(axis=(0, 3 - axis, 3))
    for axis in (1, 2)
  ]
  # At 32 pixels every second step is between pixels of one cell.
  cell = images.shape[1] // sprites.SIDES[0]
  steps = [step[cell - 1 :: cell] for step in steps]
  return max(step[-1] / step[:-1].mean() for step in steps)


@pytest.mark.parametrize('name', sprites.TILES)
def test_tiles_repeat_without_a_seam(name, drawn):
  images, _ = drawn[name]
  assert seam(images) < 1.3
  shaded = images * np.linspace(0.2, 1, images.shape[1])[:, None, None]
  assert seam(shaded) > 2


def test_the_label_of_a_street_number_is_the_digit_in_the_middle():
  image, label = street(0, INDEX)
  middle = image[:, 13:19, 13:19].reshape(len(image), -1, 3).astype(int)
  is_flat = np.ptp(middle, axis=1).max(axis=1) < 8
  assert 700 < label.sum() < 900
  np.testing.assert_array_equal(is_flat, label == 0)


def test_street_numbers_have_neighbours_contrast_and_many_colours():
  image, _ = street(0, INDEX)
  assert np.ptp(image.astype(int), axis=(1, 2)).max(axis=1).min() > 32
  means = image.mean(axis=(1, 2))
  assert (means.std(axis=0) > 40).all()
  assert (np.ptp(means, axis=1) > 15).mean() > 0.5
  half = street(0, INDEX, side=16)[0]
  assert half.shape == (len(INDEX), 16, 16, 3)
  assert np.abs(half.mean(axis=(1, 2)) - means).mean() < 6


def settings(**fields):
  defaults = config_lib.defaults().data
  defaults.update(source='procedural', **fields)
  return defaults


@pytest.mark.parametrize(
  ('fields', 'shape', 'classes'),
  [
    (dict(name='sprites'), (16, 16, 3), sprites.CLASSES),
    (dict(name='sprites', image_size=32), (32, 32, 3), sprites.CLASSES),
    (dict(name='sprites', channels=1), (16, 16, 1), sprites.CLASSES),
    (dict(name='street_numbers'), (32, 32, 3), tuple('0123456789')),
    (
      dict(name='street_numbers', image_size=20, channels=3),
      (20, 20, 3),
      tuple('0123456789'),
    ),
  ],
)
def test_splits_are_drawn_from_different_seeds(
  fields, shape, classes, monkeypatch, tmp_path
):
  monkeypatch.setattr(procedural, 'COUNTS', {'train': 700, 'test': 300})
  train, test = (
    data.load(settings(**fields, data_dir=str(tmp_path)), split)
    for split in ('train', 'test')
  )
  assert (train.size, test.size) == (700, 300)
  for dataset in (train, test):
    assert dataset.spec == data.Spec(shape, len(classes), classes)
    assert dataset.arrays()['image'].dtype == np.uint8
    assert (np.bincount(dataset.labels, minlength=len(classes)) > 5).all()
  assert train.identity != test.identity
  seen = {image.tobytes() for image in train.arrays()['image']}
  images = test.arrays()['image']
  # Two sprites of few parts may be equal.
  assert np.mean([image.tobytes() in seen for image in images]) < 0.05


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(name='mnist'), 'sprites, street_numbers'),
    (dict(name='sprites', image_size=64), r'data\.image_size=64.*16 or 32'),
  ],
)
def test_wrong_fields_are_named(fields, message):
  with pytest.raises(errors.UserError, match=message):
    data.load(settings(**fields))
