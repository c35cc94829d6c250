"""Checkpoints to scores: what is written, refused, followed and kept."""

import json

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.config import presets
from jaxgan.metrics import scores
from jaxgan.modes import evaluate, features
from jaxgan.modes import restore as restore_lib
from jaxgan.training import loop

NAMES = ('frechet', 'kernel', 'neighbours', 'classes')


def config(**fields):
  found = config_lib.defaults()
  found.update(presets.game())
  found.update(presets.mlp())
  found.generator.widths = found.discriminator.widths = (8,)
  found.data.update(source='embedded', limit=200)
  found.num_steps = 4
  found.sample_every = 0
  found.checkpoint_every = 2
  found.update(fields)
  return found


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  """A judge that is trained for a moment only."""
  home = tmp_path_factory.mktemp('cache')
  patch = pytest.MonkeyPatch()
  patch.setenv('XDG_CACHE_HOME', str(home))
  preset = presets.classifier

  def small():
    found = preset()
    found.num_steps = 30
    found.network.widths, found.network.features = (8,), 16
    return found

  patch.setattr(presets, 'classifier', small)
  yield home
  patch.undo()


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('run')
  loop.train(config(), folder)
  return folder


def lines(workdir):
  text = (workdir / evaluate.FILE).read_text()
  return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_evaluate_writes_a_line_for_each_checkpoint(workdir, cache, capsys):
  evaluate.evaluate(workdir, num=300, steps='all', scores=NAMES)
  found = lines(workdir)
  assert [line['step'] for line in found] == [2, 4]
  (folder,) = (cache / 'jaxgan' / 'classifiers').iterdir()
  protocol = f'classifier-{folder.name}/300-test/300'
  for name in ('frechet', 'kernel', 'precision', 'coverage', 'rarest_class'):
    assert np.isfinite(found[1][f'{name}/{protocol}'])
  assert 0.0 < found[1]['features_error'] < 0.9
  assert (workdir / 'nearest_step_00000004.png').exists()
  printed = capsys.readouterr().out
  assert '| frechet |' in printed
  assert 'held-out error' in printed
  # The same again, to the last digit, and without training the judge again.
  stamp = (folder / 'error.json').stat().st_mtime_ns
  again = evaluate.evaluate(workdir, num=300, scores=NAMES)
  assert (folder / 'error.json').stat().st_mtime_ns == stamp
  for line in (again, found[1]):
    line.pop('seconds')
  assert again == found[1]


@pytest.mark.slow
def test_evaluate_follows_until_the_run_ends(workdir, cache):
  found = evaluate.evaluate(workdir, num=100, scores=('kernel',), follow=True)
  assert found['step'] == 4


@pytest.mark.slow
def test_evaluate_writes_a_line_for_each_member(cache, tmp_path):
  loop.train(config(seeds=2, seed=3), tmp_path)
  request = dict(num=30, scores=('classes',))
  evaluate.evaluate(tmp_path, **request)
  rows = [json.loads(x) for x in (tmp_path / 'eval.jsonl').open()]
  assert [(row['step'], row['member']) for row in rows] == [(4, 0), (4, 1)]
  alone = evaluate.evaluate(tmp_path, member=1, **request)
  assert {**alone, 'seconds': 0.0} == {**rows[1], 'seconds': 0.0}


@pytest.mark.slow
def test_train_writes_the_scores_of_evaluate(workdir, cache, tmp_path):
  fields = dict(eval_every=4, eval_images=100, eval_scores=('kernel',))
  with pytest.raises(errors.UserError, match='eval_images=100 needs a scorer'):
    loop.train(config(**fields), tmp_path)
  jaxgan.train.train(config(**fields), tmp_path)
  text = (tmp_path / 'metrics.jsonl').read_text()
  logged = json.loads(text.splitlines()[-1])
  found = evaluate.evaluate(workdir, num=100, scores=('kernel',))
  for name, value in found.items():
    if name.startswith('kernel'):
      assert logged[name] == pytest.approx(value, rel=1e-3)
  assert sum(name.startswith('kernel') for name in logged) == 2


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(steps='3'), 'there is no checkpoint'),
    (dict(steps='new'), 'there is no checkpoint'),
    (dict(scores=('fid',)), 'fid'),
    (dict(features='vgg'), 'vgg'),
    (dict(features='inception:/none.pth'), 'none.pth'),
    (dict(features='random:-1'), 'random:SEED'),
    (dict(truncation=-1.0), '--truncation=-1.0 must be in'),
    (dict(features='random', scores=('classes',)), 'needs classes'),
    (dict(num=1), 'in 2..'),
  ],
)
def test_evaluate_refuses_bad_requests(fields, message, workdir, cache):
  with pytest.raises(errors.UserError, match=message):
    evaluate.evaluate(workdir, **{'num': 100} | fields)


def test_random_features_need_no_labels(workdir, capsys):
  request = dict(num=60, features='random:3', scores=('kernel', 'neighbours'))
  found = evaluate.evaluate(workdir, **request)
  value = found['kernel/random-3/60-test/60']
  assert value > 0.0
  assert found['features_error'] is None
  printed = capsys.readouterr().out
  assert f'| kernel | {value:.4g} |' in printed
  assert 'features: random-3; 60 real test images' in printed


def test_truncation_is_part_of_the_protocol(workdir):
  request = dict(num=20, features='random', scores=('kernel',))
  found = [
    evaluate.evaluate(workdir, **request, truncation=psi)[
      f'kernel/random-0/20-test/20{name}'
    ]
    for psi, name in ((None, ''), (0.5, '-truncation0.5'))
  ]
  assert found[0] != found[1]


def test_scores_of_features_without_classes():
  assert scores.rows((), 'classifier') == tuple(scores.SCORES)
  assert scores.rows((), 'random') == (
    'frechet',
    'kernel',
    'neighbours',
    'pixels',
  )
  rows = np.random.default_rng(0).normal(size=(9, 2))
  images = scores.Images(np.zeros((9, 4, 4, 1), np.uint8), rows)
  assert 'class_divergence' not in scores.ideal(images, 9)
  assert scores.ideal(images, 9)['frechet'] > 0.0


def test_classifier_needs_labels():
  settings = config_lib.defaults().data
  settings.update(source='toy', name='ring')
  with pytest.raises(errors.UserError, match='needs images with labels'):
    features.classifier(settings)


@pytest.mark.slow
def test_scores_of_real_images_are_near_ideal():
  rng = np.random.default_rng(0)

  def draw():
    rows = rng.normal(size=(2000, 4))
    pixels = rng.integers(0, 256, (2000, 12, 12, 1)).astype(np.uint8)
    return scores.Images(pixels, rows, rng.normal(size=(2000, 3)))

  real, fake = draw(), draw()
  found = scores.compute(real, fake, jax.random.key(0))
  ideal = scores.ideal(real, 2000)
  assert found['frechet'] < 4 * ideal['frechet']
  assert found['frechet_low'] < found['frechet'] < found['frechet_high']
  assert abs(found['kernel']) < 3 * found['kernel_deviation']
  assert abs(found['coverage'] - ideal['coverage']) < 0.03
  assert abs(found['density'] - 1.0) < 0.1
  moved = fake._replace(features=fake.features + 1.0)
  assert scores.compute(real, moved, jax.random.key(0), ('frechet',))[
    'frechet'
  ] == pytest.approx(4.0, abs=0.5)


def test_nearest_neighbour_of_a_copy_is_the_original():
  rng = np.random.default_rng(0)
  rows = rng.normal(size=(20, 4))
  pixels = np.arange(20, dtype=np.uint8)[:, None, None, None]
  train_set = scores.Images(pixels, rows, None)
  fake = scores.Images(pixels[5:], rows[5:], None)
  found = scores.beside_nearest(fake, train_set, 3, 2)
  assert found.shape == (3, 3, 1, 1, 1)
  np.testing.assert_array_equal(found[1, :, 0, 0, 0], [5, 6, 7])


def test_restore_takes_any_checkpoint(workdir):
  assert restore_lib.steps_of(workdir) == [4, 2]
  assert int(restore_lib.restore(workdir, 2).state.step) == 2
  with pytest.raises(errors.UserError, match='no checkpoint 3'):
    restore_lib.restore(workdir, 3)


@pytest.mark.parametrize(
  'name', ['no folder', pytest.param('damaged', marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures('cache')
def test_classifier_is_trained_where_none_is_kept(
  name, tmp_path, monkeypatch, caplog
):
  """A read-only or full folder of caches: one line, and the same scores."""
  caplog.set_level('WARNING', 'jaxgan')
  settings = config().data
  kept = features.find('classifier', settings)
  if name == 'damaged':
    folder = features.paths.cache('classifiers') / kept.name.partition('-')[2]
    for path in folder.rglob('.zarray'):
      path.write_bytes(b'?')
  else:
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  again = features.find('classifier', settings)
  assert (again.name, again.error) == (kept.name, kept.error)
  said = {'no folder': 'is not kept', 'damaged': 'is trained again'}
  logger = features.__name__
  (line,) = [r.message for r in caplog.records if r.name == logger]
  assert said[name] in line
