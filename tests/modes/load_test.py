"""jaxgan.load: exports as functions, without the packages of training."""

import json
import subprocess
import sys

import numpy as np
import pytest

import jaxgan
from jaxgan import errors
from jaxgan.modes import export, load
from tests.modes.sample_test import finished_run

# What training needs, and reading an export does not.
TRAINING = ('flax', 'optax', 'orbax.checkpoint', 'ml_collections', 'absl.flags')
TRAINING += ('tensorflow_datasets', 'matplotlib', 'PIL', 'safetensors')
LATENTS = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  run = finished_run(tmp_path_factory.mktemp('load') / 'run')
  return export.export(run, format='onnx')


def test_folder_and_files_give_equal_images(folder):
  images = jaxgan.load(folder)(LATENTS)
  assert images.shape == (5, 8, 8, 1)
  assert jaxgan.load(folder).about['config']['latent_size'] == 8
  for name in ('generator.stablehlo', 'generator.onnx'):
    loaded = jaxgan.load(folder / name)
    assert list(loaded) == ['generator']
    found = loaded['generator'](LATENTS)
    np.testing.assert_allclose(found, images, atol=1e-5)


def test_packages_of_training_are_not_needed(folder):
  code = (
    f'import sys; sys.modules |= dict.fromkeys({TRAINING})\n'
    'import numpy, jaxgan\n'
    f'print(jaxgan.load({str(folder)!r})(numpy.zeros((2, 8), "f4")).shape)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, timeout=120
  )
  assert done.stdout.strip() == '(2, 8, 8, 1)', done.stderr


def test_damaged_exports_are_refused(folder, tmp_path):
  with pytest.raises(errors.UserError, match='is no export'):
    jaxgan.load(tmp_path)
  with pytest.raises(errors.UserError, match=r'absent\.onnx is damaged'):
    jaxgan.load(tmp_path / 'absent.onnx')
  (tmp_path / 'generator.stablehlo').write_bytes(b'no program')
  (tmp_path / 'generator.onnx').write_bytes(b'no model')
  (tmp_path / 'generator.txt').write_bytes(b'')
  for ending in ('stablehlo', 'onnx'):
    with pytest.raises(errors.UserError, match='is damaged'):
      jaxgan.load(tmp_path / f'generator.{ending}')
  with pytest.raises(errors.UserError, match=r'\.txt'):
    jaxgan.load(tmp_path / 'generator.txt')
  about = (folder / 'export.json').read_text()
  (tmp_path / 'export.json').write_text(about)
  with pytest.raises(errors.UserError, match='digest differs'):
    jaxgan.load(tmp_path)
  away = json.loads(about)
  away['functions'] = {'../away': away['functions']['generator']}
  for damaged in (json.dumps(away), '[]', '{', '{"functions": 3}'):
    (tmp_path / 'export.json').write_text(damaged)
    with pytest.raises(errors.UserError, match='is damaged'):
      jaxgan.load(tmp_path)


def test_one_of_several_functions_is_chosen_by_name(tmp_path):
  loaded = load.Exported({'a': len, 'b': sum}, {})
  assert loaded['b']([1, 2]) == 3
  with pytest.raises(errors.UserError, match='functions a, b'):
    loaded([1, 2])
