"""docs/howto.md: everything on it is executed, in a copy, with few rounds."""

import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import config as config_lib
from jaxgan.models import mlp

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'howto.md').read_text()
BLOCKS = re.findall(r'^```(bash|python)\n(.*?)^```$', PAGE, re.DOTALL | re.M)
# What makes a training command short. Those after a run's own num_steps are
# for one that goes on.
SHORT = ('--config.num_steps=2', '--config.batch_size=8')
LONGER = '--config.num_steps=3'


def commands(block: str) -> list[list[str]]:
  return [shlex.split(x) for x in block.replace('\\\n', ' ').splitlines() if x]


def shortened(words: list[str]) -> list[str]:
  """A command with flags that make it short, if it trains or scores."""
  if '--mode=evaluate' in words:
    return [*words, '--num=100', '--scores=classes']
  if 'jaxgan.main' not in words or '--mode=sample' in words:
    return words
  goes_on = any(word.startswith('--config.num_steps') for word in words)
  return [*words, *SHORT, *([LONGER] if goes_on else [])]


def target(block: str) -> tuple[str, str] | None:
  """The file that a block is, and the table that it is a row of or ''."""
  found = re.match(r'# (\S+\.py)(?:, in (\w+))?\n', block)
  return (found[1], found[2] or '') if found else None


def write(block: str, root: pathlib.Path) -> None:
  name, table = target(block)
  body = block.partition('\n')[2]
  path = root / name
  if table:
    before, line, after = path.read_text().partition(f'{table} = {{\n')
    assert line, f'{name} has no {table}'
    body = before + line + body + after
  path.write_text(body)


@pytest.fixture
def copy(tmp_path):
  """The files that are needed, some pictures, and a `python` that has it."""
  for name in ('jaxgan', 'configs', 'launch'):
    shutil.copytree(
      ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__')
    )
  rng = np.random.default_rng(0)
  (tmp_path / 'photos').mkdir()
  for place in range(40):
    pixels = rng.integers(0, 256, (40, 36, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photos' / f'{place}.png')
  # The classifier that scores take features from, trained for a moment.
  presets = tmp_path / 'jaxgan' / 'presets.py'
  text = presets.read_text()
  assert text.count('num_steps = 2_400') == 1
  presets.write_text(text.replace('num_steps = 2_400', 'num_steps = 20'))
  (tmp_path / 'bin').mkdir()
  python = tmp_path / 'bin' / 'python'
  python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
  python.chmod(0o755)
  return tmp_path


def run(words, folder):
  environment = os.environ | {
    'XLA_FLAGS': '',
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',  # or compilation takes minutes
    'XDG_CACHE_HOME': str(folder / 'cache'),
    'PYTHONPATH': str(folder),
    'PATH': f'{folder / "bin"}:{os.environ["PATH"]}',
    'JAXGAN_PYTHON': sys.executable,
  }
  done = subprocess.run(
    words, cwd=folder, env=environment, capture_output=True, text=True
  )
  assert done.returncode == 0, f'{shlex.join(words)}\n{done.stderr[-3000:]}'
  return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_page_from_its_start_to_its_end(copy):
  for kind, block in BLOCKS:
    if kind == 'bash':
      for words in commands(block):
        said = run(shortened(words), copy)
        assert said, shlex.join(words)
    elif target(block):
      write(block, copy)
    else:
      run([sys.executable, '-c', block], copy)


def test_every_flag_is_a_field():
  configs = {}
  for kind, block in BLOCKS:
    if kind == 'python' and target(block):
      configs[target(block)[0]] = block
  for words in (w for k, b in BLOCKS if k == 'bash' for w in commands(b)):
    paths = [w.split('=', 1)[1] for w in words if w.startswith('--config=')]
    for path in paths:
      names = {}
      path, _, variant = path.partition(':')
      code = configs.get(path) or (ROOT / path).read_text()
      exec(compile(code, path, 'exec'), names)
      fields = config_lib.flatten(names['get_config'](variant))
      for word in words:
        if word.startswith('--config.'):
          assert word[len('--config.') :].split('=')[0] in fields, word


def test_a_new_algorithm_trains_and_follows_the_data(key, tmp_path):
  name = ('jaxgan/steps/moments.py', '')
  (block,) = (b for _, b in BLOCKS if target(b) == name)
  path = tmp_path / 'moments.py'
  path.write_text(block)
  spec = importlib.util.spec_from_file_location('moments', path)
  moments = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(moments)
  points = 0.1 * jax.random.normal(key, (256, 2)) + 0.5
  generator = mlp.Generator((2,), widths=(16,), norm='none')
  method = moments.Moments(generator, latent_size=2)
  advance = jaxgan.trainer(
    moments, method, {'image': np.asarray(points)}, rounds_per_call=50
  )
  state, history = advance(moments.init(method, key), 150)
  assert history['generator/loss'].shape == (150,)
  fakes = moments.sample(method, state, key, 100)
  assert np.abs(np.asarray(fakes).mean(axis=0) - 0.5).max() < 0.2


def test_links_are_files():
  text = re.sub(r'^```.*?^```$', '', PAGE, flags=re.DOTALL | re.M)
  for path in re.findall(r'\]\(([^)h][^)#]*)', text):
    assert (ROOT / 'docs' / path).exists(), path
