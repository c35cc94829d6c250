"""A wheel that is built from the tree trains in an empty environment."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = next(
  folder
  for folder in pathlib.Path(__file__).resolve().parents
  if (folder / 'pyproject.toml').exists()
)
# A copy without .git, as in an archive of the sources.
COPIED = ('jaxgan', 'configs', 'docs')
COPIED_FILES = ('README.md', 'LICENSE', 'MANIFEST.in', 'CHANGELOG.md')
COPIED_FILES += ('pyproject.toml', 'requirements.txt')


def run(*words, cwd):
  kept = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  environment = kept | {'XLA_FLAGS': ''}
  done = subprocess.run(
    list(map(str, words)),
    cwd=cwd,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
  return done.stdout


def make_environment(folder):
  run(sys.executable, '-m', 'venv', folder, cwd=folder.parent)
  return folder / 'bin' / 'python'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """Builds a source archive, and a wheel from that archive."""
  folder = tmp_path_factory.mktemp('wheel')
  source = folder / 'source'
  source.mkdir()
  for name in COPIED:
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / name, source / name, ignore=ignore)
  for name in COPIED_FILES:
    shutil.copy(ROOT / name, source)
  python = make_environment(folder / 'tools')
  pip = (python, '-m', 'pip', '--disable-pip-version-check', '--quiet')
  run(*pip, 'install', 'build>=1.2,<2', cwd=folder)
  run(python, '-m', 'build', '--outdir', folder, source, cwd=folder)
  (found,) = folder.glob('*.whl')
  return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_wheel_has_all_packages_and_the_license(wheel):
  with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
    (metadata,) = (name for name in names if name.endswith('METADATA'))
    text = archive.read(metadata).decode()
  modules = (ROOT / 'jaxgan').rglob('*.py')
  assert {str(path.relative_to(ROOT)) for path in modules} <= names
  assert 'jaxgan/py.typed' in names
  assert any(name.endswith('licenses/LICENSE') for name in names)
  assert 'License-Expression: Apache-2.0' in text
  assert 'Requires-Dist: flax' in text


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_wheel_trains_in_an_empty_environment(wheel, tmp_path):
  python = make_environment(tmp_path / 'environment')
  pip = (python, '-m', 'pip', '--disable-pip-version-check', '--quiet')
  run(*pip, 'install', wheel, cwd=tmp_path)
  shutil.copy(ROOT / 'configs' / 'gan_mnist.py', tmp_path)
  main = (python, '-m', 'jaxgan.main')
  run(
    *main,
    '--config=gan_mnist.py',
    '--workdir=run',
    '--config.num_steps=10',
    cwd=tmp_path,
  )
  code = 'import jaxgan; print(jaxgan.__file__)'
  where = pathlib.Path(run(python, '-c', code, cwd=tmp_path).strip())
  assert where.is_relative_to(tmp_path / 'environment')
  assert list((tmp_path / 'run' / 'samples').glob('step_*.png'))
  assert (tmp_path / 'run' / 'checkpoints' / '10').is_dir()
  picture = run(*main, '--mode=sample', '--workdir=run', cwd=tmp_path).strip()
  assert (tmp_path / picture).is_file()
