"""Scores the categorical code of InfoGAN as an unsupervised classifier.

  python -m benchmarks.infogan --workdir=runs/infogan

Every category of Q is mapped to the digit that is most frequent among the
training digits of the category. The error is the share of test digits whose
category is mapped to another digit (Chen et al. 2016,
https://arxiv.org/abs/1606.03657, section 7.2: 5 %). The output is one line of
JSON; 'test' is the number of test digits.
"""

import json

import jax
import numpy as np
from absl import flags

import jaxgan
from benchmarks import cli
from jaxgan import data, infogan
from jaxgan.core import pixels as pixels_lib

_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.')
BATCH = 1_000


def categories(run, images) -> np.ndarray:
  """Returns the category [N] that Q gives uint8 images [N, H, W, C]."""
  predict = jax.jit(infogan.predict_codes, static_argnums=0)
  parts = [
    predict(run.method, run.state, pixels_lib.to_float(images[i : i + BATCH]))
    for i in range(0, len(images), BATCH)
  ]
  return np.concatenate([np.argmax(x['categorical'], axis=-1) for x in parts])


def error(train, test, classes: int) -> float:
  """Returns the share of wrong test digits.

  Args:
    train: (category [N], digit [N]) of training digits, for the mapping.
    test: the same for test digits.
    classes: number of digits.
  """
  category, digit = train
  counts = np.zeros((category.max() + 1, classes), int)
  np.add.at(counts, (category, digit), 1)
  return float(np.mean(counts.argmax(axis=1)[test[0]] != test[1]))


def main(argv) -> None:
  del argv
  run = jaxgan.restore(_WORKDIR.value)
  splits = []
  for split in ('train', 'test'):
    arrays = data.load(run.config.data, split).arrays()
    splits.append((categories(run, arrays['image']), arrays['label']))
  print(
    json.dumps(
      {
        'step': int(run.state.step),
        'error': error(*splits, run.spec.num_classes),
        'test': len(splits[1][1]),
      }
    )
  )


if __name__ == '__main__':
  flags.mark_flag_as_required('workdir')
  cli.run(main)
