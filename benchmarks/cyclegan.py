r"""How many translations of a CycleGAN pass for images of the other domain.

  python -m benchmarks.cyclegan --workdir=runs/cyclegan_faces

For runs whose domains are two classes. Of held-out images, their translations
and what comes back from there: the share that a classifier of the two classes
takes for the second one, and Frechet distances to the held-out images of each
on its features. A translation should have the numbers of where it leads to.
What comes back may have those of where it began although the translation in
between did nothing, so read both, and the mean absolute error of images that
came back, on the scale of [-1, 1]. The classifier is trained when it is first
needed, and kept.
"""

import sys

import numpy as np
from absl import app, flags

import jaxgan
from benchmarks import experiment
from jaxgan import data
from jaxgan.metrics import frechet
from jaxgan.modes import features
from jaxgan.training import devices as devices_lib

_WORKDIR = flags.DEFINE_string('workdir', None, 'Of a run of cyclegan.')
_NUM = flags.DEFINE_integer('num', 500, 'Held-out images of each, at most.')
flags.mark_flag_as_required('workdir')


def main(argv) -> None:
  del argv
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  run = jaxgan.restore(_WORKDIR.value)
  settings = run.config.data
  if settings.get('unpaired') != 'classes':
    sys.exit(
      f'error: --workdir={_WORKDIR.value} is not a run of two classes; give '
      'one of cyclegan with data.unpaired=classes'
    )
  pairs = data.load(settings, 'test').arrays()
  real_a, real_b = (pairs[name][: _NUM.value] for name in ('source', 'image'))
  there_a = experiment.translated(run, 'generator_ab', real_a)
  there_b = experiment.translated(run, 'generator_ba', real_b)
  back_a = experiment.translated(run, 'generator_ba', there_a)
  back_b = experiment.translated(run, 'generator_ab', there_b)

  with_labels = experiment.changed(settings, {'unpaired': ''})
  judge = features.classifier(with_labels)
  a, b = settings.classes
  rows = {
    a: real_a,
    f'{a} -> {b}': there_a,
    f'{a} -> {b} -> {a}': back_a,
    b: real_b,
    f'{b} -> {a}': there_b,
    f'{b} -> {a} -> {b}': back_b,
  }
  seen = {name: judge.call(images) for name, images in rows.items()}
  moments = {
    name: frechet.moments(found['features']) for name, found in seen.items()
  }
  print(
    f'step {int(run.state.step):,}, {len(real_a):,} held-out images of each, '
    f'{judge.name}, held-out error {100 * judge.error:.1f}%\n'
  )
  print(f'| | taken for {b} | Frechet to {a} | to {b} | came back with |')
  print('| --- | --- | --- | --- | --- |')
  starts = {f'{a} -> {b} -> {a}': real_a, f'{b} -> {a} -> {b}': real_b}
  for name, found in seen.items():
    share = float(np.mean(np.argmax(found['logits'], axis=-1) == 1))
    far = [frechet.distance(moments[end], moments[name]) for end in (a, b)]
    error = ''
    if name in starts:
      apart = np.subtract(rows[name], starts[name], dtype=np.float32) / 127.5
      error = f'{np.abs(apart).mean():.3f}'
    print(f'| {name} | {share:.1%} | {far[0]:.1f} | {far[1]:.1f} | {error} |')


if __name__ == '__main__':
  app.run(main)
