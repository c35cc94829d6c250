"""Imports go from higher levels to lower ones; files are short."""

import ast
import graphlib
import pathlib
import re

import pytest
from runs import ROOT

# From below. A file imports from its own package and from lower levels.
LEVELS = (
  ('errors',),
  ('core',),
  ('data',),
  ('visual', 'models', 'metrics'),
  ('adversarial',),
  ('config',),
  ('steps',),
  ('training',),
  ('modes',),
  ('main',),
)
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
PARTS = {
  *('core', 'data', 'visual', 'models', 'metrics', 'adversarial', 'config'),
  *('steps', 'training', 'modes', 'main.py', 'errors.py', '__init__.py'),
  'py.typed',
}
LONGEST, LONGEST_STEP = 300, 250


def read_modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
  """Returns the files of the package `root / 'jaxgan'` by dotted name."""
  modules = {}
  for path in sorted((root / 'jaxgan').rglob('*.py')):
    parts = path.relative_to(root).with_suffix('').parts
    modules['.'.join(parts).removesuffix('.__init__')] = path
  return modules


def _names(node: ast.AST, module: str, modules) -> list[str]:
  """Returns dotted names that a node of a module's code imports."""
  if isinstance(node, ast.Import):
    return [alias.name for alias in node.names]
  if isinstance(node, ast.ImportFrom):
    assert node.level == 0, f'{module} has a relative import.'
    return [f'{node.module}.{alias.name}' for alias in node.names]
  if isinstance(node, ast.Constant) and isinstance(node.value, str):
    # 'module' or 'module:function', as tables have them.
    match = re.fullmatch(r'([\w.]+):\w+|(jaxgan(?:\.\w+)+)', node.value)
    name = (match[1] or match[2]) if match else ''
    return [n for n in (name, f'{module}.{name}') if name and n in modules]
  if isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith(
    "f'{__name__}."
  ):  # all files of the package, found by name
    return [n for n in modules if n.rpartition('.')[0] == module]
  return []


def read_imports(root: pathlib.Path) -> dict[str, set[str]]:
  """Returns the modules of the package that each of them imports.

  Imports inside functions count, and so do strings that name a module. The
  root of the package is left out: it is the entrance, and imports on access.
  """
  modules = read_modules(root)
  imports = {}
  for module, path in modules.items():
    if module == 'jaxgan':
      continue
    names = [
      name
      for node in ast.walk(ast.parse(path.read_text()))
      for name in _names(node, module, modules)
      if name.split('.')[0] == 'jaxgan'
    ]
    # The last name after `import` is a file, or is defined in one.
    imports[module] = {
      name if name in modules else name.rpartition('.')[0] for name in names
    }
  return imports


def _part(module: str) -> str:
  return module.split('.')[1]


def find_upward(imports: dict[str, set[str]]) -> list[str]:
  """Returns the imports of higher levels, or of other parts of a level."""
  return [
    f'{module} imports {name}'
    for module, names in imports.items()
    for name in sorted(names)
    if name == 'jaxgan'
    or (
      _part(name) != _part(module)
      and LEVEL[_part(name)] >= LEVEL[_part(module)]
    )
  ]


def find_circle(imports: dict[str, set[str]]) -> list[str]:
  """Returns modules that import each other in a circle, if there are any."""
  try:
    graphlib.TopologicalSorter(imports).prepare()
  except graphlib.CycleError as error:
    return error.args[1]
  return []


IMPORTS = read_imports(ROOT)


def test_the_package_has_the_parts_that_names_explain():
  found = {path.name for path in (ROOT / 'jaxgan').iterdir()}
  assert found - {'__pycache__'} == PARTS
  assert {_part(module) for module in IMPORTS} == set(LEVEL)


def test_imports_go_down():
  assert len(IMPORTS) > 90
  assert find_upward(IMPORTS) == []


def test_imports_have_no_circle():
  assert find_circle(IMPORTS) == []


def _package(root: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
  for name, text in {'__init__.py': '', **files}.items():
    path = root / 'jaxgan' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  return root


@pytest.mark.parametrize(
  'text',
  [
    'import jaxgan.steps.gan',
    'from jaxgan.steps import gan',
    'from jaxgan.steps.gan import GAN',
    'def lazy():\n  from jaxgan.steps import gan',
    "TABLE = {'gan': 'jaxgan.steps.gan:train_step'}",
    "lazy = lambda: importlib.import_module('jaxgan.steps.gan')",
  ],
)
def test_an_upward_import_is_refused(tmp_path, text):
  files = {'steps/gan.py': 'class GAN:\n  pass', 'core/state.py': text}
  imports = read_imports(_package(tmp_path, files))
  assert find_upward(imports) == ['jaxgan.core.state imports jaxgan.steps.gan']
  assert find_circle(imports) == []


def test_other_parts_of_a_level_and_the_entrance_are_refused(tmp_path):
  files = {
    'core/state.py': 'from jaxgan import errors, gan',
    'errors.py': '',
    'visual/grid.py': 'from jaxgan.models import mlp',
    'models/mlp.py': 'from jaxgan.core import state',
  }
  assert find_upward(read_imports(_package(tmp_path, files))) == [
    'jaxgan.core.state imports jaxgan',  # `gan` is a public name, not a part.
    'jaxgan.visual.grid imports jaxgan.models.mlp',
  ]


@pytest.mark.parametrize(
  'text',
  [
    'from jaxgan.core import noise',
    'def lazy():\n  from jaxgan.core.noise import draw',
    "TABLE = {'draw': 'jaxgan.core.noise:draw'}",
  ],
)
def test_a_circle_is_refused(tmp_path, text):
  files = {
    'core/state.py': text,
    'core/noise.py': 'from jaxgan.core import optim',
    'core/optim.py': 'from jaxgan.core.state import TrainState',
  }
  imports = read_imports(_package(tmp_path, files))
  assert find_upward(imports) == []
  names = {'jaxgan.core.state', 'jaxgan.core.noise', 'jaxgan.core.optim'}
  assert set(find_circle(imports)) == names


def test_a_circle_through_files_found_by_name_is_refused(tmp_path):
  files = {
    'models/__init__.py': "find = lambda x: load(f'{__name__}.{x}')",
    'models/mlp.py': 'from jaxgan.models import find',
  }
  imports = read_imports(_package(tmp_path, files))
  assert set(find_circle(imports)) == {'jaxgan.models', 'jaxgan.models.mlp'}


def test_files_are_short():
  too_long = set()
  for folder in ('jaxgan', 'benchmarks'):
    for path in (ROOT / folder).rglob('*.py'):
      name = path.relative_to(ROOT).as_posix()
      is_step = name.startswith('jaxgan/steps/')
      limit = LONGEST_STEP if is_step else LONGEST
      if len(path.read_text().splitlines()) > limit:
        too_long.add(name)
  assert too_long == set()
