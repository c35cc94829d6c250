r"""What L1 and the game do for pix2pix, alone and together.

  python -m benchmarks.pix2pix --path=faces --out=runs/pix2pix.png
  python -m benchmarks.pix2pix --config=pix2pix_cifar10 --path=cifar10/train

Rows of table 1 of Isola et al. 2017 (https://arxiv.org/abs/1611.07004), each
trained for the same rounds: L1 alone, the conditional game alone, both, and
both with a discriminator that does not see the source. There L1 alone is
blurred, and both are best by a score of realism. Here: on held-out pairs the
mean absolute error on the scale of [-1, 1], the ratio of signal to noise and
structural similarity, which like blur, and the Frechet distance of outputs to
true images on features of a classifier of the folder's classes, which does not.
Beside them: each true image as its own output, and another in its place.
"""

import pathlib
from statistics import fmean

import numpy as np
from absl import app, flags

from benchmarks import experiment
from jaxgan.adversarial import image_to_image
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import similarity
from jaxgan.visual import grid

_CONFIG = flags.DEFINE_enum(
  'config',
  'pix2pix_faces',
  ['pix2pix_faces', 'pix2pix_cifar10'],
  'A file of configs/.',
)
_PATH = flags.DEFINE_string('path', None, 'Folder of class folders of images.')
_ROUNDS = flags.DEFINE_integer('rounds', 0, 'Of each run; 0 is as configured.')
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs of each row.')
_NUM = flags.DEFINE_integer('num', 1_000, 'Held-out pairs, at most.')
_OUT = flags.DEFINE_string('out', '', 'Picture of the rows, of the last seed.')
flags.mark_flag_as_required('path')

ROWS = {
  'L1': {'adversarial': 0.0},
  'game': {'reconstruction': 0.0},
  'L1 + game': {},
  'L1 + game, source unseen': {'conditional': False},
}
SCORES = ('l1', 'psnr', 'ssim', 'frechet', 'precision', 'recall')
HEAD = ('', 'rounds', *SCORES, 'seconds')
SHOWN = 10


def pairs(config, num: int) -> dict[str, np.ndarray]:
  """'image' and 'source' [num, H, W, C], uint8: held-out ones, evenly."""
  test = experiment.read(config.data, 'test').evenly(num)
  return {name: test[name] for name in ('image', 'source')}


def errors_of(true: np.ndarray, made: np.ndarray) -> dict[str, float]:
  """Means over images uint8 [N, H, W, C]; the error is of [-1, 1]."""
  apart = pixels_lib.to_float(true) - pixels_lib.to_float(made)
  return {
    'l1': float(np.abs(apart).mean()),
    'psnr': float(similarity.psnr(true, made).mean()),
    'ssim': float(similarity.ssim(true, made).mean()),
  }


def main(argv) -> None:
  del argv
  config = experiment.load(_CONFIG.value)
  config.data.update(source='folder', path=_PATH.value, on_bad='skip')
  config.data.held_out = config.data.held_out or 0.02
  config.num_steps = _ROUNDS.value or config.num_steps
  held_out = pairs(config, _NUM.value)
  true = held_out['image']
  judge = experiment.judge_of(config.data, len(true))

  def score(made):
    return errors_of(true, made) | judge.score(judge.see(made))

  print(
    f'{_CONFIG.value}, {_SEEDS.value} seeds, {len(true):,} held-out pairs, '
    f'{experiment.conditions(config.data, judge)}\n'
  )
  print(f'| {" | ".join(HEAD)} |')
  print('| --- ' * len(HEAD) + '|')
  for name, made in (('itself', true), ('another', np.roll(true, 1, axis=0))):
    experiment.row(name, '', [score(made)], SCORES)
  shown = [held_out['source'][:SHOWN]]
  for name, fields in ROWS.items():
    found, seconds = [], []
    for seed in range(_SEEDS.value):
      run, took = experiment.train(experiment.changed(config, fields), seed)
      made = experiment.translated(run, 'generator', held_out['source'])
      found.append(score(made))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    experiment.row(name, rounds, found, SCORES, f'{fmean(seconds):.0f}')
    shown.append(made[:SHOWN])
  if _OUT.value:
    shown = image_to_image.rows(*shown, true[:SHOWN])
    caption = ' | '.join(('source', *ROWS, 'target'))
    picture = grid.draw(pixels_lib.to_float(np.asarray(shown)), caption)
    grid.save(pathlib.Path(_OUT.value), picture)


if __name__ == '__main__':
  app.run(main)
