"""The table of modes: rows, flags, and a mode that a row adds."""

import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest

from jaxgan import modes

# Runs the command line with one more row, whose function is in this file.
PROGRAM = """
import sys
from jaxgan import modes
flags = (
  modes.Flag('num', 'integer', 'Copies (1).'),
  modes.Flag('format', 'string', 'Case of letters.', ('lower', 'upper')),
)
modes.MODES['greet'] = modes.Mode('greeting:greet', flags)
sys.argv = ['main', '--mode=greet', '--workdir=x', *sys.argv[1:]]
from jaxgan import main
main.app.run(main._run, flags_parser=main._parse_flags)
"""
GREETING = """
def greet(workdir, num=1, format='lower'):
  return {'text': num * getattr(workdir, format)()}
"""


@pytest.mark.parametrize('name', modes.MODES)
def test_function_of_a_mode_takes_its_flags(name):
  row = modes.MODES[name]
  module, function = row.function.split(':')
  module = importlib.import_module(module)
  parameters = inspect.signature(getattr(module, function)).parameters
  accepted = set(parameters)
  if 'fields' in parameters:
    accepted |= {field.name for field in dataclasses.fields(module.Request)}
  assert next(iter(parameters)) == 'workdir'
  assert {flag.name for flag in row.flags} <= accepted
  assert ('config' in parameters) == row.trains


def test_flags_of_a_name_have_one_kind():
  for name in modes.flag_names():
    assert len({flag.kind for flag in modes.modes_of(name).values()}) == 1


def test_table_imports_no_mode():
  program = 'import sys, jaxgan.modes; assert "jax" not in sys.modules'
  subprocess.run([sys.executable, '-c', program], check=True)


@pytest.mark.parametrize(
  ('flags', 'code', 'text'),
  [
    (['--num=2', '--format=upper'], 0, '{"text": "XX"}'),
    ([], 0, '{"text": "x"}'),
    (['--format=grid'], 2, "--format='grid' is unknown. Choose one of: lower"),
    (['--walk=1'], 2, '--walk is for --mode=sample. Remove it'),
  ],
)
def test_row_adds_a_mode(flags, code, text, tmp_path):
  (tmp_path / 'greeting.py').write_text(GREETING)
  process = subprocess.run(
    [sys.executable, '-c', PROGRAM, *flags],
    capture_output=True,
    text=True,
    env={'PYTHONPATH': f'{tmp_path}:{":".join(sys.path)}'},
  )
  assert process.returncode == code, process.stderr
  assert text in process.stdout + process.stderr
