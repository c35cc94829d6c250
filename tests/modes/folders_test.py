"""Folders of images against each other, without a run."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from runs import call_main

NUM = 12


def fill(folder, seed, shape=(8, 8, 3), scale=255):
  folder.mkdir(parents=True)
  rng = np.random.default_rng(seed)
  for index in range(NUM):
    pixels = rng.integers(0, scale, shape, np.uint8)
    Image.fromarray(pixels).save(folder / f'{index}.png')
  return folder


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  folder = tmp_path_factory.mktemp('folders')
  fill(folder / 'real', 0)
  fill(folder / 'same', 1)
  fill(folder / 'dark', 2, scale=64)
  fill(folder / 'grey', 3, (8, 8))
  fill(folder / 'wide', 4, (8, 9, 3))
  (folder / 'none').mkdir()
  return folder


def compare(root, images, against, *words):
  return call_main(
    '--mode=evaluate',
    f'--images={root / images}',
    f'--against={root / against}',
    *words,
  )


def line(process):
  assert process.returncode == 0, process
  return json.loads(process.stdout.splitlines()[-1])


def test_scores_of_folders_are_printed(root, tmp_path):
  words = ('--scores=kernel,neighbours,pixels', f'--output={tmp_path / "x"}')
  process = compare(root, 'same', 'real', *words)
  same = line(process)
  dark = line(compare(root, 'dark', 'real', *words))
  protocol = 'random-0/12-real-8x8x3/12'
  for name in ('kernel', 'sliced_wasserstein'):
    name = f'{name}/{protocol}'
    assert dark[name] > 2 * abs(same[name])
  assert same[f'recall/{protocol}'] > dark[f'recall/{protocol}']
  assert same['images'] == str(root / 'same')
  assert '| 12 images of same | images | ideal |' in process.stdout
  text = (tmp_path / 'x' / 'eval.jsonl').read_text()
  assert [json.loads(row) for row in text.splitlines()] == [same, dark]


def test_equal_folders_have_no_distance(root):
  found = line(compare(root, 'real', 'real', '--scores=frechet', '--num=9'))
  assert found['frechet/random-0/9-real-8x8x3/9'] < 1e-6


@pytest.mark.parametrize(
  ('folder', 'words', 'shape'),
  [
    ('grey', (), '8x8x3'),
    ('grey', ('--config.data.channels=1',), '8x8x1'),
    ('wide', ('--config.data.image_size=4',), '4x4x3'),
  ],
)
def test_images_are_read_at_one_shape(root, folder, words, shape):
  words = (*words, '--scores=kernel', '--features=random:1')
  found = line(compare(root, folder, 'real', *words))
  assert np.isfinite(found[f'kernel/random-1/12-real-{shape}/12'])


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    (['--images=real'], '--against is missing'),
    (['--against=real'], '--images is missing'),
    (['--images=wide', '--against=real'], 'Set --config.data.image_size'),
    (['--images=none', '--against=real'], "--images='{root}/none' has no"),
    (['--images=real', '--against=nowhere'], "--against='{root}/nowhere' is"),
    (['--features=classifier'], 'Set --features=random'),
    (['--features=vgg'], "--features='vgg' must be"),
    (['--features=inception:none.pth'], 'No such file'),
    (['--scores=classes'], '--scores=classes needs classes'),
    (['--workdir=runs/x'], '--workdir is for runs'),
    (['--steps=all'], '--steps is for runs'),
    (['--truncation=0.5'], '--truncation is for runs'),
    (['--member=0'], '--member is for runs'),
    (['--num=1'], '--num=1 must be in 2..'),
    (['--config.data.name=mnist'], '--config.data.name does not fit'),
    (['--config.data.image_size=big'], "--config.data.image_size='big'"),
  ],
)
def test_wrong_requests_get_one_line(root, words, message):
  words = [
    re.sub('^(--images|--against)=', rf'\1={root}/', word) for word in words
  ]
  if not any(word.startswith(('--images', '--against')) for word in words):
    words += [f'--images={root}/same', f'--against={root}/real']
  process = call_main('--mode=evaluate', *words)
  assert process.returncode == 2, process
  *log, text = process.stderr.splitlines()
  assert all('found' in row for row in log)
  assert text.startswith('error: ')
  assert message.format(root=root) in text
