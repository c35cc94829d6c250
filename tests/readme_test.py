"""What the README shows works, and what it lists is what there is."""

import pathlib
import re

import pytest

from jaxgan import config as config_lib
from jaxgan import data
from jaxgan.adversarial import losses, penalties
from jaxgan.core import noise, optim

README = (pathlib.Path(__file__).parents[1] / 'README.md').read_text()


def test_the_notebook_example_runs():
  section = README.split('## From a notebook\n')[1].split('\n## ')[0]
  (code,) = re.findall(r'```python\n(.*?)```', section, re.DOTALL)
  names = {}
  exec(code, names)
  assert names['samples'].shape == (16, 28, 28, 1)
  assert int(names['state'].step) == 3


@pytest.mark.parametrize(
  'table',
  [
    losses.PAIRS,
    penalties.PENALTIES,
    optim.OPTIMIZERS,
    noise.LATENTS,
    data.SOURCES,
    ['auto'],
  ],
)
def test_every_name_is_listed(table):
  for name in table:
    assert f'`{name}`' in README


def test_every_flag_in_a_command_is_a_field():
  import importlib.util

  path = pathlib.Path(__file__).parents[1] / 'configs' / 'gan_mnist.py'
  spec = importlib.util.spec_from_file_location('gan_mnist', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  fields = config_lib.flatten(module.get_config())
  named = set(re.findall(r'--config\.([a-z_.]+)', README))
  assert named
  assert named <= fields.keys()


def test_files_that_are_linked_exist():
  root = pathlib.Path(__file__).parents[1]
  for path in re.findall(r'\]\(([^)h][^)]*)\)', README):
    assert (root / path).exists(), path
