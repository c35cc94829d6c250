r"""Scores pix2pix with the L1 loss, with the game, and with both.

  python -m benchmarks.pix2pix --path=faces --out=runs/pix2pix.png
  python -m benchmarks.pix2pix --config=pix2pix_cifar10 --path=cifar10/train

Rows are those of table 1 of Isola et al. 2017
(https://arxiv.org/abs/1611.07004): L1 alone, the conditional game alone, both,
and both with a discriminator that does not see the source. All train for the
same rounds. In the paper, L1 alone is blurred, and both together are most
realistic.

Three scores of held-out pairs favour blur: the mean absolute error on the scale
of [-1, 1], the ratio of signal to noise, and structural similarity. The Frechet
distance of outputs to true images does not. Its features are those of a
classifier of the folder's classes. Two rows calibrate the scores: each true
image as its own output, and another true image as the output.
"""

import pathlib
from statistics import fmean

import numpy as np
from absl import flags

from benchmarks import cli, experiment
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
_PATH = flags.DEFINE_string(
  'path', None, 'Folder with a folder of images per class.'
)
_ROUNDS = flags.DEFINE_integer(
  'rounds', 0, 'Rounds per run; 0 for those of the config.'
)
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Runs per row.')
_NUM = flags.DEFINE_integer('num', 1_000, 'Most held-out pairs.')
_OUT = flags.DEFINE_string(
  'out', '', 'File for a picture of the rows, last seed.'
)
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
  """Returns held-out uint8 'image' and 'source' [num, H, W, C], evenly."""
  test = experiment.read(config.data, 'test').evenly(num)
  return {name: test[name] for name in ('image', 'source')}


def errors_of(true: np.ndarray, made: np.ndarray) -> dict[str, float]:
  """Returns means over uint8 images [N, H, W, C]; the error is of [-1, 1]."""
  difference = pixels_lib.to_float(true) - pixels_lib.to_float(made)
  return {
    'l1': float(np.abs(difference).mean()),
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
    scores, seconds = [], []
    for seed in range(_SEEDS.value):
      run, took = experiment.train(experiment.changed(config, fields), seed)
      made = experiment.translated(run, 'generator', held_out['source'])
      scores.append(score(made))
      seconds.append(took)
    rounds = f'{config.num_steps:,} of {config.batch_size}'
    experiment.row(name, rounds, scores, SCORES, f'{fmean(seconds):.0f}')
    shown.append(made[:SHOWN])
  if _OUT.value:
    shown = image_to_image.rows(*shown, true[:SHOWN])
    caption = ' | '.join(('source', *ROWS, 'target'))
    picture = grid.draw(pixels_lib.to_float(np.asarray(shown)), caption)
    grid.save(pathlib.Path(_OUT.value), picture)


if __name__ == '__main__':
  cli.run(main)
