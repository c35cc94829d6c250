"""The notebooks: clean, made of jaxgan's own parts, and all of them run."""

import ast
import importlib
import os
import pathlib
import re

import nbformat
import pytest

import jaxgan

ROOT = pathlib.Path(__file__).parents[2]
PATHS = sorted((ROOT / 'notebooks').glob('*.ipynb'))
LARGEST = 40_000  # bytes of a file
# Functions that every algorithm has, and so has one that a notebook makes.
CONTRACT = {'init', 'train_step', 'sample'}

every = pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)


def read(path):
  return nbformat.read(path, as_version=4)


def code(path) -> ast.Module:
  cells = [c.source for c in read(path).cells if c.cell_type == 'code']
  return ast.parse('\n'.join(cells), filename=path.name)


def defined(tree: ast.AST) -> set[str]:
  kinds = (ast.FunctionDef, ast.ClassDef)
  return {node.name for node in tree.body if isinstance(node, kinds)}


def imported(tree) -> dict[str, object]:
  """What the imports of a program bind, and errors if they would fail."""
  found = {}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for name in node.names:
        module = importlib.import_module(name.name)
        if '.' not in name.name or name.asname:
          found[name.asname or name.name] = module
        else:
          top = name.name.split('.')[0]
          found[top] = importlib.import_module(top)
    elif isinstance(node, ast.ImportFrom):
      for name in node.names:
        scope = {}
        exec(f'from {node.module} import {name.name} as it', scope)
        found[name.asname or name.name] = scope['it']
  return found


def test_there_are_seven():
  assert [path.stem[0] for path in PATHS] == list('1234567')


@every
def test_it_is_valid_and_holds_no_output(path):
  book = read(path)
  nbformat.validate(book)
  assert path.stat().st_size < LARGEST
  for cell in book.cells:
    if cell.cell_type == 'code':
      assert not cell.outputs
      assert cell.execution_count is None


@every
def test_what_it_takes_from_modules_is_there(path):
  tree = code(path)
  modules = {
    name: value
    for name, value in imported(tree).items()
    if getattr(value, '__name__', '').split('.')[0] == jaxgan.__name__
  }
  assert modules
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
      value = modules.get(node.value.id)
      assert value is None or hasattr(value, node.attr), ast.unparse(node)


@every
def test_it_defines_nothing_that_jaxgan_has(path):
  known = set()
  for file in (ROOT / 'jaxgan').rglob('*.py'):
    known |= defined(ast.parse(file.read_text()))
  assert not (defined(code(path)) - CONTRACT) & known


@every
def test_it_teaches(path):
  text = '\n'.join(c.source for c in read(path).cells)
  assert text.startswith(f'# {path.stem[0]} ')
  assert '\n## Exercises\n' in text
  assert re.search(r'arxiv\.org/abs/', text)
  assert '$' in text


def run(book, folder) -> None:
  """Executes the cells in a folder; checks that they show pictures."""
  import nbclient

  client = nbclient.NotebookClient(
    book,
    timeout=1800,
    kernel_name='python3',
    resources={'metadata': {'path': str(folder)}},
  )
  client.execute()
  kinds = [
    kind
    for cell in book.cells
    for output in cell.get('outputs', ())
    for kind in output.get('data', {})
  ]
  assert kinds.count('image/png') >= 3


@pytest.fixture
def on_path(monkeypatch):
  """Lets a kernel in another folder import this checkout."""
  before = os.environ.get('PYTHONPATH', '')
  monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{before}')


@pytest.mark.slow
@every
def test_it_runs_shortened(path, tmp_path, on_path):
  book = read(path)
  shortened = 0
  for cell in book.cells:
    if cell.cell_type == 'code':
      cell.source, count = re.subn(
        r'^rounds = [\d_]+$', 'rounds = 100', cell.source, flags=re.MULTILINE
      )
      shortened += count
  assert shortened == 1
  run(book, tmp_path)


@pytest.mark.in_full
@pytest.mark.timeout(3600)
@every
def test_it_runs_in_full(path, tmp_path, on_path, monkeypatch):
  """At full settings, as a reader has it: not with the suite's own flags."""
  monkeypatch.setenv('XLA_FLAGS', '')
  run(read(path), tmp_path)
