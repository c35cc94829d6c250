r"""Scores translations of a CycleGAN as images of the other domain.

  python -m benchmarks.cyclegan --workdir=runs/cyclegan_faces

The domains of the run are two classes. Rows are held-out images, their
translations, and images that are translated back. Columns are the share that a
classifier takes for the second class, and Frechet distances to the held-out
images of both classes on its features.

A translation should have the numbers of its target domain. Images that are
translated back have the numbers of their own domain even if both translations
do nothing, so read both rows. The last column is the mean absolute error of
these images, on the scale of [-1, 1]. The first call trains the classifier and
keeps it.
"""

import numpy as np
from absl import flags

import jaxgan
from benchmarks import cli, experiment
from jaxgan import data, errors
from jaxgan.metrics import frechet
from jaxgan.modes import features
from jaxgan.training import devices as devices_lib

_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of a run of cyclegan.')
_NUM = flags.DEFINE_integer('num', 500, 'Most held-out images per class.')
flags.mark_flag_as_required('workdir')


def main(argv) -> None:
  del argv
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  run = jaxgan.restore(_WORKDIR.value)
  settings = run.config.data
  if settings.get('unpaired') != 'classes':
    raise errors.UserError(
      f'--workdir={_WORKDIR.value} is not a run of two classes. Choose '
      'a run of cyclegan with data.unpaired=classes.'
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
  outputs = {name: judge.call(images) for name, images in rows.items()}
  moments = {
    name: frechet.moments(output['features'])
    for name, output in outputs.items()
  }
  print(
    f'step {int(run.state.step):,}, {len(real_a):,} held-out images of each, '
    f'{judge.name}, held-out error {100 * judge.error:.1f}%\n'
  )
  print(f'| | taken for {b} | Frechet to {a} | to {b} | came back with |')
  print('| --- | --- | --- | --- | --- |')
  starts = {f'{a} -> {b} -> {a}': real_a, f'{b} -> {a} -> {b}': real_b}
  for name, output in outputs.items():
    share = float(np.mean(np.argmax(output['logits'], axis=-1) == 1))
    distances = [
      frechet.distance(moments[end], moments[name]) for end in (a, b)
    ]
    error = ''
    if name in starts:
      difference = (
        np.subtract(rows[name], starts[name], dtype=np.float32) / 127.5
      )
      error = f'{np.abs(difference).mean():.3f}'
    cells = [f'{share:.1%}', *(f'{x:.1f}' for x in distances), error]
    print(f'| {name} | {" | ".join(cells)} |')


if __name__ == '__main__':
  cli.run(main)
