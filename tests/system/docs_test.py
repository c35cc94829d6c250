"""Executes and checks README.md, CONTRIBUTING.md and docs/.

Blocks that need a GPU, a TPU, a cluster, a network, an encoder of videos or a
browser are marked with a comment, `<!-- needs: gpu -->`. They are parsed, and
their flags are checked, like those of all commands.
"""

import functools
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys

import compilation
import docs_runner
import jax
import numpy as np
import pytest
from absl import flags
from docs_runner import PAGES, ROOT
from PIL import Image

import jaxgan
import jaxgan.main  # defines the flags
from jaxgan import config as config_lib
from jaxgan import steps
from jaxgan.core import latents as latents_lib
from jaxgan.models import mlp

BLOCKS = [block for page in PAGES for block in docs_runner.read_blocks(page)]
LINKED_PAGES = (*PAGES, 'CHANGELOG.md', 'benchmarks/README.md')
README_LINES = 200
TEXT = {page: (ROOT / page).read_text() for page in LINKED_PAGES}


def prose(page):
  """The text of a page without fenced blocks."""
  return re.sub(r'^```.*?^```$', '', TEXT[page], flags=re.DOTALL | re.M)


def test_readme_is_short():
  assert len(TEXT['README.md'].splitlines()) <= README_LINES


def anchors(page):
  """GitHub's anchors of the headings of a page."""
  headings = re.findall(r'^#+ (.*)$', prose(page), re.M)
  plain = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
  return {heading.replace(' ', '-') for heading in plain}


def broken_links(page, text):
  """Yields the links and pictures of a page that lead nowhere."""
  links = re.findall(r'\]\(([^)]*)\)|src="([^"]*)"', text)
  for link in (first or second for first, second in links):
    if re.match(r'https?://', link):
      continue
    path, _, anchor = link.partition('#')
    file = (ROOT / page).parent / path if path else ROOT / page
    if not file.exists():
      yield link
    elif file.suffix == '.png':
      with Image.open(file) as picture:
        picture.verify()
    elif anchor:
      name = os.path.relpath(file.resolve(), ROOT)
      if anchor not in anchors(name):
        yield link


@pytest.mark.parametrize('page', LINKED_PAGES)
def test_links_and_pictures_exist(page):
  assert list(broken_links(page, prose(page))) == []


def test_broken_links_are_found():
  text = '[a](none.md) ![b](docs/none.png) [c](docs/faults.md#none) [d](docs)'
  assert list(broken_links('README.md', text)) == [
    'none.md',
    'docs/none.png',
    'docs/faults.md#none',
  ]


@pytest.mark.parametrize('page', LINKED_PAGES)
def test_files_that_are_named_exist(page):
  folders = 'jaxgan|configs|launch|benchmarks|docs|tests|notebooks'
  for path in re.findall(rf'`((?:{folders})/[\w/.]*)`', prose(page)):
    assert (ROOT / path).exists(), path


def test_configs_that_are_named_exist():
  """A new config needs no page; a page needs its configs."""
  names = re.findall(r'configs/(\w+)\.py', ''.join(TEXT.values()))
  names += re.findall(r'^\| `(\w+)\.py', TEXT['docs/results.md'], re.MULTILINE)
  assert names
  written = {block.target[0] for block in BLOCKS if block.target}
  for name in set(names):
    path = f'configs/{name}.py'
    assert (ROOT / path).exists() or path in written, path


CONFIG = 'configs/biggan_cifar10.py'  # has the fields of all runs


@functools.cache
def fields_of(path):
  return config_lib.flatten(docs_runner.load_config(path)).keys()


def unknown_flags(words):
  """Yields the flags of a command that the program does not have."""
  given = [word for word in words if word.startswith('-') and word != '--']
  names = [word.lstrip('-').split('=')[0] for word in given]
  is_launch = words[0].startswith('./launch/') or 'launch/sweep.py' in words
  if 'jaxgan.main' in words or is_launch or words[0].startswith('--config='):
    paths = [w.partition('=')[2] for w in words if w.startswith('--config=')]
    # A mode takes fields of data; a workdir of imported weights has a config.
    paths = [p for p in paths if not p.startswith('runs/')] or [CONFIG]
    scripts = [p.read_text() for p in (ROOT / 'launch').glob('*')]
    for name in names:
      if name.startswith('config.'):
        # Modes read the config of a run.
        configs = paths or ['configs/gan_mnist.py']
        fields = set.intersection(*(set(fields_of(path)) for path in configs))
        is_known = name.removeprefix('config.') in fields
      else:
        is_known = name == 'm' or name in flags.FLAGS
        is_known |= is_launch and any(f'-{name}' in s for s in scripts)
      if not is_known:
        yield name
  elif words[:2] == ['python', '-m'] and words[2].startswith('benchmarks.'):
    file = ROOT / f'{words[2].replace(".", "/")}.py'
    texts = [p.read_text() for p in (ROOT / 'benchmarks').rglob('*.py')]
    assert file.exists(), file
    for name in names[1:]:
      if not any(re.search(rf"'(--)?{name}'", text) for text in texts):
        yield name


def spans(page):
  """Yields commands in code spans: of jaxgan.main, or its flags alone."""
  for text in re.findall(r'`([^`\n]*)`', prose(page)):
    if re.match(r'(python -m |--config=configs/)', text) and '...' not in text:
      yield shlex.split(text)


@pytest.mark.parametrize('page', [*PAGES, 'benchmarks/README.md'])
def test_commands_have_known_flags(page):
  blocks = docs_runner.read_blocks(page)
  commands = [w for b in blocks if b.kind == 'bash' for w in b.commands]
  for words in [*commands, *spans(page)]:
    assert list(unknown_flags(words)) == [], shlex.join(words)


@pytest.mark.parametrize(
  'command',
  [
    'python -m jaxgan.main --config=configs/gan_mnist.py --config.none=1',
    'python -m jaxgan.main --mode=sample --bogus=1',
    './launch/local.sh --config=configs/gan_mnist.py --config.none=1',
    'python -m benchmarks.speed --bogus=1',
    '--config=configs/gan_mnist.py --config.none=1',
  ],
)
def test_unknown_flags_are_found(command):
  (name,) = unknown_flags(shlex.split(command))
  assert name in ('config.none', 'bogus')


@pytest.mark.parametrize('block', BLOCKS, ids=lambda b: f'{b.name} {b.mark}')
def test_block_is_parsed(block):
  """Parses all blocks; the ids list those that are not run, as 'needs: gpu'."""
  assert block.needs <= docs_runner.NEEDS
  if block.kind == 'python' and not (block.target and block.target[1]):
    if block.mark != docs_runner.EXCERPT:
      compile(block.text, block.name, 'exec')
  elif block.kind == 'bash':
    subprocess.run(['bash', '-n', '-c', block.text], check=True)


def test_excerpt_is_in_the_file():
  """Lines after `<!-- gan.py -->` are lines of steps/gan.py, in order."""
  assert f'<!-- {docs_runner.EXCERPT} -->' in TEXT['README.md']
  lines = (ROOT / 'jaxgan' / 'steps' / 'gan.py').read_text().splitlines()
  lines = iter([line.strip() for line in lines])
  for block in BLOCKS:
    if block.mark == docs_runner.EXCERPT:
      for line in filter(None, map(str.strip, block.text.splitlines())):
        assert line == '...' or line in lines, line


def test_every_fault_has_its_test():
  names = ' '.join(
    name
    for path in (ROOT / 'tests').rglob('*_test.py')
    for name in re.findall(r'^def test_\w+', path.read_text(), re.M)
  )
  rows = re.findall(r'^\|.*\| (.*) \|$', TEXT['docs/faults.md'], re.M)
  references = [name for row in rows for name in re.findall(r'`(\w+)`', row)]
  assert len(references) > 30
  for name in references:
    assert re.search(rf'test_{name}_|test_\w*{name}', names), name


@pytest.fixture
def copy(tmp_path):
  """The files of the repository that pages use, and pictures to train on."""
  for name in ('jaxgan', 'configs', 'launch'):
    shutil.copytree(
      ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__')
    )
  for block in BLOCKS:
    if block.target:
      docs_runner.write(block, tmp_path)
  rng = np.random.default_rng(0)
  for folder in ('photos', 'domains/neutral', 'domains/smiling'):
    (tmp_path / folder).mkdir(parents=True)
    for index in range(40):
      pixels = rng.integers(0, 256, (40, 36, 3), np.uint8)
      Image.fromarray(pixels).save(tmp_path / folder / f'{index}.png')
  hole = np.full((28, 28), 255, np.uint8)
  hole[8:20, 8:20] = 0
  Image.fromarray(hole).save(tmp_path / 'hole.png')
  (tmp_path / 'bin').mkdir()
  python = tmp_path / 'bin' / 'python'
  python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
  python.chmod(0o755)
  return tmp_path


def run(pages, folder):
  environment = os.environ | {
    **compilation.FAST,
    'XDG_CACHE_HOME': str(folder / 'cache'),
    'PYTHONPATH': str(folder),
    'PATH': f'{folder / "bin"}:{os.environ["PATH"]}',
    'JAXGAN_PYTHON': sys.executable,
  }
  done = subprocess.run(
    [sys.executable, docs_runner.__file__, *pages],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  (folder / 'output').write_text(done.stdout + done.stderr)
  failures = re.findall(r'^FAILED.*(?:\n .*)*\n.*', done.stdout, re.M)
  assert done.returncode == 0, '\n'.join([*failures, done.stderr[-3000:]])
  ran = set(re.findall(r'^RAN (\S+)', done.stdout, re.M))
  for block in BLOCKS:
    is_run = block.kind and not (block.needs or block.target)
    if block.page in pages and is_run and block.mark != docs_runner.EXCERPT:
      assert block.name in ran


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_pages_run(copy):
  run(PAGES, copy)


def test_new_algorithm_of_the_howto_follows_the_data(key, tmp_path):
  name = ('jaxgan/steps/moments.py', '')
  (block,) = (block for block in BLOCKS if block.target == name)
  path = tmp_path / 'moments.py'
  path.write_text(block.text)
  spec = importlib.util.spec_from_file_location('moments', path)
  moments = importlib.util.module_from_spec(spec)
  sys.modules['moments'] = moments  # Dataclasses look their module up.
  spec.loader.exec_module(moments)
  points = 0.1 * jax.random.normal(key, (256, 2)) + 0.5
  generator = mlp.Generator((2,), widths=(16,), norm='none')
  latents = latents_lib.single('uniform', 2)
  method = moments.Moments(generator, latents=latents)
  advance = jaxgan.trainer(
    moments, method, {'image': np.asarray(points)}, rounds_per_call=50
  )
  state, history = advance(moments.init(method, key), 150)
  assert history['generator/loss'].shape == (150,)
  fakes = steps.with_defaults(moments).sample(method, state, key, 100)
  assert np.abs(np.asarray(fakes).mean(axis=0) - 0.5).max() < 0.2
